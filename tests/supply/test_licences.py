"""Every dependency comes under a licence that is allowed for where it goes."""

from __future__ import annotations

from email.message import Message

import pytest

from tests.supply.licences import FOR_PEOPLE, IN_THE_IMAGE, Row, allows, licence_of, rows, table
from tests.supply.locks import IMAGE, locked


def test_every_locked_package_is_under_a_licence_that_is_allowed() -> None:
    found = rows()
    assert [each for each in found if not each.is_allowed] == []
    assert {each.name for each in locked(IMAGE) if not each.marker} - {each.package for each in found} == set()


def test_what_is_in_the_image_is_under_no_copyleft() -> None:
    assert IN_THE_IMAGE < FOR_PEOPLE
    assert not Row("p", "1", "MPL-2.0", in_image=True).is_allowed
    assert Row("p", "1", "MPL-2.0", in_image=False).is_allowed


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only OR AGPL-3.0-only", False),
        ("(MIT)", False),
        ("", False),
    ],
)
def test_of_several_licences_all_must_be_allowed_or_one_of_a_choice(expression: str, is_allowed: bool) -> None:
    assert allows(IN_THE_IMAGE, expression) is is_allowed


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT"), ("License", "other")], "MIT"),
        ([("License", "Apache 2.0"), ("Classifier", "License :: OSI Approved :: MIT License")], "Apache-2.0"),
        ([("License", "Permission is hereby granted, free of charge, to any person obtaining a copy")], ""),
        ([("License", "x" * 61), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("Classifier", "Programming Language :: Python")], ""),
        ([("License", "Beerware")], "Beerware"),
    ],
)
def test_a_package_says_its_licence_in_one_of_three_places(fields: list[tuple[str, str]], licence: str) -> None:
    said = Message()
    for name, value in fields:
        said[name] = value
    assert licence_of(said) == licence  # type: ignore[arg-type]


def test_the_table_has_a_line_for_each_package() -> None:
    text = table([Row("a", "1", "MIT", in_image=True), Row("b", "2", "ISC", in_image=False)])
    assert text.splitlines()[2:] == ["| a | 1 | MIT | yes |", "| b | 2 | ISC |  |"]
