"""A workload is the same tasks, whether each is a step or many are the items of one."""

from __future__ import annotations

import pytest

from bench.dag import TASKS_MAX, Dag, fan_out, layered
from bench.manifests import DURATION_NOTE, task_of, workflow
from kipu.api.definition import parse
from kipu.core.definition import ITEMS_MAX
from kipu.core.naming import item_name


def tasks_of(dag: Dag) -> dict[int, tuple[str, ...]]:
    """As Kipu reads its Workflow: for each task the steps that it waits for."""
    definition = parse(workflow(dag, "w0")["spec"])
    found = {}
    for step in definition.steps:
        needs = tuple(step.depends_on)
        for_each = step.for_each
        for index in range(1) if for_each is None else range(for_each.count or 0):
            labels = {"kipu.dev/step": step.name} | ({} if for_each is None else {"kipu.dev/index": str(index)})
            found[task_of(labels)] = needs
    return found


@pytest.mark.parametrize("dag", [layered(50), fan_out(TASKS_MAX - 1), fan_out(ITEMS_MAX)], ids=lambda dag: dag.name)
def test_every_task_is_there_once_and_waits_for_what_it_needs(dag: Dag) -> None:
    expected = {task: tuple(f"t{need}" for need in needs) for task, needs in enumerate(dag.parents)}
    assert tasks_of(dag) == expected


def test_items_run_as_long_as_their_tasks() -> None:
    wide = fan_out(ITEMS_MAX)
    first, second = workflow(Dag(name="slow", parents=wide.parents, ms=(0, *[40] * ITEMS_MAX)), "w0")["spec"]["steps"]
    assert "template" not in first
    assert second["template"]["metadata"]["annotations"] == {DURATION_NOTE: "40ms"}
    assert item_name(second["name"], 3) == "t1[3]"
