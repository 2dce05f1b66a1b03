"""Workflows that name a WorkflowTemplate: the two put together, or everything that is wrong with either.

Promises: pure and total. A param's value is one of its type, or refused; nothing is converted. What comes out is judged
by the very rules of a Workflow's spec, and what is wrong within the template is told as such. A template can be judged
alone, with values that fit its types. Must never read a cluster: the template is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from pydantic import ValidationError

from kipu.core.definition import Definition
from kipu.core.errors import Problem, UserError
from kipu.core.texts import nearest

from . import definition
from .passthrough import TEXT_LENGTH_MAX, JsonMap, printable
from .problems import translate
from .v1alpha1 import WorkflowSpec
from .v1alpha1_template import ParamType, TypedParam, WorkflowTemplateSpec

OF_ONE_RUN = ("adopt", "approvals", "rerun", "resolutions", "shutdown")  # fields that mean one run of one Workflow
# What a Workflow says itself although it names a template. All else is the template's.
BESIDE = ("templateRef", "params", "ttlAfterFinished", "suspend", "priority", *OF_ONE_RUN)
SAMPLES: Mapping[ParamType, object] = {
    ParamType.STRING: "",
    ParamType.INT: 0,
    ParamType.BOOL: False,
    ParamType.LIST: [],
    ParamType.OBJECT: {},
}
WORDS = {
    ParamType.STRING: "a string",
    ParamType.INT: "a whole number",
    ParamType.BOOL: "true or false",
    ParamType.LIST: "a list",
    ParamType.OBJECT: "an object",
}


def template_name(spec: object) -> str | None:
    """Which template a spec names; None if it is whole without one, or wrong."""
    reference = spec.get("templateRef") if isinstance(spec, Mapping) else None
    name = reference.get("name") if isinstance(reference, Mapping) else None
    return name if isinstance(name, str) else None


def check(spec: object) -> None:
    """Judge a spec as far as it can be without its template. Raises UserError with all problems."""
    if not isinstance(spec, Mapping) or spec.get("templateRef") is None:
        definition.parse(spec)
        return
    _reference(spec)


def resolve(spec: object, template: JsonMap | None) -> Definition:
    """The definition that a spec asks for by its template; None: there is none. Raises UserError with all problems."""
    assert isinstance(spec, Mapping)
    asked, name = _reference(spec), template_name(spec)
    if template is None:
        hint = "create it, then delete this Workflow and create it anew"
        raise UserError(
            (Problem(path="spec.templateRef.name", reason=f"there is no template '{name}' here", hint=hint),)
        )
    try:
        offered = _offered(template)
    except UserError as error:
        raise UserError(tuple(_within(name, error.problems))) from error
    given = {param.name: (place, param.value) for place, param in enumerate(asked.params or ())}
    if faults := tuple(chain(_unknown(given, offered), _missing(given, offered), _unfit(given, offered))):
        raise UserError(faults)
    values = {param.name: given[param.name][1] if param.name in given else param.default for param in offered}
    own = {key: spec[key] for key in BESIDE if key in spec and key != "templateRef"}
    try:
        return definition.parse(_whole(template, values) | {key: own[key] for key in own if key != "params"})
    except UserError as error:
        raise UserError(tuple(_within(name, error.problems))) from error


def of_one_run(spec: JsonMap, path: str, keys: Sequence[str] = OF_ONE_RUN) -> Iterator[Problem]:
    """What a template of many Workflows may not say."""
    for key in keys:
        if spec.get(key) is not None:
            hint = "it would hold for each of them"
            yield Problem(path=f"{path}.{key}", reason="is for one Workflow, not for a template", hint=hint)


def check_template(template: object) -> None:
    """Judge a WorkflowTemplate's spec alone. Raises UserError with all problems."""
    raw = template if isinstance(template, Mapping) else {}
    faults = [*of_one_run(raw, "spec", (*OF_ONE_RUN, "templateRef"))]
    try:
        offered = _offered(template)
        definition.parse(_whole(raw, {param.name: _sample(param) for param in offered}))
    except UserError as error:
        faults += error.problems
    if faults:
        raise UserError(tuple(faults))


# -- the Workflow's part -----------------------------------------------------------------------------


def _reference(spec: JsonMap) -> WorkflowSpec:
    """A spec that names a template, in its shape."""
    faults = [
        Problem(path=f"spec.{key}", reason="cannot stand beside templateRef", hint="the template says it")
        for key in spec
        if key not in BESIDE and spec[key] is not None and _is_field(key)
    ]
    found = None
    try:
        found = WorkflowSpec.model_validate(spec)
    except ValidationError as error:
        faults += translate(error, WorkflowSpec, "spec")
    names: dict[str, None] = {}
    for place, param in enumerate((found and found.params) or ()):
        if param.name in names:
            path = f"spec.params[{place}].name"
            faults.append(Problem(path=path, reason=f"'{param.name}' is already the name of a param"))
        names[param.name] = None
    if faults or found is None:
        raise UserError(tuple(faults))
    return found


