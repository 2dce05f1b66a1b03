"""Facts of the store, asked of the fake and of a real API server alike: creates, updates, patches, deletes."""

from __future__ import annotations

import pytest

from kipu.shell.kube_http import Request
from tests.conformance.world import World, config_map, job
from tests.fakes.nodes import Program

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_second_create_of_a_name_is_refused(world: World) -> None:
    assert (await world.create("configmaps", config_map("a"))).status == 201
    second = await world.create("configmaps", config_map("a"))
    assert (second.status, second.reason) == (409, "AlreadyExists")


@pytest.mark.parametrize("immutable", [False, True])
async def test_a_deleted_name_is_free_again_even_if_the_object_was_immutable(world: World, immutable: bool) -> None:
    first = await world.create("configmaps", config_map("a", immutable=immutable))
    assert (await world.delete("configmaps", "a")).status == 200
    second = await world.create("configmaps", config_map("a", immutable=immutable))
    assert second.status == 201
    assert second.uid != first.uid


async def test_what_was_written_is_what_a_read_returns(world: World) -> None:
    created = await world.create("configmaps", config_map("a", {"k": "täxt \U0001f9f6"}))
    read = await world.get("configmaps", "a")
    assert read.body["data"] == {"k": "täxt \U0001f9f6"}
    assert (read.uid, read.version) == (created.uid, created.version)


async def test_an_absent_object_is_404(world: World) -> None:
    for method in ("GET", "DELETE"):
        answer = await world.call(method, world.path("configmaps", "nobody"))
        assert (answer.status, answer.reason) == (404, "NotFound")
    assert (await world.patch("configmaps", "nobody", [])).status == 404
    assert await world.kube.get_job(world.namespace, "nobody") is None


async def test_a_generated_name_begins_as_asked(world: World) -> None:
    names = set()
    for _ in range(3):
        body = {"metadata": {"generateName": "gen-"}}
        names.add((await world.create("configmaps", body)).body["metadata"]["name"])
    assert len(names) == 3
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


async def test_a_bad_name_is_refused_with_its_field(world: World) -> None:
    answer = await world.create("configmaps", config_map("Bad_Name"))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_stale_update_is_refused(world: World) -> None:
    first = await world.create("configmaps", config_map("a"))
    assert (await world.merge("configmaps", "a", {"data": {"k": "w"}})).status == 200
    stale = config_map("a", {"k": "x"})
    stale["metadata"]["resourceVersion"] = first.version
    for answer in (
        await world.call("PUT", world.path("configmaps", "a"), stale),
        await world.merge("configmaps", "a", {"metadata": {"resourceVersion": first.version}, "data": {"k": "x"}}),
    ):
        assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await world.get("configmaps", "a")).body["data"] == {"k": "w"}


async def test_an_update_without_a_version_overwrites(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    assert (await world.call("PUT", world.path("configmaps", "a"), config_map("a", {"k": "x"}))).status == 200
    assert (await world.get("configmaps", "a")).body["data"] == {"k": "x"}


async def test_an_update_with_another_uid_is_refused(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    namesake = config_map("a", {"k": "x"})
    namesake["metadata"]["uid"] = NOBODY
    assert (await world.call("PUT", world.path("configmaps", "a"), namesake)).status == 409
    assert (await world.merge("configmaps", "a", {"metadata": {"uid": NOBODY}, "data": {"k": "x"}})).status == 422


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/k", "value": "other"},
        {"op": "test", "path": "/data/absent", "value": "v"},
        {"op": "test", "path": "/metadata/uid", "value": NOBODY},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "replace", "path": "/data/absent/deeper", "value": "v"},
    ],
    ids=lambda operation: f"{operation['op']} {operation['path']}",
)
async def test_a_json_patch_that_fails_is_422_without_a_cause_and_changes_nothing(
    world: World, operation: dict[str, str]
) -> None:
    created = await world.create("configmaps", config_map("a"))
    answer = await world.patch("configmaps", "a", [{"op": "add", "path": "/data/n", "value": "x"}, operation])
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert not answer.body["details"].get("causes")
    assert (await world.get("configmaps", "a")).version == created.version


