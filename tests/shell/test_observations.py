"""What a Job and its pods say about an attempt: the fast path's exact predicate, and every way to end."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from kipu.core.commands import AttemptRef, ObserveOutcome, ObserveStarted
from kipu.core.definition import Output, ValueType
from kipu.core.events import Reason
from kipu.shell import keepsakes, observations
from kipu.shell.kube_views import JobView, Metadata, PodSpec, PodView
from kipu.shell.observations import NOTHING, TRACKING, Promise, waiting_reason

START, END = "2026-11-24T03:00:00Z", "2026-11-24T03:00:05Z"
START_MS, END_MS = 1_795_489_200_000, 1_795_489_205_000
LABELS = {"kipu.dev/run": "1", "kipu.dev/step": "a", "kipu.dev/attempt": "2"}
REF = AttemptRef(run=1, step="a", attempt=2)


def job(*, conditions: list[dict[str, str]] | None = None, **changes: Any) -> JobView:
    spec = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never"}},
        **changes.pop("spec", {}),
    }
    metadata = {
        "name": "w-a",
        "uid": "job-uid",
        "labels": LABELS,
        "creationTimestamp": START,
        **changes.pop("metadata", {}),
    }
    status = {"startTime": START, "conditions": conditions or []}
    assert not changes
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, JobView)


def pod(
    phase: str, *, exit_code: int | None = None, uid: str = "job-uid", released: bool = False, **status: Any
) -> PodView:
    terminated = {"exitCode": exit_code, "startedAt": START, "finishedAt": END, **status.pop("terminated", {})}
    containers = [] if exit_code is None else [{"name": "main", "state": {"terminated": terminated}}]
    raw = {
        "metadata": {
            "name": "p",
            "uid": "pod-uid",
            "ownerReferences": [{"uid": uid, "controller": True}],
            "finalizers": [] if released else [TRACKING],
        },
        "spec": {"nodeName": "n"},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }
    return msgspec.convert(raw, PodView)


def condition(type_: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": END}


def observe(
    job: JobView, pods: Sequence[PodView], *, advance_on_pod: bool, promise: Promise = NOTHING
) -> observations.Observation | None:
    """What is said of them, and of what is kept of them."""
    seen = observations.observe(job, pods, advance_on_pod=advance_on_pod, promise=promise)
    kept, kept_pods = keepsakes.of_job(job), [keepsakes.of_pod(pod) for pod in pods]
    assert observations.observe(kept, kept_pods, advance_on_pod=advance_on_pod, promise=promise) == seen
    return seen


def needs_pods(job: JobView, pods: Sequence[PodView], promise: Promise = NOTHING) -> bool:
    """The same."""
    needs = observations.needs_pods(job, pods, promise)
    assert observations.needs_pods(keepsakes.of_job(job), [keepsakes.of_pod(pod) for pod in pods], promise) is needs
    return needs


def outcome(seen: object) -> ObserveOutcome:
    assert isinstance(seen, ObserveOutcome)
    return seen


def test_a_job_without_pods_says_nothing() -> None:
    assert observe(job(), [], advance_on_pod=True) is None


def test_a_running_pod_says_that_the_attempt_started_at_the_jobs_start() -> None:
    seen = observe(job(), [pod("Running")], advance_on_pod=True)
    assert seen == ObserveStarted(ref=REF, job_uid="job-uid", started_at=START_MS, pod="p", node="n")


def test_a_pod_of_another_job_says_nothing() -> None:
    assert observe(job(), [pod("Succeeded", exit_code=0, uid="other")], advance_on_pod=True) is None


def test_a_pod_belongs_to_the_job_that_controls_it_whoever_else_owns_it() -> None:
    ours, other = {"uid": "job-uid", "controller": True}, {"uid": "another", "controller": False}
    for owners, says in (
        ([other, ours], True),
        ([{**ours, "controller": False}, {**other, "controller": True}], False),
    ):
        owned = msgspec.structs.replace(pod("Running"), metadata=msgspec.convert({"ownerReferences": owners}, Metadata))
        assert (observe(job(), [owned], advance_on_pod=True) is not None) is says


def test_a_succeeded_pod_decides_before_its_job_does() -> None:
    seen = outcome(observe(job(), [pod("Succeeded", exit_code=0)], advance_on_pod=True))
    assert (seen.ref, seen.reason, seen.exit_code, seen.job_uid) == (REF, None, 0, "job-uid")
    assert (seen.started_at, seen.finished_at, seen.pod, seen.node) == (START_MS, END_MS, "p", "n")


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 137)])
def test_a_pod_that_its_job_let_go_uncounted_decides_nothing(phase: str, code: int) -> None:
    """So a suspension looks: the pod ends, and another one runs once the Job is resumed."""
    ended = pod(phase, exit_code=code, released=True)
    assert isinstance(observe(job(), [ended], advance_on_pod=True), ObserveStarted)
    done = job(conditions=[condition("Complete" if not code else "Failed")])
    assert isinstance(observe(done, [ended], advance_on_pod=True), ObserveOutcome)


def test_of_a_job_that_leaves_no_pod_that_was_let_go_before_decides_while_another_one_runs() -> None:
    """It was suspended and resumed, and is being deleted: the first pod ended uncounted, the second one runs."""
    leaving = job(metadata={"deletionTimestamp": END})
    first, second = pod("Succeeded", exit_code=0, released=True), pod("Running")
    assert isinstance(observe(leaving, [first, second], advance_on_pod=True), ObserveStarted)
    assert isinstance(observe(leaving, [first], advance_on_pod=True), ObserveOutcome)


ROWS = Promise(outputs=(Output(name="rows", type=ValueType.INT),))
FILES = Promise(files=True)


def wrote(message: str, *, containers: int = 1, ephemeral: int = 0) -> PodView:
    """A pod that ended well and has so many containers."""
    given = pod("Succeeded", exit_code=0, terminated={"message": message})
    names = [{"name": "main"}, *({"name": f"c{number}"} for number in range(containers - 1))]
    more = [{"name": f"e{number}"} for number in range(ephemeral)]
    spec = msgspec.convert({"containers": names[:2], "initContainers": names[2:], "ephemeralContainers": more}, PodSpec)
    return msgspec.structs.replace(given, spec=spec)


def test_a_success_brings_what_it_has_written_and_the_uid_of_its_pod() -> None:
    seen = outcome(observe(job(), [wrote("rows=42\n")], advance_on_pod=True, promise=ROWS))
    assert (seen.reason, seen.outputs, seen.pod_uid) == (None, {"rows": 42}, "pod-uid")


def test_a_step_that_declares_nothing_may_write_what_it_likes() -> None:
    seen = outcome(observe(job(), [wrote("x" * 4_096)], advance_on_pod=True))
    assert (seen.reason, seen.outputs, seen.pod_uid) == (None, None, None)


@pytest.mark.parametrize(
    ("message", "containers", "ephemeral", "reason"),
    [
        ("", 1, 0, Reason.OUTPUT_INVALID),
        ("rows=x", 1, 0, Reason.OUTPUT_INVALID),
        ("rows=" + "1" * 4_091, 1, 0, Reason.OUTPUT_TOO_LARGE),
        ("\n" * 1_528 + "rows=42", 8, 0, None),
        ("\n" * 1_529 + "rows=42", 8, 0, Reason.OUTPUT_TOO_LARGE),
        ("\n" * 2_500 + "rows=42", 3, 0, None),
        ("\n" * 2_500 + "rows=42", 3, 2, Reason.OUTPUT_TOO_LARGE),
    ],
)
def test_a_success_without_its_outputs_is_none(
    message: str, containers: int, ephemeral: int, reason: Reason | None
) -> None:
    ended = wrote(message, containers=containers, ephemeral=ephemeral)
    seen = outcome(observe(job(), [ended], advance_on_pod=True, promise=ROWS))
    assert (seen.reason, seen.exit_code) == (reason, 0)
    assert (seen.outputs is None) is (reason is not None)


def test_a_failure_stays_what_it_is_whatever_it_has_written() -> None:
    failed = pod("Failed", exit_code=3, terminated={"message": "rows=42"})
    seen = outcome(observe(job(), [failed], advance_on_pod=True, promise=ROWS))
    assert (seen.reason, seen.outputs, seen.message) == (Reason.EXIT_CODE, None, "exit code 3: rows=42")


def test_a_job_that_is_complete_without_a_pod_that_says_with_what_asks_for_a_list() -> None:
    done = job(conditions=[condition("Complete")])
    assert needs_pods(done, [], ROWS)
    assert needs_pods(done, [pod("Running")], ROWS)
    assert not needs_pods(done, [wrote("rows=1")], ROWS)
    assert not needs_pods(done, [])
    seen = outcome(observe(done, [], advance_on_pod=False, promise=ROWS))
    assert (seen.reason, seen.message) == (
        Reason.LOST,
        "its pod vanished, and with it what says which outputs or files stand",
    )


def test_a_success_in_a_workspace_names_its_pod_and_is_none_without_one() -> None:
    seen = outcome(observe(job(), [pod("Succeeded", exit_code=0)], advance_on_pod=True, promise=FILES))
    assert (seen.reason, seen.outputs, seen.pod_uid) == (None, None, "pod-uid")
    failed = outcome(observe(job(), [pod("Failed", exit_code=1)], advance_on_pod=True, promise=FILES))
    assert (failed.reason, failed.pod_uid) == (Reason.EXIT_CODE, None)
    done = job(conditions=[condition("Complete")])
    assert needs_pods(done, [], FILES)
    assert outcome(observe(done, [], advance_on_pod=False, promise=FILES)).reason is Reason.LOST


def test_advancing_on_the_job_waits_for_its_condition() -> None:
    ended = pod("Succeeded", exit_code=0)
    assert isinstance(observe(job(), [ended], advance_on_pod=False), ObserveStarted)
    assert outcome(observe(job(conditions=[condition("Complete")]), [ended], advance_on_pod=False)).reason is None


@pytest.mark.parametrize(
    "spec",
    [
        {"completions": 2},
        {"completions": None},
        {"parallelism": 2},
        {"backoffLimit": 1},
        {"podFailurePolicy": {"rules": []}},
        {"successPolicy": {"rules": []}},
        {"template": {"spec": {"restartPolicy": "OnFailure"}}},
    ],
)
def test_a_job_that_is_not_as_we_make_them_decides_for_itself(spec: dict[str, Any]) -> None:
    ended = pod("Succeeded", exit_code=0)
    assert isinstance(observe(job(spec=spec), [ended], advance_on_pod=True), ObserveStarted)


def test_an_exit_code_is_told_with_the_programs_last_words() -> None:
    failed = pod("Failed", exit_code=3, terminated={"reason": "Error", "message": "no such table\n"})
    seen = outcome(observe(job(), [failed], advance_on_pod=True))
    assert (seen.reason, seen.exit_code, seen.message) == (Reason.EXIT_CODE, 3, "exit code 3: no such table")


@pytest.mark.parametrize("promise", [Promise(), ROWS])
def test_of_a_failure_the_message_has_the_last_line_of_the_log_and_the_tail_all_of_it(promise: Promise) -> None:
    failed = pod("Failed", exit_code=1, terminated={"reason": "Error", "message": "reading\n\x1b[31mKeyError: 'x'\n\n"})
    seen = outcome(observe(job(), [failed], advance_on_pod=True, promise=promise))
    assert (seen.message, seen.log_tail) == ("exit code 1: KeyError: 'x'", "reading\n\x1b[31mKeyError: 'x'\n\n")
    assert seen.outputs is None


def test_a_success_has_no_tail_whatever_it_has_written() -> None:
    assert outcome(observe(job(), [wrote("rows=42")], advance_on_pod=True, promise=ROWS)).log_tail == ""
    unsound = outcome(observe(job(), [wrote("rows=x")], advance_on_pod=True, promise=ROWS))
    assert (unsound.reason, unsound.log_tail) == (Reason.OUTPUT_INVALID, "")


def test_why_a_program_could_not_be_started_is_its_runtimes_word_and_no_tail() -> None:
    words = 'exec: "lod": not found\nin $PATH'
    failed = pod("Failed", exit_code=128, terminated={"reason": "StartError", "message": words})
    seen = outcome(observe(job(), [failed], advance_on_pod=True))
    assert (seen.message, seen.log_tail) == (f"exit code 128: {words}", "")


def test_out_of_memory_is_named() -> None:
    failed = pod("Failed", exit_code=137, terminated={"reason": "OOMKilled", "message": "loading"})
    seen = outcome(observe(job(), [failed], advance_on_pod=True))
    assert (seen.reason, seen.log_tail) == (Reason.OUT_OF_MEMORY, "loading")


def test_a_disruption_is_not_the_programs_fault() -> None:
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    seen = outcome(observe(job(), [pod("Failed", exit_code=143, conditions=[target])], advance_on_pod=True))
    assert (seen.reason, seen.message) == (Reason.DISRUPTED, "EvictionByEvictionAPI: drained")


def test_another_containers_failure_fails_the_attempt_and_is_named() -> None:
    statuses = [
        {"name": "helper", "state": {"terminated": {"exitCode": 9}}},
        {"name": "main", "state": {"terminated": {"exitCode": 0, "startedAt": START, "finishedAt": END}}},
    ]
    seen = outcome(observe(job(), [pod("Failed", containerStatuses=statuses)], advance_on_pod=True))
    assert (seen.reason, seen.message) == (Reason.POD_FAILED, "container 'helper' ended with exit code 9")


def test_a_pod_that_the_kubelet_refused_fails_with_its_words() -> None:
    seen = outcome(
        observe(job(), [pod("Failed", reason="UnexpectedAdmissionError", message="no")], advance_on_pod=True)
    )
    assert (seen.reason, seen.message) == (Reason.POD_FAILED, "UnexpectedAdmissionError: no")


def test_a_pod_killed_because_its_job_is_being_deleted_is_no_failure_of_the_program() -> None:
    leaving = job(metadata={"deletionTimestamp": END})
    assert not isinstance(observe(leaving, [pod("Failed", exit_code=143)], advance_on_pod=True), ObserveOutcome)
    assert outcome(observe(leaving, [pod("Succeeded", exit_code=0)], advance_on_pod=True)).reason is None


def test_a_complete_job_is_a_success_even_if_its_pod_was_never_seen() -> None:
    seen = outcome(observe(job(conditions=[condition("Complete")]), [], advance_on_pod=True))
    assert (seen.reason, seen.exit_code, seen.finished_at) == (None, 0, END_MS)


def test_a_failed_job_whose_pod_was_not_seen_asks_for_a_list_first() -> None:
    failed = job(conditions=[condition("Failed", "BackoffLimitExceeded", "x")])
    assert needs_pods(failed, [])
    assert needs_pods(failed, [pod("Running")])
    assert not needs_pods(failed, [pod("Failed", exit_code=1)])
    assert not needs_pods(job(), [])
    assert outcome(observe(failed, [], advance_on_pod=True)).reason is Reason.LOST


def test_the_jobs_own_deadline_is_a_timeout() -> None:
    failed = job(conditions=[condition("Failed", "DeadlineExceeded")])
    assert outcome(observe(failed, [], advance_on_pod=True)).reason is Reason.TIMED_OUT


def test_a_placeholder_says_nothing() -> None:
    placeholder = job(metadata={"annotations": {"kipu.dev/placeholder": "true"}})
    assert observe(placeholder, [pod("Succeeded", exit_code=0)], advance_on_pod=True) is None


@pytest.mark.parametrize("label", ["kipu.dev/run", "kipu.dev/attempt"])
@pytest.mark.parametrize("value", ["", "x", "-1", "٣"])
def test_a_job_with_labels_that_are_not_ours_says_nothing(label: str, value: str) -> None:
    forged = job(metadata={"labels": {**LABELS, label: value}})
    assert observe(forged, [pod("Succeeded", exit_code=0)], advance_on_pod=True) is None


def test_why_a_pod_waits_is_said_in_the_clusters_own_words() -> None:
    pulling = {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    creating = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert waiting_reason(pod("Pending", containerStatuses=[pulling])) == "ImagePullBackOff: not found"
    assert waiting_reason(pod("Pending", containerStatuses=[creating])) == ""
    assert waiting_reason(pod("Pending", conditions=[unscheduled])) == "Unschedulable: 0/1 nodes"
    assert waiting_reason(pod("Pending")) == ""


SEVERAL = {"completions": 3, "parallelism": 3}


def named(view: PodView, name: str, finished_at: str) -> PodView:
    raw = msgspec.to_builtins(view)
    raw["metadata"]["name"] = name
    raw["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = finished_at
    return msgspec.convert(raw, PodView)


def test_of_several_pods_the_first_that_failed_says_why() -> None:
    taken_down = named(pod("Failed", exit_code=143), "a", "2026-11-24T03:00:09Z")
    culprit = named(pod("Failed", exit_code=3), "b", END)
    done = named(pod("Succeeded", exit_code=0), "c", START)
    failed = job(spec=SEVERAL, conditions=[condition("Failed", "BackoffLimitExceeded")])
    seen = outcome(observe(failed, [taken_down, done, culprit], advance_on_pod=True))
    assert (seen.reason, seen.exit_code, seen.pod) == (Reason.EXIT_CODE, 3, "b")
    assert needs_pods(failed, [done])
    assert not needs_pods(failed, [done, culprit])


def test_of_several_pods_none_is_the_success_or_the_timeout() -> None:
    ended = [pod("Succeeded", exit_code=0)] * 3
    seen = outcome(observe(job(spec=SEVERAL, conditions=[condition("Complete")]), ended, advance_on_pod=True))
    assert (seen.reason, seen.pod, seen.finished_at) == (None, None, END_MS)
    late = job(spec=SEVERAL, conditions=[condition("Failed", "DeadlineExceeded")])
    seen = outcome(observe(late, [pod("Failed", exit_code=143)], advance_on_pod=True))
    assert seen.reason is Reason.TIMED_OUT
