"""The table of targets: each row is measured on the workload that it names, and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.contest import Outcome
from bench.dag import Dag, Workload, chain, fan_out, lattice
from bench.results import JOB_FLOOR, KIPU, LOG_FLOOR, POD_FLOOR, Result
from bench.suites import many, single
from bench.targets import TARGETS, Target, lines

from .measured import outcome, result


def target(metric: str) -> Target:
    return next(each for each in TARGETS if each.metric.startswith(metric))


def measured(metric: str, results: Sequence[Result], contestant: str = KIPU) -> float | None:
    return target(metric).figure(results, contestant)


def raced(workload: Workload, **seconds: float) -> Result:
    """One round: Kipu and the floors, each in so many seconds."""
    names = {"kipu": KIPU, "pods": POD_FLOOR, "log": LOG_FLOOR, "jobs": JOB_FLOOR}
    return result(workload, [outcome(names[name], seconds=each) for name, each in seconds.items()])


def real(dag: Dag) -> Workload:
    return Workload(name=dag.name, dag=dag, is_real=True)


@pytest.mark.parametrize(("length", "metric"), [(10, "chain of 10:"), (1_000, "chain of 1,000:")])
def test_the_gap_of_a_chain_is_the_median_of_all_rounds_in_milliseconds(length: int, metric: str) -> None:
    rounds = [[outcome(gaps=[0.001, 0.009])], [outcome(gaps=[0.007, 0.002, 0.030])]]
    assert measured(metric, [result(single(chain(length)), *rounds)]) == pytest.approx(7)
    assert measured(metric, [result(single(chain(50)), *rounds)]) is None
    assert measured(metric, [result(many(2, chain(length)), *rounds)]) is None


def test_the_geometric_mean_is_over_real_dags_alone() -> None:
    results = [
        raced(real(lattice(2)), kipu=2, pods=1),
        raced(real(lattice(3)), kipu=8, pods=1),
        raced(single(chain(10)), kipu=1_000, pods=1),
        raced(real(lattice(4)), kipu=1_000),
    ]
    assert measured("makespan over that of the ideal client waiting on pods", results) == pytest.approx(4)
    assert measured("makespan over that of the ideal client waiting on pods", results[2:]) is None


def test_the_time_over_that_of_jobs_is_the_worst_of_the_deep_dags() -> None:
    metric = "makespan over that of the ideal client waiting on Jobs"
    deep = [raced(single(chain(8)), kipu=4, jobs=10), raced(single(chain(50)), kipu=1, jobs=10)]
    others = [raced(single(chain(7)), kipu=9, jobs=10), raced(many(20, chain(9)), kipu=9, jobs=10)]
    assert measured(metric, [*deep, *others]) == pytest.approx(0.4)
    assert measured(metric, others) is None


def test_throughput_is_steps_and_workflows_in_the_median_time() -> None:
    wide = result(single(fan_out(1_000)), *([outcome(seconds=each)] for each in (10.01, 5, 900)))
    many_short = result(many(500, chain(3)), *([outcome(seconds=each)] for each in (25, 5, 900)))
    assert measured("fan-out of 1,000", [wide, many_short]) == pytest.approx(100)
    assert measured("500 workflows", [wide, many_short]) == pytest.approx(20)
    assert measured("fan-out of 1,000", [result(single(fan_out(100)), [outcome()])]) is None
    assert measured("500 workflows", [result(many(50, chain(3)), [outcome()])]) is None


@pytest.mark.parametrize(
    ("metric", "chain_figure", "wide_figure"),
    [
        ("operator CPU a step", 4.0, 2.0),
        ("own writes a step beyond the Job's create", 1.5, 0.3),
        ("own bytes in etcd a step", 5.0, 1.0),
    ],
)
def test_what_a_step_costs_is_told_of_the_longest_chain_and_the_widest_fan_out(
    metric: str, chain_figure: float, wide_figure: float
) -> None:
    def cost(steps: int, milliseconds: float, writes: float, kilobytes: float) -> Outcome:
        return outcome(
            cpu_seconds=steps * milliseconds / 1000,
            writes=round(steps * writes),
            own_bytes=round(steps * kilobytes * 1000),
        )

    results = [
        result(single(chain(1_000)), [cost(1_000, 4.0, 1.5, 5.0)]),
        result(single(chain(10)), [cost(10, 90, 90, 90)]),
        result(single(fan_out(10)), [cost(11, 90, 90, 90)]),
        result(single(fan_out(999)), [cost(1_000, 2.0, 0.3, 1.0)]),
        result(many(500, chain(3_000)), [cost(1_500, 90, 90, 90)]),
    ]
    assert measured(f"{metric}, chain", results) == pytest.approx(chain_figure)
    assert measured(f"{metric}, wide", results) == pytest.approx(wide_figure)


def test_late_gaps_are_compared_within_each_round() -> None:
    def gaps(p99: float) -> list[float]:
        return [*[0.001] * 98, p99, 99.0]

    rounds = [
        [outcome(gaps=gaps(0.4)), outcome(POD_FLOOR, gaps=gaps(0.1))],
        [outcome(gaps=gaps(0.2)), outcome(POD_FLOOR, gaps=gaps(0.1))],
        [outcome(gaps=gaps(0.9)), outcome(POD_FLOOR, gaps=gaps(0.3))],
    ]
    results = [result(many(200, chain(5)), *rounds)]
    assert measured("200 chains of 5: gap p99 over", results) == pytest.approx(3)
    assert target("200 chains of 5: gap p99 over").limits.verdict(3) == "no"


def test_late_gaps_in_seconds_are_those_of_all_rounds() -> None:
    rounds = [[outcome(gaps=[0.001] * 99)], [outcome(gaps=[*[0.001] * 98, 0.6, 0.7, 0.8])]]
    late = next(each for each in TARGETS if each.metric == "200 chains of 5: gap p99")
    results = [result(many(200, chain(5)), *rounds)]
    assert late.figure(results, KIPU) == pytest.approx(0.6)
    assert (late.limits.verdict(0.6), late.limits.verdict(0.5)) == ("no", "aim")


@pytest.mark.parametrize("what", ["time", "CPU", "own bytes in etcd"])
def test_a_slope_of_the_square_is_told_to_miss_the_gate(what: str) -> None:
    results = [
        result(single(chain(length)), [outcome(seconds=cost, cpu_seconds=cost, own_bytes=cost)])
        for length in (10, 100, 1_000)
        for cost in [length**2]
    ]
    row = target(f"steepest slope of {what}").row(results)
    assert row == f"| steepest slope of {what} | <= 1.1 | <= 1.03 | 2.000 |  | no |"


def test_a_row_has_the_gate_the_aim_the_figure_that_of_the_floor_and_what_is_met() -> None:
    results = [raced(single(fan_out(1_000)), kipu=14.3, pods=9.1)]
    row = target("fan-out of 1,000").row(results)
    assert row == "| fan-out of 1,000 | >= 65 steps/s | >= 90 steps/s | 70.0 steps/s | 110.0 steps/s | gate |"


def test_the_floor_of_a_ratio_is_the_client_that_commits() -> None:
    results = [raced(real(lattice(3)), kipu=1.5, pods=1, log=1.25)]
    assert target("makespan over that of the ideal client waiting on pods").row(results).endswith(" 1.50 | 1.25 | no |")


def test_a_missing_contestant_leaves_a_row_without_a_value() -> None:
    alone = [raced(single(fan_out(1_000)), pods=9.1)]
    row = target("fan-out of 1,000").row(alone)
    assert row == "| fan-out of 1,000 | >= 65 steps/s | >= 90 steps/s |  | 110.0 steps/s |  |"
    without_floor = target("fan-out of 1,000").row([raced(single(fan_out(1_000)), kipu=14.3)])
    assert without_floor.endswith("| 70.0 steps/s |  | gate |")


def test_the_table_has_the_rows_that_were_measured_and_names_the_others() -> None:
    told = lines([raced(single(fan_out(1_000)), kipu=10, pods=9)])
    rows = [line.split(" | ")[0] for line in told if line.startswith("| ")]
    assert rows[2:] == [
        "| fan-out of 1,000",
        "| operator CPU a step, wide",
        "| own writes a step beyond the Job's create, wide",
        "| own bytes in etcd a step, wide",
        "| base memory",
        "| memory above the base, a step, wide",
        "| duplicates, losses, wrong ends",
    ]
    absent = told[-1].removeprefix("\nNot measured in this run: ").removesuffix(".").split("; ")
    assert "chain of 10: gap p50" in absent
    assert len(absent) + len(rows[2:]) == len(TARGETS)


def test_there_is_no_table_where_all_that_is_known_is_that_all_went_well() -> None:
    results = [raced(single(lattice(2)), kipu=10)]
    assert measured("duplicates", results) == 0
    assert lines(results) == []
    assert lines([]) == []
    assert measured("duplicates", [raced(single(chain(10)), pods=1)]) is None


def test_without_kipu_there_is_no_table() -> None:
    assert lines([raced(single(chain(10)), pods=1, jobs=9)]) == []


def test_what_nobody_measures_here_has_no_value() -> None:
    results = [raced(single(chain(10)), kipu=1, pods=1)]
    assert measured("recovery", results) is None


def test_memory_is_what_there_was_before_and_what_each_step_has_added() -> None:
    runs = [[outcome(memory_bytes=120_000_000, base_bytes=80_000_000)], [outcome(base_bytes=70_000_000)]]
    results = [result(single(chain(10)), *runs), result(single(fan_out(999)), runs[0])]
    assert measured("base memory", results) == pytest.approx(80)
    assert measured("memory above the base", results) == pytest.approx(40)
    assert measured("memory above the base", results[:1]) is None
    assert measured("base memory", [raced(single(chain(10)), pods=1)]) is None
