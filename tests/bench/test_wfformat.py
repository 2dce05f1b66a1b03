"""Recorded runs as WfCommons publishes them can be run as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.dag import Dag, load
from bench.suites import real
from kipu.core.errors import UserError

from .files import written


def recording(tasks: object, ran: Sequence[object] = ()) -> dict[str, object]:
    return {
        "name": "a recording",
        "schemaVersion": "1.5",
        "workflow": {"specification": {"tasks": tasks, "files": []}, "execution": {"tasks": list(ran)}},
    }


def task(name: str, *parents: str) -> dict[str, object]:
    return {"name": name, "id": f"{name}_1", "parents": [f"{each}_1" for each in parents], "children": []}


def test_a_recording_is_read_in_its_order_and_with_its_times(tmp_path: Path) -> None:
    tasks = [task("join", "left", "right"), task("first"), task("left", "first"), task("right", "first")]
    ran = [{"id": "left_1", "runtimeInSeconds": 2.0004, "command": {}}, {"id": "join_1"}, {"id": "gone_1"}]
    dag = load(written(tmp_path, recording(tasks, ran)))
    assert dag == Dag(name="diamond", parents=((2, 3), (), (1,), (1,)), ms=(0, 0, 2_000, 0))


def test_a_recording_without_an_execution_takes_no_time(tmp_path: Path) -> None:
    content = {"workflow": {"specification": {"tasks": [{"id": "a"}]}}}
    assert load(written(tmp_path, content)).ms == (0,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"workflow": []}, r"diamond\.json: is not WfFormat 1\.5: .*\$\.workflow"),
        ({"workflow": {"tasks": []}}, r"is not WfFormat 1\.5: .*specification"),
        (recording([{"name": "a"}]), r"missing required field `id`"),
        (recording([task("a", "b")]), r"tasks\[0\]\.parents: names 'b_1', which is no task"),
        (recording([task("a"), task("b"), task("a")]), r"tasks\[0\]\.id: 'a_1' is the id of another task, too"),
        (recording([task("a", "b"), task("b", "a")]), "cycle"),
        (recording([]), "1 to 5,000"),
        (recording([task("a")], [{"id": "a_1", "runtimeInSeconds": -1}]), "runtimeInSeconds"),
        (recording([task("a")], [{"id": "a_1", "runtimeInSeconds": float("nan")}]), "runtimeInSeconds"),
        (recording([task("a")], [{"id": "a_1", "runtimeInSeconds": float("inf")}]), "runtimeInSeconds"),
        (recording([task("a")], [{"id": "a_1", "runtimeInSeconds": 100_000}]), "ms: must be"),
        (recording([task("a")], [{"id": "a_1", "runtimeInSeconds": "long"}]), "runtimeInSeconds"),
    ],
)
def test_what_cannot_be_run_is_told_with_its_place(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load(written(tmp_path, content))


def test_a_folder_of_them_is_run_without_their_times(tmp_path: Path) -> None:
    written(tmp_path, recording([task("a")], [{"id": "a_1", "runtimeInSeconds": 60}]))
    written(tmp_path, {"tasks": [[], [0]], "ms": [5, 5]}, "other")
    (tmp_path / "README.md").write_text("none")
    found = real(tmp_path)
    assert [(each.name, each.dag.ms, each.is_real) for each in found] == [
        ("diamond", (0,), True),
        ("other", (0, 0), True),
    ]


def test_a_folder_without_any_is_told_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dags", str(tmp_path)]) == 2
    assert "has no *.json in it" in capsys.readouterr().err
