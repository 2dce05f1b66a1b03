"""What the pages tell people to type could be typed, and what they show could be applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kipu.cli.lint import lint
from tests.docs_commands import exceptions, pages, programs, shell

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("", "docs", "docs/adr", "changes")
    for path in (ROOT / folder).glob("*.md")
)
TEXTS = pages.read(ROOT, *(page for page in PAGES if page != "CHANGELOG.md"))
BLOCKS = {page: pages.blocks(page, text) for page, text in TEXTS.items()}
LINES = [line for found in BLOCKS.values() for block in found if shell.is_shell(block) for line in shell.lines(block)]


def faults(line: shell.Line) -> list[str]:
    try:
        found = shell.commands(line.text)
    except ValueError as error:
        return [f"{line}: {error}"]
    written = frozenset(name for block in BLOCKS[line.page] if (name := pages.file_name(block)))
    judged = [command for command in found if " ".join(command) not in exceptions.NOT_JUDGED]
    return [f"{line}: {fault}" for command in judged if (fault := programs.fault(command, written))]


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_that_a_page_shows_could_be_given(page: str) -> None:
    assert [each for line in LINES if line.page == page for each in faults(line)] == []


def test_whatever_else_is_shown_is_known_to_be_no_command() -> None:
    shown = [(str(block), text) for found in BLOCKS.values() for block in found for text in shell.answers(block)]
    assert [each for each in shown if not each[1].startswith(exceptions.ONLY_SHOWN)] == []
    assert [start for start in exceptions.ONLY_SHOWN if not any(text.startswith(start) for _, text in shown)] == []


def test_many_commands_are_judged() -> None:
    judged = [command for line in LINES for command in shell.commands(line.text)]
    assert sum(command[0].endswith("kipu") for command in judged) >= 100
    assert sum(command[0] == "make" for command in judged) >= 40
    assert sum(command[0] == "kubectl" for command in judged) >= 25


def test_what_is_not_judged_is_still_shown_somewhere() -> None:
    shown = {" ".join(command) for line in LINES for command in shell.commands(line.text)}
    assert set(exceptions.NOT_JUDGED) - shown == set()
    assert [command for command in exceptions.NOT_JUDGED if command.startswith(("kipu", "make"))] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    dead = []
    for link in pages.links(page, TEXTS[page]):
        target = (ROOT / page).parent / link.path if link.path else ROOT / page
        if not target.exists():
            dead.append(f"{page}:{link.line}: there is no {link.path}")
        elif link.anchor and target.suffix == ".md" and link.anchor not in pages.anchors(target.read_text()):
            dead.append(f"{page}:{link.line}: {link.path} has no heading #{link.anchor}")
    assert dead == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_manifest_of_a_page_is_sound(page: str) -> None:
    """All of one page together: a Workflow may name a template of the same page."""
    shown = [block.text for block in BLOCKS[page] if block.language == "yaml"]
    report = lint([(page, "\n---\n".join(shown).encode())])
    assert report.findings == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_json_block_of_a_page_can_be_read(page: str) -> None:
    for block in BLOCKS[page]:
        if block.language == "json":
            json.loads(block.text)
