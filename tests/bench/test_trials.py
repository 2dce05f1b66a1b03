"""What the trials conclude, without a cluster: orders, counts, gaps, and who is missing."""

from __future__ import annotations

import random
from itertools import combinations

import msgspec
import pytest

from bench.trials import cancel, failing, flood, manifests, memory, recovery, seen
from bench.trials.figures import Case, Figure, mebibytes
from bench.trials.orders import Entry, lower_first, overtaken, pairs_of_priorities
from e2e.apiserver import JsonObject
from e2e.counters import counted
from e2e.watching import Change, Watch
from kipu.api import definition
from kipu.core.definition import ITEMS_UNDER_WAY_MAX

METRICS = """
# HELP kipu_api_requests_total Requests to the API server
kipu_api_requests_total{resource="jobs",status="201",verb="create"} 40.0
kipu_api_requests_total{resource="jobs",status="429",verb="create"} 2.0
kipu_api_requests_total{resource="configmaps",status="429",verb="patch"} 1.0
kipu_api_requests_total_created{resource="jobs",status="429",verb="create"} 1.7e+09
kipu_leader 1.0
"""


def change(
    version: int, workflow: str, step: str, *, kind: str = "ADDED", at: float = 0.0, attempt: str = "1", index: str = ""
) -> Change:
    labels = {"kipu.dev/workflow": workflow, "kipu.dev/step": step, "kipu.dev/attempt": attempt}
    labels |= {"kipu.dev/index": index} if index else {}
    return Change(kind=kind, at=at, version=version, body={"metadata": {"uid": f"{version}", "labels": labels}})


def workflow(name: str, version: int, **status: object) -> JsonObject:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}, "status": status}


FINISHED = [{"type": "Finished", "status": "True"}]


# -- orders -------------------------------------------------------------------------------------------------------


def test_a_row_in_order_has_nobody_overtaken() -> None:
    row = [Entry(10, 3), Entry(10, 7), Entry(0, 1), Entry(0, 2), Entry(-10, 5)]
    assert (lower_first(row), overtaken(row)) == (0, [0, 0, 0, 0, 0])


def test_each_pair_in_which_the_lower_priority_came_first_counts() -> None:
    assert lower_first([Entry(0, 1), Entry(-10, 2), Entry(10, 3), Entry(10, 4), Entry(0, 5)]) == 5
    assert pairs_of_priorities([Entry(0, 1), Entry(0, 2), Entry(10, 3), Entry(-10, 4)]) == 5


def test_whoever_is_overtaken_is_so_by_the_younger_of_its_own_priority_alone() -> None:
    row = [Entry(0, 5), Entry(10, 9), Entry(0, 6), Entry(0, 1), Entry(0, 7), Entry(0, 3)]
    assert overtaken(row) == [0, 0, 0, 2, 0, 3]


def test_orders_agree_with_counting_each_pair() -> None:
    draw = random.Random(7)
    row = [Entry(draw.choice((-10, 0, 10)), accepted) for accepted in draw.sample(range(1_000), 200)]
    pairs = list(combinations(row, 2))
    assert lower_first(row) == sum(first.priority < then.priority for first, then in pairs)
    assert pairs_of_priorities(row) == sum(first.priority != then.priority for first, then in pairs)
    younger = sum(first.priority == then.priority and first.accepted > then.accepted for first, then in pairs)
    assert sum(overtaken(row)) == younger


def test_only_jobs_after_the_last_acceptance_are_judged_in_the_order_of_etcd() -> None:
    accepted = {"w0": 10, "w1": 11, "w5": 12}
    jobs = [change(30, "w5", "t0"), change(20, "w0", "t0"), change(11, "w1", "t0")]
    assert flood.row_of(jobs, accepted) == [Entry(flood.URGENT, 10), Entry(flood.LAZY, 12)]


def test_one_workflow_in_ten_is_urgent_and_one_has_time() -> None:
    priorities = [flood.priority_of(number) for number in range(100)]
    assert [priorities.count(each) for each in (flood.URGENT, 0, flood.LAZY)] == [10, 80, 10]


def test_without_two_priorities_no_share_is_told() -> None:
    told = {figure.what: figure.value for figure in flood.order([Entry(0, 2), Entry(0, 1)])}
    assert told["of all pairs of two priorities"] == "there are none"
    assert told["most younger ones of the same priority before an older one"] == 1


# -- what was seen ------------------------------------------------------------------------------------------------


def test_an_attempt_that_is_missing_or_doubled_is_named() -> None:
    wanted = seen.steps_of("w0", 2)
    both = [change(1, "w0", "t0"), change(2, "w0", "t1")]
    seen.check_once("Jobs", both, wanted)
    with pytest.raises(AssertionError, match=r"1 Jobs are missing, such as .*t1"):
        seen.check_once("Jobs", both[:1], wanted)
    with pytest.raises(AssertionError, match=r"1 Jobs are too many, such as .*t0"):
        seen.check_once("Jobs", [*both, change(3, "w0", "t0")], wanted)
    with pytest.raises(AssertionError, match=r"too many, such as .*'2'"):
        seen.check_once("Jobs", [*both, change(3, "w0", "t0", attempt="2")], wanted)
    with pytest.raises(AssertionError, match="are missing"):
        seen.check_once("Jobs", [both[0], change(2, "w0", "t1", index="1")], wanted)


def test_what_came_first_after_a_version_is_found_by_version() -> None:
    changes = [change(5, "w0", "t0"), change(9, "w0", "t2"), change(7, "w0", "t1")]
    assert seen.first_after(changes, 5).version == 7
    with pytest.raises(AssertionError, match="nothing came"):
        seen.first_after(changes, 9)


