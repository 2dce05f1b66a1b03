"""`.spec` of a Workflow -> `core.Definition`, with every default applied, or everything that is wrong with it.

Promises: total: any JSON value gives a Definition or a UserError that names each fault that can be judged, with
its path, a plain reason and a hint; the same spec gives the same Definition and the same hash everywhere.
Must never trust the CRD or an admission policy to have checked anything: both may be absent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import ConfigDict, TypeAdapter, ValidationError

from kipu.core import adoption
from kipu.core.definition import (
    FINALLY_MAX,
    ITEMS_UNDER_WAY_MAX,
    STEPS_MAX,
    AdoptedStep,
    Adoption,
    Approval,
    Backoff,
    Definition,
    Effects,
    ForEach,
    Kind,
    OnFailure,
    OnUnknown,
    Retry,
    RunWhen,
    Step,
)
from kipu.core.errors import Problem, UserError
from kipu.core.graph import Upstream, check

from . import fan_out, language, sub_workflows, v1alpha1, v1alpha1_base, v1alpha1_pod, workspace
from .durations import for_people, to_ms
from .passthrough import DEPTH_MAX, INT_MAX, JsonMap, clean, merge
from .pods import mapping
from .problems import translate
from .rules import step_problems, template_problems

MUTABLE = frozenset({"approvals", "rerun", "resolutions", "shutdown", "suspend", "ttlAfterFinished"})
LISTS = {"steps": STEPS_MAX, "finally": FINALLY_MAX}
CONTAINER_FIELDS = tuple(field.alias or name for name, field in v1alpha1_pod.Container.model_fields.items())


def parse(raw: object) -> Definition:
    """The definition that a spec asks for. Raises UserError with all problems."""
    problems: list[Problem] = []
    try:
        spec = v1alpha1.WorkflowSpec.model_validate(raw)
    except ValidationError as error:
        problems.extend(translate(error, v1alpha1.WorkflowSpec, "spec"))
        spec = None
    if isinstance(raw, Mapping) and raw.get("steps") is None:
        problems.append(Problem(path="spec.steps", reason="is required"))
    # Only objects have got through whole; of what has not, the sound parts are judged all the same.
    sound = raw if isinstance(raw, Mapping) else {}
    defaults = _cleaned_defaults(sound, problems)
    steps = list(_sound_steps(sound, whole=spec is not None))
    pods = {path: _pod(step, path, problems) for path, step in steps}
    retries = {path: _retry(defaults, step, path, problems) for path, step in steps}
    for path, step in steps:
        problems.extend(step_problems(step, pods[path], defaults, path))
    problems.extend(_count_problems(sound))
    fans = {
        path: fan_out.read(mapping(step, "forEach"), f"{path}.forEach", problems, at_once=_at_once(step))
        for path, step in steps
        if step.get("forEach") is not None
    }
    problems.extend(fan_out.in_all(fans))
    graph_problems = _graph_problems(sound)
    problems.extend(graph_problems)
    if spec is None:
        raise UserError(tuple(problems))
    params = language.params(spec.params or (), problems)
    definition = _definition(spec, defaults or {}, pods, retries, fans, params)
    silent = {step.name for step in (*(spec.steps or ()), *(spec.finally_ or ())) if step.inputs is None}
    definition = workspace.with_inputs(replace(definition, workspace=workspace.read(spec.workspace, problems)), silent)
    upstream = None if graph_problems else Upstream(definition)
    problems.extend(language.problems(definition, upstream))
    problems.extend(workspace.problems(definition, upstream))
    if problems:
        raise UserError(tuple(problems))
    return definition


def immutable_part(raw: JsonMap) -> dict[str, object]:
    """What must not change once the workflow is accepted."""
    return {key: value for key, value in raw.items() if key not in MUTABLE}


def spec_hash(raw: JsonMap) -> str:
    """SHA-256, in hex, of the canonical JSON of the immutable part. Total; tells sound specs apart."""
    canonical = _hashable(immutable_part(raw))
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hashable(value: object, depth: int = 0) -> object:
    if depth > DEPTH_MAX + 10:
        return "nested too deep"  # refused anyway: the sound ones end at DEPTH_MAX below a step's template
    if isinstance(value, Mapping):
        return {key: _hashable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_hashable(item, depth + 1) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= INT_MAX else repr(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INT_MAX:
        return hex(value)  # decimal text of a huge number is refused by Python
    return value


# -- the sound parts ---------------------------------------------------------------------------------


def _cleaned_defaults(raw: JsonMap, problems: list[Problem]) -> JsonMap | None:
    """`spec.defaults`, fit for the log; None if its shape is wrong, so that nothing is concluded from it."""
    given = raw.get("defaults")
    if given is None:
        return {}
    if not _is_sound(v1alpha1.Defaults, given):
        return None
    assert isinstance(given, Mapping)
    defaults: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if "template" in defaults:
        defaults["template"] = clean(defaults["template"], "spec.defaults.template", problems)
        problems.extend(template_problems(defaults, "spec.defaults"))
    problems.extend(_backoff_problems(_as_retry(defaults.get("retry")), "spec.defaults.retry"))
    return defaults


def _sound_steps(raw: JsonMap, *, whole: bool) -> Iterator[tuple[str, JsonMap]]:
    """Each with its path: those of `steps`, then those of `finally`."""
    for field, count_max in LISTS.items():
        steps = raw.get(field)
        if isinstance(steps, list) and len(steps) <= count_max:
            for place, step in enumerate(steps):
                if whole or _is_sound(v1alpha1.Step, step):
                    yield f"spec.{field}[{place}]", step


def _count_problems(raw: JsonMap) -> Iterator[Problem]:
    lists = {field: steps for field in LISTS if isinstance(steps := raw.get(field), list)}
    count = sum(map(len, lists.values()))
    if count > STEPS_MAX and all(len(steps) <= LISTS[field] for field, steps in lists.items()):
        reason = f"there are {count} steps together with those of finally; at most {STEPS_MAX} may be"
        yield Problem(path="spec.finally", reason=reason, hint="split the workflow in several")


def _is_sound(model: type[v1alpha1_base.Model], raw: object) -> bool:
    try:
        model.model_validate(raw)
    except ValidationError:
        return False
    return True


def _pod(step: JsonMap, path: str, problems: list[Problem]) -> dict[str, object]:
    """What the step runs, unmerged: the log keeps it as small as it was written."""
    if step.get("workflow") is not None:
        return {"workflow": sub_workflows.read(mapping(step, "workflow"), f"{path}.workflow", problems)}
    container = {key: step[key] for key in CONTAINER_FIELDS if step.get(key) is not None}
    pod = {"container": clean(container, path, problems), "script": step.get("script"), "template": None}
    if pod["script"] is not None:
        clean(pod["script"], f"{path}.script", problems)
    if step.get("template") is not None:
        pod["template"] = clean(step["template"], f"{path}.template", problems)
    pod["job"] = {key: value for key, value in mapping(step, "job").items() if value is not None}
    return {key: value for key, value in pod.items() if value}


def _at_once(step: JsonMap) -> int:
    """How many items of a fan-out are under way at once, if it does not say."""
    return ITEMS_UNDER_WAY_MAX if step.get("workflow") is None else sub_workflows.CHILDREN_AT_ONCE


# -- retries -----------------------------------------------------------------------------------------


def _retry(defaults: JsonMap | None, step: JsonMap, path: str, problems: list[Problem]) -> Retry:
    """The step's retry laid on that of the defaults, field by field."""
    given, own = (defaults or {}).get("retry"), step.get("retry")
    if own is None:
        return _as_retry(given)
    assert isinstance(own, Mapping)
    retry = _as_retry(merge(given if isinstance(given, Mapping) else {}, own))
    problems.extend(_backoff_problems(retry, f"{path}.retry"))
    return retry


