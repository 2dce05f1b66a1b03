"""Facts of Jobs, their pods and the garbage collector, asked of the fake and of a real cluster alike."""

from __future__ import annotations

import asyncio

import pytest

from kipu.shell.kube_views import JobView, epoch_ms
from tests.conformance.world import World, config_map, job, owned
from tests.fakes.nodes import Program

LONG = Program(run_seconds=120)


def _conditions(view: JobView) -> list[tuple[str, str]]:
    return [(each.type, each.reason) for each in view.status.conditions if each.status == "True"]


async def test_a_job_as_we_make_it_has_the_defaults_of_the_fast_path(world: World) -> None:
    await world.run("a", Program(), suspend=True)
    view = await world.kube.get_job(world.namespace, "a")
    assert view is not None
    spec = view.spec
    assert (spec.completions, spec.parallelism, spec.backoff_limit, spec.restart_policy) == (1, 1, 0, "Never")
    assert not spec.has_pod_failure_policy
    assert not spec.has_success_policy


async def test_a_job_that_succeeds(world: World) -> None:
    await world.run("a", Program(run_seconds=0, message="path=/x"))
    view = await world.finished("a")
    assert _conditions(view) == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    assert (view.status.succeeded, view.status.failed, view.status.active) == (1, 0, 0)
    assert view.status.completion_time is not None
    (pod,) = await world.pods_of("a")
    assert pod.status.phase == "Succeeded"
    (main,) = pod.status.container_statuses
    end = main.state.terminated
    assert end is not None
    assert (main.name, end.exit_code, end.reason, end.message) == ("main", 0, "Completed", "path=/x")
    assert (epoch_ms(end.started_at) or 0) <= (epoch_ms(end.finished_at) or 0)


async def test_a_jobs_pod_names_its_job_by_labels_owner_and_node(world: World) -> None:
    created = await world.run("a", Program(run_seconds=0))
    await world.finished("a")
    (pod,) = await world.pods_of("a")
    labels = (await world.get("pods", pod.metadata.name)).body["metadata"]["labels"]
    assert labels["batch.kubernetes.io/controller-uid"] == created.uid
    assert labels["batch.kubernetes.io/job-name"] == pod.metadata.labels.job_name == "a"
    (owner,) = pod.metadata.owner_references
    assert (owner.uid, owner.kind, owner.controller) == (created.uid, "Job", True)
    assert pod.spec.node_name
    assert pod.metadata.name.startswith("a-")


async def test_a_job_whose_program_fails(world: World) -> None:
    await world.run("a", Program(run_seconds=0, exit_code=3, message="why"))
    view = await world.finished("a")
    assert _conditions(view) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    assert (view.status.succeeded, view.status.failed) == (0, 1)
    (pod,) = await world.pods_of("a")
    assert pod.status.phase == "Failed"
    end = pod.status.container_statuses[0].state.terminated
    assert end is not None
    assert (end.exit_code, end.reason, end.message) == (3, "Error", "why")


LINES = [f"line {number}\n" for number in range(1, 201)]
LOG = "".join(LINES)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program(run_seconds=0, exit_code=3, log=LOG), "".join(LINES[-80:])),
        (Program(run_seconds=0, exit_code=3, log="x" * 5_000 + "\n"), "x" * 2_047 + "\n"),
        (Program(run_seconds=0, exit_code=3, log=LOG, message="why"), "why"),
        (Program(run_seconds=0, exit_code=0, log=LOG), ""),
    ],
    ids=["80 lines", "2,048 bytes", "its own message", "a success"],
)
async def test_the_end_of_a_failed_containers_log_is_its_message_if_it_asks_for_that_and_has_written_none(
    world: World, program: Program, message: str
) -> None:
    await world.run("a", program)
    await world.finished("a")
    (pod,) = await world.pods_of("a")
    end = pod.status.container_statuses[0].state.terminated
    assert end is not None
    assert end.message == message


async def test_what_was_said_of_an_object_is_found_by_its_uid(world: World) -> None:
    job_uid = (await world.run("a", Program(run_seconds=0), suspend=True)).uid
    for name, uid in (("a.1", job_uid), ("a.2", "another")):
        notice = {
            "metadata": {"name": name},
            "type": "Warning",
            "reason": "FailedCreate",
            "note": "no",
            "action": "Tested",
            "eventTime": "2026-11-24T03:00:00.000000Z",
            "reportingController": "kipu.dev/conformance",
            "reportingInstance": "a",
            "regarding": {"kind": "Job", "namespace": world.namespace, "name": "a", "uid": uid},
        }
        assert (await world.create("events", notice)).status == 201
    assert "a.1" in (found := await world.names("events", fieldSelector=f"regarding.uid={job_uid}"))
    assert "a.2" not in found


