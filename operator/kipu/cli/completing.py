"""What a shell may complete: names of Workflows, steps and templates, from the cluster.

Promises: one request of at most REQUEST_SECONDS, at most NAMES_SEARCHED_MAX names; whatever goes wrong, nothing is
completed and nothing is printed: a person is in the middle of a line. Must never write.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click
import yaml
from click.shell_completion import CompletionItem, get_completion_class

from kipu.core.errors import KipuError

if TYPE_CHECKING:
    from .cluster import Cluster
    from .seen import Seen

REQUEST_SECONDS = 2.0
SHELLS = ("bash", "zsh", "fish")
FAULTS = (KipuError, OSError, ValueError, LookupError, TypeError, yaml.YAMLError)  # of a cluster, or of a kubeconfig
FILES, NO_FILES = 0, 4  # directives of cobra, by which kubectl completes


def workflow_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the namespace."""
    return _items(_names(ctx, "workflows"), incomplete, given=ctx.params.get("names") or ())


def workflow_names_and_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the namespace, and what the shell knows of files."""
    return [*workflow_names(ctx, param, incomplete), CompletionItem(incomplete, type="file")]


def template_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the namespace."""
    return _items(_names(ctx, "workflowtemplates"), incomplete)


def step_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """All steps that can be named in a rerun."""
    return _items(
        _of_workflow(ctx, lambda seen: [each for each in seen.step_names if each not in seen.last]), incomplete
    )


def all_step_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """All steps, those of finally too."""
    return _items(_of_workflow(ctx, lambda seen: seen.step_names), incomplete)


def asking_step_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The steps that ask for approval."""
    return _items(_of_workflow(ctx, lambda seen: seen.waiting_for_approval or seen.asking), incomplete)


def unknown_step_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The steps that wait for a word."""
    return _items(_of_workflow(ctx, lambda seen: seen.unknown), incomplete)


def script(shell: str) -> str:
    """What a shell must read, to complete `kipu`."""
    found = get_completion_class(shell)
    assert found is not None
    return found(click.Command("kipu"), {}, "kipu", "_KIPU_COMPLETE").source()


def answer_kubectl(group: click.Command, words: list[str]) -> Iterator[str]:
    """The lines that kubectl expects of `kubectl_complete-kipu`: a completion each, and how to go on as the last."""
    found = get_completion_class("bash")
    assert found is not None
    *done, incomplete = words or [""]
    shell = found(group, {}, "kubectl kipu", "_KIPU_COMPLETE")
    items = shell.get_completions(done, incomplete)
    yield from (
        f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items if item.type == "plain"
    )
    yield f":{FILES if any(item.type != 'plain' for item in items) else NO_FILES}"


def _items(names: Iterable[str], incomplete: str, given: Iterable[str] = ()) -> list[CompletionItem]:
    taken = set(given)
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and name not in taken]


def _names(ctx: click.Context, plural: str) -> Iterable[str]:
    async def ask(cluster: Cluster, namespace: str) -> Iterable[str]:
        from .cluster import names_in

        return await names_in(cluster, namespace, plural) or ()

    return _asked(ctx, ask)


def _of_workflow(ctx: click.Context, pick: Callable[[Seen], Iterable[str]]) -> Iterable[str]:
    async def ask(cluster: Cluster, namespace: str) -> Iterable[str]:
        from .cluster import find_workflow
        from .seen import Seen

        # Behind an option that still lacks its value, click has not told arguments apart.
        name = ctx.params.get("name") or ctx.args[0]
        return pick(Seen.of(await find_workflow(cluster, namespace, name)))

    return _asked(ctx, ask)


def _asked(ctx: click.Context, ask: Callable[[Cluster, str], Awaitable[Iterable[str]]]) -> Iterable[str]:
    async def run() -> Iterable[str]:
        from .cluster import Cluster

        given = ctx.params
        cluster = Cluster.connect(given.get("kubeconfig"), given.get("context"), request_seconds=REQUEST_SECONDS)
        return await ask(cluster, given.get("namespace") or cluster.namespace)

    with contextlib.suppress(*FAULTS), contextlib.redirect_stderr(io.StringIO()):
        return asyncio.run(run())
    return ()
