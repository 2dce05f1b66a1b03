"""Whatever is changed in the objects of a log is found by its next reader.

The log has 200 events and every kind of object: the head, a merged chunk, plain chunks, a blob.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import islice

import pytest

from kipu.core.errors import CorruptionError
from kipu.core.events import Event
from kipu.eventlog import chunks
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import Answer
from tests.eventlog.contract import accepted, large_definition
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, facts, nonces
from tests.eventlog.store import Client, Json, Store, refused

EVENTS = 200
Key = tuple[str, str]
Place = tuple[str, str, int]  # data or binaryData, the key in it, the place in its text
KINDS = ("head", "merged chunk", "plain chunk", "blob")


class Still(Store):
    """A store that nobody writes to: an object is handed out as it is, so that thousands of loads take seconds."""

    def get(self, namespace: str, name: str) -> Answer:
        body = self.objects.get((namespace, name))
        if body is None:
            return refused(404, "NotFound", name)
        return Answer(status=200, reason="", message="", body=body)


async def long_log() -> tuple[Still, dict[str, Key]]:
    """The store, and one object of each kind."""
    store = Still()
    log = ConfigMapLog(Client(store=store), nonce=nonces("w"))
    first: list[Event] = [claim(), accepted(large_definition(60))]
    head, _ = await log.append(STREAM, None, first, ts=TS, spec_hash=SPEC_HASH)
    told = facts()
    while head.position < EVENTS:
        head, _ = await log.append(STREAM, head, list(islice(told, min(2, EVENTS - head.position))), ts=TS)
    await log.sweep(STREAM, head)
    assert {chunk.level for chunk in head.chunks} == {0, 1}
    assert head.tail
    assert len(store.objects) == 2 + len(head.chunks)
    (blob,) = [name for _, name in store.objects if name.startswith("kipu-blob")]
    names = {
        "head": f"kipu-log-{STREAM.uid}",
        "merged chunk": head.chunks[0].name,
        "plain chunk": head.chunks[-1].name,
        "blob": blob,
    }
    return store, {kind: (STREAM.namespace, names[kind]) for kind in KINDS}


def places(manifest: Json) -> Iterator[Place]:
    for kept in ("data", "binaryData"):
        for name, text in manifest.get(kept, {}).items():
            yield from ((kept, name, place) for place in range(len(text)))


async def is_detected(store: Store) -> bool:
    try:
        await ConfigMapLog(Client(store=store)).load(STREAM)
    except CorruptionError:
        return True
    return False


@pytest.mark.proof
@pytest.mark.parametrize("change", ["another byte", "a byte less"])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_single_changed_byte_is_detected(kind: str, change: str) -> None:
    store, keys = await long_log()
    assert not await is_detected(store)
    manifest = store.objects[keys[kind]]
    all_places = list(places(manifest))
    assert len(all_places) > 500
    for kept, name, place in all_places:
        sound = manifest[kept][name]
        other = "" if change == "a byte less" else chr(ord(sound[place]) ^ (1 << place % 7))
        manifest[kept][name] = sound[:place] + other + sound[place + 1 :]
        assert await is_detected(store), f"{kind} {kept}.{name} at {place}: {sound[place]!r} -> {other!r}"
        manifest[kept][name] = sound
    assert not await is_detected(store)


@pytest.mark.parametrize("kept", ["data", "binaryData"])
async def test_every_lost_added_or_swapped_key_is_detected(kept: str) -> None:
    store, _ = await long_log()
    sound = copy.deepcopy(store.objects)
    for key, manifest in sound.items():
        for name in manifest.get(kept, {}):
            store.objects = copy.deepcopy(sound)
            del store.objects[key][kept][name]
            assert await is_detected(store)
            store.objects = copy.deepcopy(sound)
            store.objects[key][kept]["more"] = ""
            assert await is_detected(store)


async def test_every_lost_or_swapped_object_is_detected() -> None:
    store, _ = await long_log()
    sound = copy.deepcopy(store.objects)
    for key in sound:
        store.objects = {other: manifest for other, manifest in sound.items() if other != key}
        if key[1] != f"kipu-log-{STREAM.uid}":  # no head is no log: that is for the witnesses
            assert await is_detected(store)
        for other in sound:
            store.objects = sound | {key: sound[other]}
            assert await is_detected(store) is (key != other)


async def test_an_index_in_another_order_is_detected_though_every_digest_is_right() -> None:
    """Whoever can compute the digests anew still cannot make the records fit."""
    store, keys = await long_log()
    data = store.objects[keys["head"]]["data"]
    meta = json.loads(data["meta"])
    for change in (meta["chunks"][::-1], meta["chunks"][1:], meta["chunks"][:-1], meta["chunks"] + meta["chunks"][-1:]):
        forged = json.dumps(meta | {"chunks": change}, sort_keys=True, separators=(",", ":"))
        store.objects[keys["head"]]["data"] = sealed(forged, data["tail"])
        assert await is_detected(store)


def sealed(meta: str, tail: str) -> dict[str, str]:
    return {"meta": meta, "tail": tail, "digest": chunks.sha256(f"{meta}\n{tail}".encode())}
