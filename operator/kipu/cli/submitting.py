"""`kipu submit`: Workflows created out of files, or of a template.

Promises: nothing is created while anything is wrong with any of them; what the API server or a policy of the chart
refuses is told in their words, and what was created before it is said. Must never change what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console

from kipu.core.errors import UserError

from . import params
from .commands import Command, note
from .completing import template_names
from .errors import CannotTell, Refused
from .options import ObjectName, Where, check_timeout, in_a_cluster, that_waits
from .output import as_json, as_yaml
from .watching import follow

if TYPE_CHECKING:
    from .cluster import Cluster
    from .submission import Asked, Manifest, Submission

DONE = {None: "created", "server": "created (server dry run)", "client": "created (client dry run)"}


@click.command(
    cls=Command,
    examples=[
        "nightly.yaml",
        "nightly.yaml --param date=2026-11-23 --generate-name nightly- --watch",
        "nightly.yaml --dry-run=server",
        "--from-template etl --param date=2026-11-23",
        "- -o name < nightly.yaml",
    ],
)
@click.argument("files", type=click.File("rb"), nargs=-1)
@click.option(
    "--from-template",
    "template",
    metavar="TEMPLATE",
    type=ObjectName(),
    shell_complete=template_names,
    help="In place of FILES: a Workflow that names this WorkflowTemplate; called TEMPLATE-xxxxx unless you say how.",
)
@click.option("--name", help="In place of the name in the file.")
@click.option("--generate-name", metavar="PREFIX", help="The API server makes the name, beginning so.")
@click.option(
    "--param", "given", multiple=True, metavar="NAME=VALUE", help="In place of the value in FILE; repeatable."
)
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="Create nothing. client: judge it here, without a cluster. server: have the API server check it.",
)
@click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Print what was created; else a line each."
)
@that_waits("--watch", "Follow it until its end; exit code 1 if it does not succeed.")
@in_a_cluster
def submit(files: Sequence[IO[bytes]], template: str | None, where: Where, **options: Any) -> None:
    """Create the Workflows in FILES ('-' for standard input), each judged first as the operator would.

    What else is in FILES is judged too and left alone. A WorkflowTemplate that is named must be in the cluster.
    """
    from .submission import Asked

    _check_usage(files, template, **options)
    asked = Asked(
        name=options["name"],
        generate_name=options["generate_name"],
        namespace=where.namespace,
        params=params.named(options["given"]),
    )
    contents = [(getattr(file, "name", "<stdin>"), file.read()) for file in files]
    try:
        code = asyncio.run(_submit(contents, template, asked, where, options))
    except UserError as error:
        raise Refused(str(error)) from error
    click.get_current_context().exit(code)


def _check_usage(files: Sequence[IO[bytes]], template: str | None, **options: Any) -> None:
    if bool(files) is (template is not None):
        raise click.UsageError("what is to be submitted? Give FILES ('-' for standard input), or --from-template")
    if options["name"] and options["generate_name"]:
        raise click.UsageError("--name is the whole name, --generate-name its beginning: give one")
    if options["dry_run"] and options["waits"]:
        raise click.UsageError("--watch follows what was created, and --dry-run creates nothing: give one")
    check_timeout("--watch", options["waits"], options["timeout_ms"])


async def _submit(
    contents: Sequence[tuple[str, bytes]], template: str | None, asked: Asked, where: Where, options: dict[str, Any]
) -> int:
    from .submission import of_files, of_others, of_template

    cluster = None
    if template is not None or options["dry_run"] != "client":
        cluster, _ = where.connect()
    if template is not None and cluster is not None:
        submission = await of_template(template, asked, cluster)
    else:
        submission = await of_files(contents, asked, cluster)
    _refuse_faults(submission)
    if submission.others:
        note(of_others(submission.others))
    if cluster is None or options["dry_run"] == "client":
        _show(submission.manifests, "client", options["output"])
        return 0
    created = await _create(cluster, submission.manifests, options["dry_run"], options["output"])
    return await _watch(cluster, created, options) if options["waits"] else 0


def _refuse_faults(submission: Submission) -> None:
    if not submission.findings:
        return
    for finding in submission.findings:
        click.echo(finding, err=True)
    faults = len(submission.findings)
    raise Refused(f"{faults} fault{'s' * (faults != 1)}: nothing was created")


async def _create(
    cluster: Cluster, manifests: Sequence[Manifest], dry_run: str | None, output: str | None
) -> list[Manifest]:
    """One after the other; all that was created is shown, whatever becomes of the rest."""
    created: list[Manifest] = []
    try:
        for manifest in manifests:
            created.append(await _create_one(cluster, manifest, dry_run))
    finally:
        _show(created, dry_run, output)
        if created and len(created) < len(manifests):
            note(f"{len(manifests) - len(created)} of {len(manifests)} were not created")
    return created


async def _create_one(cluster: Cluster, manifest: Manifest, dry_run: str | None) -> Manifest:
    from .changing import not_done

    metadata = manifest["metadata"]
    namespace, name = metadata["namespace"], _name(manifest)
    answer = await cluster.create_workflow(namespace, manifest, dry_run=dry_run is not None)
    if answer.status == HTTPStatus.CONFLICT:
        raise Refused(
            f"there is a Workflow '{name}' in namespace '{namespace}': choose another name (--name, --generate-name), "
            f"or be rid of it first ('kipu purge {name}')"
        )
    if answer.status == HTTPStatus.NOT_FOUND:
        raise CannotTell(
            f"there is no namespace '{namespace}', or Kipu's CRD is not installed: {answer.message or answer.reason}"
        )
    if answer.status != HTTPStatus.CREATED:
        raise not_done(answer, f"create Workflow '{name}'")
    return answer.body


async def _watch(cluster: Cluster, created: Sequence[Manifest], options: dict[str, Any]) -> int:
    """One after the other; what is printed for programs stays alone on stdout."""
    from .waiting import exit_code

    console = Console(stderr=bool(options["output"]))
    ends = [await follow(console, cluster, body, run=1, timeout_ms=options["timeout_ms"]) for body in created]
    return max(exit_code(state) for state in ends)


def _show(manifests: Sequence[Manifest], dry_run: str | None, output: str | None) -> None:
    if not manifests:
        return
    if output == "json":
        whole: Mapping[str, Any] = (
            manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": manifests}
        )
        click.echo(as_json(whole), nl=False)
    elif output == "yaml":
        click.echo("---\n".join(as_yaml(manifest) for manifest in manifests), nl=False)
    else:
        for manifest in manifests:
            done = "" if output == "name" else f" {DONE[dry_run]}"
            click.echo(f"workflow.kipu.dev/{_name(manifest)}{done}")


def _name(manifest: Manifest) -> str:
    """Its own, or the beginning of the one that it will get."""
    metadata = manifest["metadata"]
    return str(metadata.get("name") or f"{metadata['generateName']}?????")
