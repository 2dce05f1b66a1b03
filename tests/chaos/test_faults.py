"""Which requests meet which faults: drawn, counted, and reproducible."""

from __future__ import annotations

import pytest

from e2e.chaos.calls import Call, classify
from e2e.chaos.faults import PER_MILLE, WATCH_FATES, Faults, Kind

CREATE = Call(verb="create", resource="jobs", namespace="one")


@pytest.mark.parametrize(
    ("method", "path", "query", "call"),
    [
        ("POST", "/apis/batch/v1/namespaces/one/jobs", {}, CREATE),
        ("GET", "/apis/batch/v1/jobs", {"limit": "500"}, Call(verb="list", resource="jobs")),
        ("GET", "/apis/batch/v1/jobs", {"watch": "true"}, Call(verb="watch", resource="jobs")),
        ("GET", "/api/v1/pods", {"watch": "1"}, Call(verb="watch", resource="pods")),
        ("GET", "/api/v1/pods", {"watch": "false"}, Call(verb="list", resource="pods")),
        (
            "PATCH",
            "/api/v1/namespaces/one/configmaps/kipu-log-1",
            {},
            Call(verb="patch", resource="configmaps", namespace="one", name="kipu-log-1"),
        ),
        (
            "PATCH",
            "/apis/kipu.dev/v1alpha1/namespaces/one/workflows/w/status",
            {},
            Call(verb="patch", resource="workflows/status", namespace="one", name="w"),
        ),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/one/leases/kipu",
            {},
            Call(verb="update", resource="leases", namespace="one", name="kipu"),
        ),
        (
            "DELETE",
            "/apis/batch/v1/namespaces/one/jobs/j",
            {},
            Call(verb="delete", resource="jobs", namespace="one", name="j"),
        ),
        ("GET", "/apis/kipu.dev/v1alpha1", {}, Call(verb="get", resource="discovery")),
        ("GET", "/version", {}, Call(verb="get", resource="discovery")),
        ("GET", "/api/v1/namespaces/one", {}, Call(verb="get", resource="namespaces", name="one")),
    ],
)
def test_a_request_is_named_in_the_words_of_rbac(method: str, path: str, query: dict[str, str], call: Call) -> None:
    assert classify(method, path, query) == call


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[object]:
        faults = Faults(seed)
        return [faults.draw(CREATE) for _ in range(2_000)] + [faults.fate() for _ in range(20)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_each_kind_comes_as_often_as_its_share_says() -> None:
    faults = Faults(7)
    for _ in range(100_000):
        faults.draw(CREATE)
    for kind, share in PER_MILLE.items():
        assert faults.counts[kind, "create", "jobs"] == pytest.approx(share * 100, rel=0.2)
    assert faults.requests["create", "jobs"] == 100_000


def test_one_timeout_in_five_outlasts_the_client() -> None:
    faults = Faults(7, per_mille={Kind.TIMEOUT_DONE: 1000})
    drawn = [faults.draw(CREATE) for _ in range(1_000)]
    long = sum(fault is not None and fault.seconds == faults.waits.patience for fault in drawn)
    assert long == pytest.approx(200, rel=0.2)


def test_every_fate_of_a_watch_is_drawn_and_counted_only_when_it_comes() -> None:
    faults = Faults(7)
    assert {faults.fate().fault.kind for _ in range(200)} == set(WATCH_FATES)
    assert not faults.counts


def test_in_the_calm_nothing_is_drawn() -> None:
    faults = Faults(7, per_mille={Kind.LATE: 1000}, is_calm=True)
    assert faults.draw(CREATE) is None
