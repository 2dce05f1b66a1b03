"""Recorded histories replay for ever, and today's writer still writes the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from kipu.core.events import EVENT_TYPES, StreamClaimed
from kipu.eventlog.chain import beginning, extend
from kipu.eventlog.codec import UnknownEvent
from kipu.eventlog.configmaps import ConfigMapLog
from tests.eventlog import newer
from tests.eventlog.recorded import EVERY_EVENT, HISTORIES, MERGED, History, recording
from tests.eventlog.samples import TS
from tests.eventlog.store import Client, Store

DOCUMENT = Path(__file__).parents[2] / "docs" / "event-log.md"
every_history = pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)


def recorded(history: History) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(history.path.read_text())
    return kept


@every_history
async def test_a_recorded_history_reads_as_the_events_that_made_it(history: History) -> None:
    kept, store = recorded(history), Store()
    store.objects = {(history.stream.namespace, item["metadata"]["name"]): item for item in kept["objects"]}
    loaded = await ConfigMapLog(Client(store=store)).load(history.stream)
    assert loaded is not None
    assert [record.event for record in loaded.records] == [event for batch in history.batches for event in batch]
    assert [record.hash for record in loaded.records] == kept["hashes"]
    times = [TS + 1_000 * turn for turn, batch in enumerate(history.batches) for _ in batch]
    assert [record.ts for record in loaded.records] == times


@every_history
def test_the_same_events_still_give_the_same_hashes(history: History) -> None:
    tip, hashes = beginning(history.stream.uid, history.spec_hash), []
    for turn, batch in enumerate(history.batches):
        extended = extend(tip, batch, ts=TS + 1_000 * turn)
        tip = extended.tip
        hashes += [record.hash for record in extended.records]
    assert hashes == recorded(history)["hashes"]


@pytest.mark.parametrize("history", [EVERY_EVENT, MERGED], ids=lambda history: history.name)
async def test_the_newest_history_lies_in_its_objects_as_today(history: History) -> None:
    """But for the bytes of zlib, which its versions choose: what is packed is compared elsewhere, by its hash."""
    then, now = recorded(history), await recording(history)
    assert [plain(item) for item in then["objects"]] == [plain(item) for item in json.loads(json.dumps(now))["objects"]]


def plain(item: dict[str, Any]) -> object:
    if "meta" not in item.get("data", {}):
        return item["metadata"]["name"], item["metadata"]["labels"], item["immutable"], sorted(item["binaryData"])
    meta = json.loads(item["data"]["meta"])
    for chunk in meta["chunks"]:
        del chunk["sha256"]
    return item["metadata"]["labels"], meta, item["data"]["tail"]


def test_the_recorded_histories_hold_every_kind_and_every_field() -> None:
    events = [event for history in HISTORIES for batch in history.batches for event in batch]
    assert {type(event) for event in events} == set(EVENT_TYPES)
    for kind in EVENT_TYPES:
        for name in kind.__dataclass_fields__:
            values = [getattr(event, name) for event in events if isinstance(event, kind)]
            assert any(value is not None for value in values), f"{kind.__name__}.{name} is never there"


def test_the_hashes_can_be_checked_by_hand() -> None:
    """The first records of the history, linked with nothing but SHA-256."""
    kept = recorded(EVERY_EVENT)
    stream, spec_hash = kept["stream"], EVERY_EVENT.spec_hash
    digest = hashlib.sha256(f"kipu.dev/log/v1\0{stream['uid']}\0{spec_hash}".encode()).digest()
    record = f'{{"epoch":1,"pos":1,"ts":{TS},"type":"StreamClaimed","v":1,"writer":"kipu-0"}}'
    assert hashlib.sha256(digest + record.encode()).hexdigest() == kept["hashes"][0]


def test_the_document_shows_the_recorded_head() -> None:
    (head,) = [item for item in recorded(EVERY_EVENT)["objects"] if "tail" in item.get("data", {})]
    assert f"    {head['data']['meta']}\n" in DOCUMENT.read_text()


def verified_by_the_document(objects: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    """What the document's program says of these objects: it knows nothing but the document."""
    program = folder / "verify.py"
    program.write_text(DOCUMENT.read_text().partition("```python\n")[2].partition("```")[0])
    given = json.dumps({"items": objects})
    return subprocess.run([sys.executable, str(program)], input=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("history", [EVERY_EVENT, MERGED], ids=lambda history: history.name)
def test_the_documents_own_program_verifies_a_log(history: History, tmp_path: Path) -> None:
    hashes = recorded(history)["hashes"]
    done = verified_by_the_document(recorded(history)["objects"], tmp_path)
    assert done.stdout == f"{len(hashes)} records, ending at {hashes[-1]}\n"


def test_the_documents_own_program_finds_a_change(tmp_path: Path) -> None:
    objects = recorded(EVERY_EVENT)["objects"]
    (head,) = [item for item in objects if "tail" in item.get("data", {})]
    head["data"]["tail"] = head["data"]["tail"].replace("Lost", "Lust")
    assert "the head was changed" in verified_by_the_document(objects, tmp_path).stderr


def test_a_merged_log_needs_no_newer_reader() -> None:
    """What release N writes, N - 1 reads: the index and the chunks are of the shape that they had before merging."""
    (head,) = [item for item in recorded(MERGED)["objects"] if "tail" in item.get("data", {})]
    meta = json.loads(head["data"]["meta"])
    assert {chunk["level"] for chunk in meta["chunks"]} == {0, 1}
    assert meta["minReader"] == meta["v"] == 1
    (first,) = [item for item in recorded(EVERY_EVENT)["objects"] if "tail" in item.get("data", {})]
    before = json.loads(first["data"]["meta"])  # recorded when nothing was ever merged
    assert meta.keys() == before.keys()
    assert {frozenset(chunk) for chunk in meta["chunks"]} == {frozenset(chunk) for chunk in before["chunks"]}
    packed = [item for item in recorded(MERGED)["objects"] if "binaryData" in item]
    assert {frozenset(item) for item in packed} == {frozenset(recorded(EVERY_EVENT)["objects"][-1])}
    assert all(len(zlib.decompress(base64.b64decode(item["binaryData"]["records"]))) <= 768 * 1024 for item in packed)


# -- written by a later version ------------------------------------------------------------------------------


def stored(path: Path) -> tuple[dict[str, Any], Store]:
    kept, store = json.loads(path.read_text()), Store()
    store.objects = {(newer.STREAM.namespace, item["metadata"]["name"]): item for item in kept["objects"]}
    return kept, store


async def test_a_log_with_keys_that_are_not_known_is_read_kept_and_gone_on_with() -> None:
    kept, store = stored(newer.NEWER_KEY)
    log = ConfigMapLog(Client(store=store))
    loaded = await log.load(newer.STREAM)
    assert loaded is not None
    assert tuple(record.event for record in loaded.records) == newer.EVENTS
    assert [record.hash for record in loaded.records] == kept["hashes"]
    await log.append(newer.STREAM, loaded.head, [StreamClaimed(epoch=2, writer="kipu-0")], ts=TS)
    (head,) = store.objects.values()
    (before,) = kept["objects"]
    assert head["data"]["tail"].startswith(before["data"]["tail"])
    longer = await log.load(newer.STREAM)
    assert longer is not None
    assert longer.records[:-1] == loaded.records


async def test_at_an_event_that_is_not_known_the_log_is_left_as_it_is() -> None:
    kept, store = stored(newer.NEWER_EVENT)
    client = Client(store=store)
    with pytest.raises(UnknownEvent, match="position 4: AttemptForgiven v1 was written by a later version of Kipu"):
        await ConfigMapLog(client).load(newer.STREAM)
    assert list(store.objects.values()) == kept["objects"]
    assert {request.verb for request in client.requests} == {"get"}


def test_the_logs_of_a_later_version_are_sound_by_the_document(tmp_path: Path) -> None:
    """Whoever checks the chain alone needs to know no event and no key."""
    for path in (newer.NEWER_KEY, newer.NEWER_EVENT):
        kept, _ = stored(path)
        assert verified_by_the_document(kept["objects"], tmp_path).stdout.endswith(f"ending at {kept['hashes'][-1]}\n")


def test_the_document_is_short() -> None:
    assert len(DOCUMENT.read_text().splitlines()) <= 150
