"""Two replicas on a real node: the leader is stopped, killed, deleted and rolled in the middle of a run of 20 steps.

Each run ends as if nothing had been, counted from outside our log. How long nobody led is measured from the fault to
the record by which the next one claimed the log: both are this machine's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from e2e import history
from e2e.apiserver import ApiServer, JsonObject, kubectl, pods, wait_until
from e2e.clean_run import NAME, Record, begin, check_as_if_nothing_had_been, wait_for_progress
from e2e.namespace import OPERATOR_NAMESPACE, OPERATOR_SELECTOR, Namespace
from e2e.operator_pod import Operator, restarts
from e2e.watching import Watch

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(300)]

POINT = (6, 4)  # so many pods have begun to run, so many have ended
LEASE_SECONDS = 15.0
RETRY_SECONDS = 2.4
SLACK_SECONDS = 3.0  # a node of two cores with all else beside it
RESTART_SECONDS = 10.0  # of a container: the kubelet's first restart is at once
OLD_NEWS_SECONDS = 3.0  # a resumed leader has done by then whatever it would do


@pytest.fixture
def operator(api: ApiServer) -> Iterator[Operator]:
    found = Operator(api)
    found.ready()
    assert len(found.pods()) == 2, "these tests need the chart's two replicas"
    yield found
    found.ready()


def claims(namespace: Namespace) -> list[JsonObject]:
    """Every record by which a replica has claimed the log."""
    return history.read(namespace, namespace.uid(NAME)).of("StreamClaimed")


def next_claim(namespace: Namespace, known: int) -> JsonObject:
    """The first one after those that are known."""

    def look() -> JsonObject | None:
        found = claims(namespace)
        return found[known] if len(found) > known else None

    return wait_until(look, LEASE_SECONDS + RETRY_SECONDS + RESTART_SECONDS, "another replica has claimed the log")


def seconds_after(fault: float, claim: JsonObject) -> float:
    return float(claim["ts"]) / 1000 - fault


def test_a_leader_that_is_stopped_past_its_lease_and_resumed_does_no_harm(
    namespace: Namespace, operator: Operator, record_testsuite_property: Record
) -> None:
    with namespace.watch_pods() as seen:
        begin(namespace)
        wait_for_progress(seen, POINT)
        leader = operator.leader()
        fault, process = time.time(), operator.stop()
        try:
            claim = next_claim(namespace, 1)
            assert operator.holder() != leader["metadata"]["uid"]
        finally:
            operator.resume(process)
        resumed = time.time()
        check_as_if_nothing_had_been(namespace, seen, 1, record_testsuite_property)
        wait_until(lambda: time.time() - resumed > OLD_NEWS_SECONDS, 2 * OLD_NEWS_SECONDS, "time has passed")
        assert [each["writer"] for each in claims(namespace)] == [leader["metadata"]["name"], claim["writer"]]
    takeover_seconds = seconds_after(fault, claim)
    record_testsuite_property("takeover stopped", f"{takeover_seconds:.1f} s")
    assert takeover_seconds <= LEASE_SECONDS + RETRY_SECONDS + SLACK_SECONDS
    (now,) = [pod for pod in operator.pods() if pod["metadata"]["uid"] == leader["metadata"]["uid"]]
    assert restarts(now) == restarts(leader), "it stands by in the same process"


def test_a_leader_whose_process_is_killed_leads_again_as_soon_as_it_is_back(
    namespace: Namespace, operator: Operator, record_testsuite_property: Record
) -> None:
    with namespace.watch_pods() as seen:
        begin(namespace)
        wait_for_progress(seen, POINT)
        fault = time.time()
        operator.kill()
        claim = next_claim(namespace, 1)
        check_as_if_nothing_had_been(namespace, seen, 1, record_testsuite_property)
    takeover_seconds = seconds_after(fault, claim)
    record_testsuite_property("takeover killed", f"{takeover_seconds:.1f} s, by {by(claim, claims(namespace)[0])}")
    assert takeover_seconds <= LEASE_SECONDS + RETRY_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("by_force", [False, True], ids=["asked", "by force"])
def test_a_leader_whose_pod_is_deleted_is_followed_by_the_standby(
    namespace: Namespace, operator: Operator, record_testsuite_property: Record, by_force: bool
) -> None:
    with namespace.watch_pods() as seen:
        begin(namespace)
        wait_for_progress(seen, POINT)
        fault = time.time()
        operator.delete(by_force=by_force)
        claim = next_claim(namespace, 1)
        check_as_if_nothing_had_been(namespace, seen, 1, record_testsuite_property)
    takeover_seconds = seconds_after(fault, claim)
    how = "deleted by force" if by_force else "deleted"
    record_testsuite_property(f"takeover {how}", f"{takeover_seconds:.1f} s, by {by(claim, claims(namespace)[0])}")
    # Asked to end, it releases the Lease: nobody waits for it to run out.
    limit_seconds = LEASE_SECONDS if by_force else 0.0
    assert takeover_seconds <= limit_seconds + RETRY_SECONDS + SLACK_SECONDS


def test_a_rolling_update_in_the_middle_of_a_run_hands_the_lease_over(
    api: ApiServer, namespace: Namespace, operator: Operator, record_testsuite_property: Record
) -> None:
    here = ("--namespace", OPERATOR_NAMESPACE)
    with namespace.watch_pods() as seen, Watch(api, pods(OPERATOR_NAMESPACE), OPERATOR_SELECTOR) as replicas:
        begin(namespace)
        wait_for_progress(seen, POINT)
        before = {str(pod["metadata"]["name"]) for pod in operator.pods()}
        kubectl(*here, "rollout", "restart", "deployment/kipu")
        kubectl(*here, "rollout", "status", "deployment/kipu", "--timeout=100s")
        check_as_if_nothing_had_been(namespace, seen, 1, record_testsuite_property)
    found = claims(namespace)
    assert before.isdisjoint(str(pod["metadata"]["name"]) for pod in operator.pods())
    assert found[0]["writer"] in before
    gaps = [seconds_after(asked_to_end(replicas, str(last["writer"])), claim) for last, claim in pairwise(found)]
    record_testsuite_property("takeover rolled", ", ".join(f"{gap:.1f} s" for gap in gaps))
    assert max(gaps) <= RETRY_SECONDS + SLACK_SECONDS


def by(claim: JsonObject, before: JsonObject) -> str:
    return "the same pod" if claim["writer"] == before["writer"] else "the other"


def asked_to_end(replicas: Watch, name: str) -> float:
    """When this pod was first seen with a deletionTimestamp."""
    found = replicas.first(
        lambda change: change.body["metadata"]["name"] == name and "deletionTimestamp" in change.body["metadata"]
    )
    assert found is not None
    return found.at
