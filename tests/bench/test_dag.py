"""What the benchmark runs: files are judged before anything runs, shapes are what their names say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.dag import MS_MAX, TASKS_MAX, Dag, chain, fan_out, lattice, layered, load, montage
from kipu.core.errors import UserError

from .files import written

SHAPES = [
    (chain(10), 10, 10),
    (fan_out(100), 101, 2),
    (lattice(10), 100, 19),
    (montage(10), 49, 8),
]


def test_a_file_is_read_with_its_times(tmp_path: Path) -> None:
    content = {"tasks": [[], [0], [0], [1, 2, 1]], "ms": [5, 10, 20, 1], "source": "anywhere"}
    dag = load(written(tmp_path, content))
    assert dag == Dag(name="diamond", parents=((), (0,), (0,), (1, 2)), ms=(5, 10, 20, 1))
    assert (dag.depth(), dag.critical_ms()) == (3, 26)
    assert dag.scaled(0.5).ms == (2, 5, 10, 0)


def test_without_times_tasks_take_none_and_may_need_later_ones(tmp_path: Path) -> None:
    dag = load(written(tmp_path, {"tasks": [[1], []]}))
    assert (dag.ms, dag.order(), dag.children()) == ((0, 0), [1, 0], [[], [0]])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "cannot be read"),
        ([], "tasks"),
        ({"tasks": []}, "1 to 5,000"),
        ({"tasks": [[]] * (TASKS_MAX + 1)}, "1 to 5,000"),
        ({"tasks": [[], [2]]}, r"tasks\[1\]"),
        ({"tasks": [[], [], [True]]}, r"tasks\[2\]"),
        ({"tasks": [[], [-1]]}, r"tasks\[1\]"),
        ({"tasks": [[], 0]}, r"tasks\[1\]"),
        ({"tasks": [[], [2], [1]]}, r"tasks\[1\].*cycle"),
        ({"tasks": [[0]]}, r"tasks\[0\].*cycle"),
        ({"tasks": [[]], "ms": []}, "ms"),
        ({"tasks": [[]], "ms": [-1]}, "ms"),
        ({"tasks": [[]], "ms": [MS_MAX + 1]}, "ms"),
        ({"tasks": [[]], "ms": [0.5]}, "ms"),
    ],
)
def test_what_cannot_be_run_is_told_with_its_place(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load(written(tmp_path, content))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(("dag", "tasks", "depth"), SHAPES, ids=lambda each: each.name if isinstance(each, Dag) else "")
def test_a_shape_is_what_its_name_says(dag: Dag, tasks: int, depth: int) -> None:
    assert (len(dag), dag.depth(), len(dag.order())) == (tasks, depth, tasks)


@pytest.mark.parametrize("tasks", [10, 500, 2_000])
def test_layers_are_drawn_the_same_each_time(tasks: int) -> None:
    dag = layered(tasks)
    assert dag == layered(tasks)
    assert dag != layered(tasks, seed=2)
    assert len(dag) == tasks == len(dag.order())
    assert all(need < task for task, needs in enumerate(dag.parents) for need in needs)
