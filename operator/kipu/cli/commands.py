"""What a command is here: examples in its help, its place among the others, and how it ends.

Promises: every command ends by the same rules, with the codes of `errors`; Ctrl-C is 130 everywhere. `kubectl kipu`
shows its own name in usage, examples and hints. Must never talk to a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from kipu.core.errors import CorruptionError, KipuError, UserError
from kipu.eventlog.codec import UnknownEvent

from .errors import CANNOT_TELL, CHECK_FAILED, INTERRUPTED, NO_WORKFLOW, TIMED_OUT, NoWorkflow, OutOfTime, Refused

PROGRAM = "kipu"
REMARK = "  # "  # in an example, before what it does
HINT = re.compile(rf"'{PROGRAM}(?=\s+[a-z])")  # how messages and help name a command: 'kipu get nightly'


class Command(click.Command):
    """A command with examples: what stands behind its name, and maybe a remark."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), exit_codes: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples
        self.exit_codes = exit_codes

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are to be typed."""
        split = [example.partition(REMARK) for example in self.examples]
        width = max((len(words) for words, mark, _ in split if mark), default=0)
        with formatter.section("Examples"):
            for words, mark, remark in split:
                shown = f"{words:<{width}}{mark}{remark}" if mark else words
                formatter.write(f"  {_program(ctx)} {self.name} {shown}".rstrip() + "\n")
        if self.exit_codes:
            formatter.write_paragraph()
            formatter.write_text(f"Exit codes: {self.exit_codes}.")

    def get_help(self, ctx: click.Context) -> str:
        """Its hints in the name that the program was called by."""
        return hinted(super().get_help(ctx))


class Commands(click.Group):
    """Commands in sections, whose errors become messages and exit codes."""

    def __init__(self, *arguments: Any, sections: Mapping[str, Sequence[click.Command]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections = sections
        for listed in sections.values():
            for command in listed:
                self.add_command(command)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order of the sections."""
        return list(self.commands)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each section under its own title."""
        room = formatter.width - 6 - max(len(name) for name in self.commands)
        for title, listed in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.get_short_help_str(room)) for command in listed])

    def get_help(self, ctx: click.Context) -> str:
        """See Command."""
        return hinted(super().get_help(ctx))

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for; its end as an exit code."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):  # Abort: at a question
            ctx.exit(INTERRUPTED)
        except KipuError as error:
            exit_code, messages = _end(error)
            for message in messages:
                note(message)
            ctx.exit(exit_code)


def note(text: str) -> None:
    """Something to know, beside the result."""
    click.echo(f"kipu: {hinted(text)}", err=True)


def hinted(text: str) -> str:
    """With the commands that it names as this program is called: `kubectl kipu get`, where that was typed."""
    ctx = click.get_current_context(silent=True)
    return text if ctx is None else HINT.sub(f"'{_program(ctx)}", text)


def _program(ctx: click.Context) -> str:
    return ctx.find_root().info_name or PROGRAM


def _end(error: KipuError) -> tuple[int, Sequence[str]]:
    """The exit code, and what there is to say. What is special comes first: a NoWorkflow is a CannotTell too."""
    match error:
        case UnknownEvent():
            return CANNOT_TELL, [str(error)]
        case CorruptionError():
            return CHECK_FAILED, [f"not sound: {error}"]
        case UserError():
            return CANNOT_TELL, [str(problem) for problem in error.problems]
        case Refused():
            return CHECK_FAILED, [str(error)]
        case NoWorkflow():
            return NO_WORKFLOW, [str(error)]
        case OutOfTime():
            return TIMED_OUT, [str(error)]
        case _:
            return CANNOT_TELL, [str(error)]
