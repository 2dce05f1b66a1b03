"""The operator is killed in the middle of a run, again and again; what ran is counted from outside our log.

With two replicas it is the leader that is killed: the one whose uid the Lease names. That a standby dies is no event.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.apiserver import ApiServer
from e2e.clean_run import Record, begin, check_as_if_nothing_had_been, wait_for_progress
from e2e.namespace import Namespace
from e2e.operator_pod import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(300)]

# How far the run is when the leader dies: so many pods have begun to run, so many have ended.
POINTS = [(1, 0), (5, 3), (8, 7), (13, 11), (18, 16)]


@pytest.fixture
def operator(api: ApiServer) -> Iterator[Operator]:
    found = Operator(api)
    found.ready()
    yield found
    found.ready()  # whoever comes next finds it as it was


def test_a_run_of_20_steps_survives_five_forced_deletions_of_the_operators_pod(
    namespace: Namespace, operator: Operator, record_testsuite_property: Record
) -> None:
    deleted = []
    with namespace.watch_pods() as pods:
        begin(namespace)
        for point in POINTS:
            wait_for_progress(pods, point)
            deleted.append(operator.delete())
        check_as_if_nothing_had_been(namespace, pods, len(POINTS), record_testsuite_property)
    assert len(set(deleted)) == len(POINTS)


def test_a_run_survives_sigkill_of_the_operators_process(
    namespace: Namespace, operator: Operator, record_testsuite_property: Record
) -> None:
    with namespace.watch_pods() as pods:
        begin(namespace)
        wait_for_progress(pods, (6, 4))
        operator.kill()
        check_as_if_nothing_had_been(namespace, pods, 1, record_testsuite_property)
