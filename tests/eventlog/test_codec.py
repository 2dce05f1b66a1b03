"""Records: exact, canonical, and strict on the way back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.core.definition import (
    AdoptedStep,
    Adoption,
    Approval,
    Definition,
    ForEach,
    Output,
    Step,
    ValueType,
    Workspace,
)
from kipu.core.definition_json import from_json, to_json
from kipu.core.errors import CorruptionError, Problem
from kipu.core.events import EVENT_TYPES, Event, StepExpanded, StepStarted, StreamClaimed, WorkflowRejected
from kipu.eventlog import upcasting
from kipu.eventlog.chain import beginning, extend, replay
from kipu.eventlog.codec import (
    INLINE_BYTES_MAX,
    RECORD_BYTES_MAX,
    UnknownEvent,
    blob_named_by,
    canonical,
    decode,
    encode,
    link,
    seed,
)
from kipu.eventlog.ports import LogFull, NotRecordable
from tests.core.laws import LAW
from tests.eventlog.contract import accepted, finished, large_definition
from tests.eventlog.samples import claim, events, events_of, scheduled, texts


def written(event: Event, *, position: int = 7, ts: int = 11) -> bytes:
    epoch = event.epoch if isinstance(event, StreamClaimed) else 3
    return encode(event, position=position, epoch=epoch, ts=ts).record


def changed(record: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(record) | changes).encode()


def without(record: bytes, key: str) -> bytes:
    raw: dict[str, object] = json.loads(record)
    del raw[key]
    return json.dumps(raw).encode()


# -- there and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_kind_comes_back_as_it_was(kind: type[Event]) -> None:
    @LAW
    @given(events_of(kind), st.integers(1, 2**40), st.integers(0, 2**50))
    def law(event: Event, position: int, ts: int) -> None:
        try:
            encoded = encode(event, position=position, epoch=getattr(event, "epoch", 3), ts=ts)
        except LogFull:
            return
        blobs = {encoded.blob_name: encoded.blob} if encoded.blob is not None else {}
        decoded = decode(encoded.record, position=position, blobs=blobs)
        assert (decoded.event, decoded.epoch, decoded.ts) == (event, getattr(event, "epoch", 3), ts)

    law()


@LAW
@given(events)
def test_a_record_is_canonical_json_by_an_independent_encoder(event: Event) -> None:
    record = written(event)
    again = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() == record
    assert b"\n" not in record


@LAW
@given(texts)
def test_every_character_has_one_spelling(text: str) -> None:
    assert canonical(text) == json.dumps(text, ensure_ascii=False).encode()


def test_a_record_reads_as_documented() -> None:
    event = StepStarted(run=1, step="load", attempt=2, job_uid="uid", started_at=5, node="node-1")
    assert written(event) == (
        b'{"attempt":2,"epoch":3,"jobUid":"uid","node":"node-1","pos":7,"run":1,"startedAt":5,"step":"load",'
        b'"ts":11,"type":"StepStarted","v":1}'
    )


def test_a_problem_and_a_definition_are_plain_objects() -> None:
    rejected = WorkflowRejected(spec_hash="h", problems=(Problem(path="spec.steps", reason="is empty"),))
    assert json.loads(written(rejected))["problems"] == [{"hint": "", "path": "spec.steps", "reason": "is empty"}]
    definition = Definition(steps=(Step(name="a", pod={"image": "busybox", "args": ["x", 1, None, True]}),))
    assert json.loads(written(accepted(definition)))["definition"] == to_json(definition)


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1.5]}, r"\$\.a\[0\]: 1.5 is not a whole number"),
        ({"a": float("nan")}, r"\$\.a: nan is not a whole number"),
        ({1: "a"}, r"\$: the key 1 is not a string"),
        ("e\u0301", r"\$: the text is not in Unicode's normal form NFC"),
        ({"\u212b": 1}, r"\$: the text is not in Unicode's normal form NFC"),
        (["\ud800"], r"\$\[0\]: half of a surrogate pair"),
        ({"a": {1}}, r"\$\.a: a set has no canonical JSON"),
        ({"a": b"b"}, r"\$\.a: a bytes has no canonical JSON"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_path(value: object, words: str) -> None:
    with pytest.raises(NotRecordable, match=words):
        canonical(value)


def test_a_combining_mark_that_nothing_composes_with_is_sound() -> None:
    text = "\n\u0303 x\u0301"  # written next to the `n` of `\n` it would look composable
    event = replace(scheduled(), job=text)
    assert decode(written(event), position=7).event == event


def test_a_field_that_breaks_its_type_is_refused_not_written() -> None:
    wrong: Any = 0.5
    with pytest.raises(NotRecordable, match=r"startDeadline: 0\.5"):
        written(replace(scheduled(), start_deadline=wrong))


def test_a_record_is_bounded() -> None:
    frame = len(written(finished(0)))
    assert len(written(finished(RECORD_BYTES_MAX - frame))) == RECORD_BYTES_MAX
    with pytest.raises(LogFull, match=f"has {RECORD_BYTES_MAX + 1} bytes"):
        written(finished(RECORD_BYTES_MAX - frame + 1))


# -- large definitions -----------------------------------------------------------------------------------------


def test_a_definition_is_inline_at_its_bound_and_a_blob_one_byte_past_it() -> None:
    frame = len(canonical(to_json(padded(0))))
    inline = encode(accepted(padded(INLINE_BYTES_MAX - frame)), position=1, epoch=0, ts=0)
    assert inline.blob is None
    assert blob_named_by(inline.record) is None
    large = encode(accepted(padded(INLINE_BYTES_MAX - frame + 1)), position=1, epoch=0, ts=0)
    assert large.blob is not None
    assert len(large.blob) == INLINE_BYTES_MAX + 1
    assert hashlib.sha256(large.blob).hexdigest() == large.blob_name == blob_named_by(large.record)
    assert json.loads(large.record)["definition"] == {"blob": large.blob_name}


def padded(bytes_more: int) -> Definition:
    return Definition(steps=(Step(name="a", pod={"args": "x" * bytes_more}),))


def test_only_the_records_own_definition_names_a_blob() -> None:
    decoy = Definition(steps=(Step(name="a", pod={"definition": {"blob": "b" * 64}}),))
    record = written(accepted(decoy))
    assert b'"definition":{"blob":' in record
    assert blob_named_by(record) is None
    assert decode(record, position=7).event == accepted(decoy)
    assert blob_named_by(written(replace(scheduled(), job='"definition":{"blob":"x"}'))) is None


def items_of(size_bytes: int) -> StepExpanded:
    """Their canonical JSON is of this size."""
    return StepExpanded(run=1, step="shard", count=1, items=("x" * (size_bytes - 4),))


def test_items_are_inline_at_their_bound_and_a_blob_one_byte_past_it() -> None:
    inline = encode(items_of(INLINE_BYTES_MAX), position=1, epoch=0, ts=0)
    assert inline.blob is None
    assert blob_named_by(inline.record) is None
    large = encode(items_of(INLINE_BYTES_MAX + 1), position=1, epoch=0, ts=0)
    assert large.blob is not None
    assert len(large.blob) == INLINE_BYTES_MAX + 1
    assert hashlib.sha256(large.blob).hexdigest() == large.blob_name == blob_named_by(large.record)
    assert json.loads(large.record)["items"] == {"blob": large.blob_name}
    with pytest.raises(CorruptionError):
        decode(large.record, position=1)


def test_items_that_look_like_a_blob_name_none() -> None:
    event = StepExpanded(run=1, step="shard", count=1, items=({"items": {"blob": "b" * 64}},))
    record = written(event)
    assert b'"items":{"blob":' in record
    assert blob_named_by(record) is None
    assert decode(record, position=7).event == event


def test_a_blob_that_was_not_given_or_is_none_is_corruption() -> None:
    encoded = encode(accepted(large_definition(1_000)), position=1, epoch=0, ts=0)
    for blobs in ({}, {encoded.blob_name: b"[]"}, {encoded.blob_name: b"{}"}, {encoded.blob_name: b"{"}):
        with pytest.raises(CorruptionError, match="position 1: malformed WorkflowAccepted"):
            decode(encoded.record, position=1, blobs=blobs)


# -- strict on the way back ------------------------------------------------------------------------------------


STEP = Step(
    name="a",
    approval=Approval(message="go?"),
    for_each=ForEach(count=1, parallelism=1),
    outputs=(Output(name="o", type=ValueType.STRING),),
)
EVERYTHING = Definition(  # each object that a definition may hold
    steps=(STEP,),
    workspace=Workspace(claim_name="c"),
    adopt=Adoption(workflow_uid="u", run=1, steps=(AdoptedStep(name="a", position=1, hash="h"),)),
)


def with_one_key_more(raw: Any) -> Iterator[Any]:
    """The same JSON again and again, each time with a key of the future in another one of its objects."""
    if isinstance(raw, list):
        yield from ([*raw[:at], new, *raw[at + 1 :]] for at, item in enumerate(raw) for new in with_one_key_more(item))
    elif isinstance(raw, dict):
        yield raw | {"teleport": True}
        yield from (raw | {key: new} for key, item in raw.items() for new in with_one_key_more(item))


def test_every_object_of_a_definition_is_tried_with_a_key_of_the_future() -> None:
    objects = (EVERYTHING, STEP, STEP.retry, STEP.approval, STEP.for_each, *STEP.outputs)
    assert len(list(with_one_key_more(to_json(EVERYTHING)))) == len(objects) + len((Workspace, Adoption, AdoptedStep))


@pytest.mark.parametrize(
    "record",
    [
        changed(written(scheduled()), type="StepTeleported"),
        changed(written(scheduled()), v=2),
        changed(written(scheduled()), type="StepTeleported", v=9, more=[1]),
        changed(written(scheduled()), v=2, mustBeUnderstood=True),
        changed(written(finished(1)), end="Exploded"),
        changed(written(accepted(large_definition(1))), definition={"steps": [], "onFailure": "Never"}),
        *(changed(written(accepted(EVERYTHING)), definition=each) for each in with_one_key_more(to_json(EVERYTHING))),
    ],
)
def test_a_record_of_the_future_is_told_from_a_broken_one(record: bytes) -> None:
    with pytest.raises(UnknownEvent, match=r"position 7: .* later version"):
        decode(record, position=7)


SOUND = written(scheduled())


def test_a_key_that_is_not_known_is_passed_over_and_kept() -> None:
    newer = changed(SOUND, unheard={"of": [1]})
    assert decode(newer, position=7) == replace(decode(SOUND, position=7), verbatim=newer)
    assert decode(SOUND, position=7).verbatim is None


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"type":"\xff"}',
        SOUND[:-1],
        SOUND + b"}",
        b"{}",
        changed(SOUND, v="1"),
        changed(SOUND, v=True),
        changed(SOUND, type=7),
        changed(SOUND, pos=0),
        changed(SOUND, pos="7"),
        changed(SOUND, epoch=-1),
        changed(SOUND, ts=1.0),
        changed(SOUND, run="1"),
        changed(SOUND, run=1.0),
        changed(SOUND, run=True),
        changed(SOUND, run=None),
        changed(SOUND, step=None),
        *(without(SOUND, key) for key in json.loads(SOUND) if key != "startDeadline"),
        changed(written(WorkflowRejected(spec_hash="h", problems=())), problems=[{"path": "p", "reason": "r"}]),
        changed(written(WorkflowRejected(spec_hash="h", problems=())), problems=[["p", "r", "h"]]),
        changed(written(accepted(large_definition(1))), definition={}),
        changed(written(accepted(large_definition(1))), definition={"steps": 1, "onFailure": "Continue"}),
        changed(written(accepted(large_definition(1))), definition=[]),
    ],
)
def test_a_malformed_record_is_corruption_with_its_position(record: bytes) -> None:
    with pytest.raises(CorruptionError, match="position 7") as caught:
        decode(record, position=7)
    assert not isinstance(caught.value, UnknownEvent)


def test_a_record_out_of_place_is_corruption() -> None:
    with pytest.raises(CorruptionError, match="at position 8 says that it is number 7"):
        decode(SOUND, position=8)


# -- old shapes ------------------------------------------------------------------------------------------------


def test_an_old_shape_is_made_new_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(raw: upcasting.RawRecord) -> upcasting.RawRecord:
        return {**{key: value for key, value in raw.items() if key != "task"}, "step": raw["task"], "v": 0}

    def settle(raw: upcasting.RawRecord) -> upcasting.RawRecord:
        return raw | {"type": "StepScheduled", "v": 1}

    monkeypatch.setitem(upcasting.UPCASTERS, ("TaskScheduled", -1), rename)
    monkeypatch.setitem(upcasting.UPCASTERS, ("TaskScheduled", 0), settle)
    old = changed(without(SOUND, "step"), type="TaskScheduled", v=-1, task="load")
    assert decode(old, position=7).event == scheduled()
    with pytest.raises(UnknownEvent):
        decode(changed(old, v=-2), position=7)


def test_upcasters_that_run_in_a_circle_are_noticed() -> None:
    with pytest.raises(CorruptionError, match="do not end"):
        upcasting.upcast({"type": "A", "v": 1}, {("A", 1): lambda raw: raw})


# -- the chain -------------------------------------------------------------------------------------------------


def test_the_chain_starts_from_the_workflow_and_its_spec() -> None:
    assert seed("u", "s") == hashlib.sha256(b"kipu.dev/log/v1\0u\0s").digest()
    assert len({seed("u", "s"), seed("u", "t"), seed("v", "s"), seed("us", "")}) == 4
    assert link(seed("u", "s"), b"record") == hashlib.sha256(seed("u", "s") + b"record").digest()


def lines_of(*parts: Event, ts: int = 5) -> list[bytes]:
    return extend(beginning("u", "s"), parts, ts=ts).lines.splitlines()


def test_replay_computes_what_extend_computed() -> None:
    batch = extend(beginning("u", "s"), [claim(2, "me"), scheduled()], ts=5)
    tip, records = replay(beginning("u", "s"), batch.lines.splitlines())
    assert (tip, records) == (batch.tip, batch.records)
    assert (tip.position, tip.epoch, tip.ts, tip.writer) == (2, 2, 5, "me")
    assert tip.hash.hex() == records[-1].hash


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*lines_of(claim(2)), written(scheduled(), position=2, ts=5)], "epoch 3 after 2 at position 2"),
        ([*lines_of(claim(2)), written(claim(2), position=2)], "epoch 2 after 2 at position 2"),
        ([*lines_of(claim(2)), written(claim(1), position=2)], "epoch 1 after 2 at position 2"),
        ([*lines_of(claim(3)), written(scheduled(), position=2, ts=4)], "time falls from 5 to 4 at position 2"),
        ([*lines_of(claim(3)), written(scheduled(), position=3)], "position 2 says that it is number 3"),
        ([*lines_of(claim(3))] * 2, "position 2 says that it is number 1"),
        ([b" " * (RECORD_BYTES_MAX + 1)], "position 1 has 16385 bytes"),
    ],
)
def test_replay_refuses_what_extend_could_not_have_made(lines: list[bytes], words: str) -> None:
    with pytest.raises(CorruptionError, match=words):
        replay(beginning("u", "s"), lines)


def test_from_json_is_the_inverse_that_the_codec_relies_on() -> None:
    definition = large_definition(3)
    assert from_json(json.loads(canonical(to_json(definition)))) == definition
