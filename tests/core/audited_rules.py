"""The rules of a run, said once more in other words than the core's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kipu.core.definition import Definition, OnFailure, RunWhen, Step
from kipu.core.events import WorkflowEnd
from tests.core.account import Account


@dataclass
class Rules:
    """Of one definition, given what is known of its steps."""

    definition: Definition
    steps: dict[str, Account] = field(default_factory=dict)
    failing: str | None = None
    outcome: WorkflowEnd | None = None  # of the steps before finally

    def __post_init__(self) -> None:
        self.by_name = {step.name: step for step in self.definition.steps}
        self.steps = {name: Account() for name in self.by_name}

    def rule_of(self, name: str) -> Step:
        """Of a step, or of the fan-out of an item."""
        return self.by_name[name.partition("[")[0]]

    def ends(self, step: Step) -> Iterator[tuple[str, bool]]:
        """How each need has ended, and whether that is as good as success."""
        for need in step.depends_on:
            end = self.steps[need].end
            forgiven = end == "Failed" and self.by_name[need].allow_failure
            yield end, end == "Succeeded" or forgiven or self.steps[need].unasked

    def rule_holds(self, step: Step) -> bool:
        ends = list(self.ends(step))
        if not all(end for end, _ in ends):
            return False
        if step.run_when is RunWhen.ALL_SUCCEEDED:
            return all(good for _, good in ends)
        return step.run_when is RunWhen.ALL_FINISHED or any(end == "Failed" for end, _ in ends)

    def rule_is_broken(self, step: Step) -> bool:
        ends = list(self.ends(step))
        if step.run_when is RunWhen.ALL_SUCCEEDED:
            return any(end and not good for end, good in ends)
        return step.run_when is RunWhen.ANY_FAILED and all(end not in ("", "Failed") for end, _ in ends)

    def holds_back(self) -> bool:
        goes_on = self.definition.on_failure is OnFailure.CONTINUE or self.outcome is not None
        return self.failing is not None and not goes_on

    def cancels(self, name: str) -> bool:
        plain = self.rule_of(name).run_when is RunWhen.ALL_SUCCEEDED
        return self.holds_back() and self.definition.on_failure is OnFailure.CANCEL_RUNNING and plain
