"""`kipu trace`: to a collector over HTTP, or printed; from a cluster, or from a file of `kipu export`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kipu.cli.otlp import BATCH_SPANS_MAX, send, traces_url
from kipu.cli.spans import Names, Span
from tests.cli import collector
from tests.cli.api_server import ApiServer
from tests.cli.collector import Collector
from tests.cli.exports import half_done, recorded
from tests.cli.histories import STREAM
from tests.cli.terminal import Terminal
from tests.core.given import SECOND

NAME = STREAM.name
FIRST = Names(uid=STREAM.uid, run=1)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector.listening() as listening:
        yield listening


def test_a_workflow_of_a_cluster_is_sent_as_a_trace_and_what_has_not_ended_is_left_out(
    terminal: Terminal, server: ApiServer, receiver: Collector
) -> None:
    recorded(server, half_done())
    outcome = terminal.kipu("trace", NAME, "--endpoint", receiver.url)
    line = f"run 1: trace {FIRST.trace}, {len(receiver.spans)} spans, 3 left out that have not ended\n"
    assert outcome == (0, line, "")
    assert receiver.paths == ["/v1/traces"]
    assert {span.trace_id.hex() for span in receiver.spans} == {FIRST.trace}
    assert {span.name for span in receiver.spans} >= {"step top", "step left", "step right", "attempt"}
    assert not {"step bottom", f"workflow {NAME}"} & {span.name for span in receiver.spans}


def test_sent_twice_it_is_the_same_byte_by_byte_and_from_a_file_too(
    terminal: Terminal, server: ApiServer, receiver: Collector, tmp_path: Path
) -> None:
    flow = half_done()
    flow.succeed("bottom", after=SECOND)
    recorded(server, flow)
    file = tmp_path / "nightly.jsonl"
    terminal.kipu("export", NAME, "--output", str(file))
    for what in (NAME, NAME, str(file)):
        assert terminal.kipu("trace", what, "--endpoint", receiver.url).code == 0
    assert terminal.kipu("trace", "-", "--endpoint", receiver.url, stdin=file.read_bytes()).code == 0
    first, *others = receiver.bodies
    assert others == [first] * 3
    (root,) = [span for span in receiver.spans[: len(receiver.spans) // 4] if not span.parent_span_id]
    assert (root.name, root.span_id.hex()) == (f"workflow {NAME}", FIRST.root)


def test_printed_it_is_otlp_json_with_ids_in_hex(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, half_done())
    outcome = terminal.kipu("trace", NAME, "-o", "json")
    assert outcome.code == 0
    assert outcome.err.startswith(f"kipu: run 1: trace {FIRST.trace}, ")
    (resource,) = json.loads(outcome.out)["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "kipu"}}]
    (scope,) = resource["scopeSpans"]
    failed = next(span for span in scope["spans"] if span["spanId"] == FIRST.attempt("right", 1))
    assert (failed["traceId"], failed["parentSpanId"]) == (FIRST.trace, FIRST.step("right"))
    assert failed["status"] == {"code": 2, "message": "ExitCode"}
    attributes = {each["key"]: each["value"] for each in failed["attributes"]}
    assert attributes["process.exit.code"] == {"intValue": "1"}
    assert int(failed["endTimeUnixNano"]) - int(failed["startTimeUnixNano"]) == 2 * SECOND * 1_000_000


@pytest.mark.parametrize(("count", "requests"), [(BATCH_SPANS_MAX, 1), (BATCH_SPANS_MAX + 1, 2)])
def test_many_spans_go_in_several_requests(receiver: Collector, count: int, requests: int) -> None:
    span = Span(trace=FIRST.trace, id=FIRST.root, parent=None, name="x", begun=1, ended=2, attributes={})
    send([span] * count, receiver.url)
    assert (len(receiver.spans), len(receiver.bodies)) == (count, requests)


def test_a_collector_that_refuses_is_named_with_its_words(
    terminal: Terminal, server: ApiServer, receiver: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(server, half_done())
    receiver.answer = 400
    outcome = terminal.kipu("trace", NAME, "--endpoint", receiver.url)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"kipu: {receiver.url} did not take the spans: ")
    assert "code: 400" in outcome.err
    assert outcome.err.endswith("; to send them again is harmless\n")
    assert caplog.records == []  # it is said once, by us


def test_the_environment_says_where_to_send_and_what_else_is_known_of_it(
    terminal: Terminal, server: ApiServer, receiver: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server, half_done())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    assert terminal.kipu("trace", NAME).code == 0
    assert receiver.paths == ["/v1/traces"]
    assert b"deployment.environment.name" in receiver.bodies[0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "where to? Give --endpoint URL, or -o json to print"),
        (("--endpoint", "http://x", "-o", "json"), "-o prints and --endpoint sends: give one"),
        (("--endpoint", "localhost:4318"), "'localhost:4318' is no URL of a collector"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(
    terminal: Terminal, server: ApiServer, arguments: tuple[str, ...], word: str
) -> None:
    recorded(server, half_done())
    outcome = terminal.kipu("trace", NAME, *arguments)
    assert outcome.code == 2
    assert word in outcome.err


def test_a_changed_file_is_not_traced(terminal: Terminal, server: ApiServer, tmp_path: Path) -> None:
    recorded(server, half_done())
    file = tmp_path / "changed.jsonl"
    file.write_text(terminal.kipu("export", NAME).out.replace('"step":"left"', '"step":"lost"', 1))
    outcome = terminal.kipu("trace", str(file), "-o", "json")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("kipu: not sound: position ")


@pytest.mark.parametrize("given", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_the_path_of_traces_is_put_behind_the_address_unless_it_is_there(given: str) -> None:
    assert traces_url(given).rstrip("/") == "http://c:4318/v1/traces"
