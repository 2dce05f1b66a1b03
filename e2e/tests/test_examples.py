"""Every file of examples/ runs, on a namespace that enforces PodSecurity `restricted`, to the end it promises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from uuid import uuid4

import pytest

from e2e.apiserver import kubectl, wait_until
from e2e.history import read
from e2e.namespace import Namespace, attempts, phases
from e2e.watching import Watch, executions

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"


def apply(namespace: Namespace, name: str) -> None:
    namespace.kubectl("apply", "--filename", str(EXAMPLES / f"{name}.yaml"))


def wait_for_end(namespace: Namespace, name: str) -> None:
    namespace.kubectl("wait", "--for=condition=Finished", "--timeout=90s", f"workflow/{name}")


def test_every_example_has_a_test_here() -> None:
    tested = {"hello", "diamond", "retry", "skip-on-failure", "cancel-me", "timeout", "indexed", "fan-out"}
    tested |= {"approval", "external", "finally", "gather", "outputs", "template", "when", "workspace"}
    tested |= {"cron"}  # in e2e/tests/test_cron.py
    tested |= {"sub-workflow"}  # in e2e/tests/test_sub_workflows.py
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == tested


def test_hello_succeeds(namespace: Namespace) -> None:
    apply(namespace, "hello")
    wait_for_end(namespace, "hello")
    status = namespace.status("hello")
    assert (status["phase"], set(phases(status).values())) == ("Succeeded", {"Succeeded"})
    assert "hello" in namespace.kubectl("logs", "--selector", "kipu.dev/workflow=hello").lower()


def test_the_diamond_runs_in_the_order_of_its_arrows(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "diamond")
        wait_for_end(namespace, "diamond")
        assert_order(namespace, "diamond", pods)
    status = namespace.status("diamond")
    assert (status["phase"], status["progress"]) == ("Succeeded", "4/4")


def assert_order(namespace: Namespace, name: str, pods: Watch) -> None:
    """No pod was created before every pod it depends on had ended: by etcd's revisions, not by clocks."""
    spec = namespace.workflow(name)["spec"]
    runs = {run.step: run for run in executions(pods)}
    arrows = [(need, s["name"]) for s in spec["steps"] for need in s.get("dependsOn", [])]
    assert len(arrows) == 4
    assert set(runs) == {s["name"] for s in spec["steps"]}
    for need, dependent in arrows:
        ended = runs[need].ended
        assert ended is not None
        assert ended < runs[dependent].created, f"{dependent} began before {need} had ended"


def test_retry_fails_twice_and_then_succeeds(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "retry")
        wait_for_end(namespace, "retry")
        ran = [(run.attempt, run.phase) for run in executions(pods)]
    status = namespace.status("retry")
    assert status["phase"] == "Succeeded"
    assert max(attempts(status).values()) == 3
    assert [phase for _, phase in ran].count("Failed") == 2
    assert Counter(attempt for attempt, phase in ran if phase == "Failed") == {1: 1, 2: 1}


@pytest.fixture
def volume() -> Iterator[None]:
    """A volume for a claim without a class, where nothing provisions one: /tmp of the node, which anybody may write."""
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}
    name = f"kipu-e2e-{uuid4().hex[:8]}"
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    kubectl("create", "--filename", "-", stdin=json.dumps(volume))
    yield
    kubectl("delete", "persistentvolume", name, "--wait=false")


def test_files_are_handed_on_from_the_attempt_that_succeeded(namespace: Namespace, volume: None) -> None:
    apply(namespace, "workspace")
    wait_for_end(namespace, "workspace")
    status = namespace.status("workspace")
    assert (status["phase"], status["progress"]) == ("Succeeded", "3/3")
    uid = namespace.uid("workspace")
    log = read(namespace, uid)
    (won,) = [record["podUid"] for record in log.of("StepSucceeded") if record["step"] == "fetch-data"]
    (join,) = [job for job in namespace.jobs() if job["metadata"]["labels"]["kipu.dev/step"] == "join"]
    (main,) = join["spec"]["template"]["spec"]["containers"]
    read_only = {each["mountPath"]: each["subPath"] for each in main["volumeMounts"] if each.get("readOnly")}
    assert read_only["/kipu/inputs/fetch-data"] == f"kipu/{uid}/fetch-data/{won}"
    assert namespace.kubectl("logs", "--selector", "kipu.dev/step=join").split("\n")[:3] == ["attempt 2"] * 3
    namespace.kubectl("delete", "workflow/workspace", "--cascade=foreground")
    assert namespace.kubectl("get", "persistentvolumeclaims", "--output=name") == ""


