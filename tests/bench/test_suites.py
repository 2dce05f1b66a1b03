"""The suites have what is concluded from them."""

from __future__ import annotations

import pytest

from bench.dag import Workload, lattice
from bench.results import JOB_FLOOR, KIPU, POD_FLOOR
from bench.suites import SUITES
from bench.targets import TARGETS

from .measured import outcome, result


@pytest.mark.parametrize("family", ["chain", "fan-out"])
def test_the_suite_of_slopes_has_five_sizes_from_ten_to_a_thousand(family: str) -> None:
    names = [workload.name for workload in SUITES["slopes"]() if workload.name.startswith(f"{family}-")]
    assert names == [f"{family}-{size}" for size in (10, 30, 100, 300, 1_000)]


def test_the_suite_of_targets_has_what_every_row_but_the_slopes_is_measured_on() -> None:
    rounds = [outcome(name) for name in (KIPU, POD_FLOOR, JOB_FLOOR)]
    recorded = Workload(name="recorded", dag=lattice(3), is_real=True)  # of a folder that is not everywhere
    results = [result(workload, rounds) for workload in [*SUITES["targets"](), recorded]]
    absent = [each.metric for each in TARGETS if each.figure(results, KIPU) is None]
    assert absent == [
        "steepest slope of time",
        "steepest slope of CPU",
        "steepest slope of own bytes in etcd",
        "recovery of 10,000 events, to the first new Job",
    ]