def test_the_gaps_of_a_chain_are_those_of_its_own_steps() -> None:
    made = [change(1, "c", "t0"), change(3, "c", "t1", at=1.5), change(9, "other", "t1", at=9.0)]
    ended = [change(2, "c", "t0", at=1.25), change(4, "c", "t1", at=2.0)]
    assert seen.chain_gaps("c", made, ended) == [0.25]
    with pytest.raises(AssertionError, match="t1 began before t0 had ended"):
        seen.chain_gaps("c", made, [change(4, "c", "t0", at=1.25)])


def test_a_condition_looks_at_each_change_once() -> None:
    watch = Watch.__new__(Watch)  # of no API server
    watch.history = [change(1, "w0", "t0"), change(2, "w0", "t0", kind="DELETED")]
    looked: list[int] = []

    def wanted(each: Change) -> bool:
        looked.append(each.version)
        return each.kind == "ADDED"

    enough = seen.Enough(2, wanted)
    assert not enough(watch)
    watch.history.append(change(3, "w0", "t1"))
    assert enough(watch)
    assert looked == [1, 2, 3]


def test_a_workflow_that_ends_in_another_way_is_named() -> None:
    ends = seen.Ends()
    ends.keep("MODIFIED", workflow("w0", 5, phase="Succeeded", conditions=FINISHED))
    ends.check()
    ends.keep("MODIFIED", workflow("w1", 6, phase="Failed", conditions=FINISHED))
    with pytest.raises(AssertionError, match=r"1 Workflows ended wrongly, such as .*w1"):
        ends.check()


def test_the_first_excuse_counts_and_an_end_is_none() -> None:
    ends = seen.Ends()
    ends.keep("ADDED", workflow("w0", 1))
    ends.keep("MODIFIED", workflow("w0", 2, reason="Waiting"))
    ends.keep("MODIFIED", workflow("w0", 3, reason="Waiting", message="for a place"))
    ends.keep("MODIFIED", workflow("w0", 4, reason="Waiting", message="for another"))
    ends.keep("MODIFIED", workflow("w1", 5, reason="Completed", message="well", conditions=FINISHED, phase="Succeeded"))
    assert ends.excuses == {"w0": seen.Excuse("Waiting: for a place", 3)}
    assert ends.ends["w1"].version == 5


def test_a_counter_is_summed_over_the_series_that_are_meant() -> None:
    assert counted(METRICS, "kipu_api_requests_total") == 43
    assert counted(METRICS, "kipu_api_requests_total", status="429") == 3
    assert counted(METRICS, "kipu_api_requests_total", status="429", verb="patch") == 1
    assert counted(METRICS, "kipu_leader") == 1
    assert counted(METRICS, "apiserver_flowcontrol_rejected_requests_total") == 0


def test_a_pod_that_has_no_phase_may_still_run() -> None:
    pods = [{"metadata": {"name": name}, "status": status} for name, status in (("a", {}), ("b", {"phase": "Failed"}))]
    assert cancel.unended(pods) == ["a"]


# -- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        manifests.items("many", 10_000, attempts=manifests.ATTEMPTS),
        manifests.items("few", 201, parallelism=400),
        manifests.items("running", ITEMS_UNDER_WAY_MAX, runs_for="1h"),
        manifests.fanned_out("w0", failing.WIDTH, failing.FAILING),
    ],
    ids=lambda body: str(body["metadata"]["name"]),
)
def test_what_the_trials_submit_is_sound(body: JsonObject) -> None:
    assert definition.parse(body["spec"]).steps


def test_a_tenth_of_the_tasks_fails_once_and_all_else_never() -> None:
    steps = manifests.fanned_out("w0", failing.WIDTH, failing.FAILING)["spec"]["steps"]
    noted = {step["name"] for step in steps if "template" in step}
    assert len(noted) == failing.WIDTH / 10
    twice = {step for _, step, _, attempt in failing.attempts(failing.FAILING) if attempt == "2"}
    assert twice == noted
    assert len(failing.attempts(failing.FAILING)) == 1 + failing.WIDTH + len(noted)


def test_the_second_half_of_a_cancelled_fan_out_runs_for_an_hour() -> None:
    dag = cancel.halves()
    assert [dag.ms[task] for task in (0, cancel.HALF, cancel.HALF + 1)] == [0, 0, cancel.HOUR_MS]
    assert (len(dag), dag.depth()) == (1 + 2 * cancel.HALF, 2)


def test_the_more_workflows_have_to_begin_the_longer_their_pods_run() -> None:
    assert [recovery.pair(count).ms for count in (1, 1_000)] == [(10_060, 0), (70_000, 0)]


# -- what is told -------------------------------------------------------------------------------------------------


def test_a_figure_is_rounded_for_the_eye_and_kept_as_it_is() -> None:
    case = Case("kill: x", [Figure("time", 1.23456, "s"), Figure("jobs", 5_000), mebibytes("memory", 3 * 2**20)])
    assert case.lines()[-3:] == ["| time | 1.23 s |", "| jobs | 5,000 |", "| memory | 3 MiB |"]
    assert msgspec.json.decode(msgspec.json.encode(case))["figures"][0]["value"] == 1.23456


def test_what_each_item_more_takes_leaves_out_what_any_number_needs() -> None:
    told = memory.figures([12 * 2**20, 12 * 2**20 + 3_000 * 2_048])
    assert [figure.told() for figure in told] == ["12 MiB", "18 MiB", "2.0 KiB"]
    assert [figure.what for figure in told[:2]] == [f"above the base, while {n},000 items run" for n in (1, 4)]