def test_a_template_runs_with_the_values_of_its_workflow(namespace: Namespace) -> None:
    apply(namespace, "template")
    wait_for_end(namespace, "template")
    assert namespace.status("template")["phase"] == "Succeeded"
    assert namespace.kubectl("logs", "--selector", "kipu.dev/workflow=template").count("hello Kipu") == 2


def test_skip_on_failure_names_the_culprit(namespace: Namespace) -> None:
    apply(namespace, "skip-on-failure")
    wait_for_end(namespace, "skip-on-failure")
    status = namespace.status("skip-on-failure")
    found = phases(status)
    assert status["phase"] == "Failed"
    assert "Skipped" in found.values()
    log = read(namespace, namespace.uid("skip-on-failure"))
    skipped = {name: record["culprit"] for record in log.of("StepsSkipped") for name in record["steps"]}
    assert set(skipped) == {name for name, phase in found.items() if phase == "Skipped"}
    assert {found[culprit] for culprit in skipped.values()} == {"Failed"}


def test_cancel_me_ends_cancelled_by_the_documented_patch(namespace: Namespace) -> None:
    apply(namespace, "cancel-me")
    namespace.phase("cancel-me", "Running")
    patch = '{"spec": {"shutdown": {"mode": "Cancel", "run": 1}}}'
    namespace.kubectl("patch", "workflow", "cancel-me", "--type=merge", "--patch", patch)
    wait_for_end(namespace, "cancel-me")
    assert namespace.status("cancel-me")["phase"] == "Cancelled"


def test_timeout_fails_with_that_reason(namespace: Namespace) -> None:
    apply(namespace, "timeout")
    wait_for_end(namespace, "timeout")
    status = namespace.status("timeout")
    assert status["phase"] == "Failed"
    assert "TimedOut" in {status["reason"], *(report["reason"] for report in status["failed"])}


def test_indexed_runs_every_index_once_and_then_the_step_below(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "indexed")
        wait_for_end(namespace, "indexed")
        ran = executions(pods)
    assert namespace.status("indexed")["phase"] == "Succeeded"
    assert Counter(run.step for run in ran) == {"shard": 4, "merge": 1}
    merge = next(run for run in ran if run.step == "merge")
    assert all(run.ended is not None and run.ended < merge.created for run in ran if run.step == "shard")


def test_outputs_are_committed_and_read_downstream(namespace: Namespace) -> None:
    apply(namespace, "outputs")
    wait_for_end(namespace, "outputs")
    assert namespace.status("outputs")["phase"] == "Succeeded"
    log = read(namespace, namespace.uid("outputs"))
    (fetched,) = (record for record in log.of("StepSucceeded") if record["step"] == "fetch-data")
    assert fetched["outputs"]["rows"] == 42
    assert fetched["outputs"]["shape"] == '{"columns":["id","price"],"mean":2.5}'
    (evaluated,) = log.of("StepEvaluated")
    assert evaluated["values"]["env[0].value"] == "42"
    assert evaluated["values"]["env[1].value"] == f"orders_{fetched['outputs']['digest']}"
    said = namespace.kubectl("logs", "--selector", "kipu.dev/step=load,kipu.dev/workflow=outputs")
    assert said.startswith("42 rows into orders_")


def test_when_skips_what_is_not_wanted_and_goes_on(namespace: Namespace) -> None:
    apply(namespace, "when")
    wait_for_end(namespace, "when")
    status = namespace.status("when")
    expected = {"check": "Succeeded", "small": "Succeeded", "large": "Skipped", "never": "Skipped"}
    assert (status["phase"], phases(status)) == ("Succeeded", expected | {"report": "Succeeded"})
    reasons = {step["name"]: step.get("reason") for step in status["steps"]}
    assert (reasons["large"], reasons["never"]) == ("ConditionFalse", "ConditionFalse")


