"""What a workflow is asked to do: the normalised spec, with every default applied.

Promises: immutable; complete (no default is looked up later, so an upgrade cannot change a running
workflow); `to_json` and `from_json` are the recorded form inside `WorkflowAccepted` and thus for ever.
Must never know about Kubernetes: what a step runs is the opaque object `pod`, read by `api.jobs` alone.

All durations are whole milliseconds. `None` means "no limit".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

JsonObject = Mapping[str, object]

STEPS_MAX = 5_000  # design 04: a Workflow of 5,000 small steps still fits one etcd object (1.5 MiB)
ATTEMPTS_MAX = 100  # bounds the records of one step: 100 attempts x 3 records x 0.4 KiB = 120 KiB
DISRUPTIONS_MAX = 10  # evictions and node losses do not use up maxAttempts, but they end too


class OnFailure(StrEnum):
    """What a step's failure means for the steps that do not depend on it."""

    FINISH_RUNNING = "FinishRunning"  # start nothing new, let what has started end
    CANCEL_RUNNING = "CancelRunning"  # take down what runs as well
    CONTINUE = "Continue"  # independent branches go on


class RunWhen(StrEnum):
    """The rule on a step's dependencies that lets it start; judged once all of them are finished."""

    ALL_SUCCEEDED = "AllSucceeded"
    ALL_FINISHED = "AllFinished"
    ANY_FAILED = "AnyFailed"


class Jitter(StrEnum):
    """`Full`: a wait drawn evenly from 0 to the computed backoff. `None`: the backoff itself."""

    FULL = "Full"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits before attempt 2, 3, ...: initial, initial x factor, ... up to the cap."""

    initial_ms: int = 5_000
    factor: int = 2
    max_ms: int = 300_000
    jitter: Jitter = Jitter.FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`max_attempts` counts the first attempt; 1 means no retry."""

    max_attempts: int = 1
    backoff: Backoff = Backoff()
    non_retryable_exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the graph."""

    name: str
    depends_on: tuple[str, ...] = ()
    run_when: RunWhen = RunWhen.ALL_SUCCEEDED
    allow_failure: bool = False
    retry: Retry = Retry()
    start_timeout_ms: int | None = None  # from scheduling to the first running container
    attempt_timeout_ms: int | None = None  # one attempt, from its Job's startTime
    timeout_ms: int | None = None  # the whole step with its retries, from its first scheduling
    pod: JsonObject = field(default_factory=dict)  # opaque to the core


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedStep:
    """A step that counts as done, and the record of another log that says so."""

    name: str
    position: int
    hash: str  # in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What this workflow takes over from a run of another one. Known to be sound: `adoption.check` ran."""

    workflow_uid: str
    run: int
    steps: tuple[AdoptedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole workflow. Its graph is known to be sound: `graph.check` ran before it was accepted."""

    steps: tuple[Step, ...]
    parallelism: int | None = None  # Jobs at once
    timeout_ms: int | None = None
    on_failure: OnFailure = OnFailure.FINISH_RUNNING
    pod_defaults: JsonObject = field(default_factory=dict)  # opaque to the core
    adopt: Adoption | None = None


def to_json(definition: Definition) -> dict[str, object]:
    """The recorded form; absent keys mean None or empty."""
    return _without_none(
        {
            "adopt": None if definition.adopt is None else _adoption_to_json(definition.adopt),
            "onFailure": definition.on_failure.value,
            "parallelism": definition.parallelism,
            "podDefaults": definition.pod_defaults or None,
            "steps": [_step_to_json(step) for step in definition.steps],
            "timeoutMs": definition.timeout_ms,
        }
    )


def from_json(raw: Mapping[str, object]) -> Definition:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError on a record that is not one."""
    return Definition(
        steps=tuple(_step_from_json(step) for step in _objects(raw["steps"])),
        parallelism=_optional_int(raw.get("parallelism")),
        timeout_ms=_optional_int(raw.get("timeoutMs")),
        on_failure=OnFailure(_text(raw["onFailure"])),
        pod_defaults=_object(raw.get("podDefaults", {})),
        adopt=_adoption_from_json(_object(raw["adopt"])) if "adopt" in raw else None,
    )


def _adoption_to_json(adoption: Adoption) -> dict[str, object]:
    return {
        "run": adoption.run,
        "steps": [{"hash": step.hash, "name": step.name, "position": step.position} for step in adoption.steps],
        "workflowUid": adoption.workflow_uid,
    }


def _adoption_from_json(raw: Mapping[str, object]) -> Adoption:
    return Adoption(
        workflow_uid=_text(raw["workflowUid"]),
        run=_int(raw["run"]),
        steps=tuple(
            AdoptedStep(name=_text(step["name"]), position=_int(step["position"]), hash=_text(step["hash"]))
            for step in _objects(raw["steps"])
        ),
    )


def _step_to_json(step: Step) -> dict[str, object]:
    backoff = step.retry.backoff
    return _without_none(
        {
            "allowFailure": step.allow_failure or None,
            "attemptTimeoutMs": step.attempt_timeout_ms,
            "dependsOn": list(step.depends_on) or None,
            "name": step.name,
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
        }
    )


def _step_from_json(raw: Mapping[str, object]) -> Step:
    retry = _object(raw["retry"])
    return Step(
        name=_text(raw["name"]),
        depends_on=tuple(_text(name) for name in _list(raw.get("dependsOn", []))),
        run_when=RunWhen(_text(raw["runWhen"])),
        allow_failure=_bool(raw.get("allowFailure", False)),
        retry=Retry(
            max_attempts=_int(retry["maxAttempts"]),
            backoff=Backoff(
                initial_ms=_int(retry["initialMs"]),
                factor=_int(retry["factor"]),
                max_ms=_int(retry["maxMs"]),
                jitter=Jitter(_text(retry["jitter"])),
            ),
            non_retryable_exit_codes=tuple(_int(code) for code in _list(retry["nonRetryableExitCodes"])),
        ),
        start_timeout_ms=_optional_int(raw.get("startTimeoutMs")),
        attempt_timeout_ms=_optional_int(raw.get("attemptTimeoutMs")),
        timeout_ms=_optional_int(raw.get("timeoutMs")),
        pod=_object(raw.get("pod", {})),
    )


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