async def test_a_json_patch_is_one_atomic_write_under_its_guards(world: World) -> None:
    created = await world.create("configmaps", config_map("a", {"head": "1", "tail": "x"}))
    guards = [
        {"op": "test", "path": "/metadata/uid", "value": created.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": created.version},
        {"op": "test", "path": "/data/head", "value": "1"},
        {"op": "replace", "path": "/data/head", "value": "2"},
        {"op": "replace", "path": "/data/tail", "value": "y"},
    ]
    answer = await world.patch("configmaps", "a", guards)
    assert answer.status == 200
    assert answer.body["data"] == {"head": "2", "tail": "y"}
    assert (await world.patch("configmaps", "a", guards)).status == 422  # the same bytes again


async def test_who_manages_which_field_is_not_tracked_once_a_patch_has_switched_it_off(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    for value in ("1", "2"):
        off = {"op": "add", "path": "/metadata/managedFields", "value": [{}]}
        write = {"op": "replace", "path": "/data/k", "value": value}
        answer = await world.patch("configmaps", "a", [write, *([off] if value == "1" else [])])
        assert (answer.status, answer.body["data"]) == (200, {"k": value})
        assert "managedFields" not in answer.body["metadata"]


async def test_an_update_that_changes_nothing_is_no_write(world: World) -> None:
    created = await world.create("configmaps", config_map("a"))
    answer = await world.merge("configmaps", "a", {"data": {"k": "v"}})
    assert (answer.status, answer.version) == (200, created.version)


async def test_versions_of_one_resource_grow_as_numbers(world: World) -> None:
    versions = [int((await world.create("configmaps", config_map("a"))).version)]
    for number in range(3):
        versions.append(int((await world.merge("configmaps", "a", {"data": {"k": str(number)}})).version))
    versions.append(int((await world.create("configmaps", config_map("b"))).version))
    assert versions == sorted(set(versions))


async def test_a_delete_keeps_to_its_preconditions(world: World) -> None:
    first = await world.create("configmaps", config_map("a"))
    await world.merge("configmaps", "a", {"data": {"k": "w"}})
    for guard in ({"uid": NOBODY}, {"resourceVersion": first.version}):
        answer = await world.delete("configmaps", "a", preconditions=guard)
        assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await world.delete("configmaps", "a", preconditions={"uid": first.uid})).status == 200
    assert (await world.get("configmaps", "a")).status == 404


async def test_the_clients_delete_of_a_config_map_takes_just_the_object_it_names(world: World) -> None:
    first = await world.create("configmaps", config_map("a", immutable=True))
    assert (await world.kube.delete_config_map(world.namespace, "a", NOBODY)).status == 409
    assert (await world.kube.delete_config_map(world.namespace, "a", first.uid)).status == 200
    assert (await world.kube.delete_config_map(world.namespace, "a", first.uid)).status == 404


async def test_an_immutable_config_map_refuses_new_data_but_not_labels(world: World) -> None:
    await world.create("configmaps", config_map("a", immutable=True))
    for change in ({"data": {"k": "w"}}, {"data": {"n": "w"}}, {"immutable": False}, {"binaryData": {"b": "eA=="}}):
        answer = await world.merge("configmaps", "a", change)
        assert (answer.status, answer.reason) == (422, "Invalid")
        assert answer.body["details"]["causes"]
    assert (await world.merge("configmaps", "a", {"metadata": {"labels": {"l": "m"}}})).status == 200


async def test_a_config_map_holds_one_mebibyte_and_no_byte_more(world: World) -> None:
    full = "x" * (1_048_576 - 1) + "y"
    assert (await world.create("configmaps", config_map("full", {"k": full}))).status == 201
    over = await world.create("configmaps", config_map("over", {"k": full, "l": "z"}))
    assert (over.status, over.reason) == (422, "Invalid")
    assert (await world.merge("configmaps", "full", {"data": {"l": "z"}})).status == 422


async def test_a_request_of_more_than_three_mebibytes_is_413(world: World) -> None:
    answer = await world.create("configmaps", config_map("a", {"k": "x" * 3_200_000}))
    assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")


async def test_a_job_that_etcd_does_not_take_is_blamed_for_labels_that_it_never_had(world: World) -> None:
    """The API server tries a second time, by then with the labels of the first: 422, and no word of the size."""
    body = job("a", Program(), suspend=True)
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": "x" * 1_600_000}]
    answer = await world.create("jobs", body)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "spec.selector" in {cause["field"] for cause in answer.body["details"]["causes"]}
    assert (await world.get("jobs", "a")).status == 404


async def test_what_is_not_json_is_refused(world: World) -> None:
    broken = await world.call("POST", world.path("configmaps"), b'{"metadata":')
    assert (broken.status, broken.reason) == (400, "BadRequest")
    not_a_list = await world.call("PATCH", world.path("configmaps", "a"), {"op": "test"}, "application/json-patch+json")
    assert not_a_list.status in (400, 404)
    await world.create("configmaps", config_map("a"))
    not_a_list = await world.call("PATCH", world.path("configmaps", "a"), {"op": "test"}, "application/json-patch+json")
    assert (not_a_list.status, not_a_list.reason) == (400, "BadRequest")


async def test_a_path_that_nothing_is_served_at_is_404(world: World) -> None:
    request = Request(method="GET", path="/apis/nobody.kipu.dev/v1/things")
    assert (await world.transport.send(request, timeout_seconds=10)).status == 404  # not always with a JSON body


async def test_a_finalizer_holds_a_deleted_object_and_its_name(world: World) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["conformance.kipu.dev/hold"]
    created = await world.create("configmaps", body)
    deleted = await world.delete("configmaps", "a")
    assert deleted.status == 200
    assert deleted.body["metadata"]["deletionTimestamp"]
    again = await world.create("configmaps", config_map("a"))
    assert (again.status, again.reason) == (409, "AlreadyExists")
    more = [{"op": "add", "path": "/metadata/finalizers/-", "value": "conformance.kipu.dev/more"}]
    assert (await world.patch("configmaps", "a", more)).status == 422
    assert (await world.merge("configmaps", "a", {"data": {"k": "w"}})).body["metadata"]["uid"] == created.uid
    none = [{"op": "replace", "path": "/metadata/finalizers", "value": []}]
    assert (await world.patch("configmaps", "a", none)).status == 200
    assert (await world.get("configmaps", "a")).status == 404


async def test_a_jobs_template_is_immutable_and_its_bad_spec_names_a_field(world: World) -> None:
    await world.run("a", Program(), suspend=True)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other"}]
    for answer in (
        await world.patch("jobs", "a", image),
        await world.create("jobs", job("b", Program(), containers=0)),
        await world.create("jobs", job("x" * 64, Program())),
    ):
        assert (answer.status, answer.reason) == (422, "Invalid")
        assert answer.body["details"]["causes"]


async def test_a_notice_is_one_object_however_often_it_is_told(world: World) -> None:
    notice = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "a.1", "namespace": world.namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kipu.dev/operator",
        "reportingInstance": "conformance",
        "action": "Told",
        "reason": "Told",
        "note": "once",
        "type": "Normal",
        "regarding": {"kind": "ConfigMap", "namespace": world.namespace, "name": "a"},
    }
    answers = [await world.kube.create_event(world.namespace, notice) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 409]
    assert answers[1].reason == "AlreadyExists"
