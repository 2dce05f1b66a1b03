"""What the server of `kipu ui` tells: the list, histories, steps; and its bounds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from kipu.cli.errors import CannotTell
from kipu.cli.ui import files
from kipu.cli.ui.app import POSITION_MAX
from kipu.cli.ui.feed import LISTENERS_MAX
from kipu.cli.ui.story import ROWS_MAX, STEP_ROWS_MAX, Story
from kipu.core.definition import Definition, OnFailure
from tests.cli.terminal import Terminal
from tests.cli.ui.histories import Played, named
from tests.cli.ui.served import WORKFLOW, Served, messages
from tests.core.given import step

EVENTS = 101


async def test_it_says_where_the_workflows_come_from(served: Served, export: Path) -> None:
    assert (await served.json("api/about"))["label"] == str(export)


async def test_a_story_is_told_whole_or_behind_a_position(served: Served) -> None:
    whole = await served.json(f"{WORKFLOW}/story")
    assert (whole["position"], len(whole["times"])) == (EVENTS, EVENTS)
    assert [step["name"] for step in whole["definition"]["steps"]][:3] == ["fetch", "check", "load-orders"]
    rest = await served.json(f"{WORKFLOW}/story?since=60")
    assert "definition" not in rest
    assert rest["times"] == whole["times"][60:]
    for mine, all_of_it in zip(rest["facts"], whole["facts"], strict=True):
        assert mine == all_of_it[-len(mine) :]
    assert min(rest["facts"][0]) > 60


async def test_a_position_that_the_log_does_not_have_is_answered_with_all_of_it(served: Served) -> None:
    told = await served.json(f"{WORKFLOW}/story?since={EVENTS + 1}")
    assert (told["since"], len(told["times"])) == (0, EVENTS)
    assert (await served.json(f"{WORKFLOW}/story?since={EVENTS}"))["times"] == []


async def test_events_are_told_as_the_history_tells_them(served: Served) -> None:
    rows = (await served.json(f"{WORKFLOW}/events?from=2&to=3"))["rows"]
    assert [row[0] for row in rows] == ["2", "3"]
    assert rows[0][3:] == ["WorkflowAccepted", "", "10 steps"]


async def test_events_beyond_the_ends_are_not_there(served: Served) -> None:
    asked = {"": (1, 1), "?from=0&to=2": (1, 2), "?from=100&to=999": (100, 2), "?from=900&to=999": (None, 0)}
    told = {query: (await served.json(f"{WORKFLOW}/events{query}"))["rows"] for query in asked}
    assert {query: (int(rows[0][0]) if rows else None, len(rows)) for query, rows in told.items()} == asked


async def test_a_step_is_told_with_its_events_until_a_position(served: Served) -> None:
    told = await served.json(f"{WORKFLOW}/steps/0?at=9999")
    assert {event["kind"] for event in told["events"]} == {
        "StepScheduled", "StepStarted", "AttemptFailed", "TimerFired", "StepSucceeded",
    }  # fmt: skip
    assert told["events"][-1]["outputs"]["note"] == "all rows are there"
    early = await served.json(f"{WORKFLOW}/steps/0?at=4")
    assert [row[0] for row in early["rows"]] == ["3", "4"]


async def test_a_node_that_is_not_there_has_no_events(served: Served) -> None:
    assert (await served.json(f"{WORKFLOW}/steps/4711"))["rows"] == []


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "%31%20", "99999999999", "²", "4294967296"])
async def test_what_is_no_number_is_refused(served: Served, number: str) -> None:
    for path in (
        "story?since={}",
        "events?from={}",
        "events?to={}",
        "steps/{}",
        "steps/0?at={}",
        "steps/0/log?attempt={}",
    ):
        assert (await served.ask(f"{WORKFLOW}/{path.format(number)}")).status == 400


async def test_the_largest_number_is_taken(served: Served) -> None:
    assert (await served.json(f"{WORKFLOW}/events?from={POSITION_MAX}&to={POSITION_MAX}"))["rows"] == []
    assert (await served.ask(f"{WORKFLOW}/events?from={POSITION_MAX + 1}")).status == 400


@pytest.mark.parametrize("name", ["default/other", "other/nightly-etl", "default/..", "default/%2e%2e%2fsecrets"])
async def test_a_workflow_that_is_not_listed_is_not_asked_for(served: Served, name: str) -> None:
    reply = await served.ask(f"api/workflows/{name}/story")
    assert reply.status == 404
    assert name == "default/.." or "there is no Workflow" in reply.json["error"]


async def test_a_file_says_that_it_has_no_logs_of_pods(served: Served) -> None:
    told = await served.json(f"{WORKFLOW}/steps/0/log?attempt=1")
    assert told["trouble"].startswith("a file holds no logs")
    assert told["pod"].startswith("nightly-etl-fetch-")
    assert (await served.json(f"{WORKFLOW}/steps/0/log?attempt=99"))[
        "trouble"
    ] == "the history names no pod of this attempt"


# -- changes -------------------------------------------------------------------------------------------------


async def test_who_listens_hears_the_whole_list_and_then_what_changes(served: Served) -> None:
    async with served.client.get(f"{served.guard.url}api/changes") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        (first,) = await messages(stream, 1)
        assert [told["name"] for told in first["changed"]] == ["nightly-etl"]
        assert (first["gone"], first["trouble"], first["whole"]) == ([], "", True)
        served.source.feed.change({("default", "nightly-etl"): None})
        (second,) = await messages(stream, 1)
        assert second == {"changed": [], "gone": [["default", "nightly-etl"]]}
        served.source.feed.tell("the cluster is away")
        assert (await messages(stream, 1))[0]["trouble"] == "the cluster is away"


async def test_only_the_newest_of_many_changes_is_told(served: Served) -> None:
    feed = served.source.feed
    told = dict(feed.summaries[("default", "nightly-etl")])
    with feed.listening() as listener:
        await listener.take()
        for position in range(500):
            feed.change({("default", "nightly-etl"): told | {"position": position}})
        assert [each["position"] for each in (await listener.take())["changed"]] == [499]  # type: ignore[attr-defined]


async def test_so_many_pages_may_listen_and_no_more(served: Served) -> None:
    url = f"{served.guard.url}api/changes"
    async with AsyncExitStack() as open_pages:
        for _ in range(LISTENERS_MAX):
            reply = await open_pages.enter_async_context(served.client.get(url))
            assert reply.status == 200
            await messages(reply, 1)
        async with served.client.get(url) as one_more:
            assert one_more.status == 503


async def test_a_page_that_is_closed_makes_room_for_another(served: Served) -> None:
    url = f"{served.guard.url}api/changes"
    for _ in range(3 * LISTENERS_MAX):
        async with served.client.get(url) as reply:
            await messages(reply, 1)
        while served.source.feed.listeners:
            await asyncio.sleep(0)


async def test_the_stream_ends_with_the_server(served: Served) -> None:
    async with served.client.get(f"{served.guard.url}api/changes") as stream:
        await messages(stream, 1)
        served.source.feed.close()
        while await stream.content.readline():
            pass
        assert stream.content.at_eof()


# -- bounds --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stubborn() -> Story:
    """Two steps that have failed a hundred times each, which are 400 events each."""
    steps = (step("a", attempts=100), step("b", attempts=100))
    run = Played(Definition(steps=steps, on_failure=OnFailure.CONTINUE), named("stubborn"), failing=1.0).play()
    told = Story(run.stream)
    told.grow(run.history().records)
    return told


def test_rows_in_one_answer_are_bounded(stubborn: Story) -> None:
    rows: Any = stubborn.rows(5, stubborn.position)["rows"]
    assert len(rows) == ROWS_MAX
    assert rows[0].position == "5"


def test_events_of_one_step_are_bounded_and_it_is_said_how_many_are_left_out(stubborn: Story) -> None:
    told: Any = stubborn.step(0, stubborn.position)
    assert len(told["rows"]) == STEP_ROWS_MAX
    assert told["left_out"] == 400 - STEP_ROWS_MAX
    assert int(told["rows"][-1].position) > STEP_ROWS_MAX


# -- the command ---------------------------------------------------------------------------------------------


def test_a_file_asks_no_cluster(terminal: Terminal, export: Path) -> None:
    outcome = terminal.kipu("ui", "--file", str(export), "--namespace", "x")
    assert outcome.code == 2
    assert "--file asks no cluster" in outcome.err


def test_a_file_that_is_not_there_or_is_no_export_is_said(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.kipu("ui", "--file", str(tmp_path / "none")).err.endswith("none: No such file or directory\n")
    other = tmp_path / "other"
    other.write_text("hello\n")
    outcome = terminal.kipu("ui", "--file", str(other))
    assert outcome.code == 2
    assert f"{other}: not a file of 'kipu history -o jsonl'" in outcome.err


def test_a_file_that_was_changed_is_not_shown(terminal: Terminal, export: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.jsonl"
    changed.write_text(export.read_text().replace('"step":"fetch"', '"step":"Fetch"', 1))
    outcome = terminal.kipu("ui", "--file", str(changed))
    assert outcome.code == 1
    assert f"not sound: {changed}: position 3" in outcome.err


def test_so_many_files_are_shown_and_no_more(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILES_MAX", 1)
    assert len(files.Files([export]).feed.summaries) == 1
    with pytest.raises(CannotTell, match="there are 2 files; at most 1 are shown at once"):
        files.Files([export, export])


def test_the_same_workflow_twice_is_refused(terminal: Terminal, export: Path) -> None:
    outcome = terminal.kipu("ui", "--file", str(export), "--file", str(export))
    assert (outcome.code, "is in another file too" in outcome.err) == (2, True)


def test_a_port_that_is_taken_is_said(terminal: Terminal, export: Path) -> None:
    async def take() -> asyncio.Server:
        return await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(take())
    port = server.sockets[0].getsockname()[1]
    outcome = terminal.kipu("ui", "--file", str(export), "--no-browser", "--port", str(port))
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()
    assert outcome.code == 2
    assert outcome.err == f"kipu: cannot listen on port {port}: Address already in use; name another by --port\n"
