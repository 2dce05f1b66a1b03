"""What is said of the outcomes: a table in Markdown for each workload, then over all: ratios, slopes, targets, charts.

All outcomes are there as JSON too. Promises: without a drawing library all is said but the charts, and that they are
missing; what was measured is never lost to that.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from e2e.measure import nearest_rank
from kipu import __version__

from . import curves, machine, slopes, targets
from .contest import Outcome
from .results import JOB_FLOOR, KIPU, LOG_FLOOR, NAIVE, OBJECTS_FLOOR, POD_FLOOR, Result
from .witness import Place

FOLDER = Path(__file__).parents[1] / "build" / "bench"
COLUMNS = (
    "contestant | s | min - max | gap p50 / p99 ms | CPU ms a step | the cluster's CPU ms a step | own writes a step"
    " | own bytes a step | all writes a step | memory MiB"
)


class Report:
    """To stdout and to the folder, from `with` on."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._results: list[Result] = []
        self._lines: list[str] = []

    def __enter__(self) -> Report:
        for line in preface(self._place):
            self._say(line)
        return self

    def __exit__(self, *error: object) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "report.md").write_text("\n".join(self._lines) + "\n")
        everything = [
            {"workload": each.workload.name, "rounds": each.rounds, "voided": each.voided} for each in self._results
        ]
        (FOLDER / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(everything)))

    def add(self, result: Result) -> None:
        """One workload in Markdown."""
        self._results.append(result)
        dag, copies = result.workload.dag, result.workload.copies
        shape = f"{len(dag)} steps, depth {dag.depth()}, longest path {dag.critical_ms()} ms"
        self._say(f"\n### {result.workload.name}: {f'{copies} workflows of ' if copies > 1 else ''}{shape}\n")
        self._say(f"| {COLUMNS} |\n| --- |{' ---: |' * COLUMNS.count('|')}")
        for name in sorted(result.rounds[0], key=lambda name: _median(result.of(name), lambda each: each.seconds)):
            self._say(_row(name, result.of(name), result.steps))
        for outcome in result.voided:
            self._say(f"\nvoid: {outcome.contestant}, {outcome.seconds:.2f} s, others had {outcome.seen.foreign:.0%}")

    def summary(self) -> None:
        """How Kipu compares, over all workloads."""
        floors = (POD_FLOOR, LOG_FLOOR, OBJECTS_FLOOR, JOB_FLOOR, NAIVE)
        head = f"| workload | {' | '.join(floors)} |\n| --- |{' ---: |' * len(floors)}"
        self._say(f"\n### Kipu's time over that of\n\n{head}")
        for result in self._results:
            cells = ["" if (ratio := result.ratio(KIPU, each)) is None else f"{ratio:.2f}" for each in floors]
            self._say(f"| {result.workload.name} | {' | '.join(cells)} |")
        means = [self._mean(floor) for floor in floors]
        self._say(f"| **geometric mean** | {' | '.join('' if mean is None else f'{mean:.2f}' for mean in means)} |")

    def conclusions(self) -> None:
        """How cost grows, which targets are met, and the charts."""
        for line in [*slopes.lines(self._results), *targets.lines(self._results), *drawn(self._results, FOLDER)]:
            self._say(line)

    def ratios(self) -> None:
        """The last line of `make bench WORKLOAD=...`."""
        pod, job = (self._results[0].ratio(KIPU, floor) for floor in (POD_FLOOR, JOB_FLOOR))
        if pod is not None and job is not None:
            self._say(f"ratio_to_pod_floor={pod:.3f} ratio_to_job_floor={job:.3f}")

    def _mean(self, floor: str) -> float | None:
        ratios = [ratio for each in self._results if (ratio := each.ratio(KIPU, floor)) is not None]
        return statistics.geometric_mean(ratios) if ratios else None

    def _say(self, text: str) -> None:
        self._lines.append(text)
        say(text)


def preface(place: Place) -> list[str]:
    """What stands above all figures: on which machine, of which versions, under which limits."""
    daemons = machine.daemons(place.state)
    version = place.api.get("/version")["gitVersion"]
    flags = [each for each in machine.flags(daemons["kube-controller-manager"]) if "qps" in each or "sync" in each]
    return [
        f"Kipu {__version__}, Kubernetes {version}; {machine.itself()}; load {machine.load()}",
        f"controller manager: {' '.join(flags)}",
    ]


def _row(name: str, outcomes: Sequence[Outcome], steps: int) -> str:
    seconds = [each.seconds for each in outcomes]
    gaps = sorted(gap * 1000 for each in outcomes for gap in each.seen.gaps)
    memory = max(each.memory_bytes for each in outcomes)
    cells = [
        name,
        f"{statistics.median(seconds):.2f}",
        f"{min(seconds):.2f} - {max(seconds):.2f}",
        f"{nearest_rank(gaps, 0.5):.1f} / {nearest_rank(gaps, 0.99):.1f}" if gaps else "",
        f"{1000 * _median(outcomes, lambda each: each.cpu_seconds) / steps:.2f}",
        f"{1000 * _median(outcomes, lambda each: sum(each.seen.cpu_seconds.values())) / steps:.1f}",
        f"{_median(outcomes, lambda each: each.writes) / steps:.2f}",
        f"{_median(outcomes, lambda each: each.seen.own_bytes) / steps:,.0f}",
        f"{_median(outcomes, lambda each: each.seen.server_writes) / steps:.1f}",
        f"{memory / 2**20:.0f}" if memory else "",
    ]
    return f"| {' | '.join(cells)} |"


def drawn(results: Sequence[Result], folder: Path) -> list[str]:
    """The charts as images in Markdown, once they are in the folder; those of an older run are gone."""
    try:
        from . import charts  # the one place that needs the library, which is not in every .venv
    except ModuleNotFoundError as error:
        return [f"\nNo charts: {error.name} is not installed; `make bench` installs it."]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    files = charts.draw(curves.growths(results), curves.bars(results), folder)
    return ["\n### Charts", *(f"\n![{title}]({file.name})" for title, file in files.items())] if files else []


def say(text: str, to: TextIO | None = None) -> None:
    """At once: a run takes a minute."""
    stream = to or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def _median(outcomes: Sequence[Outcome], of: Callable[[Outcome], float]) -> float:
    return statistics.median(map(of, outcomes))
