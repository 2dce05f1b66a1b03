"""A small campaign of `make chaos`: each kind of death once, so that the machinery cannot rot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.apiserver import ApiServer
from e2e.chaos.campaign import Plan, run
from e2e.chaos.killer import Deed
from e2e.chaos.report import lines

CAMPAIGN_SECONDS = 420  # 2 minutes of faults, the end of every run, judgement and collection
IS_LOCAL = (Path(os.environ.get("KUBECONFIG", "/none/none")).parents[1] / "flavour").is_file()

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.alone,
    pytest.mark.timeout(CAMPAIGN_SECONDS),
    pytest.mark.skipif(not IS_LOCAL, reason="a kind cluster's control plane is in containers: only the local one here"),
]

PLAN = Plan(
    workflows=12,
    kills=6,
    minutes=2,
    in_flight=12,
    first=(
        Deed.POD_DELETED,
        Deed.ETCD_PAUSED,
        Deed.PROCESS_KILLED,
        Deed.API_SERVER_KILLED,
        Deed.POD_DELETED,
        Deed.ETCD_KILLED,
        Deed.API_SERVER_PAUSED,
        Deed.PROCESS_KILLED,
    ),
)


def test_twelve_workflows_survive_faults_of_every_request_and_six_deaths(
    api: ApiServer, record_testsuite_property: Callable[[str, object], None]
) -> None:
    outcome = run(PLAN, print)
    report = "\n".join(lines(outcome))
    faults, workflows = sum(outcome.faults.values()), sum(outcome.workflows.values())
    counted = f"{workflows} workflows, {faults} faults, {len(outcome.violations)} violations"
    record_testsuite_property("kills", f"{outcome.kills}: chaos, {counted}")
    assert outcome.is_clean, report
    assert faults > 0, report
    assert outcome.recoveries, report
