"""What was measured, as the report, the slopes, the targets and the charts read it: outcomes by workload and round.

Promises: a ratio is taken within a round, between contestants that ran minutes apart. Who did not run has no values;
he never counts as zero.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from .contest import Outcome
from .dag import Workload

POD_FLOOR = "ideal client, pods"
LOG_FLOOR = "ideal client, pods, a commit before each create"
OBJECTS_FLOOR = "ideal client, pods, commits and Kipu's Jobs"
JOB_FLOOR = "ideal client, Jobs"
KIPU = "Kipu"
KIPU_ON_JOBS = "Kipu, advancing on Jobs"
NAIVE = "naive operator"


@dataclass(slots=True)
class Result:
    """The outcomes of one workload by round, and those that do not count."""

    workload: Workload
    rounds: list[dict[str, Outcome]] = field(default_factory=list)
    voided: list[Outcome] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Of all its workflows."""
        return len(self.workload.dag) * self.workload.copies

    def add(self, number: int, outcome: Outcome) -> None:
        """Of round `number`, from 0."""
        if number == len(self.rounds):
            self.rounds.append({})
        self.rounds[number][outcome.contestant] = outcome

    def of(self, contestant: str) -> list[Outcome]:
        """Its outcomes, round by round; none where it did not run."""
        return [each[contestant] for each in self.rounds if contestant in each]

    def median(self, contestant: str, of: Callable[[Outcome], float]) -> float | None:
        """Over the rounds; None where it did not run."""
        found = self.of(contestant)
        return statistics.median(map(of, found)) if found else None

    def ratios(
        self, contestant: str, floor: str, of: Callable[[Outcome], float] = lambda outcome: outcome.seconds
    ) -> list[float]:
        """One over the other, round by round: the makespan, if nothing else is asked for."""
        return [of(each[contestant]) / of(each[floor]) for each in self.rounds if {contestant, floor} <= each.keys()]

    def ratio(self, contestant: str, floor: str) -> float | None:
        """The makespan of one over that of the other: the median over rounds; None where one did not run."""
        found = self.ratios(contestant, floor)
        return statistics.median(found) if found else None
