"""`kipu`: what a person asks of Workflows and of their logs, and runs without a cluster.

The commands about files, logs and local runs are here; the others, which are about Workflows in a cluster, are modules
of their own. SECTIONS names all of them, in the order of `kipu --help`.
Exit codes: 0 all is well, 1 a history is not what was recorded, or only a part of it, or a manifest is wrong, 2 wrong
usage or nothing could be checked, 3 there is no such Workflow; those of `run` are its own. Which error ends with which,
`commands` says. Results go to stdout, everything else to stderr. Must never import the official client for `--help`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click
from rich.console import Console

from kipu import __version__

from . import (
    completion,
    controlling,
    explaining,
    getting,
    graphing,
    listing,
    logs,
    purging,
    submitting,
    transcript,
    watching,
    workflow_file,
)
from . import lint as linting
from . import salvage as salvaging
from .commands import PROGRAM, Command, Commands, note
from .details import some
from .errors import CHECK_FAILED
from .files import save
from .options import Where, in_a_cluster, placed, workflow_name
from .table import show
from .tracing import trace
from .ui.command import ui

RUNS = Path(".kipu")
PROCESSES = max(4, os.cpu_count() or 1)
PROCESSES_MAX = 1_000  # each has a warden of some 10 MB beside it


@click.command(
    cls=Command,
    examples=[
        "nightly.yaml",
        "nightly.yaml --param date=2026-11-23 --parallelism 8",
        "nightly.yaml --resume  # after it was killed",
        "nightly.yaml --rerun --from load  # what has failed, and load with all that rests on it",
    ],
    exit_codes="0 succeeded, 1 failed or nobody knows, 2 refused, 3 cancelled, 124 timed out",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with the newest run, whatever has become of the one before you.")
@click.option("--rerun", is_flag=True, help="Run the newest run again, which has ended: what has succeeded stays done.")
@click.option(
    "--from", "rerun_from", multiple=True, metavar="STEP", help="With --rerun: runs again although it has succeeded."
)
@click.option(
    "--resolve",
    "words",
    multiple=True,
    metavar="STEP=Succeed|Fail|Retry",
    help="With --resume: what became of an External step of which nobody knows; repeatable.",
)
@click.option(
    "--param", "given", multiple=True, metavar="NAME=VALUE", help="In place of the value in FILE; repeatable."
)
@click.option(
    "--dir",
    "base",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="Where runs are kept: logs, outputs, what a later --resume needs.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(1, PROCESSES_MAX),
    default=PROCESSES,
    show_default=True,
    help="Steps at once, at most; spec.parallelism holds too.",
)
def run(
    file: Path,
    resume: bool,
    rerun: bool,
    rerun_from: Sequence[str],
    words: Sequence[str],
    given: Sequence[str],
    base: Path,
    parallelism: int,
) -> None:
    """Run the Workflow in FILE here, without a cluster: each step is a process, images are not run.

    Killed at any moment, --resume goes on: what has succeeded does not run again. Ctrl-C cancels, twice kills.
    """
    from . import params, running

    if words and not resume:
        raise click.UsageError("--resolve is about a run that has begun: give it with --resume")
    if rerun and resume:
        raise click.UsageError("--rerun runs again what has ended, and --resume goes on with what has not: give one")
    if rerun_from and not rerun:
        raise click.UsageError("--from names steps that run again: give it with --rerun")
    again = rerun_from if rerun else None
    asked = running.Asked(resume=resume, rerun_from=again, words=running.words(words), params=params.named(given))
    sys.exit(running.run(file, base, asked, processes_max=parallelism))


@click.command(
    cls=Command,
    examples=[
        "nightly",
        "nightly --at 42  # the steps as they stood then",
        "nightly --dir .kipu  # of a run of 'kipu run'",
        "nightly -o jsonl > nightly.jsonl",
    ],
    exit_codes="0 sound, 1 not what was recorded, 2 nothing was checked, 3 there is no such Workflow",
)
@workflow_name
@click.option(
    "--dir",
    "base",
    type=click.Path(file_okay=False, path_type=Path),
    help="Ask the runs of 'kipu run' that are kept there, and no cluster.",
)
@click.option("-o", "--output", type=click.Choice(["table", "jsonl"]), default="table", show_default=True)
@click.option("--at", type=int, metavar="N", help="Show the steps as they stood after the event at position N.")
@in_a_cluster
def history(name: str, base: Path | None, output: str, at: int | None, where: Where) -> None:
    """Print every recorded event of Workflow NAME, its chain of hashes verified.

    'jsonl' prints the records as they were recorded, after a line of metadata: a file for 'kipu verify'.
    """
    if at is not None and output == "jsonl":
        raise click.UsageError("--at shows a state, and jsonl is records: give one of the two")
    # Imported late, here and below: the official client takes half a second to import, and 'verify' needs no cluster.
    if base is not None:
        from . import running

        chosen, found = running.load(base, name)
        stream, spec_hash = chosen.stream, chosen.spec_hash
    else:
        from .reading import load

        cluster, namespace = where.connect()
        stream, found, spec_hash = asyncio.run(load(cluster, namespace, name))
    if at is not None:
        getting.show_at(Console(), name, found, at)
        return
    state = transcript.fold(found.records)
    if output == "jsonl":
        for line in transcript.write(stream, found, spec_hash):
            click.echo(line)
        return
    show(Console(), found.records)
    click.echo(f"{_count(len(found.records))}, head {found.head.hash}, phase {state.phase}")


@click.command(
    cls=Command,
    examples=["nightly --output nightly.jsonl", "nightly -n etl | gzip > nightly.jsonl.gz"],
    exit_codes="0 whole, 1 a part of it or nothing can be verified, 2 nothing was checked, 3 there is no such Workflow",
)
@workflow_name
@click.option("--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="Else standard output.")
@in_a_cluster
def export(name: str, output: str, where: Where) -> None:
    """Write all that proves what Workflow NAME has done, and its spec, as one file for 'kipu verify' and 'salvage'.

    Of a log that is damaged it writes what can be verified, says what is missing, and ends with exit code 1.
    """
    from .reading import gather

    cluster, namespace = where.connect()
    found = asyncio.run(gather(cluster, namespace, name))
    lines = transcript.write(found.stream, found.history, found.spec_hash, found.enclosed)
    save(output, b"".join(line + b"\n" for line in lines), may_replace=found.whole)
    for each in found.notes:
        note(each)
    if not found.whole:
        sys.exit(CHECK_FAILED)


@click.command(
    cls=Command,
    examples=["nightly.jsonl", "- < nightly.jsonl"],
    exit_codes="0 sound and whole, 1 it is not, 2 nothing was checked",
)
@click.argument("file", type=click.File("rb"))
def verify(file: IO[bytes]) -> None:
    """Check a FILE written by 'kipu export' or 'kipu history -o jsonl' ('-' for standard input).

    Chain of hashes, positions, epochs and times are checked, and every event is folded by the core.
    """
    verdict = transcript.verify(file)
    partial = verdict.enclosed.partial
    if partial is not None:
        click.echo(f"{transcript.extent(verdict.tip.position, partial)}, head {verdict.tip.hash.hex()}: {partial.why}")
        sys.exit(CHECK_FAILED)
    click.echo(f"OK: {_count(verdict.tip.position)}, head {verdict.tip.hash.hex()}, phase {verdict.state.phase}")


@click.command(
    cls=Command,
    examples=[
        "nightly.jsonl --dry-run  # what would be created",
        "nightly.jsonl --name nightly-2 -n etl",
        "nightly.jsonl --manifest mended.yaml --name nightly-2",
    ],
)
@click.argument("file", type=click.File("rb"))
@click.option("--name", help="Of the new Workflow; else that of the old one, which must be deleted first.")
@click.option(
    "--manifest",
    "mended",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The mended Workflow, which is created in place of that in FILE: a step that it changes runs again.",
)
@click.option("--dry-run", is_flag=True, help="Print the manifest, and create nothing. Needs no cluster.")
@click.option("--force", is_flag=True, help="Although pods of the old Workflow may still run the same steps.")
@placed("Of the new Workflow; else that of the manifest, or of the old one.")
def salvage(file: IO[bytes], name: str | None, mended: Path | None, dry_run: bool, force: bool, where: Where) -> None:
    """Create a Workflow that goes on where the verified FILE of 'kipu export' ends.

    Steps that have succeeded there are adopted and not run again, unless something that they rest on runs again.
    """
    verdict = transcript.verify(file)
    manifest = None if mended is None else workflow_file.read(mended)
    found = salvaging.salvage(verdict, name=name, namespace=where.namespace, mended=manifest)
    if verdict.enclosed.partial is not None:
        note(transcript.extent(verdict.tip.position, verdict.enclosed.partial))
    if dry_run:
        click.echo(salvaging.as_yaml(found.manifest), nl=False)
    else:
        from .creating import create

        cluster, _ = where.connect()
        asyncio.run(create(cluster, verdict, found.manifest, force=force))
        click.echo(f"workflow.kipu.dev/{found.manifest['metadata']['name']} created")
    why = f" ({found.why_none} is not as it was)" if found.why_none else ""
    note(f"adopted {_steps(found.adopted)}{why}; to run {_steps(found.runs)}")


@click.command(
    cls=Command,
    examples=["nightly.yaml templates.yaml", "-o json - < nightly.yaml"],
    exit_codes="0 no fault, 1 faults, 2 a file cannot be opened",
)
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def lint(files: Sequence[IO[bytes]], output: str) -> None:
    """Judge the manifests in FILES ('-' for standard input) as the operator would. Needs no cluster.

    Every document is judged, in Lists too; what is not of kipu.dev is passed over.
    """
    report = linting.lint([(getattr(file, "name", "<stdin>"), file.read()) for file in files])
    summary = report.summary()
    if output == "json":
        click.echo(report.as_json(), nl=False)
    else:
        for finding in report.findings:
            click.echo(str(finding))
        note(summary)
    if report.findings:
        sys.exit(CHECK_FAILED)


def _steps(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    return f"{len(names)} ({some(names)})" if names else "none"


def _count(events: int) -> str:
    return f"{events} event" if events == 1 else f"{events} events"


SECTIONS: dict[str, Sequence[click.Command]] = {
    "Look at Workflows": (
        listing.command,
        getting.command,
        watching.command,
        logs.command,
        explaining.command,
        graphing.command,
        ui,
    ),
    "Start them, and ask something of a run": (submitting.submit, *controlling.COMMANDS, purging.purge),
    "History and proof": (history, export, verify, salvage, trace),
    "Without a cluster": (run, lint),
    "Help": (completion.completion,),
}


@click.group(cls=Commands, sections=SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kipu")
def kipu() -> None:
    """Ask Workflows of a cluster how they fare and what they have been through, and run them without one."""


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> None:
    """The entry point of `kipu`; raises SystemExit. None: the process's own arguments. `program`: as it is called."""
    kipu(args=arguments, prog_name=program)


if __name__ == "__main__":
    main()
