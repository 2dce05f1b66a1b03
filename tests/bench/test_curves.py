"""What the charts show, and that they are drawn, or that it is said why not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bench.curves import Bar, bars, growths, label
from bench.dag import Workload, chain, fan_out, lattice
from bench.report import drawn
from bench.results import JOB_FLOOR, KIPU, LOG_FLOOR, POD_FLOOR, Result
from bench.suites import single

from .measured import grown, outcome, result

CHAINS = [chain(length) for length in (10, 100, 1_000)]


def raced() -> list[Result]:
    """Chains of Kipu and two floors, of which the first writes nothing, and a single real DAG."""
    chains = grown(
        CHAINS,
        lambda steps: [
            outcome(KIPU, seconds=2 * steps, writes=steps),
            outcome(POD_FLOOR, seconds=steps, writes=0, own_bytes=0, memory_bytes=0),
            outcome(LOG_FLOOR, seconds=steps, writes=steps, memory_bytes=0),
        ],
    )
    real = Workload(name="real", dag=lattice(3), is_real=True)
    rounds = [[outcome(KIPU, seconds=each), outcome(POD_FLOOR, seconds=10)] for each in (12, 11, 16)]
    return [*chains, result(real, *rounds), result(single(lattice(2)), [outcome(KIPU)])]


def test_a_chart_has_a_panel_for_each_cost_and_in_it_a_curve_for_each_contestant_that_has_it() -> None:
    (growth,) = growths(raced())
    assert growth.family == "chain"
    assert {panel.measure.name: [curve.contestant for curve in panel.curves] for panel in growth.panels} == {
        "time": [KIPU, LOG_FLOOR, POD_FLOOR],
        "CPU": [KIPU, LOG_FLOOR, POD_FLOOR],
        "own bytes in etcd": [KIPU, LOG_FLOOR],
        "own writes": [KIPU, LOG_FLOOR],
        "memory in all": [KIPU],
    }


def test_a_curve_says_who_it_is_and_how_steep() -> None:
    (growth,) = growths(raced())
    assert [label(curve) for curve in growth.panels[0].curves] == [
        "Kipu: slope 1.00",
        "ideal client, pods, a commit before each create: slope 1.00",
        "ideal client, pods: slope 1.00",
    ]


def test_a_shape_that_did_not_grow_has_no_chart() -> None:
    assert growths(grown([fan_out(10), fan_out(100)], lambda _: [outcome()])) == []


def test_the_axes_hold_every_size_and_whole_powers_of_ten_around_every_value() -> None:
    (growth,) = growths(raced())
    time, memory = growth.panels[0], growth.panels[-1]
    assert time.sizes() == [10, 100, 1_000]
    assert time.decades() == (10, 10_000)
    assert memory.decades() == (100, 1_000)  # all are 100 MiB: an axis has a length all the same


def test_a_bar_is_the_ratio_within_each_round_where_both_ran() -> None:
    found = bars(raced())
    assert [bar.workload for bar in found] == ["chain-10", "chain-100", "chain-1000", "real"]
    assert found[-1] == Bar(workload="real", is_real=True, median=1.2, least=1.1, most=1.6)
    assert found[0] == Bar(workload="chain-10", is_real=False, median=2, least=2, most=2)


def test_charts_are_drawn_and_named_or_it_is_said_what_is_not_installed(tmp_path: Path) -> None:
    told = drawn(raced(), tmp_path / "charts")
    if find_spec("matplotlib") is None:
        assert told == ["\nNo charts: matplotlib is not installed; `make bench` installs it."]
        return
    assert [line.split("](")[1] for line in told[1:]] == ["chain.svg)", "ratios.svg)"]
    first = {file.name: file.read_bytes() for file in (tmp_path / "charts").iterdir()}
    assert sorted(first) == ["chain.svg", "ratios.svg"]
    drawn(raced(), tmp_path / "charts")
    assert first == {file.name: file.read_bytes() for file in (tmp_path / "charts").iterdir()}


def test_a_contestant_that_did_not_run_has_no_ratio() -> None:
    one = result(single(chain(10)), [outcome(KIPU, seconds=3), outcome(POD_FLOOR, seconds=2)])
    assert (one.ratio(KIPU, POD_FLOOR), one.ratio(KIPU, JOB_FLOOR), one.of(JOB_FLOOR)) == (1.5, None, [])
