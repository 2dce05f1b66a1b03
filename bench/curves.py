"""What the charts show, before anything is drawn: which curves, which bars, and their words.

Promises: all that a chart says is decided and tested here, without a drawing library; bench.charts only draws it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .results import JOB_FLOOR, KIPU, LOG_FLOOR, POD_FLOOR, Result
from .slopes import FAMILIES, MEASURES, Measure, Series, series

CONTESTANTS = (KIPU, LOG_FLOOR, POD_FLOOR, JOB_FLOOR)
GATE, AIM = 1.30, 1.12  # of design 05; they are for the geometric mean over the real DAGs


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One cost of one family over its sizes, a curve for each contestant that has a slope there."""

    measure: Measure
    curves: Sequence[Series]

    def sizes(self) -> list[int]:
        """What is marked along the axis of steps."""
        return sorted({point.steps for curve in self.curves for point in curve.points})

    def decades(self) -> tuple[float, float]:
        """The ends of the axis of costs: whole powers of ten, so that what hardly grows looks so."""
        points = [point for curve in self.curves for point in curve.points]
        least, most = min(point.least for point in points), max(point.most for point in points)
        low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
        return 10.0**low, 10.0 ** max(high, low + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A chart of one family."""

    family: str
    panels: Sequence[Panel]

    @property
    def title(self) -> str:
        """What it says."""
        return f"{self.family}: cost over the number of steps, median and range over rounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Kipu's time over the floor's in one workload, over the rounds."""

    workload: str
    is_real: bool
    median: float
    least: float
    most: float


def label(curve: Series) -> str:
    """Of a curve in the legend."""
    return f"{curve.contestant}: slope {curve.slope:.2f}"


def growths(results: Sequence[Result]) -> list[Growth]:
    """A chart for each family in which anything has a slope."""
    found = [Growth(family=name, panels=_panels(results, name)) for name in FAMILIES]
    return [each for each in found if each.panels]


def _panels(results: Sequence[Result], name: str) -> list[Panel]:
    panels = []
    for measure in MEASURES:
        asked = [series(results, name, contestant, measure) for contestant in CONTESTANTS]
        if curves := [each for each in asked if isinstance(each, Series)]:
            panels.append(Panel(measure=measure, curves=curves))
    return panels


def bars(results: Sequence[Result]) -> list[Bar]:
    """One for each workload in which Kipu and the floor ran, in the order in which they were run."""
    return [
        Bar(
            workload=result.workload.name,
            is_real=result.workload.is_real,
            median=statistics.median(ratios),
            least=min(ratios),
            most=max(ratios),
        )
        for result in results
        if (ratios := result.ratios(KIPU, POD_FLOOR))
    ]
