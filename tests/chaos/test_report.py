"""The tables: what was counted is in them, and what is wrong cannot be overlooked."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.chaos.faults import Kind
from e2e.chaos.killer import Deed
from e2e.chaos.proxy import Client
from e2e.chaos.recovery import Recovery
from e2e.chaos.report import Outcome, Violation, lines

VIOLATION = Violation(workflow="one/chain-7", kind="wrong end", detail="Failed, not Succeeded")


def outcome(**changes: Any) -> Outcome:
    client = Client(address="10.0.0.1", life=0)
    known: dict[str, Any] = {
        "seed": 7,
        "minutes": 1.5,
        "workflows": {"chain": 3, "diamond": 2},
        "executions": 20,
        "doubled": 1,
        "came_back": 0,
        "deeds": {(Deed.POD_DELETED, "before write"): 2, (Deed.LEADER_STOPPED, ""): 1},
        "stops_outlasting_the_lease": 1,
        "faults": {(Kind.LATE, "create", "jobs"): 4, (Kind.INTERNAL, "get", "jobs"): 1},
        "requests": {("create", "jobs"): 100, ("get", "jobs"): 50, ("list", "pods"): 5},
        "recoveries": [Recovery(seconds=0.5, head="kipu-log-1", client=client)],
        "gaps": 0,
        "violations": [],
        "missed": "",
    }
    return Outcome(**{**known, **changes})


def test_the_last_line_sums_it_up_and_a_stop_is_no_kill() -> None:
    assert list(lines(outcome()))[-1] == "| 5 | 2 | 5 | 0 | 0.50 s | 0.50 s |"


def test_faults_stand_by_kind_verb_and_resource() -> None:
    told = list(lines(outcome()))
    assert "| faults | requests | late | 500 |" in "\n".join(told)
    assert "| create jobs | 100 | 4 |  |" in told
    assert "| **all** | 155 | 4 | 1 |" in told


@pytest.mark.parametrize("wrong", [{"violations": [VIOLATION]}, {"missed": "1 of 200 kills"}])
def test_what_is_wrong_is_said_and_makes_it_unclean(wrong: dict[str, Any]) -> None:
    assert outcome().is_clean
    assert not outcome(**wrong).is_clean
    told = "\n".join(lines(outcome(**wrong)))
    assert ("VIOLATION one/chain-7: wrong end: Failed, not Succeeded" in told) == ("violations" in wrong)
    assert ("NOT REACHED: 1 of 200 kills" in told) == ("missed" in wrong)