def _as_retry(raw: object) -> Retry:
    retry = v1alpha1.Retry.model_validate(raw or {})
    backoff, default = retry.backoff or v1alpha1.Backoff(), Backoff()
    return Retry(
        max_attempts=retry.max_attempts or Retry().max_attempts,
        backoff=Backoff(
            initial_ms=_ms(backoff.initial) or default.initial_ms,
            factor=backoff.factor or default.factor,
            max_ms=_ms(backoff.max) or default.max_ms,
            jitter=backoff.jitter or default.jitter,
        ),
        non_retryable_exit_codes=tuple(retry.non_retryable_exit_codes or ()),
    )


def _backoff_problems(retry: Retry, path: str) -> Iterator[Problem]:
    initial_ms, max_ms = retry.backoff.initial_ms, retry.backoff.max_ms
    if initial_ms > max_ms:
        yield Problem(
            path=f"{path}.backoff",
            reason=f"initial ({for_people(initial_ms)}) is longer than max ({for_people(max_ms)})",
            hint="raise max, or lower initial",
        )


# -- the graph ---------------------------------------------------------------------------------------


class _Node(v1alpha1_base.Model):
    model_config = ConfigDict(extra="ignore")
    name: v1alpha1_base.Name
    depends_on: list[v1alpha1_base.Name] | None = None
    run_when: object = None  # judged elsewhere; what is no rule hides nothing here


