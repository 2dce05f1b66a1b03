"""The targets of design 05, row by row, with what this run has measured of each.

Promises: a figure is a pure function of the outcomes, the same one for Kipu and for the ideal client beside it; what
was not run has no figure, and is named. What a chain costs is told of the longest that ran, what is wide of the widest
fan-out. Gaps are those of all rounds together, ratios are medians of those within each round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from e2e.measure import nearest_rank

from . import curves, slopes
from .contest import Outcome
from .limits import Limits
from .results import JOB_FLOOR, KIPU, LOG_FLOOR, POD_FLOOR, Result

DEPTH_MIN = 8  # from here on waiting for Jobs, a second each, is most of a makespan

Figure = Callable[[Sequence[Result], str], float | None]  # of one contestant


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row of the table."""

    metric: str
    unit: str = ""
    limits: Limits
    digits: int = 2
    figure: Figure
    floor: str | None = POD_FLOOR  # whose figure stands beside Kipu's: the ideal client that has one

    def row(self, results: Sequence[Result]) -> str:
        """In Markdown."""
        measured = self.figure(results, KIPU)
        floor = self.figure(results, self.floor) if self.floor else None
        cells = [
            self.metric,
            self._with_unit(self.limits.told(self.limits.gate)),
            self._with_unit(self.limits.told(self.limits.aim)),
            self._with_unit(self._rounded(measured)),
            self._with_unit(self._rounded(floor)),
            self.limits.verdict(measured),
        ]
        return f"| {' | '.join(cells)} |"

    def _rounded(self, value: float | None) -> str:
        return "" if value is None else f"{value:,.{self.digits}f}"

    def _with_unit(self, text: str) -> str:
        return f"{text} {self.unit}".strip() if text else ""


def lines(results: Sequence[Result]) -> list[str]:
    """The table in Markdown, and what has no figure in this run; nothing if all that is known is true of any run."""
    measured = [each for each in TARGETS if each.figure(results, KIPU) is not None]
    if all(each.figure in (_faults, _base_megabytes) for each in measured):
        return []
    absent = "; ".join(each.metric for each in TARGETS if each not in measured)
    return [
        "\n### Targets\n",
        "| metric | gate | aim | measured | floor in the same run | met |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        *(each.row(results) for each in measured),
        "\nThe floor is the ideal client that waits for pods; of writes, bytes and ratios to a floor the one with a",
        "commit before each create; of the ratio to the client that waits for Jobs the one that waits for pods.",
        *([f"\nNot measured in this run: {absent}."] if absent else []),
    ]


# -- which workloads ----------------------------------------------------------------------------------------------


def _sized(results: Sequence[Result], shape: str, size: int, copies: int = 1) -> Result | None:
    name = f"{shape}-{size}"
    found = (each for each in results if (each.workload.dag.name, each.workload.copies) == (name, copies))
    return next(found, None)


def _largest(results: Sequence[Result], shape: str) -> Result | None:
    found = slopes.family(results, shape)
    return found[-1] if found else None


# -- figures ------------------------------------------------------------------------------------------------------


def _gap_ms(length: int) -> Figure:
    """The median gap of a chain."""

    def figure(results: Sequence[Result], contestant: str) -> float | None:
        return _gap_seconds(_sized(results, "chain", length), contestant, 0.5, scale=1000)

    return figure


def _gap_seconds(result: Result | None, contestant: str, fraction: float, scale: float = 1) -> float | None:
    gaps = sorted(gap for each in result.of(contestant) for gap in each.seen.gaps) if result else []
    return scale * nearest_rank(gaps, fraction) if gaps else None


def _per_step(shape: str, of: Callable[[Outcome], float]) -> Figure:
    """What each step costs in the largest workload of a shape."""

    def figure(results: Sequence[Result], contestant: str) -> float | None:
        result = _largest(results, shape)
        cost = result.median(contestant, of) if result else None
        return None if result is None or cost is None else cost / result.steps

    return figure


def _over_pods_in_real_dags(results: Sequence[Result], contestant: str) -> float | None:
    found = [each.ratio(contestant, POD_FLOOR) for each in results if each.workload.is_real]
    ratios = [ratio for ratio in found if ratio is not None]
    return statistics.geometric_mean(ratios) if ratios else None


def _over_jobs_in_deep_dags(results: Sequence[Result], contestant: str) -> float | None:
    """The largest: what is promised of deep DAGs is promised of each."""
    deep = [each for each in results if each.workload.copies == 1 and each.workload.dag.depth() >= DEPTH_MIN]
    ratios = [ratio for each in deep if (ratio := each.ratio(contestant, JOB_FLOOR)) is not None]
    return max(ratios, default=None)


def _steps_per_second(results: Sequence[Result], contestant: str) -> float | None:
    result = _sized(results, "fan-out", 1_000)
    seconds = result.median(contestant, lambda each: each.seconds) if result else None
    return result.steps / seconds if result and seconds else None


def _workflows_per_second(results: Sequence[Result], contestant: str) -> float | None:
    result = _sized(results, "chain", 3, copies=500)
    seconds = result.median(contestant, lambda each: each.seconds) if result else None
    return result.workload.copies / seconds if result and seconds else None


def _late_gap_over_pods(results: Sequence[Result], contestant: str) -> float | None:
    result = _sized(results, "chain", 5, copies=200)
    ratios = (
        result.ratios(contestant, POD_FLOOR, lambda each: nearest_rank(sorted(each.seen.gaps), 0.99)) if result else []
    )
    return statistics.median(ratios) if ratios else None


