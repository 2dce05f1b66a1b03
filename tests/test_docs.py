"""The documents are true to the tree: what they name is there. (Links, manifests and commands: tests/docs_commands.)"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changes").glob("*.md")])
README_LINES_MAX = 150
TEST = re.compile(r"\b((?:tests|e2e)/[\w/]+\.py)((?:::\w+)+)")
FILE = re.compile(r"`((?:operator|tests|e2e|docs|charts|examples|crds|\.ci)/[\w./-]*[\w-])/?`")
MAKE = re.compile(r"(?:`|^ {4,})make +([^`#\n]+)", re.MULTILINE)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MODULE = re.compile(r"`((?:core|api|eventlog|shell|cli)/[\w/]+\.py)`")


def each(pattern: re.Pattern[str], *documents: Path) -> Iterator[tuple[str, ...]]:
    """Every match in the documents: the document's name, and the groups."""
    for document in documents or DOCUMENTS:
        for match in pattern.finditer(document.read_text()):
            yield str(document.relative_to(ROOT)), *(group or "" for group in match.groups())


@cache
def names_of(file: Path) -> frozenset[str]:
    """The tests of a file, those of a class as `Class::name`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, FUNCTIONS)}
        elif isinstance(node, FUNCTIONS):
            names.add(node.name)
    return frozenset(names)


def test_every_test_that_a_document_names_exists() -> None:
    named = list(each(TEST))
    assert len(named) >= 20  # guarantees.md alone
    missing = [
        f"{document}: {file}{name}"
        for document, file, name in named
        if not (ROOT / file).is_file() or name.removeprefix("::") not in names_of(ROOT / file)
    ]
    assert missing == []


def test_every_guarantee_names_a_test() -> None:
    lines = [
        line for line in (ROOT / "docs/guarantees.md").read_text().splitlines() if re.match(r"\| [A-Z]+\d+ ", line)
    ]
    assert len(lines) >= 20
    assert [line for line in lines if not TEST.search(line)] == []


def test_every_attempt_of_a_tenant_names_what_holds_it_and_a_test() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    section = text.partition("## What tenants try\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| Attempt")]
    assert len(lines) >= 15
    assert [line for line in lines if not TEST.search(line) or line.count(" | ") != 2] == []


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [
        (document, word)
        for document, words in each(MAKE)
        for word in words.split()
        if re.fullmatch(r"[a-z][a-z-]*", word)
    ]
    assert len(named) >= 10
    assert [pair for pair in named if pair[1] not in targets] == []


def test_every_file_that_a_document_names_exists() -> None:
    missing = [(document, file) for document, file in each(FILE) if not (ROOT / file).exists()]
    assert missing == []


def test_the_code_map_has_every_module_once() -> None:
    mapped = [
        module for _, module in each(re.compile(rf"^\| {MODULE.pattern}", re.MULTILINE), ROOT / "docs/architecture.md")
    ]
    modules = sorted(
        str(file.relative_to(ROOT / "operator/kipu"))
        for file in (ROOT / "operator/kipu").glob("*/**/*.py")
        if file.name != "__init__.py"
    )
    assert sorted(mapped) == modules


def test_every_module_that_a_document_names_exists() -> None:
    missing = [
        (document, module) for document, module in each(MODULE) if not (ROOT / "operator/kipu" / module).exists()
    ]
    assert missing == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


@pytest.mark.parametrize("record", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda record: record.name[:4])
def test_a_decision_record_has_its_parts(record: Path) -> None:
    headings = re.findall(r"^#+ .*", record.read_text(), re.MULTILINE)
    assert headings[0].startswith(f"# {int(record.name[:4])}. ")
    assert headings[1:] == ["## Context", "## Decision", "## Consequences"]
