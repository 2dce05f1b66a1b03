"""The small workflows of which every crash and answer point is tried."""

from __future__ import annotations

from dataclasses import replace

from kipu.core.turn import ADOPTIONS_PER_TURN_MAX
from tests.fakes.nodes import Program

from .scenario import CLAIM, DECLARED, FOREVER_SECONDS, OUTPUTS, WELL, Plan, Scenario, nested, spec, step

FAILS = Program(run_seconds=0.5, exit_code=1)
HANGS = Program(run_seconds=FOREVER_SECONDS)
SOON = {"initial": "1s", "jitter": "None"}

NO_NODE = Program(unschedulable="0/1 nodes are available")


def _one(name: str, plan: Plan) -> Scenario:
    return Scenario(name=name, plans=(plan,))


DIAMOND = _one(
    "diamond",
    Plan(spec=spec(step("top"), step("left", "top"), step("right", "top"), step("bottom", "left", "right"))),
)
RETRY = _one(
    "retry",
    Plan(
        spec=spec(step("flaky", retry={"maxAttempts": 3, "backoff": SOON}), step("after", "flaky")),
        fates={"flaky": (FAILS, FAILS, WELL)},
    ),
)
CANCEL = _one(
    "cancel",
    Plan(
        spec=spec(step("first"), step("long", "first"), step("longer", "first"), step("never", "long")),
        fates={"long": (HANGS,), "longer": (HANGS,)},
        shutdown=(6.0, "Cancel"),
    ),
)
# Terminated while one step waits for its backoff and the name of another was never taken.
TERMINATE = _one(
    "terminate",
    Plan(
        spec=spec(
            step("flaky", retry={"maxAttempts": 2, "backoff": {"initial": "30s", "jitter": "None"}}),
            step("stuck"),
            step("never", "flaky"),
        ),
        fates={"flaky": (FAILS,), "stuck": (NO_NODE,)},
        shutdown=(4.0, "Terminate"),
    ),
)
ATTEMPT_TIMEOUT = _one(
    "attempt-timeout",
    Plan(
        spec=spec(step("slow", attemptTimeout="2s", retry={"maxAttempts": 2, "backoff": SOON}), step("after", "slow")),
        fates={"slow": (HANGS, WELL)},
    ),
)
START_TIMEOUT = _one(
    "start-timeout",
    Plan(
        spec=spec(step("stuck", startTimeout="2s", allowFailure=True), step("after", "stuck")),
        fates={"stuck": (NO_NODE,)},
    ),
)
RUN_TIMEOUT = _one(
    "run-timeout",
    Plan(
        spec=spec(step("first"), step("long", "first"), step("never", "long"), timeout="5s"),
        fates={"long": (HANGS,)},
    ),
)
# The first failure takes down what runs, skips what has not started, and lets the two that react to it run.
CANCEL_RUNNING = _one(
    "cancel-running",
    Plan(
        spec=spec(
            step("fails"),
            step("long"),
            step("never", "long"),
            step("report", "fails", "long", runWhen="AllFinished"),
            step("undo", "fails", runWhen="AnyFailed"),
            onFailure="CancelRunning",
        ),
        fates={"fails": (FAILS,), "long": (HANGS,)},
    ),
)
# Nothing has failed, so `undo` has nothing to react to; what comes after it is skipped as well.
RUN_WHEN = _one(
    "run-when",
    Plan(
        spec=spec(
            step("load"),
            step("undo", "load", runWhen="AnyFailed"),
            step("told", "undo"),
            step("report", "load", "undo", runWhen="AllFinished"),
        ),
    ),
)
PARALLELISM = _one(
    "parallelism",
    Plan(spec=spec(step("one"), step("two"), step("three"), step("last", "one", "two", "three"), parallelism=1)),
)
# A window of two items; one fails and is tried again, one fails for good, which may be.
FAN_OUT = _one(
    "fan-out",
    Plan(
        spec=spec(
            step("list"),
            step(
                "shard",
                "list",
                forEach={"items": ["eu", "us", "asia"], "parallelism": 2, "maxFailures": 1},
                retry={"maxAttempts": 2, "backoff": SOON},
            ),
            step("join", "shard"),
        ),
        fates={"shard[0]": (FAILS, WELL), "shard[1]": (FAILS, FAILS)},
    ),
)