def _late_gap_seconds(results: Sequence[Result], contestant: str) -> float | None:
    return _gap_seconds(_sized(results, "chain", 5, copies=200), contestant, 0.99)


def _slope(measure: slopes.Measure) -> Figure:
    return lambda results, contestant: slopes.steepest(results, contestant, measure)


def _faults(results: Sequence[Result], contestant: str) -> float | None:
    """None were there, or there would be no outcome: bench.contest and bench.witness see to that."""
    return 0.0 if any(each.of(contestant) for each in results) else None


def _unknown(results: Sequence[Result], contestant: str) -> None:
    """What no workload here can show."""


def _cpu_ms(outcome: Outcome) -> float:
    return 1000 * outcome.cpu_seconds


def _base_megabytes(results: Sequence[Result], contestant: str) -> float | None:
    """Before anything is asked of it, the median of all runs."""
    found = [outcome.base_bytes / 1e6 for each in results for outcome in each.of(contestant) if outcome.base_bytes]
    return statistics.median(found) if found else None


def _grown_kilobytes(outcome: Outcome) -> float:
    return (outcome.memory_bytes - outcome.base_bytes) / 1000


def _writes(outcome: Outcome) -> float:
    return outcome.writes


def _own_kilobytes(outcome: Outcome) -> float:
    return outcome.seen.own_bytes / 1000


# -- the table ----------------------------------------------------------------------------------------------------

TARGETS: Sequence[Target] = (
    Target(metric="chain of 10: gap p50", unit="ms", limits=Limits(25, 12), digits=1, figure=_gap_ms(10)),
    Target(metric="chain of 1,000: gap p50", unit="ms", limits=Limits(25, 12), digits=1, figure=_gap_ms(1_000)),
    Target(
        metric="makespan over that of the ideal client waiting on pods, geometric mean over the real DAGs",
        limits=Limits(curves.GATE, curves.AIM),
        figure=_over_pods_in_real_dags,
        floor=LOG_FLOOR,
    ),
    Target(
        metric=f"makespan over that of the ideal client waiting on Jobs, the worst at depth >= {DEPTH_MIN}",
        limits=Limits(0.55, 0.40),
        figure=_over_jobs_in_deep_dags,
    ),
    Target(
        metric="fan-out of 1,000",
        unit="steps/s",
        limits=Limits(65, 90, at_least=True),
        digits=1,
        figure=_steps_per_second,
    ),
    Target(metric="operator CPU a step, chain", unit="ms", limits=Limits(5, 3), figure=_per_step("chain", _cpu_ms)),
    Target(metric="operator CPU a step, wide", unit="ms", limits=Limits(3, 1.5), figure=_per_step("fan-out", _cpu_ms)),
    Target(
        metric="own writes a step beyond the Job's create, chain",
        limits=Limits(1.6, 1.2),
        figure=_per_step("chain", _writes),
        floor=LOG_FLOOR,
    ),
    Target(
        metric="own writes a step beyond the Job's create, wide",
        limits=Limits(0.4, 0.2),
        figure=_per_step("fan-out", _writes),
        floor=LOG_FLOOR,
    ),
    Target(
        metric="own bytes in etcd a step, chain",
        unit="KB",
        limits=Limits(6, 3.5),
        figure=_per_step("chain", _own_kilobytes),
        floor=LOG_FLOOR,
    ),
    Target(
        metric="own bytes in etcd a step, wide",
        unit="KB",
        limits=Limits(2, 0.7),
        figure=_per_step("fan-out", _own_kilobytes),
        floor=LOG_FLOOR,
    ),
    Target(
        metric="200 chains of 5: gap p99 over that of the ideal client waiting on pods",
        limits=Limits(2.5, None),
        figure=_late_gap_over_pods,
        floor=LOG_FLOOR,
    ),
    Target(metric="200 chains of 5: gap p99", unit="s", limits=Limits(None, 0.5), digits=3, figure=_late_gap_seconds),
    Target(metric="steepest slope of time", limits=slopes.LIMITS, digits=3, figure=_slope(slopes.TIME)),
    Target(metric="steepest slope of CPU", limits=slopes.LIMITS, digits=3, figure=_slope(slopes.CPU)),
    Target(
        metric="steepest slope of own bytes in etcd",
        limits=slopes.LIMITS,
        digits=3,
        figure=_slope(slopes.BYTES),
        floor=LOG_FLOOR,
    ),
    Target(metric="recovery of 10,000 events, to the first new Job", unit="s", limits=Limits(3, 1), figure=_unknown),
    Target(metric="base memory", unit="MB", limits=Limits(150, 90), digits=0, figure=_base_megabytes, floor=None),
    Target(
        metric="memory above the base, a step, wide",
        unit="KB",
        limits=Limits(4, 1.5),
        digits=1,
        figure=_per_step("fan-out", _grown_kilobytes),
        floor=None,
    ),
    Target(
        metric="500 workflows of 3 steps",
        unit="workflows/s",
        limits=Limits(10, 20, at_least=True),
        digits=1,
        figure=_workflows_per_second,
    ),
    Target(metric="duplicates, losses, wrong ends", limits=Limits(0, 0), digits=0, figure=_faults, floor=None),
)
