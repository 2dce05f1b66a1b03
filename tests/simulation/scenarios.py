"""The small workflows of which every crash point is tried."""

from __future__ import annotations

from typing import Any

from kipu.core.turn import ADOPTIONS_PER_TURN_MAX
from tests.fakes.nodes import Program
from tests.simulation.world import Scenario

DEFAULTS = {"image": "busybox:1.36"}


def _label(pod: dict[str, Any], name: str) -> str:
    return str(pod["metadata"]["labels"][f"kipu.dev/{name}"])


def _step(name: str, *needs: str, **more: object) -> dict[str, object]:
    return {"name": name, "script": "true", **({"dependsOn": list(needs)} if needs else {}), **more}


def _fails_twice(pod: dict[str, Any]) -> Program:
    fails = _label(pod, "step") == "flaky" and int(_label(pod, "attempt")) < 3
    return Program(run_seconds=0.5, exit_code=1 if fails else 0)


def _runs_long(pod: dict[str, Any]) -> Program:
    return Program(run_seconds=0.5 if _label(pod, "step") == "first" else 500.0)


DIAMOND = Scenario(
    name="diamond",
    spec={
        "defaults": DEFAULTS,
        "steps": [_step("top"), _step("left", "top"), _step("right", "top"), _step("bottom", "left", "right")],
    },
    end="Succeeded",
    succeeded=("top", "left", "right", "bottom"),
)
RETRY = Scenario(
    name="retry",
    spec={
        "defaults": DEFAULTS,
        "steps": [
            _step("flaky", retry={"maxAttempts": 3, "backoff": {"initial": "1s", "jitter": "None"}}),
            _step("after", "flaky"),
        ],
    },
    end="Succeeded",
    succeeded=("flaky", "after"),
    programs=_fails_twice,
)
CANCEL = Scenario(
    name="cancel",
    spec={
        "defaults": DEFAULTS,
        "steps": [_step("first"), _step("long", "first"), _step("longer", "first"), _step("never", "long")],
    },
    end="Cancelled",
    succeeded=("first",),
    programs=_runs_long,
    shutdown_at_seconds=6.0,
)
_DONE = [f"done-{number}" for number in range(ADOPTIONS_PER_TURN_MAX + 20)]
SALVAGE = Scenario(
    name="salvage",
    spec={
        "defaults": DEFAULTS,
        "steps": [*map(_step, _DONE), _step("first", *_DONE), _step("free"), _step("last", "first", "free")],
        "adopt": {
            "workflowUid": "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11",
            "run": 1,
            "steps": [{"name": name, "position": 7, "hash": "ab" * 32} for name in _DONE],
        },
    },
    end="Succeeded",
    succeeded=("first", "free", "last"),  # and nothing of what is adopted, in two commits
)
SCENARIOS = {scenario.name: scenario for scenario in (DIAMOND, RETRY, CANCEL, SALVAGE)}
