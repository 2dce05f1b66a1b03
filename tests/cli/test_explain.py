"""`kipu explain` against an API server: what it reads, and what it does without a right."""

from __future__ import annotations

from tests.cli import histories, sights
from tests.cli.api_server import ApiServer
from tests.cli.histories import STREAM, recorded
from tests.cli.sights import PULL, put, put_event
from tests.cli.terminal import Terminal
from tests.core.given import Flow, flow, nested, step


def pulling(server: ApiServer) -> Flow:
    """A step whose image cannot be pulled."""
    given = flow(step("a"), step("b", "a"))
    recorded(server, given)
    put(server, "jobs", sights.job(given.attempt("a").job))
    pod = sights.pod("a-x", waiting="ErrImagePull", message=PULL, labels=sights.labels(given, "a"))
    put(server, "pods", pod)
    put(server, "pods", sights.pod("other", waiting="ErrImagePull", message="of another step"))
    put_event(server, pod, "Pod", "Failed", "Failed to pull image")
    return given


def test_an_image_that_cannot_be_pulled_is_the_answer_and_events_are_facts(
    terminal: Terminal, server: ApiServer
) -> None:
    pulling(server)
    outcome = terminal.kipu("explain", "nightly", "a")
    first, *facts = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert first == f"step 'a' has not started: its image cannot be pulled: ErrImagePull: {PULL}"
    assert "  Pod a-x: Pending" in facts
    assert any("Pod a-x: Failed: Failed to pull image (3 times)" in fact for fact in facts)
    assert "of another step" not in outcome.out


def test_a_step_that_waits_for_it_names_it(terminal: Terminal, server: ApiServer) -> None:
    pulling(server)
    out = terminal.kipu("explain", "nightly", "b").out
    assert out.startswith("step 'b' waits for 1 dependency: a (Scheduled)\n")


def test_without_the_right_to_see_pods_the_log_answers_and_that_is_said(terminal: Terminal, server: ApiServer) -> None:
    pulling(server)
    for plural in ("pods", "events"):
        server.refusals[f"/api/v1/namespaces/default/{plural}"] = (403, f"cannot list {plural}")
    outcome = terminal.kipu("explain", "nightly", "a")
    assert outcome.code == 0
    assert "no right to list its pods: cannot list pods" in outcome.out


def test_a_job_that_is_gone_is_said_to_be(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    out = terminal.kipu("explain", "nightly", "join").out
    assert out.startswith("step 'join' has succeeded\n")
    assert "its Job is not there (any more)" in out


def test_a_child_is_asked_for_its_status(terminal: Terminal, server: ApiServer) -> None:
    given = flow(nested("sub"))
    recorded(server, given)
    child = given.attempt("sub").job
    server.add_workflow(type(STREAM)(namespace="default", name=child, uid="child"), phase="Running", progress="1/2")
    assert f"waits for its Workflow '{child}': Running, 1/2" in terminal.kipu("explain", "nightly", "sub").out


def test_an_unknown_step_ends_it_with_2_and_an_unknown_workflow_with_3(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("explain", "nightly", "lefd")
    assert outcome == (2, "", "kipu: Workflow 'nightly' has no step 'lefd'; did you mean 'left'?\n")
    assert terminal.kipu("explain", "nigthly", "left").code == 3


def test_a_failure_is_told_with_the_recorded_end_of_its_log(terminal: Terminal, server: ApiServer) -> None:
    histories.recorded(server, histories.speaking())
    lines = terminal.kipu("explain", "nightly", "load").out.splitlines()
    said = lines.index("  what attempt 1 wrote ended so (the end alone was kept):")
    assert lines[said + 1 : said + 4] == ["    | reading", "    |         x\\u202e", "    | KeyError: 'x'"]


def test_of_a_success_nothing_is_told_of_its_log(terminal: Terminal, server: ApiServer) -> None:
    histories.recorded(server, histories.diamond())
    assert "wrote" not in terminal.kipu("explain", "nightly", "left").out
