"""The spans of a history: a pure function of its records, of which a longer history only has more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from opentelemetry.semconv._incubating.attributes import k8s_attributes, process_attributes
from opentelemetry.semconv.attributes import error_attributes

from kipu.cli.spans import Names, Run, Span
from kipu.cli.traces import MARKS_MAX, trace
from kipu.core.commands import ResolveUnknown
from kipu.core.definition import Effects
from kipu.core.events import Reason, Resolution, ShutdownMode, StepAdopted
from kipu.eventlog.chain import beginning, extend
from kipu.eventlog.ports import Recorded, StreamId
from tests.cli.histories import SPEC_HASH, STREAM, batches, diamond, retrying, skipping
from tests.core.given import MINUTE, SECOND, START, Flow, adoption, approval, fan, flow, last, nested, step, wait
from tests.eventlog.ends import ENDS

UID = STREAM.uid


def recorded(given: Flow, stream: StreamId = STREAM) -> list[Recorded]:
    tip, found = beginning(stream.uid, SPEC_HASH), list[Recorded]()
    for batch in batches(given):
        extended = extend(tip, [event for event, _ in batch], ts=batch[0][1])
        tip = extended.tip
        found += extended.records
    return found


def runs_of(given: Flow) -> list[Run]:
    return trace(STREAM, recorded(given))


def one_run(given: Flow) -> list[Span]:
    (run,) = runs_of(given)
    return run.over


def tree(spans: Sequence[Span], parent: str | None = None, depth: int = 0) -> list[str]:
    """Each span below the one that it is a part of, with its seconds since the beginning."""
    lines = []
    for span in sorted((span for span in spans if span.parent == parent), key=lambda span: (span.begun, span.ended)):
        times = f"{(span.begun - START) / SECOND:g} to {(span.ended - START) / SECOND:g}"
        mark = "" if span.error is None else f": {span.error}"
        lines += [f"{'  ' * depth}{span.name}, {times}{mark}", *tree(spans, span.id, depth + 1)]
    return lines


def named(spans: Sequence[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


# -- what there is -------------------------------------------------------------------------------------------


def test_the_spans_of_a_run_are_its_steps_their_attempts_and_how_the_time_of_each_went() -> None:
    assert tree(one_run(diamond())) == [
        "workflow nightly, 0 to 7324",
        "  step fetch, 0 to 2",
        "    attempt, 0 to 2",
        "      queued, 0 to 1",
        "      running, 1 to 2",
        "  step right, 2 to 3",
        "    attempt, 2 to 3",
        "      running, 2 to 3",
        "  step left, 2 to 124",
        "    attempt, 2 to 3: ExitCode",
        "      running, 2 to 3",
        "    waiting, 3 to 4",
        "    attempt, 4 to 124",
        "      queued, 4 to 124",
        "  step join, 124 to 7324",
        "    attempt, 124 to 7324",
        "      queued, 124 to 7324",
    ]


def test_a_step_that_waits_for_a_place_says_so() -> None:
    given = flow(step("a"), step("b"), slots=1)
    given.succeed("a", after=SECOND)
    given.succeed("b", after=SECOND)
    assert tree(one_run(given))[-4:] == [
        "  step b, 0 to 2",
        "    waiting, 0 to 1",
        "    attempt, 1 to 2",
        "      queued, 1 to 2",
    ]


def test_items_are_parts_of_their_fan_out() -> None:
    given = flow(step("a"), fan("shard", "a", count=2, parallelism=1))
    given.succeed("a", after=SECOND)
    for index in range(2):
        given.succeed(f"shard[{index}]", after=SECOND)
    spans = one_run(given)
    (fan_out,) = [span for span in named(spans, "step shard") if "kipu.item" not in span.attributes]
    assert tree(spans, fan_out.id) == [
        "step shard, 1 to 2",
        "  attempt, 1 to 2",
        "    queued, 1 to 2",
        "step shard, 1 to 3",
        "  waiting, 1 to 2",
        "  attempt, 2 to 3",
        "    queued, 2 to 3",
    ]
    assert [span.attributes["kipu.item"] for span in spans if span.parent == fan_out.id] == [0, 1]


def test_an_attempt_says_where_it_ran_and_why_it_failed_by_the_words_that_are_conventional() -> None:
    first, second = named([span for span in one_run(diamond()) if "left" in span.attributes.values()], "attempt")
    assert first.attributes == {
        "kipu.step": "left",
        "kipu.attempt": 1,
        "k8s.namespace.name": "default",
        "k8s.job.name": f"nightly-left-{first.id}",
        "k8s.job.uid": "uid-left",
        "k8s.pod.name": "pod",
        "k8s.node.name": "node",
        "process.exit.code": 3,
        "error.type": "ExitCode",
    }
    assert (first.error, second.error) == ("ExitCode", None)


def test_the_words_that_are_conventional_are_those_of_opentelemetry() -> None:
    spans = one_run(diamond())
    used = {name for span in spans for name in span.attributes if not name.startswith("kipu.")}
    modules = (k8s_attributes, process_attributes, error_attributes)
    assert used <= {value for module in modules for value in vars(module).values() if isinstance(value, str)}


def test_a_retry_is_linked_to_the_attempt_that_it_tries_again() -> None:
    first, second = named([span for span in one_run(diamond()) if "left" in span.attributes.values()], "attempt")
    assert first.links == ()
    assert [(link.trace, link.span) for link in second.links] == [(first.trace, first.id)]


def test_what_has_failed_has_an_error_and_what_was_only_skipped_or_cancelled_has_none() -> None:
    spans = one_run(skipping())
    failed = {span.name: span.attributes["error.type"] for span in spans if span.error}
    assert failed == {"attempt": "ExitCode", "step first": "ExitCode", "workflow nightly": "StepFailed"}
    (skipped, *_) = named(spans, "step late-0")
    assert (skipped.attributes["kipu.phase"], skipped.attributes["kipu.culprit"]) == ("Skipped", "first")
    cancelled = flow(step("a"))
    cancelled.start("a", after=SECOND)
    cancelled.shut_down(ShutdownMode.CANCEL)
    cancelled.gone("a", after=SECOND)
    assert [span.error for span in one_run(cancelled)] == [None] * len(one_run(cancelled))


def test_an_attempt_that_was_given_up_is_ending_until_it_is_gone() -> None:
    given = flow(step("a", attempt_timeout=MINUTE))
    given.start("a", after=SECOND)
    given.pass_time(MINUTE)
    given.gone("a", after=30 * SECOND)
    assert tree(one_run(given))[2:] == [
        "    attempt, 0 to 91: TimedOut: attempt still running after 60 s",
        "      queued, 0 to 1",
        "      running, 1 to 61",
        "      ending, 61 to 91",
    ]


def unknown(decision: Resolution) -> Flow:
    given = flow(replace(step("pay"), effects=Effects.EXTERNAL))
    given.start("pay", after=SECOND)
    given.fail("pay", reason=Reason.POD_FAILED, exit_code=None, after=SECOND)
    given.tell(ResolveUnknown(ref=given.ref("pay"), decision=decision, by="ann"), after=MINUTE)
    return given


def test_while_nobody_knows_what_an_attempt_did_somebody_is_asked() -> None:
    assert tree(one_run(unknown(Resolution.SUCCEED)))[2:] == [
        "    attempt, 0 to 62",
        "      queued, 0 to 1",
        "      running, 1 to 2",
        "      asking, 2 to 62",
    ]


def test_a_second_run_is_a_trace_of_its_own_with_a_link_to_the_first() -> None:
    given = diamond()
    given.rerun("left")
    given.succeed("left", after=SECOND)
    given.succeed("join", after=SECOND)
    first, second = runs_of(given)
    assert first.names.trace != second.names.trace
    (root,) = named(second.over, "workflow nightly")
    assert root.links == (first.names.link(),)
    assert {span.name for span in second.over if span.name.startswith("step")} == {"step left", "step join"}


def test_a_step_of_finally_waits_since_the_steps_were_over() -> None:
    given = flow(step("a"), last("tidy"))
    given.succeed("a", after=SECOND)
    given.succeed("tidy", after=SECOND)
    assert "  step tidy, 1 to 2" in tree(one_run(given))


def test_a_child_is_linked_and_an_adopted_step_too() -> None:
    given = flow(nested("sub"))
    given.start("sub", after=SECOND)
    given.succeed("sub", after=SECOND)
    (attempt,) = named(one_run(given), "attempt")
    assert attempt.links == (Names(uid="uid-sub", run=1).link(),)
    assert attempt.attributes["kipu.child.uid"] == "uid-sub"
    adopted = flow(step("a"), step("b", "a"), adopt=adoption("a"))
    adopted.succeed("b", after=SECOND)
    (source,) = adopted.events_of(StepAdopted)
    (span,) = named(one_run(adopted), "step a")
    assert span.links == (Names(uid=source.source_uid, run=source.source_run).link(),)
    assert span.attributes["kipu.reason"] == "Adopted"


def test_a_finish_in_whole_seconds_lies_within_what_the_records_allow() -> None:
    given = flow(step("a"))
    given.now += 900
    outcome = replace(given.outcome("a"), started_at=START // 1000 * 1000 - 1000, finished_at=START + 2000)
    given.tell(outcome, after=2_500)
    spans = one_run(given)
    assert tree(spans)[2:] == ["    attempt, 0 to 3.4", "      running, 0 to 2.999"]


# -- ids and what is not over --------------------------------------------------------------------------------


def test_the_ids_are_the_same_for_ever() -> None:
    names = Names(uid=UID, run=1)
    assert names.trace == "5ffece7a02bb7039ebe3133c89661914"
    assert (names.root, names.step("left")) == ("be4aba73b6a88b2f", "9ffd2b0af28e2fee")
    assert (names.attempt("left", 1), names.part("left", 1, "running")) == ("c78c6e68c22e1893", "6e9286dd1691ef14")


def approved() -> Flow:
    given = flow(approval("ask"), step("after", "ask"), wait("rest"))
    given.answer("ask")
    given.succeed("after", after=SECOND)
    given.pass_time(MINUTE)
    return given


def cut_short() -> Flow:
    given = flow(fan("shard", count=5, parallelism=2), step("other"))
    given.start("shard[0]", after=SECOND)
    given.shut_down(ShutdownMode.CANCEL)
    given.gone("shard[0]", "shard[1]", "other", after=SECOND)
    return given


FLOWS: dict[str, Callable[[], Flow]] = {
    "diamond": diamond,
    "skipping": skipping,
    "retrying": lambda: retrying(60),
    "approved": approved,
    "cut short": cut_short,
    "unknown, done": lambda: unknown(Resolution.SUCCEED),
    "unknown, failed": lambda: unknown(Resolution.FAIL),
    "unknown, again": lambda: unknown(Resolution.RETRY),
    **ENDS,
}


each_flow = pytest.mark.parametrize("make", FLOWS.values(), ids=FLOWS)


@each_flow
def test_a_longer_history_has_the_same_spans_and_more(make: Callable[[], Flow]) -> None:
    records = recorded(make())
    whole = trace(STREAM, records)
    for length in range(len(records)):
        part = trace(STREAM, records[:length])
        for shorter, longer in zip(part, whole, strict=False):
            assert shorter.over == longer.over[: len(shorter.over)]


@each_flow
def test_a_run_that_is_over_leaves_no_span_open_and_each_lies_within_its_parent(make: Callable[[], Flow]) -> None:
    for run in runs_of(make()):
        spans = {span.id: span for span in run.over}
        assert len(spans) == len(run.over)
        assert {span.trace for span in run.over} == {run.names.trace}
        if not run.is_over:
            assert run.open_spans > 0
            continue
        assert run.open_spans == 0
        for span in run.over:
            assert span.begun <= span.ended
            if span.id == run.names.root:
                assert span.parent is None
            else:
                assert span.parent is not None
                above = spans[span.parent]
                assert above.begun <= span.begun
                assert span.ended <= above.ended


def test_the_moments_of_a_workflow_are_bounded() -> None:
    given = flow(step("a"))
    for _ in range(MARKS_MAX):
        given.suspend(True)
        given.suspend(False)
    given.succeed("a", after=SECOND)
    (root,) = named(one_run(given), "workflow nightly")
    assert len(root.marks) == MARKS_MAX


def test_without_a_run_there_is_no_trace() -> None:
    assert trace(STREAM, []) == []
