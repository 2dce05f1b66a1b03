"""The recorded form of a definition, inside `WorkflowAccepted` and thus for ever.

Promises: from_json(to_json(d)) == d; a key that is absent means None, empty or the default of the time before the
key existed, so that old records read as they always did. A key or a word that is not known here is NotUnderstood, for
all of a definition counts (ADR 0019). Must never apply a default that may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from .definition import (
    AdoptedStep,
    Adoption,
    Approval,
    Backoff,
    Definition,
    Effects,
    ForEach,
    Jitter,
    Kind,
    OnFailure,
    OnUnknown,
    Output,
    Retry,
    RunWhen,
    Step,
    ValueType,
    Workspace,
)

Word = TypeVar("Word", bound=Enum)

DEFINITION_KEYS = frozenset(
    {"adopt", "finallyTimeoutMs", "onFailure", "parallelism", "params", "podDefaults", "priority", "steps"}
    | {"timeoutMs", "workspace"}
)
STEP_KEYS = frozenset(
    {"allowFailure", "approval", "attemptTimeoutMs", "dependsOn", "effects", "finally", "forEach", "inputs", "kind"}
    | {"name", "onUnknown", "outputs", "pod", "retry", "runWhen", "startTimeoutMs", "timeoutMs", "waitMs", "when"}
)
RETRY_KEYS = frozenset({"factor", "initialMs", "jitter", "maxAttempts", "maxMs", "nonRetryableExitCodes"})
OUTPUT_KEYS = frozenset({"name", "type"})
APPROVAL_KEYS = frozenset({"message", "timeoutMs"})
FOR_EACH_KEYS = frozenset({"count", "expression", "items", "maxFailures", "parallelism"})
WORKSPACE_KEYS = frozenset({"claimName", "claimTemplate"})
ADOPTION_KEYS = frozenset({"run", "steps", "workflowUid"})
ADOPTED_KEYS = frozenset({"hash", "name", "outputs", "position"})


class NotUnderstood(ValueError):
    """A key or a word of a definition that this release does not know."""


def to_json(definition: Definition) -> dict[str, object]:
    """The recorded form; absent keys mean None or empty."""
    return _without_none(
        {
            "adopt": None if definition.adopt is None else _adoption_to_json(definition.adopt),
            "finallyTimeoutMs": definition.finally_timeout_ms,
            "onFailure": definition.on_failure.value,
            "parallelism": definition.parallelism,
            "params": definition.params or None,
            "podDefaults": definition.pod_defaults or None,
            "priority": definition.priority or None,
            "steps": [_step_to_json(step) for step in definition.steps],
            "timeoutMs": definition.timeout_ms,
            "workspace": None if definition.workspace is None else _workspace_to_json(definition.workspace),
        }
    )


def from_json(raw: Mapping[str, object]) -> Definition:
    """The inverse of `to_json`. Raises NotUnderstood; KeyError, TypeError or ValueError on a record that is not one."""
    _check_keys(raw, DEFINITION_KEYS)
    return Definition(
        steps=tuple(_step_from_json(step) for step in _objects(raw["steps"])),
        parallelism=_optional_int(raw.get("parallelism")),
        priority=_int(raw.get("priority", 0)),
        timeout_ms=_optional_int(raw.get("timeoutMs")),
        on_failure=_word(OnFailure, raw["onFailure"]),
        pod_defaults=_object(raw.get("podDefaults", {})),
        adopt=_adoption_from_json(_object(raw["adopt"])) if "adopt" in raw else None,
        params=_object(raw.get("params", {})),
        finally_timeout_ms=_optional_int(raw.get("finallyTimeoutMs")),
        workspace=_workspace_from_json(_object(raw["workspace"])) if "workspace" in raw else None,
    )


def _workspace_to_json(workspace: Workspace) -> dict[str, object]:
    return _without_none({"claimName": workspace.claim_name, "claimTemplate": workspace.claim_template})


def _workspace_from_json(raw: Mapping[str, object]) -> Workspace:
    _check_keys(raw, WORKSPACE_KEYS)
    return Workspace(
        claim_name=_text(raw["claimName"]) if "claimName" in raw else None,
        claim_template=_object(raw["claimTemplate"]) if "claimTemplate" in raw else None,
    )


def _adoption_to_json(adoption: Adoption) -> dict[str, object]:
    return {
        "run": adoption.run,
        "steps": [
            _without_none({"hash": step.hash, "name": step.name, "outputs": step.outputs, "position": step.position})
            for step in adoption.steps
        ],
        "workflowUid": adoption.workflow_uid,
    }


def _adoption_from_json(raw: Mapping[str, object]) -> Adoption:
    _check_keys(raw, ADOPTION_KEYS)
    return Adoption(
        workflow_uid=_text(raw["workflowUid"]),
        run=_int(raw["run"]),
        steps=tuple(
            AdoptedStep(
                name=_text(step["name"]),
                position=_int(step["position"]),
                hash=_text(step["hash"]),
                outputs=_outputs(step["outputs"]) if "outputs" in step else None,
            )
            for step in _closed(raw["steps"], ADOPTED_KEYS)
        ),
    )


def _step_to_json(step: Step) -> dict[str, object]:
    backoff = step.retry.backoff
    return _without_none(
        {
            "allowFailure": step.allow_failure or None,
            "approval": None if step.approval is None else _approval_to_json(step.approval),
            "attemptTimeoutMs": step.attempt_timeout_ms,
            "dependsOn": list(step.depends_on) or None,
            "effects": None if step.effects is Effects.IDEMPOTENT else step.effects.value,
            "finally": step.in_finally or None,
            "inputs": list(step.inputs) or None,
            "kind": None if step.kind is Kind.RUN else step.kind.value,
            "forEach": None if step.for_each is None else _for_each_to_json(step.for_each),
            "name": step.name,
            "onUnknown": None if step.on_unknown is OnUnknown.ASK else step.on_unknown.value,
            "outputs": [{"name": output.name, "type": output.type.value} for output in step.outputs] or None,
            "pod": step.pod or None,
            "retry": {
                "factor": backoff.factor,
                "initialMs": backoff.initial_ms,
                "jitter": backoff.jitter.value,
                "maxAttempts": step.retry.max_attempts,
                "maxMs": backoff.max_ms,
                "nonRetryableExitCodes": list(step.retry.non_retryable_exit_codes),
            },
            "runWhen": step.run_when.value,
            "startTimeoutMs": step.start_timeout_ms,
            "timeoutMs": step.timeout_ms,
            "when": step.when,
            "waitMs": step.wait_ms,
        }
    )


def _approval_to_json(approval: Approval) -> dict[str, object]:
    return _without_none({"message": approval.message or None, "timeoutMs": approval.timeout_ms})


def _approval_from_json(raw: Mapping[str, object]) -> Approval:
    _check_keys(raw, APPROVAL_KEYS)
    return Approval(message=_text(raw.get("message", "")), timeout_ms=_optional_int(raw.get("timeoutMs")))


def _step_from_json(raw: Mapping[str, object]) -> Step:
    _check_keys(raw, STEP_KEYS)
    retry = _object(raw["retry"])
    _check_keys(retry, RETRY_KEYS)
    return Step(
        name=_text(raw["name"]),
        depends_on=tuple(_text(name) for name in _list(raw.get("dependsOn", []))),
        run_when=_word(RunWhen, raw["runWhen"]),
        allow_failure=_bool(raw.get("allowFailure", False)),
        retry=Retry(
            max_attempts=_int(retry["maxAttempts"]),
            backoff=Backoff(
                initial_ms=_int(retry["initialMs"]),
                factor=_int(retry["factor"]),
                max_ms=_int(retry["maxMs"]),
                jitter=_word(Jitter, retry["jitter"]),
            ),
            non_retryable_exit_codes=tuple(_int(code) for code in _list(retry["nonRetryableExitCodes"])),
        ),
        start_timeout_ms=_optional_int(raw.get("startTimeoutMs")),
        attempt_timeout_ms=_optional_int(raw.get("attemptTimeoutMs")),
        timeout_ms=_optional_int(raw.get("timeoutMs")),
        effects=_word(Effects, raw.get("effects", Effects.IDEMPOTENT)),
        on_unknown=_word(OnUnknown, raw.get("onUnknown", OnUnknown.ASK)),
        pod=_object(raw.get("pod", {})),
        kind=_word(Kind, raw.get("kind", Kind.RUN.value)),
        in_finally=_bool(raw.get("finally", False)),
        approval=_approval_from_json(_object(raw["approval"])) if "approval" in raw else None,
        wait_ms=_optional_int(raw.get("waitMs")),
        inputs=tuple(_text(name) for name in _list(raw.get("inputs", []))),
        for_each=_for_each_from_json(_object(raw["forEach"])) if "forEach" in raw else None,
        when=None if raw.get("when") is None else _text(raw["when"]),
        outputs=tuple(
            Output(name=_text(output["name"]), type=_word(ValueType, output["type"]))
            for output in _closed(raw.get("outputs", []), OUTPUT_KEYS)
        ),
    )


def _for_each_to_json(for_each: ForEach) -> dict[str, object]:
    return _without_none(
        {
            "count": for_each.count,
            "expression": for_each.expression,
            "items": None if for_each.items is None else list(for_each.items),
            "maxFailures": for_each.max_failures,
            "parallelism": for_each.parallelism,
        }
    )


def _for_each_from_json(raw: Mapping[str, object]) -> ForEach:
    _check_keys(raw, FOR_EACH_KEYS)
    return ForEach(
        items=tuple(_list(raw["items"])) if "items" in raw else None,
        count=_optional_int(raw.get("count")),
        expression=None if raw.get("expression") is None else _text(raw["expression"]),
        parallelism=_int(raw["parallelism"]),
        max_failures=_int(raw["maxFailures"]),
    )


def _outputs(value: object) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {}
    for name, output in _object(value).items():
        if not isinstance(output, str | int):  # a bool is an int
            raise TypeError(f"expected an output, got {type(output).__name__}")
        found[name] = output
    return found


def _without_none(raw: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in raw.items() if value is not None}


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return value


def _objects(value: object) -> list[Mapping[str, object]]:
    return [_object(item) for item in _list(value)]


def _closed(value: object, known: frozenset[str]) -> list[Mapping[str, object]]:
    found = _objects(value)
    for item in found:
        _check_keys(item, known)
    return found


def _check_keys(raw: Mapping[str, object], known: frozenset[str]) -> None:
    if not raw.keys() <= known:
        raise NotUnderstood(f"the key '{min(raw.keys() - known)}', which is not known here,")


def _word(kind: type[Word], value: object) -> Word:
    try:
        return kind(_text(value))
    except ValueError as error:
        raise NotUnderstood(f"the {kind.__name__} '{value}', which is not known here,") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {type(value).__name__}")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, got {type(value).__name__}")
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {type(value).__name__}")
    return value


def _optional_int(value: object) -> int | None:
    return None if value is None else _int(value)
