"""The suites have what is concluded from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import suites
from bench.__main__ import main
from bench.dag import Workload, lattice
from bench.results import JOB_FLOOR, KIPU, POD_FLOOR
from bench.suites import SUITES, TIMED_MS
from bench.targets import TARGETS

from .measured import outcome, result


@pytest.mark.parametrize("family", ["chain", "fan-out"])
def test_the_suite_of_slopes_has_five_sizes_from_ten_to_a_thousand(family: str) -> None:
    names = [workload.name for workload in SUITES["slopes"]() if workload.name.startswith(f"{family}-")]
    assert names == [f"{family}-{size}" for size in (10, 30, 100, 300, 1_000)]


def test_the_suite_of_targets_has_what_every_row_but_the_slopes_is_measured_on() -> None:
    rounds = [outcome(name) for name in (KIPU, POD_FLOOR, JOB_FLOOR)]
    recorded = Workload(name="recorded", dag=lattice(3), is_real=True)  # of a folder that is not everywhere
    results = [result(workload, rounds) for workload in [*SUITES["targets"](), recorded]]
    absent = [each.metric for each in TARGETS if each.figure(results, KIPU) is None]
    assert absent == [
        "steepest slope of time",
        "steepest slope of CPU",
        "steepest slope of own bytes in etcd",
        "recovery of 10,000 events, to the first new Job",
    ]


def test_recorded_runs_are_run_without_their_times_and_with_them_made_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.json").write_text('{"tasks": [[], [0], [0]], "ms": [60000, 40000, 20000]}')
    (tmp_path / "two.json").write_text('{"tasks": [[]], "ms": [0]}')
    monkeypatch.setattr(suites, "REAL", tmp_path)
    assert [workload.dag.ms for workload in SUITES["real"]()] == [(0, 0, 0), (0,)]
    assert [workload.dag.ms for workload in SUITES["timed"]()] == [(12_000, 8_000, 4_000), (0,)]
    assert TIMED_MS == 20_000
    assert all(workload.is_real for name in ("real", "timed") for workload in SUITES[name]())


@pytest.mark.parametrize(
    "asked",
    [
        ["--workload", "a.json", "--dags", "folder"],
        ["--workload", "a.json", "--suite", "full"],
        ["--dags", "folder", "--suite", "quick"],
    ],
)
def test_what_is_run_is_named_in_one_way_only(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 2
    assert f"argument {asked[2]}: not allowed with argument {asked[0]}" in capsys.readouterr().err