# What one step has written in its second attempt, another reads; a third is not wanted; the last asks for what is not.
SPEAKS = step("speaks", outputs=DECLARED, retry={"maxAttempts": 2, "backoff": SOON})
READS = {"env": [{"name": "IN_speaks", "value": "${{ steps.speaks.outputs.text }}"}]}
LANGUAGE = _one(
    "language",
    Plan(
        spec=spec(
            SPEAKS,
            step("reads", "speaks", when="steps.speaks.outputs.count == 2", **READS),
            step("unwanted", "speaks", when="steps.speaks.outputs.count > 2"),
            step("last", "reads", "unwanted", allowFailure=True, when="steps.unwanted.exitCode == 0"),
        ),
        fates={"speaks": (replace(WELL, message="oops"), replace(WELL, message=f"{OUTPUTS}2"))},
    ),
)


def _salvage(name: str, count: int) -> Scenario:
    """So many steps are adopted, and only the rest runs."""
    done = [f"done-{number}" for number in range(count)]
    source = {"workflowUid": "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11", "run": 1}
    adopted = [{"name": each, "position": 7, "hash": "ab" * 32} for each in done]
    rest = step("first", *done), step("free"), step("last", "first", "free")
    return _one(name, Plan(spec=spec(*map(step, done), *rest, adopt={**source, "steps": adopted})))


SALVAGE = _salvage("salvage", 3)
LARGE_SALVAGE = _salvage("large-salvage", ADOPTIONS_PER_TURN_MAX + 20)  # in two commits
# Drained, while one step waits and another runs; then finally, of which one fails.
DRAIN = _one(
    "drain",
    Plan(
        spec=spec(
            step("long"),
            {"name": "pause", "wait": {"duration": "10m"}},
            step("never", "long"),
            **{"finally": [step("notify"), step("tidy", "notify")]},
        ),
        fates={"long": (Program(run_seconds=6.0),), "notify": (FAILS,)},
        shutdown=(3.0, "Drain"),
    ),
)
# Asked while it is suspended, answered, resumed; then it waits.
APPROVAL = _one(
    "approval",
    Plan(
        spec=spec(
            {"name": "publish", "approval": {"message": "Publish?"}},
            {"name": "pause", "dependsOn": ["publish"], "wait": {"duration": "2s"}},
            step("first"),
            step("last", "pause", "first"),
        ),
        edits=(
            (1.0, {"suspend": True}),
            (4.0, {"approvals": [{"step": "publish", "decision": "Approve", "by": "ann"}]}),
            (6.0, {"suspend": False}),
        ),
    ),
)
# Failed, cleaned up, and run again from its first step: all that was done is done once more but `other`.
RERUN = _one(
    "rerun",
    Plan(
        spec=spec(step("first"), step("fails", "first"), step("other"), **{"finally": [step("notify")]}),
        fates={"fails": (FAILS,)},
        edits=((2.0, {"rerun": {"number": 2, "from": ["first"]}}),),
    ),
)
# A child that fails and is tried again as another one.
NESTED = _one(
    "nested",
    Plan(
        spec=spec(nested("train", of="model", retry={"maxAttempts": 2, "backoff": SOON}), step("after", "train")),
        fates={"train/fit": (FAILS, WELL)},
        templates={"model": spec(step("fit"))},
    ),
)
# Cancelled, and then terminated while the child still runs its finally.
NESTED_SHUTDOWN = _one(
    "nested-shutdown",
    Plan(
        spec=spec(nested("train", of="model"), step("never", "train")),
        fates={"train/fit": (HANGS,), "train/tidy": (HANGS,)},
        templates={"model": spec(step("fit"), **{"finally": [step("tidy")]})},
        shutdown=(5.0, "Cancel"),
        edits=((9.0, {"shutdown": {"mode": "Terminate", "run": 1}}),),
    ),
)
# What the second attempt, and the items, have left is read on; the claim is made with the first Job.
WORKSPACE = _one(
    "workspace",
    Plan(
        spec=spec(
            step("fetch", retry={"maxAttempts": 2, "backoff": SOON}),
            step("split", "fetch", forEach={"count": 2}),
            step("join", "split", inputs=["fetch", "split"]),
            workspace={"claimTemplate": CLAIM},
        ),
        fates={"fetch": (FAILS, WELL)},
    ),
)
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        DIAMOND,
        RETRY,
        CANCEL,
        TERMINATE,
        ATTEMPT_TIMEOUT,
        START_TIMEOUT,
        RUN_TIMEOUT,
        CANCEL_RUNNING,
        RUN_WHEN,
        PARALLELISM,
        LANGUAGE,
        FAN_OUT,
        SALVAGE,
        DRAIN,
        APPROVAL,
        RERUN,
        NESTED,
        NESTED_SHUTDOWN,
        WORKSPACE,
    )
}
