"""The charts as SVG: what bench.curves has decided, drawn. The one module that needs matplotlib.

Promises: the same curves and bars give the same bytes. It must never decide what is shown, and is imported only by the
report once all is measured: the library is large and not in every .venv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from .curves import AIM, GATE, Bar, Growth, Panel, label
from .results import JOB_FLOOR, KIPU, LOG_FLOOR, POD_FLOOR
from .slopes import Point

COLOURS = {KIPU: "#0b6bcb", LOG_FLOOR: "#c2570c", POD_FLOOR: "#5b6570", JOB_FLOOR: "#7a3fb0"}
MARKS = {KIPU: "o", LOG_FLOOR: "s", POD_FLOOR: "^", JOB_FLOOR: "D"}
REAL_COLOUR, MADE_COLOUR = "#0b6bcb", "#8fbce8"
COLUMNS = 3
PANEL_INCHES = (4.6, 4.2)
BAR_INCHES = 0.32
STYLE = {"svg.hashsalt": "kipu", "font.size": 9, "axes.axisbelow": True, "axes.grid": True, "grid.color": "#e3e6ea"}

Axes = Any  # matplotlib's own types are not there where it is not installed


def draw(growths: Sequence[Growth], bars: Sequence[Bar], folder: Path) -> Mapping[str, Path]:
    """Each chart's title and its file in the folder."""
    files = {}
    with mpl.rc_context(STYLE):
        for growth in growths:
            files[growth.title] = _saved(_growth(growth), folder / f"{growth.family}.svg")
        if bars:
            title = "Kipu's time over that of the ideal client waiting on pods"
            files[title] = _saved(_bars(bars, title), folder / "ratios.svg")
    return files


def _saved(figure: Any, file: Path) -> Path:
    figure.savefig(file, facecolor="white", metadata={"Date": None})
    return file


# -- growth -------------------------------------------------------------------------------------------------------


def _growth(growth: Growth) -> Any:
    rows = -(-len(growth.panels) // COLUMNS)
    columns = min(COLUMNS, len(growth.panels))
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.4), layout="constrained")
    figure.suptitle(growth.title, fontsize=12)
    for number, panel in enumerate(growth.panels):
        _panel(figure.add_subplot(rows, columns, number + 1), panel)
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set(title=panel.measure.name, xscale="log", yscale="log", xlabel="steps", ylabel=panel.measure.unit)
    axes.set_ylim(*panel.decades())
    for curve in panel.curves:
        steps = [point.steps for point in curve.points]
        medians = [point.median for point in curve.points]
        ranges = _ranges(curve.points)
        look = {"color": COLOURS[curve.contestant], "fmt": MARKS[curve.contestant], "markersize": 4, "capsize": 3}
        axes.errorbar(steps, medians, ranges, **look, linewidth=1, label=label(curve))
        ends = (steps[0], steps[-1])
        axes.plot(ends, [curve.at(end) for end in ends], color=look["color"], linewidth=1.2)
    axes.set_xticks(panel.sizes(), [f"{size:,}" for size in panel.sizes()])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), fontsize=8, frameon=False)  # below: nothing is hidden


def _ranges(points: Sequence[Point] | Sequence[Bar]) -> list[list[float]]:
    """From the median down to the least, and up to the most."""
    return [[each.median - each.least for each in points], [each.most - each.median for each in points]]


# -- ratios -------------------------------------------------------------------------------------------------------


def _bars(bars: Sequence[Bar], title: str) -> Any:
    figure = Figure(figsize=(9, 1.8 + BAR_INCHES * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    for text, colour, is_real in (("made here", MADE_COLOUR, False), ("recorded workflows", REAL_COLOUR, True)):
        places = [place for place, bar in enumerate(bars) if bar.is_real == is_real]
        these = [bars[place] for place in places]
        if these:
            medians = [bar.median for bar in these]
            axes.barh(places, medians, color=colour, xerr=_ranges(these), capsize=3, label=text)
    axes.set_yticks(range(len(bars)), [bar.workload for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)  # the first is on top
    axes.grid(visible=False, axis="y")
    axes.axvline(GATE, color="#b3261e", label=f"gate {GATE:.2f}")
    axes.axvline(AIM, color="#2e7d32", linestyle="--", label=f"aim {AIM:.2f}")
    axes.set(title=title, xlabel="ratio of makespans within a round, median and range over rounds", xlim=(0, None))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