_NODES = TypeAdapter(list[_Node])


def _graph_problems(raw: JsonMap) -> tuple[Problem, ...]:
    """Judged whenever the names and edges can be read, whatever else is wrong."""
    steps, last, adopt = raw.get("steps"), raw.get("finally") or [], raw.get("adopt")
    if not isinstance(steps, list) or not isinstance(last, list):
        return ()
    if len(steps) > STEPS_MAX or len(last) > FINALLY_MAX:
        return ()
    try:
        nodes = [*_nodes(steps, in_finally=False), *_nodes(last, in_finally=True)]
    except ValidationError:
        return ()
    definition = Definition(
        steps=tuple(nodes),
        adopt=_adoption(v1alpha1.Adopt.model_validate(adopt)) if _is_sound(v1alpha1.Adopt, adopt) else None,
    )
    return check(definition) or adoption.check(definition)


def _nodes(steps: list[object], *, in_finally: bool) -> Iterator[Step]:
    """Raises ValidationError."""
    for node in _NODES.validate_python(steps):
        needs = tuple(node.depends_on or ())
        yield Step(name=node.name, depends_on=needs, run_when=_rule(node), in_finally=in_finally)


def _rule(node: _Node) -> RunWhen:
    return RunWhen.ANY_FAILED if node.run_when == RunWhen.ANY_FAILED else RunWhen.ALL_SUCCEEDED


def _adoption(adopt: v1alpha1.Adopt) -> Adoption:
    return Adoption(
        workflow_uid=adopt.workflow_uid,
        run=adopt.run,
        steps=tuple(AdoptedStep(name=s.name, position=s.position, hash=s.hash, outputs=s.outputs) for s in adopt.steps),
    )


# -- the definition ----------------------------------------------------------------------------------


def _definition(
    spec: v1alpha1.WorkflowSpec,
    defaults: JsonMap,
    pods: Mapping[str, JsonMap],
    retries: Mapping[str, Retry],
    fans: Mapping[str, ForEach],
    params: JsonMap,
) -> Definition:
    attempt_timeout = spec.defaults.attempt_timeout if spec.defaults else None
    return Definition(
        steps=tuple(
            replace(
                _step(step, f"spec.{field}[{place}]", pods, retries, attempt_timeout, in_finally=field == "finally"),
                for_each=fans.get(f"spec.{field}[{place}]"),
                when=step.when,
                outputs=language.outputs(step.outputs),
                inputs=tuple(step.inputs or ()),
            )
            for field, steps in (("steps", spec.steps or ()), ("finally", spec.finally_ or ()))
            for place, step in enumerate(steps)
        ),
        parallelism=spec.parallelism,
        priority=spec.priority or 0,
        timeout_ms=_ms(spec.timeout),
        finally_timeout_ms=_ms(spec.finally_timeout),
        on_failure=spec.on_failure or OnFailure.FINISH_RUNNING,
        adopt=None if spec.adopt is None else _adoption(spec.adopt),
        params=params,
        pod_defaults={key: defaults[key] for key in ("image", "template") if key in defaults},
    )


def _step(
    step: v1alpha1.Step,
    path: str,
    pods: Mapping[str, JsonMap],
    retries: Mapping[str, Retry],
    attempt_timeout: str | None,
    *,
    in_finally: bool,
) -> Step:
    common = Step(
        name=step.name,
        depends_on=tuple(step.depends_on or ()),
        run_when=step.run_when or RunWhen.ALL_SUCCEEDED,
        allow_failure=step.allow_failure or False,
        in_finally=in_finally,
    )
    if step.approval is not None:
        asked = Approval(message=step.approval.message or "", timeout_ms=_ms(step.approval.timeout))
        return replace(common, kind=Kind.APPROVAL, approval=asked)
    if step.wait is not None:
        return replace(common, kind=Kind.WAIT, wait_ms=_ms(step.wait.duration))
    if step.workflow is not None:
        return replace(common, kind=Kind.WORKFLOW, retry=retries[path], timeout_ms=_ms(step.timeout), pod=pods[path])
    return replace(
        common,
        retry=retries[path],
        start_timeout_ms=_ms(step.start_timeout),
        attempt_timeout_ms=_ms(step.attempt_timeout or attempt_timeout),
        timeout_ms=_ms(step.timeout),
        effects=step.effects or Effects.IDEMPOTENT,
        on_unknown=step.on_unknown or OnUnknown.ASK,
        pod=pods[path],
    )


def _ms(duration: str | None) -> int | None:
    return None if duration is None else to_ms(duration)
