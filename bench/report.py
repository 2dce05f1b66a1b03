"""What is said of the outcomes: a table in Markdown for each workload, and the line of ratios.

A ratio is taken within a round, between contestants that ran minutes apart, and the median of the rounds is told.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from kipu import __version__

from . import machine
from .contest import Outcome
from .dag import Dag
from .witness import Place

POD_FLOOR = "ideal client, pods"
LOG_FLOOR = "ideal client, pods, a commit before each create"
JOB_FLOOR = "ideal client, Jobs"
KIPU = "Kipu"
KIPU_ON_JOBS = "Kipu, advancing on Jobs"


@dataclass(slots=True)
class Result:
    """The outcomes of one workload by round, and those that do not count."""

    dag: Dag
    rounds: list[dict[str, Outcome]] = field(default_factory=list)
    voided: list[Outcome] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Of round `number`, from 0."""
        if number == len(self.rounds):
            self.rounds.append({})
        self.rounds[number][outcome.contestant] = outcome

    def void(self, outcome: Outcome) -> None:
        """It was disturbed."""
        self.voided.append(outcome)

    def of(self, contestant: str) -> list[Outcome]:
        """Its outcomes, round by round."""
        return [each[contestant] for each in self.rounds]

    def ratio(self, contestant: str, floor: str) -> float:
        """The makespan of one over that of the other: the median over rounds."""
        return statistics.median(each[contestant].seconds / each[floor].seconds for each in self.rounds)


def begin(place: Place) -> None:
    """What the figures rest on."""
    daemons = machine.daemons(place.state)
    version = place.api.get("/version")["gitVersion"]
    say(f"Kipu {__version__}, Kubernetes {version}; {machine.itself()}; load {machine.load()}")
    controllers = [
        each for each in machine.flags(daemons["kube-controller-manager"]) if "qps" in each or "sync" in each
    ]
    say(f"controller manager: {' '.join(controllers)}")


def table(result: Result) -> None:
    """One workload in Markdown."""
    dag = result.dag
    say(f"\n### {dag.name}: {len(dag)} steps, depth {dag.depth()}, longest path {dag.critical_ms()} ms\n")
    say(
        "| contestant | s | min - max | gap p50 / p99 ms | CPU ms a step | own writes a step | own bytes a step "
        "| all writes a step | memory MiB |"
    )
    say("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in sorted(result.rounds[0], key=lambda name: _median(result.of(name), lambda each: each.seconds)):
        say(_row(name, result.of(name), len(dag)))
    for outcome in result.voided:
        say(f"\nvoid: {outcome.contestant}, {outcome.seconds:.2f} s, others had {outcome.seen.foreign:.0%} of it")


def _row(name: str, outcomes: Sequence[Outcome], steps: int) -> str:
    seconds = [each.seconds for each in outcomes]
    gaps = sorted(gap * 1000 for each in outcomes for gap in each.seen.gaps)
    cells = [
        name,
        f"{statistics.median(seconds):.2f}",
        f"{min(seconds):.2f} - {max(seconds):.2f}",
        f"{_quantile(gaps, 0.5):.1f} / {_quantile(gaps, 0.99):.1f}" if gaps else "",
        f"{1000 * _median(outcomes, lambda each: each.cpu_seconds) / steps:.2f}",
        f"{_median(outcomes, lambda each: each.writes) / steps:.2f}",
        f"{_median(outcomes, lambda each: each.seen.own_bytes) / steps:,.0f}",
        f"{_median(outcomes, lambda each: each.seen.server_writes) / steps:.1f}",
        f"{memory / 2**20:.0f}" if (memory := max(each.memory_bytes for each in outcomes)) else "",
    ]
    return f"| {' | '.join(cells)} |"


def ratios(result: Result) -> str:
    """The last line of `make bench WORKLOAD=...`."""
    pod, job = result.ratio(KIPU, POD_FLOOR), result.ratio(KIPU, JOB_FLOOR)
    return f"ratio_to_pod_floor={pod:.3f} ratio_to_job_floor={job:.3f}"


def say(text: str, to: TextIO | None = None) -> None:
    """At once: a run takes a minute."""
    stream = to or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def _median(outcomes: Sequence[Outcome], of: Callable[[Outcome], float]) -> float:
    return statistics.median(map(of, outcomes))


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """The nearest rank."""
    return ordered[max(0, -(-int(fraction * 1000) * len(ordered) // 1000) - 1)]
