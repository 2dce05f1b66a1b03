"""YAML as kubectl reads it, with lines; and nothing that a file may hold raises or hangs."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipu.cli.manifests import DEPTH_MAX, FILE_BYTES_MAX, Document, Unreadable, read


def only(text: str) -> Document:
    (found,) = read(text.encode())
    return found


def why(text: str | bytes) -> tuple[int, str]:
    with pytest.raises(Unreadable) as caught:
        list(read(text if isinstance(text, bytes) else text.encode()))
    return caught.value.line, caught.value.why


def test_scalars_mean_what_they_mean_to_kubectl() -> None:
    text = 'a: 1\nb: "1"\nc: 2026-01-01\nd: 12:30\ne: yes\nf: ~\ng: 1.5\nh: 0777\ni: |\n  x\n1: y\ntrue: z\n'
    assert only(text).value == {
        "a": 1,
        "b": "1",
        "c": "2026-01-01",
        "d": "12:30",
        "e": True,
        "f": None,
        "g": 1.5,
        "h": 511,
        "i": "x\n",
        "1": "y",
        "true": "z",
    }


def test_every_document_is_read_and_empty_ones_are_nothing() -> None:
    assert [each.value for each in read(b"a: 1\n---\n---\n# b\n---\n{}\n---\n[1]\n")] == [{"a": 1}, None, None, {}, [1]]
    assert [each.value for each in read(b'{"a": [1, {"b": null}]}')] == [{"a": [1, {"b": None}]}]
    assert list(read(b"")) == []


LINES = """\
kind: Workflow
spec:
  steps:
    - name: a
      dependsOn:
        - b
        - c
    - {name: d,
       env: [{name: X}]}
  labels: {kipu.dev/x: y}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("kind", 1),
        ("spec", 2),
        ("spec.steps[0]", 4),
        ("spec.steps[0].name", 4),
        ("spec.steps[0].dependsOn[1]", 7),
        ("spec.steps[1].env[0].name", 9),
        ("spec.labels[kipu.dev/x]", 10),
        ("spec.steps[0].image", 4),  # which is not there: its step is
        ("spec.steps[7].name", 3),
        ("metadata.name", 1),
        ("", 1),
    ],
)
def test_a_path_has_the_line_of_the_nearest_thing_that_there_is(path: str, line: int) -> None:
    assert only(LINES).line(path) == line


def test_aliases_and_merges_are_unfolded() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{z: 4}, *a]}\nd: *a\n"
    assert only(text).value == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2, "z": 4},
        "d": {"x": 1, "y": 2},
    }


BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands here twice"),
        ("a: [1\nb: 2\n", 2, "did not find expected"),
        ("a: b: c\n", 1, "mapping values are not allowed here"),
        ("a: !!python/object:os.system x\n", 1, "is not a type of JSON"),
        ("a: !mine x\n", 1, "'!mine' is not a type of JSON"),
        ("a: !!binary aGk=\n", 1, "is not a type of JSON"),
        ("a: *nobody\n", 1, "found undefined alias"),
        ("? [a]\n: b\n", 1, "a key must be a text"),
        ("a: {<<: 3}\n", 1, "only an object can be merged"),
        ("a: &a [*a]\n", 1, "an alias within itself"),
        ("x: 1\na: &a\n  b: *a\n", 2, "an alias within itself"),
        pytest.param(BOMB, 1, "more than 1000000 values", marks=pytest.mark.proof),
        ("a: " + "1" * 5_000, 1, "Exceeds the limit"),
        ("\x00", 1, "special characters are not allowed"),
        (b"\xff\xfe\x00", 1, ""),
        (b"a: \xc3\x28", 1, ""),
    ],
    ids=range(16),
)
def test_what_cannot_be_read_is_told_with_its_line(text: str | bytes, line: int, told: str) -> None:
    found, reason = why(text)
    assert told in reason or "did not find" in told
    assert reason
    assert found >= line


def test_merges_of_merges_stay_small() -> None:
    value = only(MERGES).value
    assert isinstance(value, dict)
    assert value["a29"] == {"x": 1}


@pytest.mark.parametrize(("depth", "sound"), [(DEPTH_MAX, True), (DEPTH_MAX + 1, False)])
def test_depth_is_bounded(depth: int, sound: bool) -> None:
    text = "[" * depth + "1" + "]" * depth
    if sound:
        assert only(text).value
    else:
        assert "levels deep" in why(text)[1]


def test_a_depth_that_no_stack_holds_is_told() -> None:
    assert "nested too deep" in why("[" * sys.getrecursionlimit())[1]


@pytest.mark.proof
def test_a_file_is_bounded() -> None:
    assert "more than 8 MiB" in why(b" " * (FILE_BYTES_MAX + 1))[1]
    assert list(read(b" " * FILE_BYTES_MAX)) == []


@pytest.mark.proof
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text("a: -[]{},&*<!'\"|>\n#?%@1", max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_unreadable(text: bytes) -> None:
    found = []
    with suppress(Unreadable):
        found = [document.line("spec.steps[0].x") for document in read(text)]
    assert all(line >= 1 for line in found)
