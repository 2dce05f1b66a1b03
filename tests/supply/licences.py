"""Under which licences the locked packages come, and which of them are allowed: `make licences` writes the table.

    python -m tests.supply.licences build/licences.md

It reads what the installed packages say of themselves: the environment must be that of `make setup`.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tests.supply.locks import DEVELOPMENT, IMAGE, locked

# Who ships these owes a notice and nothing else. "BSD": it does not say with how many clauses.
IN_THE_IMAGE = frozenset({"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"})
# Copyleft of the file: used as it is, changed by nobody, and not in the image.
FOR_PEOPLE = IN_THE_IMAGE | {"MPL-2.0"}
# What packages say in words of their own.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# What packages say in the text of a file alone, read by us.
READ = {"promql-parser": "MIT"}
WORD_LENGTH_MAX = 60  # of a License field that is a name and not the text of one


class Row(NamedTuple):
    """One installed package of a lock."""

    package: str
    version: str
    licence: str
    in_image: bool

    @property
    def is_allowed(self) -> bool:
        return allows(IN_THE_IMAGE if self.in_image else FOR_PEOPLE, self.licence)


def rows() -> list[Row]:
    """Every locked package that is installed; of others the marker is for other machines."""
    image = {each.name for each in locked(IMAGE)}
    names = sorted({each.name for each in locked(DEVELOPMENT)} | image)
    found = [(name, distribution) for name in names if (distribution := installed(name)) is not None]
    return [
        Row(name, each.version, licence_of(each.metadata) or READ.get(name, ""), name in image) for name, each in found
    ]


def installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def licence_of(said: metadata.PackageMetadata) -> str:
    """As an SPDX expression, or in its own words where nobody can tell; "" where it says nothing."""

    def all_of(name: str) -> list[str]:
        return list(said.get_all(name) or [])

    fields = [text for text in all_of("License") if len(text) <= WORD_LENGTH_MAX]
    classifiers = [text.rpartition(" :: ")[2] for text in all_of("Classifier") if text.startswith("License :: ")]
    words = [*all_of("License-Expression"), *fields, *classifiers]
    return next((SPDX.get(word, word) for word in words if word), "")


def allows(licences: frozenset[str], expression: str) -> bool:
    """Whether one may be chosen so. Of parentheses nothing is known: an expression with them is for people to judge."""
    if " OR " in expression:
        return any(allows(licences, each) for each in expression.split(" OR "))
    return all(each in licences for each in expression.split(" AND "))


def table(found: list[Row]) -> str:
    lines = [
        f"| {each.package} | {each.version} | {each.licence} | {'yes' if each.in_image else ''} |" for each in found
    ]
    return "\n".join(["| Package | Version | Licence | In the image |", "|---|---|---|---|", *lines, ""])


def main(file: Path) -> int:
    """Write the table; 1 where a licence is not allowed."""
    found = rows()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(table(found), encoding="utf-8")
    wrong = [each for each in found if not each.is_allowed]
    sys.stdout.writelines(f"{each.package} {each.version}: not allowed: {each.licence!r}\n" for each in wrong)
    sys.stdout.write(f"{len(found)} packages, {len(wrong)} of them under a licence that is not allowed: {file}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
