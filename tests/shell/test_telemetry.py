"""What /metrics says: the promised names, and figures that are true of a run over the fake API server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kipu.eventlog.ports import ConcurrencyConflict, Head
from kipu.shell.census import GAUGES, Census, count_phases, memory_limit
from kipu.shell.kube_http import Request
from kipu.shell.retention import Janitor
from kipu.shell.slots import Slots
from kipu.shell.telemetry import Telemetry
from kipu.shell.waits import Waits
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Status
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, history, operator, step, until

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
UNITS = ("seconds", "bytes", "jobs", "events", "chunks", "commands", "info")
WITHOUT_UNIT = {  # a count of what the name says
    *("kipu_leader", "kipu_workflows", "kipu_workflows_active", "kipu_workflows_waiting"),
    *("kipu_jobs_active", "kipu_jobs_limit"),
}
LABELS = {"result", "version", "type", "reason", "outcome", "verb", "resource", "status", "phase", "cause"}


def row(name: str, kind: str, labels: tuple[str, ...], text: str) -> str:
    shown = f"{name}{{{','.join(labels)}}}" if labels else name
    return f"| `{shown}` | {kind} | {text} |"


# -- names ---------------------------------------------------------------------------------------------------


def test_the_document_has_a_line_for_each_metric_and_no_other() -> None:
    promised = [row(each.name, each.kind, each.labels, each.text) for each in Telemetry().described]
    written = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `kipu_")]
    assert written == promised


def test_a_name_ends_with_its_unit() -> None:
    for each in Telemetry().described:
        assert re.fullmatch(r"kipu_[a-z]+(_[a-z]+)*", each.name)
        assert each.name.endswith("_total") is (each.kind == "counter"), each.name
        if each.kind == "histogram":
            assert each.name.endswith("_seconds"), each.name
        elif each.kind == "gauge" and each.name not in WITHOUT_UNIT:
            assert each.name.endswith(UNITS), each.name


def test_no_label_can_hold_the_name_of_anything_that_people_create() -> None:
    assert {label for each in Telemetry().described for label in each.labels} <= LABELS


def families(telemetry: Telemetry) -> dict[str, set[tuple[str, ...]]]:
    """What is exposed: the labels of each metric that has a sample."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for metric in telemetry.registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        for sample in metric.samples:
            labels = tuple(label for label in sample.labels if label != "le")
            found.setdefault(name, set()).add(labels)
    return found


# -- figures -------------------------------------------------------------------------------------------------


def figure(telemetry: Telemetry, name: str, **labels: str) -> float:
    return telemetry.registry.get_sample_value(f"kipu_{name}", labels) or 0.0


def fails_once(pod: dict[str, Any]) -> Program:
    labels = pod["metadata"]["labels"]
    return Program(exit_code=3 if (labels["kipu.dev/step"], labels["kipu.dev/attempt"]) == ("middle", "1") else 0)


@pytest.mark.looptime
async def test_a_run_is_counted_as_it_was_and_only_under_promised_names() -> None:
    server, telemetry = ApiServer(programs=fails_once), Telemetry()
    again = {"maxAttempts": 2, "backoff": {"initial": "1s", "jitter": "None"}}
    uid = apply(server, step("first"), step("middle", "first", retry=again), step("final", "middle"), name="nightly")
    async with operator(server, telemetry=telemetry):
        assert await ended(server, "nightly") == "Succeeded"
        exposed, text = families(telemetry), telemetry.render().decode()
    records = (await history(server, uid, "nightly")).records
    assert figure(telemetry, "step_attempts_total", reason="Succeeded") == 3
    assert figure(telemetry, "step_attempts_total", reason="ExitCode") == 1
    assert figure(telemetry, "step_retries_total", reason="ExitCode") == 1
    assert sum(figure(telemetry, "events_total", type=kind) for kind in kinds_of(records)) == len(records)
    assert figure(telemetry, "commits_total") == figure(telemetry, "commit_duration_seconds_count") > 4
    assert figure(telemetry, "workflow_claim_duration_seconds_count") == 1
    assert figure(telemetry, "workflow_duration_seconds_count", outcome="Succeeded") == 1
    assert 1.0 < figure(telemetry, "workflow_duration_seconds_sum", outcome="Succeeded") < 60.0
    assert figure(telemetry, "api_request_duration_seconds_count", verb="create", resource="jobs") == 4
    assert figure(telemetry, "api_requests_total", verb="create", resource="jobs", status="201") == 4
    promised = {each.name: each.labels for each in telemetry.described}
    assert {name: {promised[name]} for name in exposed} == exposed
    assert not any(name in text for name in ("nightly", "first", "middle", "final", '"default"'))


