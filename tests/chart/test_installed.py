"""The installed chart: what its own test says. `make install` comes before."""

from __future__ import annotations

import pytest

from tests.chart.tools import attempt, run

pytestmark = pytest.mark.cluster


def test_helm_test_runs_a_workflow_and_leaves_nothing_behind() -> None:
    tested = attempt("helm", "test", "kipu", "--namespace", "kipu-system", "--logs", "--timeout", "50s")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "Succeeded 2/2" in tested.stdout
    left = run("kubectl", "get", "workflows.kipu.dev", "--namespace", "kipu-system", "--output=name")
    assert "helm-test" not in left
