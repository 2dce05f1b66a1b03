"""What the pages show of their own workflows, of those that need no cluster: they are run by `kipu run`, as processes.

The walks on a real cluster (e2e/tests/test_walks.py) show all of it; this is what can be known without one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.local_terminal import OwnThread
from tests.docs_commands.walk import WALKED, Type, Write, missing, walk

ROOT = Path(__file__).parents[2]
STEPS = [step for page in WALKED for step in walk(page, (ROOT / page).read_text())]
TYPED = [step for step in STEPS if isinstance(step, Type)]


@pytest.mark.proof
@pytest.mark.parametrize("name", ["etl", "regions", "tidy"])
def test_a_workflow_of_a_page_ends_as_the_page_shows(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    terminal = OwnThread(capsys, monkeypatch)
    (file,) = (step for step in STEPS if isinstance(step, Write) and step.name == f"{name}.yaml")
    Path(file.name).write_text(file.text)
    assert terminal.kipu("run", file.name).code == exit_code_of(f"kipu submit {file.name} --watch")
    events = terminal.kipu("history", name, "--dir", ".kipu").out.splitlines()[-1].split()[0]
    tree = terminal.kipu("history", name, "--dir", ".kipu", "--at", events).out
    shown = [line for line in shown_by(f"kipu get {name}") if line.startswith((name, "├", "└"))]
    assert len(shown) >= 3
    assert missing(tuple(shown), tree) == "", tree


def exit_code_of(command: str) -> int:
    """What the page promises where it has this typed first."""
    return next(line.exit_code for step in TYPED for line in step.lines if line.text.startswith(command))


def shown_by(command: str) -> tuple[str, ...]:
    """What the page shows where it has this typed first."""
    return next(step.shown for step in TYPED for line in step.lines if line.text == command)