async def test_the_pod_ends_before_its_job_does(world: World) -> None:
    await world.run("a", Program(run_seconds=0))
    while True:
        view = await world.kube.get_job(world.namespace, "a")
        pods = await world.pods_of("a")
        if pods and pods[0].status.phase == "Succeeded":
            break
        await asyncio.sleep(0.02)
    assert view is not None
    assert not view.status.conditions  # it was read before the pod


async def test_a_job_past_its_deadline_fails_and_its_pod_is_killed(world: World) -> None:
    await world.run("a", LONG, activeDeadlineSeconds=2)
    view = await world.finished("a")
    assert _conditions(view) == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    assert await world.pods_of("a") == []


@pytest.mark.parametrize("tries", [3])
async def test_a_deadline_is_judged_before_a_success_that_was_not_counted_yet(world: World, tries: int) -> None:
    """A pod's end is acted on a second later: so within the last second of its deadline a success comes too late.

    The pod's phase is set by hand; under load that may come after the deadline, which shows, and is tried again.
    """
    for number in range(tries):
        name = f"a{number}"
        pod = await world.by_hand(name, activeDeadlineSeconds=4)
        await world.until(lambda name=name: _began(world, name, seconds=3.2), 0.05)  # type: ignore[misc]
        await world.set_phase(pod, "Succeeded")
        if not await _is_decided(world, name):
            break
    else:
        pytest.skip("this machine is too slow to hit one second")
    view = await world.finished(name)
    assert _conditions(view) == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    assert (view.status.succeeded, view.status.failed) == (1, 0)


async def _began(world: World, name: str, *, seconds: float) -> bool:
    """Whether the Job began so long ago, by the clock of this machine, which is the cluster's."""
    view = await world.kube.get_job(world.namespace, name)
    began = epoch_ms(view.status.start_time) if view is not None else None
    return began is not None and world.now_ms() - began >= seconds * 1000


async def _is_decided(world: World, name: str) -> bool:
    view = await world.kube.get_job(world.namespace, name)
    return view is not None and view.status.conditions != ()


async def test_a_pod_deleted_by_somebody_counts_as_failed(world: World) -> None:
    await world.run("a", LONG)
    pod = await world.running("a")
    await world.delete("pods", pod.metadata.name)
    view = await world.finished("a")
    assert _conditions(view)[-1] == ("Failed", "BackoffLimitExceeded")
    assert await world.pods_of("a") == []


async def test_a_suspended_job_creates_no_pod_until_it_is_resumed(world: World) -> None:
    created = await world.run("a", Program(run_seconds=0), suspend=True)
    await world.until(lambda: _is_suspended(world))
    assert await world.pods_of("a") == []
    answer = await world.kube.suspend_job(world.namespace, "a", created.uid, suspend=False)
    assert answer.status == 200
    view = await world.finished("a")
    assert _conditions(view)[-1] == ("Complete", "CompletionsReached")
    assert len(await world.pods_of("a")) == 1


async def _is_suspended(world: World) -> bool:
    view = await world.kube.get_job(world.namespace, "a")
    return view is not None and ("Suspended", "JobSuspended") in _conditions(view)


async def test_a_running_job_that_is_suspended_loses_its_pod(world: World) -> None:
    created = await world.run("a", LONG)
    await world.running("a")
    await world.kube.suspend_job(world.namespace, "a", created.uid, suspend=True)
    await world.until(lambda: _no_pods(world, "a"))
    view = await world.kube.get_job(world.namespace, "a")
    assert view is not None
    assert view.status.failed == 0


async def _no_pods(world: World, name: str) -> bool:
    return await world.pods_of(name) == []


async def test_a_jobs_delete_orphans_its_pods_by_default(world: World) -> None:
    await world.run("a", Program(run_seconds=0))
    await world.finished("a")
    await world.delete("jobs", "a")
    await world.gone("jobs", "a")
    (pod,) = await world.pods_of("a")
    assert pod.metadata.owner_references == ()


