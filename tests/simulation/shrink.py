"""The smallest run that still fails: first its script, by delta debugging, then its scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .scenario import Plan, Scenario
from .script import Script


def shrink(script: Script, fails: Callable[[Script], bool]) -> Script:
    """A part of `script` that fails and of which no entry can be left out. `script` itself is known to fail."""
    size = (len(script) + 1) // 2
    while size:
        for start in range(0, len(script), size):
            tried = script[:start] + script[start + size :]
            if fails(tried):
                return shrink(tried, fails)
        size //= 2
    return script


def shrink_scenario(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """A scenario that fails and of which nothing below can be left out. `scenario` itself is known to fail."""
    for tried in smaller(scenario):
        if fails(tried):
            return shrink_scenario(tried, fails)
    return scenario


def smaller(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario with one thing less."""
    if scenario.replicas > 1:
        yield replace(scenario, replicas=scenario.replicas - 1)
    if scenario.lag_seconds:
        yield replace(scenario, lag_seconds=0.0)
    for place, plan in enumerate(scenario.plans):
        before, after = scenario.plans[:place], scenario.plans[place + 1 :]
        if before or after:
            yield replace(scenario, plans=before + after)
        for step in plan.steps if len(plan.steps) > 1 else ():
            yield replace(scenario, plans=(*before, _without(plan, step["name"]), *after))


def _without(plan: Plan, name: str) -> Plan:
    """The plan without a step; whoever needed it does not."""
    steps = []
    for step in plan.steps:
        if step["name"] != name:
            needs = [need for need in step.get("dependsOn", ()) if need != name]
            rest = {key: value for key, value in step.items() if key != "dependsOn"}
            steps.append(rest | ({"dependsOn": needs} if needs else {}))
    fates = {step: fate for step, fate in plan.fates.items() if step.partition("[")[0] != name}
    return replace(plan, spec={**plan.spec, "steps": steps}, fates=fates)
