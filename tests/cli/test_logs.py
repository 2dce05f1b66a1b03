"""`kipu logs` against an API server: pods with logs, pods that are gone, and logs that go on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli import histories, sights
from tests.cli.api_server import ApiServer
from tests.cli.histories import recorded
from tests.cli.sights import put
from tests.cli.terminal import Terminal
from tests.cli.test_watch import World
from tests.core.given import SECOND, Flow, fan, flow, step

PODS = "/api/v1/namespaces/default/pods"


def at(second: int, text: str) -> str:
    return f"2023-11-14T22:13:{20 + second:02}.000000000Z {text}"


def write(server: ApiServer, given: Flow, name: str, attempt: int, *lines: str, phase: str = "Succeeded") -> str:
    """A pod of this attempt with this log; its name."""
    step_name, _, index = name.partition("[")
    more = {"index": index.removesuffix("]")} if index else {}
    pod = f"{step_name}{more.get('index', '')}-{attempt}"
    put(server, "pods", sights.pod(pod, phase, labels=sights.labels(given, step_name, attempt, **more)))
    server.logs[pod] = list(lines)
    return pod


@pytest.fixture
def diamond(server: ApiServer) -> Flow:
    given = histories.diamond()
    recorded(server, given)
    return given


def test_the_newest_attempt_of_a_step_is_printed(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    write(server, diamond, "left", 1, at(0, "one"))
    write(server, diamond, "left", 2, at(1, "two"), at(2, "  three"))
    assert terminal.kipu("logs", "nightly", "left") == (0, "two\n  three\n", "")
    assert terminal.kipu("logs", "nightly", "left", "--attempt", "1") == (0, "one\n", "")
    assert server.logged[0][1]["container"] == "main"


def test_lines_may_have_their_times(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    write(server, diamond, "join", 1, at(0, "x"))
    assert terminal.kipu("logs", "nightly", "join", "--timestamps").out == at(0, "x\n")


def test_tail_and_since_are_asked_of_the_server(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    write(server, diamond, "join", 1, at(0, "x"), at(1, "y"))
    assert terminal.kipu("logs", "nightly", "join", "--tail", "1", "--since", "5m").out == "y\n"
    assert server.logged[0][1]["sinceSeconds"] == "300"


def test_of_a_pod_that_is_gone_the_log_of_events_knows_the_end(
    terminal: Terminal, server: ApiServer, diamond: Flow
) -> None:
    outcome = terminal.kipu("logs", "nightly", "left", "--attempt", "1")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(
        "kipu: step 'left', attempt 1: its pod is gone, or not there yet; the log of events knows: "
        "AttemptFailed at 2023-11-14T22:13:23.000Z: ExitCode, exit code 3"
    )


KEPT = ["reading", "        x\\u202e", "KeyError: 'x'"]  # without what would colour a terminal


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["load"], KEPT),
        (["load", "-f"], KEPT),
        (["load", "--tail", "1"], KEPT[-1:]),
        (["--all"], [f"[load/1] {line}" for line in KEPT]),
        (["--all", "-f"], [f"[load/1] {line}" for line in KEPT]),
    ],
)
def test_of_a_pod_that_is_gone_the_recorded_end_of_its_log_is_printed(
    terminal: Terminal, server: ApiServer, arguments: list[str], lines: list[str]
) -> None:
    recorded(server, histories.speaking())
    outcome = terminal.kipu("logs", "nightly", *arguments)
    assert (outcome.code, outcome.out.splitlines()) == (0, lines)
    assert outcome.err.startswith("kipu: step 'load', attempt 1: its pod is gone, or not there yet; the log of events")
    assert outcome.err.endswith("; of what it wrote the end alone was kept\n")


@pytest.mark.parametrize("arguments", [["--since", "5m"], ["--tail", "0"]])
def test_of_a_recorded_end_no_more_is_printed_than_was_asked_for(
    terminal: Terminal, server: ApiServer, arguments: list[str]
) -> None:
    recorded(server, histories.speaking())
    outcome = terminal.kipu("logs", "nightly", "load", *arguments)
    assert (outcome.code, outcome.out) == (2, "")


def test_a_container_that_is_waiting_is_told_in_the_servers_words(
    terminal: Terminal, server: ApiServer, diamond: Flow
) -> None:
    pod = write(server, diamond, "join", 1)
    del server.logs[pod]
    server.refusals[f"{PODS}/{pod}/log"] = (400, 'container "main" in pod is waiting to start: ErrImagePull')
    outcome = terminal.kipu("logs", "nightly", "join")
    assert outcome.code == 2
    assert outcome.err == f'kipu: pod {pod} has no log yet: container "main" in pod is waiting to start: ErrImagePull\n'


def test_a_missing_right_is_told(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    server.refusals[PODS] = (403, "cannot list pods")
    outcome = terminal.kipu("logs", "nightly", "join")
    assert outcome.code == 2
    assert "cannot list pods" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("left", "--attempt", "3"), "--attempt 3: step 'left' has had attempts 1 to 2"),
        (("lefd",), "did you mean 'left'?"),
        ((), "name one of the steps, or give --all: fetch, left, right, join"),
        (("left", "--all", "--attempt", "1"), "give one of the two"),
        (("left", "-f", "--attempt", "1"), "leave out --attempt"),
    ],
)
def test_wrong_usage_ends_it_with_2(
    terminal: Terminal, server: ApiServer, diamond: Flow, arguments: tuple[str, ...], why: str
) -> None:
    outcome = terminal.kipu("logs", "nightly", *arguments)
    assert outcome.code == 2
    assert why in outcome.err


def test_a_step_that_has_not_begun_says_why(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, flow(step("a"), step("b", "a")))
    outcome = terminal.kipu("logs", "nightly", "b")
    assert outcome == (2, "", "kipu: step 'b' has no pod: Pending, after a (Scheduled)\n")


def test_an_unknown_workflow_ends_it_with_3(terminal: Terminal, server: ApiServer) -> None:
    assert terminal.kipu("logs", "nightly", "a").code == 3
    assert terminal.kipu("logs", "nightly", "a", "-f").code == 3


# -- many --------------------------------------------------------------------------------------------------


def test_all_steps_are_merged_by_time_with_step_and_attempt_before_each_line(
    terminal: Terminal, server: ApiServer, diamond: Flow
) -> None:
    write(server, diamond, "fetch", 1, at(0, "a"), at(3, "d"))
    write(server, diamond, "left", 2, at(1, "b"), "no time", at(4, "e"))
    write(server, diamond, "join", 1, at(2, "c"))
    outcome = terminal.kipu("logs", "nightly", "--all")
    assert outcome.out.splitlines() == [
        "[fetch/1] a",
        "[left/2] b",
        "[left/2] no time",
        "[join/1] c",
        "[fetch/1] d",
        "[left/2] e",
    ]
    assert outcome.code == 0
    assert "step 'right', attempt 1: its pod is gone" in outcome.err


def test_all_items_of_a_fan_out_are_merged(terminal: Terminal, server: ApiServer) -> None:
    given = flow(step("other"), fan("shard", count=2))
    recorded(server, given)
    write(server, given, "other", 1, at(0, "not this"))
    write(server, given, "shard[0]", 1, at(1, "a"))
    write(server, given, "shard[1]", 1, at(0, "b"))
    assert terminal.kipu("logs", "nightly", "shard", "--all").out == "[shard[1]/1] b\n[shard[0]/1] a\n"
    assert terminal.kipu("logs", "nightly", "shard[1]").out == "b\n"


def test_of_an_item_that_is_over_every_attempt_can_be_asked_for(terminal: Terminal, server: ApiServer) -> None:
    """Of items that are over the state keeps no count: their attempts are in the records."""
    given = flow(fan("shard", count=2, attempts=2))
    given.start("shard[1]", after=SECOND)
    given.fail("shard[1]", after=SECOND)
    given.pass_time(SECOND)
    given.start("shard[1]", after=SECOND)
    given.succeed("shard[1]", after=SECOND)
    recorded(server, given)
    write(server, given, "shard[1]", 1, at(0, "first"))
    write(server, given, "shard[1]", 2, at(1, "second"))
    assert terminal.kipu("logs", "nightly", "shard[1]", "--attempt", "1").out == "first\n"
    assert terminal.kipu("logs", "nightly", "shard[1]").out == "second\n"
    assert "has had attempts 1 to 2" in terminal.kipu("logs", "nightly", "shard[1]", "--attempt", "3").err


def test_where_all_pods_are_gone_nothing_can_be_told(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    outcome = terminal.kipu("logs", "nightly", "--all")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("its pod is gone") == 4


def test_logs_that_are_empty_are_no_failure(terminal: Terminal, server: ApiServer) -> None:
    given = flow(step("a"))
    recorded(server, given)
    write(server, given, "a", 1)
    assert terminal.kipu("logs", "nightly", "--all") == (0, "", "")


# -- as it comes -------------------------------------------------------------------------------------------


def retried() -> Flow:
    """One step that fails, and then succeeds."""
    given = flow(step("a", attempts=2), step("z", "a"))
    given.start("a", after=SECOND)
    given.fail("a", after=SECOND)
    given.pass_time(SECOND)
    given.start("a", after=SECOND)
    given.succeed("a", after=SECOND)
    return given


def test_following_goes_over_later_attempts_to_the_end_of_the_step(terminal: Terminal, server: ApiServer) -> None:
    given = retried()
    world = World(server, given)
    world.grow(2)  # its first attempt runs

    def second() -> dict[str, Any]:
        write(server, given, "a", 2, at(5, "again"))
        return world.finish()

    write(server, given, "a", 1, at(0, "first"), phase="Failed")
    server.watches = [[world.grow, second]]
    assert terminal.kipu("logs", "nightly", "a", "-f") == (0, "first\nagain\n", "")


def test_a_log_that_breaks_off_while_its_pod_runs_is_asked_for_again_and_no_line_comes_twice(
    terminal: Terminal, server: ApiServer
) -> None:
    given = retried()
    world = World(server, given)
    world.grow(2)

    def on() -> None:
        if len(server.logs["a-1"]) == 1:
            server.logs["a-1"].append(at(0, "second"))
            return
        put(server, "pods", sights.pod("a-1", "Failed", labels=sights.labels(given, "a", 1)))

    pod = write(server, given, "a", 1, at(0, "first"), phase="Running")
    server.followed[pod] = on
    write(server, given, "a", 2)
    server.watches = [[world.finish]]
    outcome = terminal.kipu("logs", "nightly", "a", "-f", "--tail", "9")
    assert outcome == (0, "first\nsecond\n", "")
    asked = [query for name, query in server.logged if name == pod]
    assert [("tailLines" in query, query.get("sinceTime")) for query in asked] == [
        (True, None),
        (False, "2023-11-14T22:13:20Z"),
    ]


def test_following_all_steps_ends_with_the_run(terminal: Terminal, server: ApiServer) -> None:
    given = histories.diamond()
    world = World(server, given)
    for name, attempt in (("fetch", 1), ("left", 1), ("left", 2), ("right", 1), ("join", 1)):
        write(server, given, name, attempt, at(0, f"of {name}"))
    server.watches = [[world.grow] * len(histories.batches(given))]
    outcome = terminal.kipu("logs", "nightly", "--all", "-f")
    assert outcome.code == 0
    assert "[fetch/1] of fetch" in outcome.out.splitlines()
    assert "[join/1] of join" in outcome.out.splitlines()


def test_a_step_that_never_runs_is_said_to_have_no_pod(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.skipping())
    outcome = terminal.kipu("logs", "nightly", "late-0", "-f")
    assert outcome == (0, "", "kipu: step 'late-0' has no pod: Skipped, because of 'first'\n")


def test_a_pod_that_is_gone_before_it_is_followed_is_told(terminal: Terminal, server: ApiServer, diamond: Flow) -> None:
    outcome = terminal.kipu("logs", "nightly", "join", "-f")
    assert (outcome.code, outcome.out) == (0, "")
    assert "its pod is gone" in outcome.err


def test_a_workflow_that_is_deleted_while_it_is_followed_ends_it_with_3(terminal: Terminal, server: ApiServer) -> None:
    given = retried()
    world = World(server, given)
    world.grow(2)
    write(server, given, "a", 1, at(0, "first"), phase="Failed")
    server.watches = [[world.delete]]
    outcome = terminal.kipu("logs", "nightly", "a", "-f")
    assert outcome.code == 3
    assert outcome.err.endswith("kipu: Workflow 'nightly' was deleted\n")
