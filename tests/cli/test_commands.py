"""How commands end, and in which order they are listed."""

from __future__ import annotations

import click
import pytest

from kipu.cli.commands import Command, Commands
from kipu.cli.errors import CannotTell, NoWorkflow, OutOfTime, Refused
from kipu.cli.main import SECTIONS, kipu
from kipu.core.errors import CorruptionError, Problem, TransientError, UserError
from kipu.eventlog.codec import UnknownEvent
from tests.cli.terminal import Terminal


def ends(error: BaseException) -> int:
    """The exit code of a command that ends so."""

    @click.command(cls=Command)
    def wait() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        Commands("kipu", sections={"Here": [wait]})(["wait"])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (CorruptionError("a hash differs"), 1, "kipu: not sound: a hash differs\n"),
        (UnknownEvent("X v1"), 2, "kipu: X v1\n"),
        (UserError((Problem(path="a", reason="b"), Problem(path="c", reason="d"))), 2, "kipu: a: b\nkipu: c: d\n"),
        (Refused("no"), 1, "kipu: no\n"),
        (CannotTell("no answer"), 2, "kipu: no answer\n"),
        (TransientError("not now"), 2, "kipu: not now\n"),
        (NoWorkflow("not there"), 3, "kipu: not there\n"),
        (OutOfTime("too long"), 124, "kipu: too long\n"),
    ],
)
def test_every_command_ends_by_the_same_rules(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert ends(error) == code
    assert capsys.readouterr().err == said


def test_the_commands_stand_in_sections(terminal: Terminal) -> None:
    text = terminal.kipu("--help").out
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2:3].islower()]
    names = [command.name for commands in SECTIONS.values() for command in commands]
    assert listed[-len(names) :] == names == list(kipu.commands)
    assert [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] != " "][1:] == list(SECTIONS)