def kinds_of(records: Any) -> set[str]:
    return {type(record.event).__name__ for record in records}


@pytest.mark.looptime
async def test_a_gap_is_counted_for_each_step_that_another_one_lets_start_and_not_for_first_steps_or_retries() -> None:
    server, telemetry = ApiServer(programs=fails_once, latency_seconds=0.01), Telemetry()
    again = {"maxAttempts": 2, "backoff": {"initial": "1s", "jitter": "None"}}
    apply(server, step("first"), step("middle", "first", retry=again), step("left", "middle"), step("right", "middle"))
    async with operator(server, telemetry=telemetry):
        await ended(server)
    assert figure(telemetry, "step_gap_seconds_count") == 3
    # The commit and the create: two requests of 5 to 10 ms, and nothing else.
    assert 3 * 2 * 0.005 <= figure(telemetry, "step_gap_seconds_sum") <= 3 * 2 * 0.01


@pytest.mark.proof
@pytest.mark.looptime
async def test_a_step_that_takes_the_place_of_a_failed_attempt_has_no_gap() -> None:
    """No step has ended that let it start."""
    server, telemetry = ApiServer(programs=fails_once), Telemetry()
    again = {"maxAttempts": 2, "backoff": {"initial": "30s", "jitter": "None"}}
    apply(server, step("middle", retry=again), step("other"), parallelism=1)
    async with operator(server, telemetry=telemetry):
        assert await ended(server) == "Succeeded"
    assert len(server.executions) == 3
    assert figure(telemetry, "step_gap_seconds_count") == 0


def test_of_all_logs_the_largest_is_told() -> None:
    census = Census(phases={}, jobs_max=1, janitor_jobs=0)
    for position in (9, 3):
        census.measure(Head(position=position, hash="", epoch=1))
    assert census.log_events == 9


@pytest.mark.proof
@pytest.mark.looptime
async def test_what_waits_for_a_place_is_seen_while_it_does_and_counted_once_it_has_one() -> None:
    server, telemetry = ApiServer(programs=lambda _: Program(run_seconds=60.0)), Telemetry()
    for name in ("a", "b"):
        apply(server, step("s"), name=name)
    async with operator(server, telemetry=telemetry, parallelism=1):
        await until(lambda: server.executions)
        assert figure(telemetry, "workflows_waiting", cause="Place") == 1
        assert figure(telemetry, "workflows", phase="Running") == 1
        assert figure(telemetry, "jobs_active") == figure(telemetry, "jobs_limit") == 1
        await until(lambda: figure(telemetry, "workflow_oldest_wait_seconds", cause="Place") > 30)
        await ended(server, "a")
        await ended(server, "b")
        assert figure(telemetry, "workflows_waiting", cause="Place") == 0
    assert figure(telemetry, "place_wait_seconds_count") == 1
    assert figure(telemetry, "place_wait_seconds_sum") > 55


