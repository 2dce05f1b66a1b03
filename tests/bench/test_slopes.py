"""Slopes: growth is told as what it is, and what has no slope is left out by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.contest import Outcome
from bench.dag import chain, fan_out, lattice, layered
from bench.limits import Limits
from bench.results import KIPU, LOG_FLOOR, POD_FLOOR
from bench.slopes import BYTES, CPU, MEASURES, TIME, WRITES, LeftOut, Measure, Series, family, lines, series, steepest
from bench.suites import many, single

from .measured import grown, outcome, result

CHAINS = [chain(length) for length in (10, 100, 1_000)]


def growing(power: int) -> Callable[[int], list[Outcome]]:
    """Of Kipu, every figure with this power of the steps."""

    def of(steps: int) -> list[Outcome]:
        cost = steps**power
        return [outcome(seconds=cost, cpu_seconds=cost, writes=cost, own_bytes=cost, memory_bytes=cost)]

    return of


def sloped(found: Series | LeftOut) -> Series:
    assert isinstance(found, Series), found
    return found


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
@pytest.mark.parametrize("power", [1, 2])
def test_the_slope_is_the_power_of_the_steps_with_which_a_cost_grows(measure: Measure, power: int) -> None:
    found = sloped(series(grown(CHAINS, growing(power)), "chain", KIPU, measure))
    assert found.slope == pytest.approx(power)
    assert found.at(100) == pytest.approx(measure.of(growing(power)(100)[0]))


def test_what_grows_with_the_steps_meets_the_aim_and_what_grows_with_their_square_misses_the_gate() -> None:
    linear, square = lines(grown(CHAINS, growing(1))), lines(grown(CHAINS, growing(2)))
    assert "| chain | Kipu | time | 10, 100, 1,000 | 1.000 | aim |" in linear
    assert "| chain | Kipu | time | 10, 100, 1,000 | 2.000 | no |" in square
    assert sum("| no |" in line for line in square) == len(MEASURES)


@pytest.mark.parametrize(
    ("value", "verdict"), [(1.03, "aim"), (1.031, "gate"), (1.10, "gate"), (1.101, "no"), (None, "")]
)
def test_a_limit_holds_up_to_itself(value: float | None, verdict: str) -> None:
    assert Limits(1.10, 1.03).verdict(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(90, "aim"), (89.9, "gate"), (65, "gate"), (64.9, "no")])
def test_a_limit_from_below_holds_down_to_itself(value: float, verdict: str) -> None:
    assert Limits(65, 90, at_least=True).verdict(value) == verdict


def test_without_a_gate_only_the_aim_can_be_met_and_without_an_aim_only_the_gate() -> None:
    assert [Limits(None, 0.5).verdict(value) for value in (0.5, 0.6)] == ["aim", "no"]
    assert [Limits(2.5, None).verdict(value) for value in (2.5, 2.6)] == ["gate", "no"]


def test_each_size_counts_by_its_median_over_the_rounds() -> None:
    rounds = [
        result(single(dag), *([outcome(seconds=len(dag) * factor)] for factor in (1, 2, 1_000))) for dag in CHAINS
    ]
    found = sloped(series(rounds, "chain", KIPU, TIME))
    assert [(point.least, point.median, point.most) for point in found.points] == [
        (10, 20, 10_000),
        (100, 200, 100_000),
        (1_000, 2_000, 1_000_000),
    ]
    assert found.at(10) == pytest.approx(20)


def test_a_family_is_one_shape_run_as_one_workflow_of_ten_steps_at_least_from_small_to_large() -> None:
    of_kipu = [outcome()]
    alone = [single(dag) for dag in (chain(1_000), chain(9), chain(10), fan_out(100), lattice(10), layered(10))]
    of_a_file = single(replace(chain(20), name="chain-20-of-a-file"))
    results = [result(workload, of_kipu) for workload in [*alone, of_a_file, many(50, chain(30))]]
    assert [each.workload.name for each in family(results, "chain")] == ["chain-10", "chain-1000"]
    assert [each.workload.name for each in family(results, "fan-out")] == ["fan-out-100"]
    assert [each.workload.name for each in family(results, "layered")] == ["layered-10"]


@pytest.mark.parametrize("sizes", [1, 2])
def test_a_workload_with_fewer_than_three_sizes_has_no_slope(sizes: int) -> None:
    results = grown(CHAINS[:sizes], growing(1))
    found = series(results, "chain", KIPU, TIME)
    assert isinstance(found, LeftOut)
    assert found.why == f"it ran at {sizes} sizes, and 3 are needed"
    assert lines(results) == []
    assert steepest(results, KIPU, TIME) is None


def test_the_same_size_twice_is_one_size() -> None:
    results = grown([CHAINS[0], CHAINS[0], CHAINS[1]], growing(1))
    assert isinstance(series(results, "chain", KIPU, TIME), LeftOut)


def test_a_contestant_that_ran_at_some_sizes_only_is_judged_by_those() -> None:
    results = [
        *grown([chain(length) for length in (10, 30, 100)], lambda steps: [outcome(seconds=steps), *growing(1)(steps)]),
        *grown([chain(1_000)], lambda _: [outcome(POD_FLOOR)]),
    ]
    assert [point.steps for point in sloped(series(results, "chain", KIPU, TIME)).points] == [10, 30, 100]
    assert isinstance(series(results, "chain", POD_FLOOR, TIME), LeftOut)


def test_a_zero_leaves_its_series_out_says_where_and_leaves_the_others_in() -> None:
    results = grown(CHAINS, lambda steps: [outcome(seconds=steps, writes=0 if steps == 100 else steps)])
    assert isinstance(series(results, "chain", KIPU, WRITES), LeftOut)
    told = lines(results)
    assert "\nNo slope: chain, own writes of Kipu: there is no value at 100 steps." in told
    assert not any("| own writes |" in line for line in told)
    assert "| chain | Kipu | time | 10, 100, 1,000 | 1.000 | aim |" in told


def test_a_zero_in_one_round_is_a_missing_value_too() -> None:
    results = [result(single(dag), *([outcome(own_bytes=count)] for count in (0, 9, 9))) for dag in CHAINS]
    assert isinstance(series(results, "chain", KIPU, BYTES), LeftOut)


def test_a_floor_that_did_not_run_is_said_to_have_no_slope() -> None:
    told = lines(grown(CHAINS, growing(1)))
    assert f"\nNo slope: chain, time of {POD_FLOOR}: it ran at 0 sizes, and 3 are needed." in told


def test_the_floor_is_told_but_not_judged() -> None:
    results = grown(CHAINS, lambda steps: [outcome(seconds=steps), outcome(POD_FLOOR, seconds=steps**2)])
    assert f"| chain | {POD_FLOOR} | time | 10, 100, 1,000 | 2.000 |  |" in lines(results)


def test_the_steepest_slope_is_that_of_the_worst_family() -> None:
    wide = [fan_out(width) for width in (10, 100, 1_000)]
    results = [*grown(CHAINS, growing(1)), *grown(wide, growing(2))]
    assert steepest(results, KIPU, CPU) == pytest.approx(2)
    assert steepest(results[:3], KIPU, CPU) == pytest.approx(1)
    assert steepest(results, LOG_FLOOR, CPU) is None
