"""The Workflow of an attempt of a sub-workflow step (the child), and what such a step says of it.

Promises: pure and deterministic, as `jobs`: the same attempt under the same intent is the same child. It is an ordinary
Workflow: what it runs is its template's, and nothing of its parent reaches into it but params, priority and depth.
Must never look at the template: whether there is one, and whether the params fit, is judged when the child is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kipu.core.definition import Definition, Kind, Step
from kipu.core.errors import Problem
from kipu.core.graph import paths

from . import language, v1alpha1
from .jobs import PLACEHOLDER_ANNOTATION, AttemptRef, owned
from .passthrough import JsonMap, join
from .pods import mapping
from .scopes import filled
from .templates import has_expression
from .v1alpha1_base import API_VERSION, KIND

CHILDREN_AT_ONCE = 10  # of a fan-out that says nothing else: each is a Workflow, a log and all that the template runs
DEPTH_ANNOTATION = "kipu.dev/depth"  # how many Workflows are above this one
DEPTH_MAX = 8  # so that a template which names itself comes to an end


def read(given: JsonMap, path: str, problems: list[Problem]) -> JsonMap:
    """What a step's `workflow` asks for, fit for the log. Its shape is sound."""
    asked = v1alpha1.SubWorkflow.model_validate(given)
    language.params(asked.params or (), problems, f"{path}.params")
    for place, param in enumerate(asked.params or ()):
        problems.extend(_buried(param.value, f"{path}.params[{place}].value"))
    params = [{"name": param.name, "value": param.value} for param in asked.params or ()]
    return {"templateRef": {"name": asked.template_ref.name}} | ({"params": params} if params else {})


def _buried(value: object, path: str) -> Iterator[Problem]:
    """A param is an expression as a whole, or holds none."""
    inner: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, list):
        inner = iter(enumerate(value))
    elif isinstance(value, Mapping):
        inner = iter(value.items())
    for key, each in inner:
        if has_expression(each):
            hint = "write the whole value as one ${{ }}, which keeps its type"
            yield Problem(path=join(path, key), reason="expressions stand in a param's own text", hint=hint)
        yield from _buried(each, join(path, key))


def manifest(definition: Definition, step: Step, attempt: AttemptRef, *, depth: int) -> dict[str, object]:
    """The child of this attempt, at this depth."""
    return _workflow(definition, step, attempt, {DEPTH_ANNOTATION: str(depth)}, {})


def placeholder_manifest(definition: Definition, step: Step, attempt: AttemptRef, *, depth: int) -> dict[str, object]:
    """A child that ends before it starts anything, under the attempt's name: a create that was sent long ago then finds
    it taken."""
    annotations = {DEPTH_ANNOTATION: str(depth), PLACEHOLDER_ANNOTATION: "true"}
    ended = {"suspend": True, "shutdown": {"mode": "Terminate"}}  # nor does its `finally` run
    return _workflow(definition, step, attempt, annotations, ended)


def _workflow(
    definition: Definition,
    step: Step,
    attempt: AttemptRef,
    annotations: Mapping[str, str],
    more: JsonMap,
) -> dict[str, object]:
    asked = mapping(filled(step.pod, attempt.values), "workflow")
    priority = {"priority": definition.priority} if definition.priority else {}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": owned(attempt, annotations),
        "spec": {**asked, **priority, **more},
    }


def depth_of(annotations: Mapping[str, str]) -> int:
    """How many Workflows are above the one that is annotated so."""
    text = annotations.get(DEPTH_ANNOTATION, "")
    if not (text.isascii() and text.isdigit()):
        return 0
    return min(int(text[:3]), DEPTH_MAX)


def too_deep(definition: Definition, depth: int) -> tuple[Problem, ...]:
    """What is wrong with a Workflow that has children of its own at this depth."""
    if depth < DEPTH_MAX:
        return ()
    hint = "does a template name itself, or one that names it?"
    reason = f"sub-workflows may stand {DEPTH_MAX} deep, and this Workflow is one at depth {depth}"
    nested = zip(paths(definition.steps), definition.steps, strict=True)
    found = (path for path, step in nested if step.kind is Kind.WORKFLOW)
    first = next(found, None)
    return () if first is None else (Problem(path=f"{first}.workflow", reason=reason, hint=hint),)
