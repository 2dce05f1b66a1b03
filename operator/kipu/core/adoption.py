"""What a workflow may take over from another one's log: which steps can count as done without running.

The rule: a step is adopted only together with all that it needs, and never one that runs after failures alone
(AnyFailed) or at the end (`finally`). So whatever an adopted step was made of counts as done too, and every step that
runs in this workflow has everything after it run again: there is no result that is older than what it rests on. What a
rerun of the same workflow keeps follows the same rule.

Promises: linear in steps plus edges; `adoptable` gives what `check` takes. Must never judge whether the other
log says so: nothing here sees it (ADR 0010).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice

from .definition import Adoption, Definition, RunWhen, Step
from .errors import Problem
from .graph import PROBLEMS_MAX, build, no_step


def check(definition: Definition) -> tuple[Problem, ...]:
    """The first PROBLEMS_MAX faults of what is to be adopted, in a definition whose graph is sound."""
    if definition.adopt is None:
        return ()
    return tuple(islice(_problems(definition, definition.adopt), PROBLEMS_MAX))


def adoptable(definition: Definition, succeeded: Collection[str]) -> tuple[str, ...]:
    """The names, in the order of the steps, that can all be adopted together if these have succeeded."""
    graph = build(definition)
    held = [step.name in succeeded and _can_be_done(step) for step in definition.steps]
    dropped = deque(place for place, holds in enumerate(held) if not holds)
    while dropped:
        for dependent in graph.dependents[dropped.popleft()]:
            if held[dependent]:
                held[dependent] = False
                dropped.append(dependent)
    return tuple(step.name for step, holds in zip(definition.steps, held, strict=True) if holds)


def _problems(definition: Definition, adoption: Adoption) -> Iterator[Problem]:
    steps = {step.name: step for step in definition.steps}
    first_place: dict[str, int] = {}
    for place, adopted in enumerate(adoption.steps):
        first_place.setdefault(adopted.name, place)
    for place, adopted in enumerate(adoption.steps):
        path = f"spec.adopt.steps[{place}].name"
        if adopted.name not in steps:
            yield no_step(adopted.name, steps, path)
        elif first_place[adopted.name] != place:
            reason = f"'{adopted.name}' is already adopted by spec.adopt.steps[{first_place[adopted.name]}]"
            yield Problem(path=path, reason=reason, hint="remove one of the two")
        else:
            yield from _rule_problems(steps[adopted.name], first_place, path)


def _rule_problems(step: Step, adopted: Collection[str], path: str) -> Iterator[Problem]:
    if step.in_finally:
        yield Problem(path=path, reason=f"step '{step.name}' is one of finally, which always runs", hint="leave it out")
    elif not _can_be_done(step):
        reason = f"step '{step.name}' runs only after a failure, and nothing that is adopted has failed"
        yield Problem(path=path, reason=reason, hint="leave it out")
    for need in step.depends_on:
        if need not in adopted:
            reason = f"step '{step.name}' needs '{need}', which is not adopted and runs again"
            yield Problem(path=path, reason=reason, hint=f"adopt '{need}' too, or leave '{step.name}' out")


def _can_be_done(step: Step) -> bool:
    return step.run_when is not RunWhen.ANY_FAILED and not step.in_finally
