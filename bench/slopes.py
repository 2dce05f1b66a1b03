"""How cost grows with size: the slope of log(cost) over log(steps), for shapes that were run at several sizes.

Promises: a slope is the least-squares line through the medians over rounds, one for each size; 1 is growth with the
number of steps, 2 with its square. A series with a value that has no logarithm, or of too few sizes, has no slope: it
is left out, and it is said why. It must never be taken for one that grows too fast, or not at all.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .contest import Outcome
from .limits import Limits
from .results import KIPU, POD_FLOOR, Result

FAMILIES = ("chain", "fan-out", "layered")
SIZES_MIN = 3  # through two points there is always a line
STEPS_MIN = 10  # below it the fixed cost of a workflow is most of what is seen
LIMITS = Limits(gate=1.10, aim=1.03)  # of design 05


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that an outcome has."""

    name: str
    unit: str
    of: Callable[[Outcome], float]


TIME = Measure(name="time", unit="s", of=lambda outcome: outcome.seconds)
CPU = Measure(name="CPU", unit="s", of=lambda outcome: outcome.cpu_seconds)
BYTES = Measure(name="own bytes in etcd", unit="KB", of=lambda outcome: outcome.seen.own_bytes / 1000)
WRITES = Measure(name="own writes", unit="requests", of=lambda outcome: outcome.writes)
MEMORY = Measure(name="memory in all", unit="MiB", of=lambda outcome: outcome.memory_bytes / 2**20)
MEASURES = (TIME, CPU, BYTES, WRITES, MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size: the median over rounds, the least and the most."""

    steps: int
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One contestant's cost over the sizes of one family, and the line through it."""

    family: str
    contestant: str
    measure: Measure
    points: Sequence[Point]
    slope: float
    log_at_one: float

    def at(self, steps: float) -> float:
        """The line's value there."""
        return math.exp(self.log_at_one + self.slope * math.log(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What has no slope."""

    family: str
    contestant: str
    measure: Measure
    why: str


def family(results: Sequence[Result], name: str) -> list[Result]:
    """Those that ran this shape as one workflow, the smallest first."""
    shape = re.compile(rf"{name}-\d+")
    found = [each for each in results if each.workload.copies == 1 and shape.fullmatch(each.workload.dag.name)]
    return sorted((each for each in found if each.steps >= STEPS_MIN), key=lambda each: each.steps)


def series(results: Sequence[Result], name: str, contestant: str, measure: Measure) -> Series | LeftOut:
    """How a family's cost grows for one contestant."""
    points = [_point(each, contestant, measure) for each in family(results, name) if each.of(contestant)]
    if why := _why_not(points):
        return LeftOut(family=name, contestant=contestant, measure=measure, why=why)
    slope, log_at_one = statistics.linear_regression(
        [math.log(point.steps) for point in points], [math.log(point.median) for point in points]
    )
    return Series(
        family=name, contestant=contestant, measure=measure, points=points, slope=slope, log_at_one=log_at_one
    )


def _why_not(points: Sequence[Point]) -> str | None:
    sizes = {point.steps for point in points}
    if len(sizes) < SIZES_MIN:
        return f"it ran at {len(sizes)} sizes, and {SIZES_MIN} are needed"
    missing = [point.steps for point in points if point.least <= 0]
    return f"there is no value at {missing[0]:,} steps" if missing else None


def _point(result: Result, contestant: str, measure: Measure) -> Point:
    values = [measure.of(outcome) for outcome in result.of(contestant)]
    return Point(steps=result.steps, median=statistics.median(values), least=min(values), most=max(values))


def steepest(results: Sequence[Result], contestant: str, measure: Measure) -> float | None:
    """Of its slopes in all families; None if there is none."""
    found = [series(results, name, contestant, measure) for name in FAMILIES]
    return max((each.slope for each in found if isinstance(each, Series)), default=None)


# -- the report ---------------------------------------------------------------------------------------------------


def judged(results: Sequence[Result]) -> list[Series | LeftOut]:
    """Kipu's series, and the time of the client that shows what the cluster itself costs."""
    asked = [*((KIPU, measure) for measure in MEASURES), (POD_FLOOR, TIME)]
    grown = [name for name in FAMILIES if len(family(results, name)) >= SIZES_MIN]
    return [series(results, name, contestant, measure) for name in grown for contestant, measure in asked]


def lines(results: Sequence[Result]) -> list[str]:
    """A table in Markdown; nothing where no shape grew."""
    all_series = judged(results)
    if not all_series:
        return []
    head = f"slope, gate {LIMITS.told(LIMITS.gate)}, aim {LIMITS.told(LIMITS.aim)}"
    return [
        f"\n### How cost grows with the number of steps\n\n| shape | of | what | steps | {head} | met |",
        "| --- | --- | --- | --- | ---: | --- |",
        *(_row(each) for each in all_series if isinstance(each, Series)),
        *(
            f"\nNo slope: {each.family}, {each.measure.name} of {each.contestant}: {each.why}."
            for each in all_series
            if isinstance(each, LeftOut)
        ),
    ]


def _row(each: Series) -> str:
    steps = ", ".join(f"{point.steps:,}" for point in each.points)
    met = LIMITS.verdict(each.slope) if each.contestant == KIPU else ""
    return f"| {each.family} | {each.contestant} | {each.measure.name} | {steps} | {each.slope:.3f} | {met} |"
