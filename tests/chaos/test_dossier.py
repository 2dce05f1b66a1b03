"""What is kept of a violated Workflow: what concerns it, and nothing of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.chaos.calls import Call
from e2e.chaos.dossier import keep
from e2e.chaos.judge import Judgement
from e2e.chaos.load import Submitted
from e2e.chaos.proxy import Client, Entry
from e2e.chaos.shapes import REAL

WORKFLOW = Submitted(namespace="one", name="chain-7", uid="0123", shape=REAL[0])


def write(verb: str, resource: str, name: str = "", namespace: str = "one") -> Entry:
    call = Call(verb=verb, resource=resource, namespace=namespace, name=name)
    return Entry(at=1.5, client=Client(address="10.0.0.1", life=2), call=call, status=200, fault="late")


def test_the_writes_that_may_concern_it_are_told_in_a_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    journal = [
        write("patch", "configmaps", "kipu-log-0123"),
        write("patch", "workflows/status", "chain-7"),
        write("create", "jobs"),
        write("patch", "configmaps", "kipu-log-4567"),
        write("create", "jobs", namespace="two"),
    ]
    kept = json.loads(keep(WORKFLOW, Judgement(faults={"wrong end": "Failed"}), journal).read_text())
    assert kept["workflow"] == "one/chain-7"
    assert kept["faults"] == {"wrong end": "Failed"}
    assert kept["writes"] == [
        "1.500 10.0.0.1/2 patch configmaps kipu-log-0123: 200 late",
        "1.500 10.0.0.1/2 patch workflows/status chain-7: 200 late",
        "1.500 10.0.0.1/2 create jobs: 200 late",
    ]
