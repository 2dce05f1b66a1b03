"""What a spec says in the language, judged before the run: params, outputs, conditions, expressions in manifests.

Promises: total; every fault has its path, a reason and, where one is known, what to do. All references are resolved
here; what is left to the run is only what values decide. Must never evaluate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from kipu.core.definition import Definition, Output, Step, ValueType
from kipu.core.errors import Problem
from kipu.core.graph import PROBLEMS_MAX, Upstream, paths

from . import scopes, values
from .expressions import Expected, Expression, parse
from .passthrough import clean, join
from .references import Fault, Scope
from .templates import Template, parse_template
from .v1alpha1_language import Output as OutputSpec
from .v1alpha1_language import Param

PARAMS_BYTES_MAX = 64 * 1024  # of all values as JSON: they are read again for every expression that names one
EXPRESSIONS_MAX = 10_000  # of a workflow: 2 for each of 5,000 steps, 0.1 ms each to check = 1 s at most


def params(given: Sequence[Param], problems: list[Problem], whole: str = "spec.params") -> dict[str, object]:
    """The params by name, fit for the log. `whole` is the path of all of them."""
    found: dict[str, object] = {}
    for place, param in enumerate(given):
        path = f"{whole}[{place}]"
        if param.name in found:
            problems.append(Problem(path=f"{path}.name", reason=f"'{param.name}' is already the name of a param"))
        if param.value is None:
            problems.append(Problem(path=f"{path}.value", reason="is required", hint='"" is the empty text'))
        elif _has_fraction(param.value):
            hint = "put it in quotes, and write double(params.NAME) where a number is needed"
            problems.append(Problem(path=f"{path}.value", reason="holds a fraction", hint=hint))
        else:
            found[param.name] = clean(param.value, f"{path}.value", problems)
    if not problems and (size := len(values.canonical(found).encode())) > PARAMS_BYTES_MAX:
        reason = f"come to {size} bytes of JSON, at most {PARAMS_BYTES_MAX} are allowed"
        problems.append(Problem(path=whole, reason=reason, hint="keep large data in a volume or a ConfigMap"))
    return found


def outputs(given: Sequence[OutputSpec] | None) -> tuple[Output, ...]:
    """What a step declares."""
    return tuple(Output(name=one.name, type=one.type or ValueType.STRING) for one in given or ())


def problems(definition: Definition, upstream: Upstream | None) -> list[Problem]:
    """The first faults of everything that the steps say in the language.

    `upstream` is of a sound graph. None: it is not sound, and nothing is concluded from who waits for whom.
    """
    return list(islice(_problems(definition, upstream), PROBLEMS_MAX))


def _problems(definition: Definition, upstream: Upstream | None) -> Iterator[Problem]:
    yield from _adoption_problems(definition)
    names, count = scopes.names(definition), 0
    for step, path in zip(definition.steps, paths(definition.steps), strict=True):
        yield from _outputs_twice(step, path)
        said = list(scopes.templates(step.pod))
        whole = list(_of_the_whole(step))
        count += len(said) + len(whole)
        if count > EXPRESSIONS_MAX:
            yield Problem(path=path, reason=f"a workflow holds at most {EXPRESSIONS_MAX} expressions")
            return
        if said or whole:
            scope = scopes.scope(names, step)
            if upstream is not None:
                scope = replace(scope, is_upstream=partial(upstream.holds, step.name))
            for where, text, expected in whole:
                found = parse(text, scopes.outside(scope), expected)
                if not isinstance(found, Expression):
                    yield from _told(found, f"{path}.{where}")
            yield from _text_problems(said, scope, path)


def _adoption_problems(definition: Definition) -> Iterator[Problem]:
    """What is adopted brings its outputs: nobody can ask its program again."""
    steps = {step.name: step for step in definition.steps}
    for place, adopted in enumerate(definition.adopt.steps if definition.adopt else ()):
        declared = {output.name: output.type for output in steps[adopted.name].outputs} if adopted.name in steps else {}
        given, path = adopted.outputs or {}, f"spec.adopt.steps[{place}].outputs"
        if declared and steps[adopted.name].for_each is not None:
            reason = f"step '{adopted.name}' is a fan-out with outputs, for which no single record stands"
            yield Problem(path=f"spec.adopt.steps[{place}].name", reason=reason, hint="leave it out: it runs again")
            continue
        unsound: list[Problem] = []
        clean(given, path, unsound)
        yield from unsound
        for name in sorted({*declared, *given}):
            if name not in given:
                yield Problem(path=path, reason=f"output '{name}' is missing", hint="'kipu salvage' writes all of them")
            elif name not in declared:
                yield Problem(path=join(path, name), reason=f"step '{adopted.name}' declares no such output")
            elif not values.is_recorded(given[name], declared[name]):
                hint = "write it as the record holds it"
                yield Problem(path=join(path, name), reason=f"is not a recorded {declared[name]}", hint=hint)


def _of_the_whole(step: Step) -> Iterator[tuple[str, str, Expected]]:
    """What is asked once for a step, whatever its items."""
    if step.when is not None:
        yield "when", step.when, Expected.CONDITION
    if step.for_each is not None and step.for_each.expression is not None:
        yield "forEach.expression", step.for_each.expression, Expected.ITEMS


def _text_problems(said: Sequence[tuple[str, str]], scope: Scope, path: str) -> Iterator[Problem]:
    for where, text in said:
        template = parse_template(text, scope)
        if not isinstance(template, Template):
            yield from _told(template, f"{path}.{where}")


def _told(faults: Sequence[Fault], path: str) -> Iterator[Problem]:
    return (Problem(path=path, reason=fault.reason, hint=fault.hint) for fault in faults)


def _outputs_twice(step: Step, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, output in enumerate(step.outputs):
        if output.name in seen:
            reason = f"'{output.name}' is already the name of an output"
            yield Problem(path=f"{path}.outputs[{place}].name", reason=reason)
        seen.add(output.name)


def _has_fraction(value: object) -> bool:
    match value:
        case float():
            return not value.is_integer()
        case list():
            return any(map(_has_fraction, value))
        case Mapping():
            return any(map(_has_fraction, value.values()))
    return False
