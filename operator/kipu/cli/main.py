"""`kipu`: what a person asks the log.

    kipu history NAME [-n NAMESPACE] [-o table|jsonl] [--kubeconfig FILE] [--context NAME]
    kipu verify FILE

Exit codes: 0 all is well, 1 a history is not what was recorded, 2 wrong usage or nothing could be checked.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

import click
from rich.console import Console

from kipu import __version__
from kipu.core.errors import CorruptionError, KipuError
from kipu.eventlog.codec import UnknownEvent
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.ports import History, LogMissing, StreamId

from . import transcript
from .errors import CANNOT_TELL, CHECK_FAILED, CannotTell
from .table import show


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kipu")
def kipu() -> None:
    """Ask what a Workflow has been through."""


@kipu.command()
@click.argument("name")
@click.option("-n", "--namespace", help="Where the Workflow is; else the context's namespace.")
@click.option("-o", "--output", type=click.Choice(["table", "jsonl"]), default="table", show_default=True)
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Else $KUBECONFIG or the default one.")
@click.option("--context", help="Else the kubeconfig's current one.")
def history(name: str, namespace: str | None, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Print every recorded event of Workflow NAME, its chain of hashes verified.

    'jsonl' prints the records as they were recorded, after a line of metadata: a file for 'kipu verify'.
    """
    stream, found = asyncio.run(_load(name, namespace, kubeconfig, context))
    state = transcript.fold(found.records)
    if output == "jsonl":
        assert isinstance(found.head, ConfigMapHead)
        for line in transcript.write(stream, found, found.head.spec_hash):
            click.echo(line)
        return
    show(Console(), found.records)
    click.echo(f"{_count(len(found.records))}, head {found.head.hash}, phase {state.phase}")


@kipu.command()
@click.argument("file", type=click.File("rb"))
def verify(file: IO[bytes]) -> None:
    """Check a FILE written by 'kipu history -o jsonl' ('-' for standard input).

    Chain of hashes, positions, epochs and times are checked, and every event is folded by the core.
    """
    verdict = transcript.verify(file)
    click.echo(f"OK: {_count(verdict.tip.position)}, head {verdict.tip.hash.hex()}, phase {verdict.state.phase}")


async def _load(
    name: str, namespace: str | None, kubeconfig: str | None, context: str | None
) -> tuple[StreamId, History]:
    """The verified log of a Workflow, not behind what its status has seen."""
    # Imported late: the official client takes half a second to import, and `verify` needs no cluster.
    from .cluster import Cluster, find_workflow, stream_of

    cluster = Cluster.connect(kubeconfig, context)
    workflow = await find_workflow(cluster, namespace or cluster.namespace, name)
    stream = stream_of(workflow)
    found = await ConfigMapLog(cluster).load(stream)
    witness = workflow.get("status", {}).get("log")
    if found is None:
        if witness:
            raise LogMissing(f"the status has seen position {witness['position']}, but there is no log")
        raise CannotTell(f"Workflow '{stream.name}' has no log yet: no operator has taken it up")
    if witness:
        _check_witness(found, witness)
    return stream, found


def _check_witness(found: History, witness: Mapping[str, Any]) -> None:
    """The status was written after its position was committed: a log that lacks it has lost its end."""
    position, seen = witness["position"], witness["hash"]
    if found.head.position < position:
        raise CorruptionError(f"the status has seen position {position}, the log ends at {found.head.position}")
    if found.records[position - 1].hash != seen:
        raise CorruptionError(f"the record at position {position} is not the one that the status has seen")


def _count(events: int) -> str:
    return f"{events} event" if events == 1 else f"{events} events"


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `kipu`; raises SystemExit. None: the process's own arguments."""
    try:
        kipu(args=arguments)
    except UnknownEvent as error:
        _end(f"{error}; a newer kipu can read it", CANNOT_TELL)
    except CorruptionError as error:
        _end(f"not sound: {error}", CHECK_FAILED)
    except KipuError as error:
        _end(str(error), CANNOT_TELL)


def _end(message: str, exit_code: int) -> None:
    click.echo(f"kipu: {message}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
