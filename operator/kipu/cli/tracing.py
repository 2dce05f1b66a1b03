"""`kipu trace NAME|FILE`: a Workflow's history, sent as traces to whatever speaks OTLP, or printed as OTLP JSON.

Promises: what is sent is verified first; sent twice it is the same, id by id. Must never write to the cluster.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import click

from kipu.eventlog.ports import Recorded, StreamId

from . import transcript
from .commands import Command, note
from .completing import workflow_names_and_files
from .errors import CannotTell
from .options import ObjectName, Where, in_a_cluster
from .spans import Run
from .traces import trace as trace_runs

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@click.command(
    cls=Command,
    examples=[
        "nightly --endpoint http://localhost:4318",
        "nightly.jsonl -o json > nightly.otlp.json  # of what 'kipu export' has written; needs no cluster",
    ],
)
@click.argument("workflow", metavar="NAME|FILE", shell_complete=workflow_names_and_files)
@click.option(
    "--endpoint", metavar="URL", help="Of a collector, as http://localhost:4318; else $OTEL_EXPORTER_OTLP_ENDPOINT."
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print OTLP JSON, and send nothing.")
@in_a_cluster
def trace(workflow: str, endpoint: str | None, output: str | None, where: Where) -> None:
    """Send the runs of a Workflow as traces over OTLP/HTTP: one trace a run, spans for steps and attempts.

    A FILE, if there is one of this name, is what 'kipu export' has written ('-' for standard input), and needs no
    cluster. What has not ended yet is left out; sending again later adds it, and changes nothing else.
    """
    if output is None and endpoint is None and not any(os.environ.get(name) for name in ENDPOINTS):
        raise click.UsageError("where to? Give --endpoint URL, or -o json to print")
    if output is not None and endpoint is not None:
        raise click.UsageError("-o prints and --endpoint sends: give one")
    from_file = where.namespace is None and (workflow == "-" or Path(workflow).is_file())
    stream, records = read_file(workflow) if from_file else _read_cluster(workflow, where)
    runs = trace_runs(stream, records)
    if not runs:
        raise CannotTell(f"no run of Workflow '{stream.name}' has begun: there is nothing to trace")
    _tell(runs, endpoint, output)


def read_file(name: str) -> tuple[StreamId, Sequence[Recorded]]:
    """The verified records of an exported history. Raises CorruptionError, UnknownEvent, CannotTell."""
    with click.open_file(name, "rb") as file:
        verdict = transcript.verify(file)
    if verdict.enclosed.partial is not None:
        note(transcript.extent(verdict.tip.position, verdict.enclosed.partial))
    return verdict.stream, verdict.records


def _read_cluster(name: str, where: Where) -> tuple[StreamId, Sequence[Recorded]]:
    from .reading import load

    cluster, namespace = where.connect()
    stream, found, _ = asyncio.run(load(cluster, namespace, ObjectName().convert(name, None, None)))
    transcript.fold(found.records)
    return stream, found.records


def _tell(runs: Sequence[Run], endpoint: str | None, output: str | None) -> None:
    from . import otlp  # late: the SDK takes a third of a second to import

    spans = [span for run in runs for span in run.over]
    if output == "json":
        click.echo(otlp.as_json(spans))
    else:
        otlp.send(spans, endpoint)
    for run in runs:
        left_out = f", {run.open_spans} left out that have not ended" if run.open_spans else ""
        line = f"run {run.names.run}: trace {run.names.trace}, {len(run.over)} spans{left_out}"
        if output:
            note(line)
        else:
            click.echo(line)
