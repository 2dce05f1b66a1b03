"""What counts as a recovery, and from when."""

from __future__ import annotations

from e2e.chaos.calls import Call
from e2e.chaos.proxy import Client, Entry
from e2e.chaos.recovery import quantile, recoveries

OLD, NEW = Client(address="10.0.0.1", life=0), Client(address="10.0.0.1", life=1)
SEEN = {OLD: 0.0, NEW: 10.0}


def head(letter: str) -> str:
    return "kipu-log-" + "-".join(letter * n for n in (8, 4, 4, 4, 12))


def commit(at: float, client: Client, name: str = head("a"), status: int | None = 200) -> Entry:
    call = Call(verb="patch", resource="configmaps", namespace="one", name=name)
    return Entry(at=at, client=client, call=call, status=status)


def lease(at: float, client: Client, status: int = 200) -> Entry:
    call = Call(verb="update", resource="leases", namespace="kipu-system", name="kipu")
    return Entry(at=at, client=client, call=call, status=status)


def recoveries_seconds(journal: list[Entry]) -> list[float]:
    return [each.seconds for each in recoveries(journal, SEEN)]


def test_a_workflow_is_recovered_at_its_new_owners_first_acknowledged_commit() -> None:
    journal = [
        commit(1, OLD),
        commit(11, NEW, status=422),
        commit(12, NEW, status=None),
        commit(13, NEW),
        commit(14, NEW),
    ]
    assert recoveries_seconds(journal) == [3]


def test_with_a_lease_ownership_begins_at_its_first_acknowledged_write() -> None:
    journal = [commit(1, OLD), lease(11, NEW, 409), lease(12, NEW), lease(14, NEW), commit(15, NEW)]
    assert recoveries_seconds(journal) == [3]


def test_a_new_workflow_is_no_recovery() -> None:
    assert recoveries_seconds([commit(11, NEW), commit(12, NEW)]) == []


def test_each_workflow_is_a_sample_and_the_shortest_comes_first() -> None:
    journal = [commit(1, OLD), commit(1, OLD, head("b")), commit(15, NEW), commit(12, NEW, head("b"))]
    assert recoveries_seconds(journal) == [2, 5]


def test_a_chunk_is_no_head() -> None:
    chunk = head("a") + "-0000000002-aaaa"
    assert recoveries_seconds([commit(1, OLD, chunk), commit(12, NEW, chunk)]) == []


def test_quantiles_are_by_the_nearest_rank() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert (quantile(ordered, 0.5), quantile(ordered, 0.99), quantile([7.0], 0.99), quantile([], 0.5)) == (50, 99, 7, 0)
