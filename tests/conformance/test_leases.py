"""Facts of Leases, asked of the fake and of a real API server alike: what the elector rests on."""

from __future__ import annotations

import pytest

from kipu.shell.kube_lease import decode_lease
from tests.conformance.world import Json, World

SECONDS = 10.0
MOMENT = "2026-01-01T00:00:00.123456Z"


def lease(holder: str = "a", **metadata: str) -> Json:
    """A Lease that somebody holds."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", **metadata},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "acquireTime": MOMENT,
            "renewTime": MOMENT,
            "leaseTransitions": 0,
        },
    }


async def test_a_lease_is_read_as_it_was_written_to_the_microsecond(world: World) -> None:
    assert await world.kube.get_lease(world.namespace, "l", timeout_seconds=SECONDS) is None
    created = await world.kube.create_lease(world.namespace, lease(), timeout_seconds=SECONDS)
    assert created.status == 201
    read = await world.kube.get_lease(world.namespace, "l", timeout_seconds=SECONDS)
    assert read == decode_lease(created.body)
    assert read is not None
    assert (read.spec.holder_identity, read.spec.lease_duration_seconds) == ("a", 15)
    assert (read.spec.acquire_time, read.spec.renew_time, read.spec.lease_transitions) == (MOMENT, MOMENT, 0)
    again = await world.kube.create_lease(world.namespace, lease(), timeout_seconds=SECONDS)
    assert (again.status, again.reason) == (409, "AlreadyExists")


async def test_of_two_updates_of_one_version_of_a_lease_one_is_refused(world: World) -> None:
    created = await world.create("leases", lease(""))
    guards = {"uid": created.uid, "resourceVersion": created.version}
    for holder, expected in (("a", 200), ("b", 409)):
        manifest = lease(holder, **guards)
        answer = await world.kube.update_lease(world.namespace, "l", manifest, timeout_seconds=SECONDS)
        assert answer.status == expected
    assert (await world.get("leases", "l")).body["spec"]["holderIdentity"] == "a"


async def test_a_lease_may_have_no_spec_and_no_holder(world: World) -> None:
    created = await world.create("leases", {"metadata": {"name": "l"}})
    assert created.status == 201
    read = await world.kube.get_lease(world.namespace, "l", timeout_seconds=SECONDS)
    assert read is not None
    assert read.spec.holder_identity is None
    released = lease("", uid=created.uid, resourceVersion=created.version)
    assert (await world.kube.update_lease(world.namespace, "l", released, timeout_seconds=SECONDS)).status == 200


async def test_an_update_of_a_lease_names_its_version(world: World) -> None:
    created = await world.create("leases", lease())
    answer = await world.kube.update_lease(world.namespace, "l", lease("b", uid=created.uid), timeout_seconds=SECONDS)
    assert (answer.status, answer.reason) == (422, "Invalid")


async def test_a_deleted_lease_is_not_written_again_by_an_update_of_it(world: World) -> None:
    created = await world.create("leases", lease())
    await world.delete("leases", "l")
    late = lease("a", uid=created.uid, resourceVersion=created.version)
    answer = await world.kube.update_lease(world.namespace, "l", late, timeout_seconds=SECONDS)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert await world.kube.get_lease(world.namespace, "l", timeout_seconds=SECONDS) is None
    made = await world.kube.update_lease(world.namespace, "l", lease("b"), timeout_seconds=SECONDS)
    assert made.status in (200, 201)  # but one that names no uid makes a new one: so each of ours names it


@pytest.mark.parametrize("spec", [{"leaseDurationSeconds": 0}, {"leaseTransitions": -1}])
async def test_a_lease_has_a_duration_and_counts_upwards(world: World, spec: dict[str, int]) -> None:
    wrong = lease()
    wrong["spec"] |= spec
    assert (await world.create("leases", wrong)).status == 422


async def test_labels_of_a_lease_go_with_an_update_that_does_not_name_them(world: World) -> None:
    created = await world.create("leases", {"metadata": {"name": "l", "labels": {"a": "b"}}})
    guards = {"uid": created.uid, "resourceVersion": created.version}
    await world.kube.update_lease(world.namespace, "l", lease("a", **guards), timeout_seconds=SECONDS)
    assert not (await world.get("leases", "l")).body["metadata"].get("labels")
