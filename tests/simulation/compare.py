"""I15: a run that suffered faults comes to what the same scenario comes to without any.

Strictly, phases and attempts, wherever the end does not hang on who was quicker. Where it does, what may differ is
said here: a run that is cut short (shutdown, timeout, a failure that stops others) may find each step earlier or
later in its life, so a step may also have been skipped or cancelled, not have been tried again, or come to what it
comes to when nothing cuts the run short. Where third parties took part nothing is compared: their deeds are a part of
the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.fakes.nodes import Program

from .ending import Ending
from .scenario import LOOSE, OUTPUTS, Plan, Scenario
from .story import parent_of
from .world import run

CUT = ("Skipped", "Cancelled")
KEPT_MAX = 64  # scenarios whose runs without faults are kept


class Baselines:
    """The runs without faults, each made when it is first asked for."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Ending]] = {}

    def of(self, scenario: Scenario) -> dict[str, Ending]:
        """How each workflow of the scenario ends by itself, under one replica."""
        key = repr(scenario)
        if key not in self._kept:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            outcome = run(replace(scenario, replicas=1, lease=False, lag_seconds=0.0))
            assert not outcome.violations, f"without a fault: {outcome.violations} in {scenario}"
            self._kept[key] = outcome.endings
        return self._kept[key]


def i15_the_outcome_is_that_of_a_run_without_faults(
    scenario: Scenario, endings: Mapping[str, Ending], baselines: Baselines
) -> list[str]:
    """I15."""
    faults = []
    for place, plan in enumerate(scenario.plans):
        name = scenario.workflow(place)
        found, right = endings.get(name), baselines.of(scenario).get(name)
        if found is None or right is None or found == right:
            continue
        free = baselines.of(scenario.unhurried()).get(name) if may_be_cut_short(plan, right) else None
        fault = _differs(plan, found, right, free)
        if fault:
            faults.append(f"{name}: {fault}")
    return faults


def may_be_cut_short(plan: Plan, right: Ending) -> bool:
    """Whether how far each step comes hangs on when something happens."""
    return plan.shutdown is not None or "timeout" in plan.spec or right.end == "Failed" or bool(_may_never_begin(plan))


def writes_well(fate: Program) -> bool:
    """Whether what it writes is what scenarios declare."""
    return fate.message.startswith(OUTPUTS) and not fate.message.endswith("x")


def _differs(plan: Plan, found: Ending, right: Ending, free: Ending | None) -> str:
    if free is None:
        differing = sorted(step for step in right.steps if found.steps.get(step) != right.steps[step])
        there, here = ({step: each.steps.get(step) for step in differing} for each in (right, found))
        return f"ended {found.end} {here}, without faults {right.end} {there}"
    ends = {right.end}
    if plan.shutdown is not None:
        ends |= {free.end, "Cancelled"}
    late = _may_never_begin(plan)
    if "timeout" in plan.spec or late:
        ends |= {free.end, "Failed"}
    if found.end not in ends:
        return f"ended {found.end}, without faults {right.end}"
    reacting = _reacting(plan)
    for step, (phase, _) in found.steps.items():
        if parent_of(step) in reacting:
            continue  # whether what it reacts to has failed or was cancelled hangs on who was quicker
        allowed = {each.steps[step][0] for each in (right, free) if step in each.steps} | {*CUT}
        declares = any("outputs" in each for each in plan.steps if each["name"] == parent_of(step))
        if any(fate.exit_code or (declares and not writes_well(fate)) for fate in plan.fates_within(step)):
            allowed.add("Failed")  # it was not tried again
        if parent_of(step) in late:
            allowed.add("Failed")
        if phase not in allowed:
            return f"step {step} ended {phase}, allowed are {sorted(allowed)}"
    return ""


def _may_never_begin(plan: Plan) -> set[str]:
    """The steps whose time may be over before their Job was released: those have failed, and nobody is asked."""
    bounds = ("timeout", "attemptTimeout")
    doubted = (step for step in plan.steps if step.get("onUnknown", "Retry") != "Retry")
    return {step["name"] for step in doubted if any(step.get(bound, LOOSE) != LOOSE for bound in bounds)}


def _reacting(plan: Plan) -> set[str]:
    """The steps that run where others fail, and all that rest on them. Needs stand before who needs them."""
    found: set[str] = set()
    for step in plan.steps:
        if step.get("runWhen") == "AnyFailed" or found & {*step.get("dependsOn", ())}:
            found.add(step["name"])
    return found
