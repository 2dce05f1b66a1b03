"""The fault proxy against a plain server: what is carried out, what is answered, and what is held."""

from __future__ import annotations

import asyncio
import json

import pytest

from e2e.chaos.faults import Kind
from e2e.chaos.traps import Moment, Trap
from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import Request

from .world import CREATE, JOBS, LOOPBACK, WATCH, World, world


async def until_caught(trap: Trap) -> None:
    assert await asyncio.to_thread(trap.caught.wait, 10)


async def test_without_a_fault_a_request_passes_untouched_in_both_directions() -> None:
    async with world() as w:
        request = Request(method="PATCH", path="/api/v1/a%2Fb", query={"q": "a in (b)"}, body=b"[]")
        reply = await w.transport.send(request, timeout_seconds=20)
    ((method, path, body, headers),) = w.upstream.asked
    assert (method, path, body) == ("PATCH", "/api/v1/a%2Fb?q=a%20in%20%28b%29", b"[]")
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer a-token", "application/json")
    assert headers["User-Agent"].startswith("kipu/")
    assert (reply.status, json.loads(reply.body), reply.headers["X-Kept"]) == (201, {"number": 1}, "yes")


@pytest.mark.parametrize("kind", [Kind.TIMEOUT_DONE, Kind.RESET_AFTER])
async def test_done_without_an_answer(kind: Kind) -> None:
    async with world(kind) as w:
        with pytest.raises(Unanswered):
            await w.create()
        assert len(w.upstream.asked) == 1
        assert [(entry.call.verb, entry.status, entry.fault) for entry in w.proxy.journal] == [("create", 201, kind)]
    assert w.proxy.faults.counts == {(kind, "create", "jobs"): 1}


@pytest.mark.parametrize("kind", [Kind.TIMEOUT_NOT_DONE, Kind.RESET_BEFORE])
async def test_neither_done_nor_answered(kind: Kind) -> None:
    async with world(kind) as w:
        with pytest.raises(Unanswered):
            await w.create()
        assert (w.upstream.asked, w.proxy.journal) == ([], [])


async def test_unanswered_first_and_carried_out_late() -> None:
    async with world(Kind.LATE) as w:
        with pytest.raises(Unanswered):
            await w.create()
        await w.upstream.was_asked(1)


async def test_answered_and_carried_out_once_more() -> None:
    async with world(Kind.DOUBLED) as w:
        assert await w.create() == 201
        await w.upstream.was_asked(2)
    assert w.upstream.asked[0] == w.upstream.asked[1]


@pytest.mark.parametrize(("kind", "status"), [(Kind.TOO_MANY, 429), (Kind.INTERNAL, 500), (Kind.UNAVAILABLE, 503)])
async def test_refused_in_the_words_of_the_api_server(kind: Kind, status: int) -> None:
    async with world(kind) as w:
        reply = await w.transport.send(CREATE, timeout_seconds=20)
    assert (reply.status, json.loads(reply.body)["code"], w.upstream.asked) == (status, status, [])
    assert reply.headers.get("Retry-After") == ("1" if status == 429 else None)


async def test_delayed_is_done_and_answered() -> None:
    async with world(Kind.DELAYED) as w:
        assert await w.create() == 201
    assert w.proxy.faults.counts.total() == 1


async def test_an_api_server_that_is_down_looks_like_one() -> None:
    async with world() as w:
        w.proxy._upstream = f"http://{LOOPBACK}:1"
        with pytest.raises(Unanswered):
            await w.create()
        assert [entry.status for entry in w.proxy.journal] == [None]


# -- watches ----------------------------------------------------------------------------------------------


async def told(w: World, enough: int = 100) -> list[bytes]:
    """The lines of a watch until it ends, or until there are enough. Raises Unanswered."""
    lines = []
    async with w.transport.stream(WATCH, timeout_seconds=20) as (status, stream):
        assert status == 200
        async for line in stream:
            lines.append(line)
            if len(lines) == enough:
                break
    return lines


async def test_a_watch_is_told_line_by_line_until_the_server_ends_it() -> None:
    async with world() as w:
        for piece in (b"one\ntw", b"o\n", b"three\n", b""):
            w.upstream.lines.put_nowait(piece)
        assert await told(w) == [b"one", b"two", b"three"]


async def test_a_client_that_leaves_a_watch_ends_it_at_the_server() -> None:
    async with world() as w:
        w.upstream.lines.put_nowait(b"one\n")
        assert await told(w, enough=1) == [b"one"]
    assert len(w.upstream.asked) == 1  # and the server could be closed at once


def only(w: World, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every watch meets just this fate."""
    monkeypatch.setattr("e2e.chaos.faults.WATCH_FATES", (kind,))
    w.proxy.faults.is_calm = False


@pytest.mark.parametrize("kind", [Kind.WATCH_DROPPED, Kind.WATCH_STALLED])
async def test_a_watch_that_is_cut(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        only(w, kind, monkeypatch)
        with pytest.raises(Unanswered):
            await told(w)
    assert w.proxy.faults.counts == {(kind, "watch", "jobs"): 1}


async def test_a_watch_that_is_ended_because_its_version_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        only(w, Kind.WATCH_EXPIRED, monkeypatch)
        (line,) = await told(w)
    event = json.loads(line)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_watch_that_is_delayed_tells_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        only(w, Kind.WATCH_DELAYED, monkeypatch)
        telling = asyncio.create_task(told(w, enough=1))
        await w.upstream.was_asked(1)
        w.upstream.lines.put_nowait(b"one\n")
        assert await telling == [b"one"]


# -- hold points ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moment", "done"), [(Moment.BEFORE, 1), (Moment.AFTER, 2)])
async def test_the_nth_write_is_held_on_its_side_and_answered_to_nobody(moment: Moment, done: int) -> None:
    async with world() as w:
        trap = Trap(peer=LOOPBACK, countdown=2, moment=moment)
        w.proxy.traps.arm(trap)
        assert await w.create() == 201
        held = asyncio.create_task(w.create())
        await until_caught(trap)
        assert (len(w.upstream.asked), held.done()) == (done, False)
        assert trap.call is not None
        assert trap.call.resource == "jobs"
        w.proxy.traps.release(trap)
        with pytest.raises(Unanswered):
            await held
        assert len(w.upstream.asked) == done


async def test_while_a_write_is_held_reads_pass_and_later_writes_wait() -> None:
    async with world() as w:
        trap = Trap(peer=LOOPBACK, countdown=1, moment=Moment.BEFORE)
        w.proxy.traps.arm(trap)
        held = asyncio.create_task(w.create())
        await until_caught(trap)
        later = asyncio.create_task(w.create())
        await w.transport.send(Request(method="GET", path=f"{JOBS}/j"), timeout_seconds=20)
        assert [method for method, *_ in w.upstream.asked] == ["GET"]
        w.proxy.traps.release(trap)
        assert await later == 201
        with pytest.raises(Unanswered):
            await held


async def test_a_trap_of_another_client_catches_nothing() -> None:
    async with world() as w:
        trap = Trap(peer="127.0.0.2", countdown=1, moment=Moment.BEFORE)
        w.proxy.traps.arm(trap)
        assert await w.create() == 201
        assert not trap.caught.is_set()


async def test_whoever_comes_after_a_burial_is_another() -> None:
    async with world() as w:
        await w.create()
        dead = w.proxy.bury(LOOPBACK)
        await w.create()
        first, second = (entry.client for entry in w.proxy.journal)
    assert first == dead
    assert (second.address, second.life) == (LOOPBACK, 1)
    assert set(w.proxy.first_seen) == {first, second}
