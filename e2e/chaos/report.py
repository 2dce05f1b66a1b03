"""The outcome as tables in Markdown: workflows, kills, faults by kind, violations, recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .faults import Kind
from .killer import KILLS, Deed
from .recovery import Recovery, quantile

LISTED_MAX = 50  # violations; beyond that something is so wrong that more would tell nothing
SLOWEST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One kind of fault of one Workflow."""

    workflow: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a campaign has counted."""

    seed: int
    minutes: float
    workflows: Mapping[str, int]  # by shape
    executions: int
    doubled: int  # pods that the Job controller started twice
    came_back: int  # Jobs of attempts that had been given up, before they were proven gone
    deeds: Mapping[tuple[Deed, str], int]
    stops_outlasting_the_lease: int
    faults: Mapping[tuple[Kind, str, str], int]  # by kind, verb and resource
    requests: Mapping[tuple[str, str], int]
    recoveries: Sequence[Recovery]
    gaps: int  # of the witnesses
    violations: Sequence[Violation]
    missed: str  # what was asked for and not reached; empty where all was

    @property
    def kills(self) -> int:
        """How many died."""
        return sum(count for (deed, _), count in self.deeds.items() if deed in KILLS)

    @property
    def is_clean(self) -> bool:
        """Whether all was reached and nothing violated."""
        return not self.violations and not self.missed


def lines(outcome: Outcome) -> Iterator[str]:
    """The whole report."""
    yield f"\n### chaos, seed {outcome.seed}, {outcome.minutes:.1f} min\n"
    yield from _table("workflow", outcome.workflows, "workflows")
    yield from _table("deed", {f"{deed} {where}".strip(): n for (deed, where), n in outcome.deeds.items()}, "deeds")
    yield from _faults(outcome)
    yield from _table("counted beside", _beside(outcome), "times", total=False)
    yield from _slowest(outcome)
    for violation in outcome.violations[:LISTED_MAX]:
        yield f"VIOLATION {violation.workflow}: {violation.kind}: {violation.detail}"
    if outcome.missed:
        yield f"NOT REACHED: {outcome.missed}"
    yield "\n| workflows | kills | faults | violations | recovery p50 | recovery p99 |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    yield "| " + " | ".join(_summary(outcome)) + " |"


def _beside(outcome: Outcome) -> dict[str, int]:
    """What explains the rest, and is no violation."""
    return {
        "requests through the proxy": sum(outcome.requests.values()),
        "executions of a step's program": outcome.executions,
        "pods that the Job controller started twice": outcome.doubled,
        "given-up attempts that came back before they were proven gone": outcome.came_back,
        "leader stops that outlasted the lease": outcome.stops_outlasting_the_lease,
        "gaps of our own watches": outcome.gaps,
        "recoveries": len(outcome.recoveries),
    }


def _slowest(outcome: Outcome) -> Iterator[str]:
    yield "\n| slowest recoveries | seconds | by |"
    yield "| --- | ---: | --- |"
    for each in list(reversed(outcome.recoveries))[:SLOWEST_SHOWN]:
        yield f"| {each.head} | {each.seconds:.1f} | {each.client.address}/{each.client.life} |"
    yield ""


def _summary(outcome: Outcome) -> list[str]:
    ordered = [each.seconds for each in outcome.recoveries]
    counts = (outcome.workflows, outcome.faults)
    workflows, faults = (str(sum(count.values())) for count in counts)
    quantiles = [f"{quantile(ordered, fraction):.2f} s" for fraction in (0.5, 0.99)]
    return [workflows, str(outcome.kills), faults, str(len(outcome.violations)), *quantiles]


def _faults(outcome: Outcome) -> Iterator[str]:
    """One row for each verb and resource, one column for each kind that came."""
    kinds = [kind for kind in Kind if any(met == kind for met, _, _ in outcome.faults)]
    rows = Counter((verb, resource) for _, verb, resource in outcome.faults)
    yield f"\n| faults | requests | {' | '.join(kinds)} |"
    yield "| --- |" + " ---: |" * (len(kinds) + 1)
    for verb, resource in sorted(rows):
        cells = [str(outcome.faults.get((kind, verb, resource), 0) or "") for kind in kinds]
        yield f"| {verb} {resource} | {outcome.requests.get((verb, resource), 0)} | {' | '.join(cells)} |"
    sums = [str(sum(n for (met, _, _), n in outcome.faults.items() if met == kind)) for kind in kinds]
    yield f"| **all** | {sum(outcome.requests.values())} | {' | '.join(sums)} |"


def _table(title: str, counts: Mapping[str, int], of: str, *, total: bool = True) -> Iterator[str]:
    yield f"\n| {title} | {of} |"
    yield "| --- | ---: |"
    for name, count in sorted(counts.items()) if total else counts.items():
        yield f"| {name} | {count} |"
    if total:
        yield f"| **all** | {sum(counts.values())} |"
