"""`kipu watch`, off a terminal and on one: the API server tells a story, and the log grows with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import Head, StreamId
from tests.cli import histories
from tests.cli.api_server import WORKFLOWS, ApiServer, Change, StoredConfigMaps
from tests.cli.histories import STREAM
from tests.cli.local_terminal import hear_all
from tests.cli.terminal import Terminal
from tests.core.given import SECOND, Flow

OBJECT = f"{WORKFLOWS.format('default')}/nightly"


class World:
    """A Workflow whose log grows by the batches of a history, one at a time."""

    def __init__(self, server: ApiServer, given: Flow) -> None:
        self._server = server
        self._log = ConfigMapLog(StoredConfigMaps(server))
        self._rest = histories.batches(given)
        self._head: Head | None = None
        server.add_workflow(STREAM)

    def grow(self, batches: int = 1, **shown: Any) -> dict[str, Any]:
        """Commit so many, let the status see it, and give the change of the Workflow."""
        for batch in [self._rest.pop(0) for _ in range(batches)]:
            events = [event for event, _ in batch]
            self._head, _ = histories.run(
                self._log.append(STREAM, self._head, events, ts=batch[0][1], spec_hash=histories.SPEC_HASH)
            )
        assert self._head is not None
        seen = {"position": self._head.position, "hash": self._head.hash}
        self._server.add_workflow(STREAM, seen, **shown)
        return self.modified()

    def finish(self) -> dict[str, Any]:
        return self.grow(len(self._rest))

    def modified(self) -> dict[str, Any]:
        return {"type": "MODIFIED", "object": self._server.objects[OBJECT]}

    def delete(self) -> dict[str, Any]:
        """As the garbage collector does: the Workflow, and its log with it."""
        gone = self._server.objects.pop(OBJECT)
        for path in [path for path in self._server.objects if "/configmaps/" in path]:
            del self._server.objects[path]
        return {"type": "DELETED", "object": gone}


@pytest.fixture
def world(server: ApiServer) -> World:
    return World(server, histories.diamond())


def expired() -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


def times(count: int, change: Change) -> list[Change]:
    return [change] * count


def test_watch_prints_how_it_stands_and_then_a_line_a_change(
    terminal: Terminal, server: ApiServer, world: World
) -> None:
    world.grow()
    server.watches = [[*times(2, world.grow), world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    first, *lines = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert first.split()[:3] == ["nightly", "Running", "0/4"]
    assert [line.split()[1:3] for line in lines][:3] == [
        ["fetch/1", "runs"],
        ["fetch/1", "succeeded"],
        ["left/1", "runs"],
    ]
    assert lines[-1].split()[1:] == ["workflow", "succeeded"]
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize(("end", "code"), [("succeed", 0), ("fail", 1)])
def test_a_workflow_that_has_finished_is_shown_and_not_waited_for(
    terminal: Terminal, server: ApiServer, end: str, code: int
) -> None:
    given = histories.skipping() if end == "fail" else histories.diamond()
    histories.recorded(server, given)
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == code
    assert len(outcome.out.splitlines()) == 1
    assert server.watched == []


def test_a_workflow_that_no_operator_took_up_yet_is_waited_for(
    terminal: Terminal, server: ApiServer, world: World
) -> None:
    server.watches = [[world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 0
    assert outcome.out.startswith("nightly  Pending  no operator has taken it up yet\n")


def test_what_the_status_says_of_waiting_is_a_line(terminal: Terminal, server: ApiServer, world: World) -> None:
    heard = threading.Event()
    answer = server.answer

    def noted(path: str, query: Any) -> tuple[int, bytes]:
        answered = answer(path, query)
        if "/configmaps/" in path:
            heard.set()
        return answered

    def waits() -> dict[str, Any]:
        change = world.grow(1, reason="Waiting", message="step 'fetch': ErrImagePull")
        heard.clear()
        return change

    def ends() -> dict[str, Any]:
        assert heard.wait(30)  # until the change before was looked into
        return world.finish()

    server.answer = noted  # type: ignore[method-assign]
    server.watches = [[waits, ends]]
    assert terminal.kipu("watch", "nightly").out.count("step 'fetch': ErrImagePull") == 1


def test_a_watch_that_closes_is_followed_by_another(terminal: Terminal, server: ApiServer, world: World) -> None:
    server.watches = [[world.grow], [], [world.finish]]
    assert terminal.kipu("watch", "nightly").code == 0
    assert len(server.watched) == 3


def test_what_happens_between_two_watches_is_not_missed(terminal: Terminal, server: ApiServer, world: World) -> None:
    def unheard() -> None:
        world.finish()

    server.watches = [[world.grow, unheard]]
    assert terminal.kipu("watch", "nightly").code == 0


@pytest.mark.parametrize("expiry", [410, [expired]], ids=["at the beginning", "in the middle"])
def test_a_version_that_has_expired_is_followed_by_a_new_one(
    terminal: Terminal, server: ApiServer, world: World, expiry: Any
) -> None:
    world.grow()
    server.watches = [expiry, [world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_server_that_refuses_for_now_is_asked_again_and_that_is_said(
    terminal: Terminal, server: ApiServer, world: World
) -> None:
    server.watches = [503, [world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 0
    assert "the API server refuses for now: 503" in outcome.err


def test_a_watch_that_may_not_be_is_no_fault_of_the_moment(terminal: Terminal, server: ApiServer, world: World) -> None:
    server.watches = [403]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 2
    assert "no right to watch Workflow 'nightly'" in outcome.err


def gone(world: World, _server: ApiServer) -> list[Change]:
    return [world.delete]


def gone_unheard(world: World, server: ApiServer) -> list[Change]:
    return [lambda: world.delete() and None]


def log_goes_first(world: World, server: ApiServer) -> list[Change]:
    def lost() -> dict[str, Any]:
        change = world.modified()
        world.delete()
        return change

    return [lost]


def replaced(world: World, server: ApiServer) -> list[Change]:
    def again() -> dict[str, Any]:
        world.delete()
        server.add_workflow(StreamId(namespace="default", name="nightly", uid="another"))
        return {"type": "ADDED", "object": server.objects[OBJECT]}

    return [again]


@pytest.mark.parametrize("story", [gone, gone_unheard, log_goes_first, replaced])
def test_a_workflow_that_is_deleted_meanwhile_ends_it_with_3(
    terminal: Terminal, server: ApiServer, world: World, story: Callable[[World, ApiServer], list[Change]]
) -> None:
    world.grow()
    server.watches = [story(world, server)]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 3
    assert outcome.err == "kipu: Workflow 'nightly' was deleted\n"


def test_a_log_that_is_damaged_is_no_deletion(terminal: Terminal, server: ApiServer, world: World) -> None:
    def damaged() -> dict[str, Any]:
        change = world.grow()
        for path in [path for path in server.objects if "/configmaps/" in path]:
            del server.objects[path]
        return change

    server.watches = [[damaged]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 1
    assert outcome.err.startswith("kipu: not sound: ")


def test_a_workflow_that_is_not_there_ends_it_with_3(terminal: Terminal, server: ApiServer) -> None:
    assert terminal.kipu("watch", "nightly").code == 3


def test_a_timeout_ends_it_with_124(terminal: Terminal, server: ApiServer, world: World) -> None:
    outcome = terminal.kipu("watch", "nightly", "--timeout", "1ms")
    assert outcome.code == 124
    assert outcome.err == "kipu: Workflow 'nightly' has not finished in time; it goes on\n"


def test_a_timeout_that_is_no_duration_is_refused(terminal: Terminal, server: ApiServer) -> None:
    outcome = terminal.kipu("watch", "nightly", "--timeout", "soon")
    assert outcome.code == 2
    assert "'soon' is no duration: write 90s, 5m or 1h30m" in outcome.err


def test_a_stalled_workflow_is_not_waited_for(terminal: Terminal, server: ApiServer, world: World) -> None:
    server.watches = [[lambda: world.grow(condition="Stalled")]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 2
    assert "Workflow 'nightly' is stalled" in outcome.err


def rerun(server: ApiServer, log: Mapping[str, object], number: int, *from_: str) -> None:
    server.add_workflow(STREAM, log, spec={"rerun": {"number": number, "from": list(from_)}})


def test_a_run_that_is_about_to_open_is_waited_for(terminal: Terminal, server: ApiServer) -> None:
    given = histories.diamond()
    end = len(histories.batches(given))
    given.now += SECOND
    given.rerun("join")
    given.start("join", after=SECOND)
    given.succeed("join", after=SECOND)
    world = World(server, given)
    rerun(server, world.grow(end)["object"]["status"]["log"], 2, "join")
    server.watches = [[world.grow, world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 0
    assert "workflow              runs again: rerun 2" in outcome.out


@pytest.mark.parametrize(("number", "from_"), [(1, ()), (2, ("no-such-step",)), (3, ())])
def test_a_run_that_never_opens_is_not_waited_for(
    terminal: Terminal, server: ApiServer, number: int, from_: tuple[str, ...]
) -> None:
    head = histories.recorded(server, histories.diamond())
    rerun(server, {"position": head.position, "hash": head.hash}, number, *from_)
    assert terminal.kipu("watch", "nightly").code == 0


def test_on_a_terminal_the_tree_is_drawn_with_a_bar(
    terminal: Terminal, server: ApiServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    world.grow()
    server.watches = [[*times(3, world.grow), world.finish]]
    outcome = terminal.kipu("watch", "nightly")
    assert outcome.code == 0
    assert "└─ ✔ join" in outcome.out
    assert "━" in outcome.out
    assert "○ join" in outcome.out


def test_sealed_parts_of_the_log_are_read_once(terminal: Terminal, server: ApiServer) -> None:
    world = World(server, histories.wide())
    read: list[str] = []
    answer = server.answer

    def noted(path: str, query: Any) -> tuple[int, bytes]:
        read.append(path)
        return answer(path, query)

    server.answer = noted  # type: ignore[method-assign]
    server.watches = [[*times(4, lambda: world.grow(10)), world.finish]]
    assert terminal.kipu("watch", "nightly").code == 0
    sealed = [path for path in read if server.objects.get(path, {}).get("immutable")]
    assert sealed
    assert len(sealed) == len(set(sealed))


@pytest.mark.proof
def test_ctrl_c_ends_it_with_130(server: ApiServer, world: World) -> None:
    command = [sys.executable, "-m", "kipu.cli.main", "watch", "nightly"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_all)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("nightly  Pending")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