async def test_a_foreground_delete_takes_the_pods_first_and_holds_the_name_until_then(world: World) -> None:
    """Its pods, that is, of which the garbage collector has heard: `tests/kube/test_lags.py` has the others."""
    created = await world.run("a", LONG)
    await world.running("a")
    await world.caught_up()
    answer = await world.kube.delete_job(world.namespace, "a", created.uid)
    assert answer.status == 200
    metadata = answer.body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["finalizers"] == ["foregroundDeletion"]
    assert metadata["deletionTimestamp"]
    again = await world.create("jobs", job("a", Program()))
    assert (again.status, again.reason) == (409, "AlreadyExists")
    await world.gone("jobs", "a")
    assert await world.pods_of("a") == []


async def test_a_background_delete_takes_the_pods_afterwards(world: World) -> None:
    await world.run("a", LONG)
    await world.running("a")
    await world.delete("jobs", "a", propagationPolicy="Background")
    await world.gone("jobs", "a")
    await world.until(lambda: _no_pods(world, "a"))


async def test_a_job_is_deleted_only_by_its_own_uid(world: World) -> None:
    await world.run("a", Program(), suspend=True)
    nobody = "00000000-0000-4000-8000-000000000000"
    assert (await world.kube.delete_job(world.namespace, "a", nobody)).status == 409
    assert (await world.kube.suspend_job(world.namespace, "a", nobody, suspend=False)).status == 422
    assert (await world.kube.delete_job(world.namespace, "nobody", nobody)).status == 404


async def test_a_deleted_job_creates_no_second_pod(world: World) -> None:
    created = await world.run("a", LONG)
    first = await world.running("a")
    await world.kube.delete_job(world.namespace, "a", created.uid)
    seen = set()
    while (await world.get("jobs", "a")).status == 200:
        seen |= {pod.metadata.uid for pod in await world.pods_of("a")}
        await asyncio.sleep(0.2)
    assert seen <= {first.metadata.uid}


async def test_a_retrying_job_makes_a_new_pod(world: World) -> None:
    await world.run("a", Program(run_seconds=0, exit_code=1), backoffLimit=1)
    view = await world.finished("a")
    assert view.status.failed == 2
    assert len(await world.pods_of("a")) == 2


async def test_an_indexed_job_runs_every_index_once(world: World) -> None:
    await world.run("a", Program(run_seconds=0), completionMode="Indexed", completions=3, parallelism=2)
    view = await world.finished("a")
    assert view.status.succeeded == 3
    found = [await world.get("pods", pod.metadata.name) for pod in await world.pods_of("a")]
    indexes = [pod.body["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in found]
    assert sorted(indexes) == ["0", "1", "2"]


@pytest.mark.parametrize(("containers", "kept"), [(1, 4_096), (3, 4_096), (4, 3_072), (8, 1_536)])
async def test_the_kubelet_cuts_a_termination_message_in_silence(world: World, containers: int, kept: int) -> None:
    await world.run("a", Program(run_seconds=0, message="x" * 5_000), containers=containers)
    await world.finished("a")
    (pod,) = await world.pods_of("a")
    main = next(each for each in pod.status.container_statuses if each.name == "main")
    assert main.state.terminated is not None
    assert len(main.state.terminated.message) == kept


async def test_what_an_object_owned_is_collected_after_it(world: World) -> None:
    owner = await world.create("configmaps", config_map("owner"))
    await world.create("configmaps", owned("thing", "ConfigMap", owner))
    await world.delete("configmaps", "owner")
    await world.gone("configmaps", "thing")


async def test_an_object_whose_owner_is_gone_already_is_collected(world: World) -> None:
    owner = await world.create("configmaps", config_map("owner"))
    await world.delete("configmaps", "owner")
    await world.create("configmaps", config_map("owner"))  # a namesake: the uid decides
    await world.create("configmaps", owned("thing", "ConfigMap", owner))
    await world.gone("configmaps", "thing")
    assert (await world.get("configmaps", "owner")).status == 200


async def test_a_jobs_whole_tree_goes_with_its_owner(world: World) -> None:
    owner = await world.create("configmaps", config_map("owner"))
    body = job("a", LONG)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid}
    body["metadata"]["ownerReferences"] = [{**reference, "controller": True, "blockOwnerDeletion": True}]
    assert (await world.create("jobs", body)).status == 201
    await world.running("a")
    await world.delete("configmaps", "owner")
    await world.gone("jobs", "a")
    await world.until(lambda: _no_pods(world, "a"))