def test_the_fan_out_runs_five_items_at_a_time_and_tries_the_one_that_fails_again(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "fan-out")
        wait_for_end(namespace, "fan-out")
        ran = executions(pods)
    status = namespace.status("fan-out")
    assert (status["phase"], status["progress"]) == ("Succeeded", "3/3")
    shard = next(step for step in status["steps"] if step["name"] == "shard")
    assert shard["items"] == {"total": 20, "running": 0, "succeeded": 20, "failed": 0}
    items = [run for run in ran if run.step.startswith("shard[")]
    assert Counter(run.step for run in items) == {f"shard[{index}]": 1 + (index == 7) for index in range(20)}
    # A pod's creation and its end, in the order of etcd's revisions.
    changes = sorted([(run.created, 1) for run in items] + [(run.ended or 0, -1) for run in items])
    running = list(accumulate(change for _, change in changes))
    assert max(running) == 5
    join = next(run for run in ran if run.step == "join")
    assert all(run.ended is not None and run.ended < join.created for run in items)
    log = read(namespace, namespace.uid("fan-out"))
    assert [record["count"] for record in log.of("StepExpanded")] == [20]


def test_approval_goes_on_once_somebody_has_approved_by_the_documented_patch(namespace: Namespace) -> None:
    apply(namespace, "approval")
    namespace.phase("approval", "Running")
    wait_until(lambda: phases(namespace.status("approval")).get("publish") == "Suspended", 60, "it is asked")
    assert "Publish what was built?" in namespace.status("approval")["message"]
    me = namespace.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}").strip()
    answer = {"step": "publish", "decision": "Approve", "by": me}
    patch = json.dumps({"spec": {"approvals": [answer]}})
    namespace.kubectl("patch", "workflow", "approval", "--type=merge", "--patch", patch)
    wait_for_end(namespace, "approval")
    assert namespace.status("approval")["phase"] == "Succeeded"
    (given,) = read(namespace, namespace.uid("approval")).of("ApprovalGiven")
    assert given["by"] == me


def test_finally_runs_after_a_failure_and_again_in_the_second_run(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "finally")
        wait_for_end(namespace, "finally")
        assert namespace.status("finally")["phase"] == "Failed"
        patch = '{"spec": {"rerun": {"number": 2}}}'
        namespace.kubectl("patch", "workflow", "finally", "--type=merge", "--patch", patch)
        wait_until(lambda: namespace.status("finally").get("phase") == "Succeeded", 90, "the second run is over")
        ran = Counter(run.step for run in executions(pods))
    assert ran == {"fetch": 1, "load": 2, "report": 1, "notify": 2}
    said = namespace.kubectl("logs", "--selector", "kipu.dev/step=notify", "--prefix=false")
    assert sorted(said.split("\n")[:2]) == ["the run has Failed", "the run has Succeeded"]


def test_gather_reads_what_each_item_has_written_in_their_order(namespace: Namespace) -> None:
    apply(namespace, "gather")
    wait_for_end(namespace, "gather")
    assert namespace.status("gather")["phase"] == "Succeeded"
    log = read(namespace, namespace.uid("gather"))
    (expanded,) = log.of("StepExpanded")
    assert expanded["items"] == ["a", "bcd", "ef"]
    (evaluated,) = (record for record in log.of("StepEvaluated") if record["step"] == "sum")
    assert evaluated["values"] == {"env[0].value": "[1,3,2]"}
    said = namespace.kubectl("logs", "--selector", "kipu.dev/workflow=gather,kipu.dev/step=sum")
    assert said.strip() == "the sizes are [1,3,2]"


def test_external_waits_for_a_persons_word_once_its_job_was_deleted(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        apply(namespace, "external")
        wait_until(lambda: executions(pods), 60, "pay runs")
        namespace.kubectl("delete", "job", "--selector", "kipu.dev/workflow=external,kipu.dev/step=pay")
        wait_until(lambda: phases(namespace.status("external")).get("pay") == "Unknown", 60, "nobody knows")
        assert "spec.resolutions" in namespace.status("external")["message"]
        me = namespace.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}").strip()
        word = {"step": "pay", "attempt": 1, "decision": "Succeed", "by": me}
        patch = json.dumps({"spec": {"resolutions": [word]}})
        namespace.kubectl("patch", "workflow", "external", "--type=merge", "--patch", patch)
        wait_for_end(namespace, "external")
        ran = Counter(run.step for run in executions(pods))
    assert namespace.status("external")["phase"] == "Succeeded"
    assert ran == {"pay": 1, "receipt": 1}
    log = read(namespace, namespace.uid("external"))
    started = next(record for record in log.of("StepStarted") if record["step"] == "pay")
    assert started["jobUid"] == next(run.job for run in executions(pods) if run.step == "pay")
    assert [record["by"] for record in log.of("UnknownResolved")] == [me]
