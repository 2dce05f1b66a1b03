"""`kipu suspend`, `resume`, `approve`, `drain`, `cancel`, `terminate`, `rerun`, `resolve`: what people ask of a run.

Promises: each writes one field of one Workflow's spec, by `changing`; says on stdout what was asked, on stderr what
happens next. What the object shows to make no sense is refused before anything is written. Must never ask for what
the person has not said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import click
from rich.console import Console

from kipu.core.reasons import Decision, Resolution, ShutdownMode

from . import asking
from .asking import Change
from .commands import Command, note
from .completing import asking_step_names, step_names, unknown_step_names
from .options import Where, check_timeout, of_a_workflow, that_waits
from .seen import Seen
from .watching import follow

WAIT_HELP = "Until the run is over and no pod is left."


@click.command(cls=Command, examples=["nightly", "nightly -n etl"])
@of_a_workflow
def suspend(name: str, where: Where) -> None:
    """Have Workflow NAME start nothing new. What runs goes on, and so do timeouts and waits."""
    asyncio.run(_ask(where, name, asking.suspend))


@click.command(cls=Command, examples=["nightly"])
@of_a_workflow
def resume(name: str, where: Where) -> None:
    """Have Workflow NAME go on, which was suspended."""
    asyncio.run(_ask(where, name, asking.resume))


@click.command(
    cls=Command,
    examples=["nightly publish", "nightly publish --decision Reject --message 'the figures are of last week'"],
)
@of_a_workflow
@click.argument("step", shell_complete=asking_step_names)
@click.option(
    "--decision",
    type=click.Choice([each.value for each in Decision]),
    default=Decision.APPROVE.value,
    show_default=True,
    help="Reject: the step fails, and is not tried again.",
)
@click.option("--message", default="", help="Why; the log keeps it.")
def approve(
    name: str,
    step: str,
    decision: str,
    message: str,
    where: Where,
) -> None:
    """Answer STEP of Workflow NAME, which asks for approval. The first answer stands, and the log keeps who gave it.

    The answer is given in the name under which the API server knows you.
    """
    rule = partial(asking.approve, step=step, decision=Decision(decision), message=message)
    asyncio.run(_ask(where, name, rule, by_name=True))


def _shutdown(mode: ShutdownMode, help_text: str) -> click.Command:
    """The command of one mode: they differ in a word."""
    verb = mode.value.lower()

    @click.command(verb, cls=Command, examples=["nightly", "nightly --wait --timeout 10m"], help=help_text)
    @of_a_workflow
    @that_waits("--wait", WAIT_HELP)
    def command(
        name: str,
        waits: bool,
        timeout_ms: int | None,
        where: Where,
    ) -> None:
        check_timeout("--wait", waits, timeout_ms)
        rule = partial(asking.shut_down, mode=mode)
        asyncio.run(_ask(where, name, rule, waits=waits, timeout_ms=timeout_ms))

    return command


drain = _shutdown(
    ShutdownMode.DRAIN,
    "End the run of Workflow NAME: what runs ends by itself, nothing new starts; then finally runs.",
)
cancel = _shutdown(
    ShutdownMode.CANCEL,
    "End the run of Workflow NAME: what runs is deleted; once no pod is left finally runs.",
)
terminate = _shutdown(
    ShutdownMode.TERMINATE,
    "End the run of Workflow NAME: what runs is deleted, and finally does not run, or is taken down.",
)


@click.command(cls=Command, examples=["nightly", "nightly --from load --from report --watch"])
@of_a_workflow
@click.option(
    "--from",
    "again",
    multiple=True,
    metavar="STEP",
    shell_complete=step_names,
    help="Runs again although it has succeeded, with all that rests on it; repeatable.",
)
@that_waits("--watch", "Follow the new run until its end; exit code 1 if it does not succeed.")
def rerun(
    name: str,
    again: Sequence[str],
    waits: bool,
    timeout_ms: int | None,
    where: Where,
) -> None:
    """Run Workflow NAME again, in the same log: what has succeeded stays done.

    A run that goes on is waited for.
    """
    check_timeout("--watch", waits, timeout_ms)
    rule = partial(asking.rerun, again=again)
    code = asyncio.run(_ask(where, name, rule, waits=waits, timeout_ms=timeout_ms))
    click.get_current_context().exit(code)


@click.command(cls=Command, examples=["nightly pay-out Succeed", "nightly pay-out Retry"])
@of_a_workflow
@click.argument("step", shell_complete=unknown_step_names)
@click.argument("word", type=click.Choice([each.value for each in reversed(Resolution)]))
def resolve(name: str, step: str, word: str, where: Where) -> None:
    """Say what became of STEP of Workflow NAME, of which nobody knows whether it has done its work.

    Succeed: it has. Fail: it has not, and is not tried again. Retry: try it again.
    """
    rule = partial(asking.resolve, step=step, word=Resolution(word))
    asyncio.run(_ask(where, name, rule, by_name=True))


COMMANDS = (suspend, resume, approve, drain, cancel, terminate, rerun, resolve)


async def _ask(
    where: Where,
    name: str,
    rule: Callable[..., Change],
    *,
    by_name: bool = False,
    waits: bool = False,
    timeout_ms: int | None = None,
) -> int:
    """Ask it, and say so; the exit code of the run, where it is waited for."""
    from .changing import change
    from .waiting import exit_code

    cluster, namespace = where.connect()
    asked: Callable[[Seen], Change] = partial(rule, by=await cluster.who_am_i()) if by_name else rule
    seen, wanted = await change(cluster, namespace, name, asked)
    nothing = "" if wanted.operations else "; nothing was changed"
    click.echo(f"workflow.kipu.dev/{name}: {wanted.said}{nothing}")
    if wanted.follows:
        note(wanted.follows)
    if not waits:
        return 0
    return exit_code(await follow(Console(), cluster, seen.body, run=wanted.run, timeout_ms=timeout_ms))
