"""Facts of admission policies, asked of the fake and of a real API server alike."""

from __future__ import annotations

import pytest

from tests.conformance.world import World, config_map

REFUSED = {"k": "refused"}


@pytest.mark.parametrize(("reason", "status"), [("Invalid", 422), ("Forbidden", 403)])
async def test_a_policy_refuses_with_the_status_of_its_reason_and_one_cause(
    world: World, reason: str, status: int
) -> None:
    await world.create("configmaps", config_map("a"))
    async with world.policy(reason) as policy:
        told = f"ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: this is refused"
        replace = [{"op": "replace", "path": "/data/k", "value": "refused"}]
        created = await world.create("configmaps", config_map("b", REFUSED))
        patched = await world.patch("configmaps", "a", replace)
        for name, answer in (("b", created), ("a", patched)):
            assert (answer.status, answer.reason) == (status, reason)
            assert answer.body["message"] == f'configmaps "{name}" is forbidden: {told}'
            assert answer.body["details"]["causes"] == [{"message": told}]
        assert (await world.create("configmaps", config_map("c"))).status == 201
    assert (await world.get("configmaps", "a")).body["data"] == {"k": "v"}


async def test_a_failed_test_of_a_patch_is_told_from_a_policys_refusal_by_its_causes(world: World) -> None:
    """Both are 422 Invalid, but only the refusal has a cause; a lost race is seen before any policy is asked."""
    await world.create("configmaps", config_map("a"))
    refused = {"op": "replace", "path": "/data/k", "value": "refused"}
    lost = {"op": "test", "path": "/metadata/uid", "value": "another"}
    async with world.policy("Invalid"):
        by_policy = await world.patch("configmaps", "a", [refused])
        by_race = await world.patch("configmaps", "a", [lost, refused])
    assert (by_policy.status, by_race.status) == (422, 422)
    assert by_policy.body["details"]["causes"]
    assert not by_race.body["details"].get("causes")


async def test_a_policy_is_asked_before_the_store_whether_a_name_is_taken(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    async with world.policy("Forbidden"):
        answer = await world.create("configmaps", config_map("a", REFUSED))
    assert (answer.status, answer.reason) == (403, "Forbidden")