@pytest.mark.looptime
async def test_a_job_that_the_server_refuses_for_now_is_a_wait_with_an_age() -> None:
    def forbid(_index: int, request: Request) -> Status | None:
        is_create = request.method == "POST" and request.path.endswith("/jobs")
        return Status(code=403, reason="Forbidden") if is_create else None

    server, telemetry = ApiServer(), Telemetry()
    server.faults = forbid
    apply(server, step("s"))
    async with operator(server, telemetry=telemetry):
        await until(lambda: figure(telemetry, "workflow_oldest_wait_seconds", cause="Cluster") > 30)
        assert figure(telemetry, "workflows_waiting", cause="Cluster") == 1
        assert figure(telemetry, "workflow_oldest_wait_seconds", cause="Start") > 30
        server.faults = lambda _index, _request: None
        await ended(server)
        assert figure(telemetry, "workflows_waiting", cause="Cluster") == 0
        assert figure(telemetry, "workflows_waiting", cause="Start") == 0


@pytest.mark.looptime
async def test_who_leads_nothing_counts_no_workflow() -> None:
    server, telemetry = ApiServer(), Telemetry()
    apply(server, step("s"))
    async with operator(server, telemetry=telemetry, owns=lambda _uid: False) as engine:
        await until(lambda: engine.is_synced)
        assert telemetry.registry.get_sample_value("kipu_workflows", {"phase": "Pending"}) is None


def test_an_append_that_fails_is_counted_by_its_reason_and_its_time_all_the_same() -> None:
    telemetry = Telemetry()
    with pytest.raises(ConcurrencyConflict), telemetry.committing():
        raise ConcurrencyConflict("somebody was faster")
    assert figure(telemetry, "commit_failures_total", reason="ConcurrencyConflict") == 1
    assert figure(telemetry, "commit_duration_seconds_count") == 1


def test_the_process_is_measured_and_no_series_says_when_another_one_began() -> None:
    telemetry = Telemetry()
    telemetry.observe_process()
    telemetry.count_request("create", "jobs", "201", 0.01)
    text = telemetry.render().decode()
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "python_gc_collections_total"):
        assert f"\n{name}" in text
    assert "_created" not in text


# -- the parts -----------------------------------------------------------------------------------------------


def test_a_step_that_waits_for_another_reason_has_waited_since_the_first() -> None:
    def state() -> tuple[float | None, dict[str, str]]:
        return waits.oldest_seconds, dict(waits.reasons)

    now = 10.0
    waits = Waits(lambda: now)
    assert state() == (None, {})
    assert waits.show("a", "quota")
    assert not waits.show("a", "quota")
    now = 15.0
    assert waits.show("a", "no answer")
    waits.show("b", "quota")
    assert state() == (5.0, {"a": "no answer", "b": "quota"})
    assert waits.show("a", "")
    assert state() == (0.0, {"b": "quota"})
    waits.forget("b")
    assert state() == (None, {})


def test_how_long_the_first_in_the_row_for_a_place_has_waited_is_known() -> None:
    now, served = 0.0, list[float]()
    slots = Slots(1, on_served=served.append, now=lambda: now)
    slots.hold("a", 1)
    for uid in ("b", "c", "d"):
        slots.wait(uid, lambda: None)
        now += 1.0
    assert slots.waiting == (3, 3.0)
    slots.forget("a")
    assert (slots.waiting, served) == ((2, 2.0), [3.0])
    slots.forget("c")
    assert slots.waiting == (1, 1.0)


def test_the_janitors_row_is_its_backlog() -> None:
    assert len(Janitor(None)) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "limit"), [("1073741824\n", 2**30), ("max\n", None)])
def test_the_memory_that_the_container_may_have_is_read_or_unknown(
    tmp_path: Path, text: str, limit: int | None
) -> None:
    file = tmp_path / "memory.max"
    assert memory_limit(file) is None
    file.write_text(text)
    assert memory_limit(file) == limit


def test_a_workflow_that_nobody_has_taken_up_is_pending() -> None:
    assert count_phases(["Running", None, ""]) == {"Running": 1, "Pending": 2}


def test_each_gauge_of_a_census_is_documented_once() -> None:
    names = [each.name for each in Telemetry().described]
    assert len(names) == len(set(names))
    assert {f"kipu_{name}" for name in GAUGES} <= set(names)
