"""Events to write: a few by hand, and Hypothesis strategies that reach every kind and every field."""

from __future__ import annotations

import itertools
import random
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from hypothesis import strategies as st

from kipu.core.definition import (
    AdoptedStep,
    Adoption,
    Approval,
    Backoff,
    Definition,
    ForEach,
    Jitter,
    Kind,
    OnFailure,
    Output,
    Retry,
    RunWhen,
    Step,
    ValueType,
)
from kipu.core.errors import Problem
from kipu.core.events import (
    EVENT_TYPES,
    Event,
    Items,
    Reason,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
)
from kipu.eventlog.ports import StreamId

SPEC_HASH = "5" * 64
TS = 1_700_000_000_000
STREAM = StreamId(namespace="lab", name="nightly", uid="4a1f0a52-0000-4000-8000-000000000001")


def scheduled(job: str = "nightly-load-1f2e3d4c5b6a7988", *, attempt: int = 1) -> StepScheduled:
    return StepScheduled(run=1, step="load", attempt=attempt, job=job, start_deadline=TS + 300_000)


def claim(epoch: int = 1, writer: str = "kipu-0") -> StreamClaimed:
    return StreamClaimed(epoch=epoch, writer=writer)


def facts() -> Iterator[Event]:
    """What a run of steps without trouble records, three events a step, with names and uids of usual lengths."""
    dice = random.Random(1)
    for number in itertools.count(1):
        step, job_uid = f"transform-{number}", str(uuid.UUID(int=dice.getrandbits(128), version=4))
        attempt: dict[str, Any] = {"run": 1, "step": step, "attempt": 1}
        job = f"nightly-{step}-{dice.randbytes(8).hex()}"
        seen: dict[str, Any] = {"job_uid": job_uid, "started_at": TS, "pod": f"{job}-x7k2p", "node": "node-12"}
        yield StepScheduled(**attempt, job=job, start_deadline=TS + 300_000)
        yield StepStarted(**attempt, **seen, attempt_deadline=TS + 600_000)
        yield StepSucceeded(**attempt, **seen, finished_at=TS + 1_000)


def nonces(writer: str) -> Callable[[], str]:
    """Ids as unlike those of another writer as random ones, and the same in every run."""
    numbers = itertools.count(1)
    return lambda: f"{writer}{next(numbers):04}"


# -- strategies ----------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text)
)
whole = st.integers(-(2**63), 2**63 - 1)
_json = st.recursive(
    st.none() | st.booleans() | whole | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
_objects = st.dictionaries(texts, _json, max_size=3)
_retries = st.builds(
    Retry,
    max_attempts=whole,
    backoff=st.builds(Backoff, initial_ms=whole, factor=whole, max_ms=whole, jitter=st.sampled_from(Jitter)),
    non_retryable_exit_codes=st.lists(whole, max_size=2).map(tuple),
)
_steps = st.builds(
    Step,
    name=texts,
    depends_on=st.lists(texts, max_size=2).map(tuple),
    run_when=st.sampled_from(RunWhen),
    allow_failure=st.booleans(),
    retry=_retries,
    start_timeout_ms=st.none() | whole,
    attempt_timeout_ms=st.none() | whole,
    timeout_ms=st.none() | whole,
    pod=_objects,
    when=st.none() | texts,
    outputs=st.lists(st.builds(Output, name=texts, type=st.sampled_from(ValueType)), max_size=2).map(tuple),
    kind=st.sampled_from(Kind),
    in_finally=st.booleans(),
    approval=st.none() | st.builds(Approval, message=texts, timeout_ms=st.none() | whole),
    wait_ms=st.none() | whole,
    for_each=st.none()
    | st.builds(
        ForEach,
        items=st.none() | st.lists(_json, max_size=2).map(tuple),
        count=st.none() | whole,
        parallelism=whole,
        max_failures=whole,
    ),
)
definitions = st.builds(
    Definition,
    steps=st.lists(_steps, max_size=3).map(tuple),
    parallelism=st.none() | whole,
    priority=whole,
    timeout_ms=st.none() | whole,
    on_failure=st.sampled_from(OnFailure),
    finally_timeout_ms=st.none() | whole,
    pod_defaults=_objects,
    params=_objects,
    adopt=st.none()
    | st.builds(
        Adoption,
        workflow_uid=texts,
        run=whole,
        steps=st.lists(
            st.builds(
                AdoptedStep,
                name=texts,
                position=whole,
                hash=texts,
                outputs=st.none() | st.dictionaries(texts, texts | whole | st.booleans(), max_size=2),
            ),
            max_size=2,
        ).map(tuple),
    ),
)
_scalars: st.SearchStrategy[Any] = texts | whole | st.booleans()
_BY_HINT: dict[Any, st.SearchStrategy[Any]] = {
    int: whole,
    int | None: st.none() | whole,
    str: texts,
    str | None: st.none() | texts,
    tuple[str, ...]: st.lists(texts, max_size=4).map(tuple),
    tuple[Problem, ...]: st.lists(st.builds(Problem, path=texts, reason=texts, hint=texts), max_size=3).map(tuple),
    Definition: definitions,
    Mapping[str, str]: st.dictionaries(texts, texts, max_size=3),
    Mapping[str, str | int | bool] | None: st.none() | st.dictionaries(texts, _scalars, max_size=3),
    Reason | None: st.none() | st.sampled_from(Reason),
    Items | None: st.none() | st.lists(_json, max_size=3).map(tuple),
}


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Events of one kind; an unknown kind of field fails here, not silently."""
    if kind is StreamClaimed:
        return st.builds(StreamClaimed, epoch=st.integers(1, 2**62), writer=texts)
    hints = get_type_hints(kind)
    given = {field.name: hints[field.name] for field in fields(kind)}
    return st.builds(
        kind, **{name: _BY_HINT[hint] if hint in _BY_HINT else st.sampled_from(hint) for name, hint in given.items()}
    )


events = st.one_of([events_of(kind) for kind in EVENT_TYPES])
