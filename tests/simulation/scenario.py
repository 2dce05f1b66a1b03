"""What is to run: workflows as data, and what each attempt's program does. Nothing here is random and nothing is code.

A scenario is printed when it fails, and what is printed can be pasted into a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from tests.fakes.nodes import Program

FOREVER_SECONDS = 5_000.0  # longer than any timeout that a scenario counts on
WELL = Program(run_seconds=0.5)
LOOSE = "10m"  # a bound in time that no fault reaches
OUTPUTS = "text=$POD\ncount="  # what a program writes for DECLARED, before a whole number
DECLARED = [{"name": "text"}, {"name": "count", "type": "Int"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One workflow: what is applied and when, and what its programs do."""

    spec: Mapping[str, Any]
    # By step, or by item where it is another than its step's; the last stands for all later ones.
    # Of a step of a child it is written as train/one, and counted by the attempts of `train`.
    fates: Mapping[str, tuple[Program, ...]] = field(default_factory=dict)
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # WorkflowTemplates by name: their specs
    by_template: bool = False  # whether a WorkflowTemplate holds the spec, and the Workflow names it
    at_seconds: float = 0.0
    shutdown: tuple[float, str] | None = None  # seconds after the beginning of the run, mode
    edits: tuple[tuple[float, Mapping[str, Any]], ...] = ()  # likewise: fields of the spec that are set then

    def fate(self, step: str, attempt: int) -> Program:
        """What this attempt's program does."""
        fates = self.fates_of(step)
        return fates[min(attempt, len(fates)) - 1]

    def fates_of(self, step: str) -> tuple[Program, ...]:
        """Of a step or an item."""
        return self.fates.get(step) or self.fates.get(step.partition("[")[0], (WELL,))

    def fates_within(self, step: str) -> tuple[Program, ...]:
        """Of a step or an item, and of all that runs in its children."""
        below = f"{step.partition('[')[0]}/"
        nested = (fates for name, fates in self.fates.items() if name.startswith(below))
        return (*self.fates_of(step), *(fate for fates in nested for fate in fates))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """As they stand in the spec."""
        return list(self.spec["steps"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Workflows side by side, and how many replicas of the operator serve them."""

    name: str
    plans: tuple[Plan, ...]
    replicas: int = 1
    lag_seconds: float = 0.0  # how far the caches of the controllers may be behind
    lease: bool = False  # whether one leads, or all write at once and only the log stands between them
    cron: Mapping[str, Any] | None = None  # the spec of a CronWorkflow beside them, served where one leads
    cron_seconds: float = 0.0  # after so long somebody suspends it

    def workflow(self, place: int) -> str:
        """The name of the Workflow of this plan."""
        return self.name if not place else f"{self.name}-{place + 1}"

    def plan_of(self, workflow: str) -> Plan | None:
        """That of this Workflow; None if a CronWorkflow has started it."""
        names = {self.workflow(place): plan for place, plan in enumerate(self.plans)}
        return names.get(workflow)

    def unhurried(self) -> Scenario:
        """The same with nothing that cuts a run short: what each step comes to if only it is let."""
        plans = []
        for plan in self.plans:
            spec = {key: value for key, value in plan.spec.items() if key != "timeout"} | {"onFailure": "Continue"}
            plans.append(replace(plan, spec=spec, shutdown=None))
        return replace(self, plans=tuple(plans))


def step(name: str, *needs: str, **more: object) -> dict[str, object]:
    """One step of a spec."""
    return {"name": name, "script": "true", **({"dependsOn": list(needs)} if needs else {}), **more}


CLAIM = {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}


def nested(name: str, *needs: str, of: str, **more: object) -> dict[str, object]:
    """A step that is a Workflow of its own."""
    return {"name": name, "dependsOn": list(needs), "workflow": {"templateRef": {"name": of}}, **more}


def spec(*steps: dict[str, object], **more: object) -> dict[str, object]:
    """A Workflow's spec."""
    return {"defaults": {"image": "busybox:1.36"}, **more, "steps": list(steps)}


def show(value: object) -> str:
    """The value as Python that makes it again, without what is default."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = []
        for each in fields(value):
            own = getattr(value, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if own != default:
                parts.append(f"{each.name}={show(own)}")
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, tuple):
        return "(" + "".join(f"{show(each)}, " for each in value).strip() + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {show(each)}" for key, each in value.items()) + "}"
    return str(value) if isinstance(value, Enum) else repr(value)
