"""Bodies line by line, and the bounds of waiting for a server."""

from __future__ import annotations

import asyncio
import io

import pytest
from urllib3 import HTTPResponse

from kipu.cli import following, streaming, taps
from kipu.cli.streaming import Stream
from kipu.eventlog.ports import Unanswered
from tests.cli import histories, sights
from tests.cli.api_server import WORKFLOWS, ApiServer
from tests.cli.sights import put
from tests.cli.terminal import Terminal
from tests.core.given import flow, step


class Body(io.BytesIO):
    """Closed once it was read, as that of a connection is."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if not found:
            self.close()
        return found


def read(body: bytes) -> list[bytes]:
    async def all_lines() -> list[bytes]:
        stream = Stream(HTTPResponse(body=Body(body), preload_content=False))
        try:
            found = []
            while (line := await stream.line()) is not None:
                found.append(line)
            return found
        finally:
            await stream.close()

    return histories.run(all_lines())


@pytest.mark.parametrize(
    ("body", "lines"),
    [(b"", []), (b"a\nb\n", [b"a", b"b"]), (b"a\n\nb", [b"a", b"", b"b"]), (b"\xff\r\n", [b"\xff\r"])],
)
def test_a_body_is_its_lines(body: bytes, lines: list[bytes]) -> None:
    assert read(body) == lines


def test_a_line_may_be_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LINE_BYTES_MAX", 4)
    assert read(b"abcd") == [b"abcd"]
    with pytest.raises(Unanswered, match="a line of more than 4 bytes"):
        read(b"abcde")


def test_the_changes_of_a_watch_are_objects_and_a_broken_one_is_no_answer() -> None:
    body, told = Body(b'{"type":"ADDED"}\n{"type":"DEL'), list[object]()

    async def listen() -> None:
        async for change in Stream(HTTPResponse(body=body, preload_content=False)).changes():
            told.append(change)

    with pytest.raises(Unanswered, match="the watch broke off within a line"):
        histories.run(listen())
    assert told == [{"type": "ADDED"}]
    assert body.closed


def test_whoever_gives_up_waiting_for_a_line_misses_none() -> None:
    async def impatient() -> bytes | None:
        stream = Stream(HTTPResponse(body=Body(b"a\n"), preload_content=False))
        waiting = asyncio.ensure_future(stream.line())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        try:
            return await stream.line()
        finally:
            await stream.close()

    assert histories.run(impatient()) == b"a"


@pytest.mark.parametrize(("refusals", "code"), [(following.TRIES_MAX - 1, 0), (following.TRIES_MAX, 2)])
def test_a_watch_is_tried_so_often_without_anything_new(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch, refusals: int, code: int
) -> None:
    monkeypatch.setattr(following, "WAIT_SECONDS", (0.0,))
    server.add_workflow(histories.STREAM)

    def finish() -> dict[str, object]:
        histories.recorded(server, histories.diamond())
        return {"type": "MODIFIED", "object": server.objects[f"{WORKFLOWS.format('default')}/nightly"]}

    server.watches = [*([503] * refusals), [finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == code
    assert len(server.watched) == refusals + (code == 0)


def test_a_log_that_is_refused_is_asked_for_so_often(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(taps, "TRIES_MAX", 3)
    given = flow(step("a"))
    given.start("a")
    histories.recorded(server, given)
    put(server, "pods", sights.pod("a-1", "Running", labels=sights.labels(given, "a")))
    server.refusals["/api/v1/namespaces/default/pods/a-1/log"] = (400, "container is waiting to start")
    outcome = terminal.kipu("logs", "nightly", "a", "-f")
    assert outcome.code == 2
    assert "container is waiting to start" in outcome.err