def _is_field(key: str) -> bool:
    return any(key == field.alias for field in WorkflowSpec.model_fields.values())


# -- the template's part -----------------------------------------------------------------------------


def _offered(template: object) -> Sequence[TypedParam]:
    """The params of a template whose shape is sound."""
    try:
        params = WorkflowTemplateSpec.model_validate(template).params or []
    except ValidationError as error:
        raise UserError(tuple(translate(error, WorkflowTemplateSpec, "spec"))) from error
    faults: list[Problem] = []
    names: dict[str, None] = {}
    for place, param in enumerate(params):
        path = f"spec.params[{place}]"
        if param.name in names:
            faults.append(Problem(path=f"{path}.name", reason=f"'{param.name}' is already the name of a param"))
        names[param.name] = None
        listed = enumerate(param.enum or ())
        faults += [fault for n, value in listed for fault in _typed(param, value, f"{path}.enum[{n}]")]
        if param.default is not None:
            faults += _typed(param, param.default, f"{path}.default") or _listed(
                param, param.default, f"{path}.default"
            )
    if faults:
        raise UserError(tuple(faults))
    return params


def _whole(template: JsonMap, values: JsonMap) -> dict[str, object]:
    """The spec of a Workflow: the template's, with these values for its params."""
    params = [{"name": name, "value": value} for name, value in values.items()]
    return {**template, "params": params} if params else {key: template[key] for key in template if key != "params"}


def _sample(param: TypedParam) -> object:
    if param.default is not None:
        return param.default
    return param.enum[0] if param.enum else SAMPLES[param.type or ParamType.STRING]


# -- values ------------------------------------------------------------------------------------------

Given = Mapping[str, tuple[int, object]]  # by the name of a param: its place in spec.params, and its value


def _unknown(given: Given, offered: Sequence[TypedParam]) -> Iterator[Problem]:
    names = [param.name for param in offered]
    for name, (place, _) in given.items():
        if name not in names:
            reason = f"the template has no param '{printable(name)}'"
            hint = nearest(name[:TEXT_LENGTH_MAX], names)
            yield Problem(path=f"spec.params[{place}].name", reason=reason, hint=hint)


def _missing(given: Given, offered: Sequence[TypedParam]) -> Iterator[Problem]:
    for param in offered:
        if param.default is None and param.name not in given:
            reason = f"lacks '{param.name}', for which the template has no default"
            yield Problem(path="spec.params", reason=reason, hint=param.description or "")


def _unfit(given: Given, offered: Sequence[TypedParam]) -> Iterator[Problem]:
    for param in offered:
        if param.name in given:
            place, value = given[param.name]
            path = f"spec.params[{place}].value"
            yield from _typed(param, value, path) or _listed(param, value, path)


def _typed(param: TypedParam, value: object, path: str) -> list[Problem]:
    kind = param.type or ParamType.STRING
    if fits(kind, value):
        return []
    return [Problem(path=path, reason=f"must be {WORDS[kind]}: '{param.name}' is of type {kind}")]


def kind_of(value: object) -> ParamType:
    """What a param holds that has this value; a String, if it can have none such."""
    return next((kind for kind in ParamType if fits(kind, value)), ParamType.STRING)


def fits(kind: ParamType, value: object) -> bool:
    """Whether the value is of this type."""
    match kind:
        case ParamType.STRING:
            return isinstance(value, str)
        case ParamType.BOOL:
            return isinstance(value, bool)
        case ParamType.LIST:
            return isinstance(value, list)
        case ParamType.OBJECT:
            return isinstance(value, Mapping)
        case ParamType.INT:
            is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return is_whole and not isinstance(value, bool)


def _listed(param: TypedParam, value: object, path: str) -> list[Problem]:
    if param.enum is None or value in param.enum:
        return []
    choices = ", ".join(printable(str(choice)) for choice in param.enum[:10])
    return [Problem(path=path, reason=f"must be one of {choices}{', ...' * (len(param.enum) > 10)}")]


def _within(name: str | None, problems: Sequence[Problem]) -> Iterator[Problem]:
    """What is wrong in the template, told of the Workflow that names it."""
    for problem in problems:
        reason = f"in WorkflowTemplate '{name}', {problem.path}: {problem.reason}"
        yield Problem(path="spec.templateRef", reason=reason, hint=problem.hint)
