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
from .errors import CannotTell
from .spans import Run
from .traces import trace as trace_runs

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@click.command()
@click.argument("workflow", metavar="NAME|FILE")
@click.option("-n", "--namespace", help="Where the Workflow NAME is; else the context's namespace.")
@click.option(
    "--endpoint", metavar="URL", help="Of a collector, as http://localhost:4318; else $OTEL_EXPORTER_OTLP_ENDPOINT."
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print OTLP JSON, and send nothing.")
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Else $KUBECONFIG or the default one.")
@click.option("--context", help="Else the kubeconfig's current one.")
def trace(
    workflow: str,
    namespace: str | None,
    endpoint: str | None,
    output: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Send the runs of a Workflow as traces over OTLP/HTTP: one trace a run, spans for steps and attempts.

    A FILE, if there is one of this name, is what 'kipu export' has written ('-' for standard input), and needs no
    cluster. What has not ended yet is left out; sending again later adds it, and changes nothing else.
    """
    if output is None and endpoint is None and not any(os.environ.get(name) for name in ENDPOINTS):
        raise click.UsageError("where to? Give --endpoint URL, or -o json to print")
    if output is not None and endpoint is not None:
        raise click.UsageError("-o prints and --endpoint sends: give one")
    from_file = namespace is None and (workflow == "-" or Path(workflow).is_file())
    stream, records = read_file(workflow) if from_file else _read_cluster(workflow, namespace, kubeconfig, context)
    runs = trace_runs(stream, records)
    if not runs:
        raise CannotTell(f"no run of Workflow '{stream.name}' has begun: there is nothing to trace")
    _tell(runs, endpoint, output)


def read_file(name: str) -> tuple[StreamId, Sequence[Recorded]]:
    """The verified records of an exported history. Raises CorruptionError, UnknownEvent, CannotTell."""
    with click.open_file(name, "rb") as file:
        verdict = transcript.verify(file)
    if verdict.enclosed.partial is not None:
        click.echo(f"kipu: {transcript.extent(verdict.tip.position, verdict.enclosed.partial)}", err=True)
    return StreamId(namespace=verdict.namespace, name=verdict.name, uid=verdict.uid), verdict.records


def _read_cluster(
    name: str, namespace: str | None, kubeconfig: str | None, context: str | None
) -> tuple[StreamId, Sequence[Recorded]]:
    from .cluster import Cluster
    from .reading import load

    cluster = Cluster.connect(kubeconfig, context)
    stream, found, _ = asyncio.run(load(cluster, namespace or cluster.namespace, name))
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
        click.echo(f"kipu: {line}" if output else line, err=output is not None)
