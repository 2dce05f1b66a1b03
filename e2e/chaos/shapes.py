"""The workflows of the load: small, of every kind of end, and each with the one end that it must come to.

Promises: the end does not depend on faults of the API server or of the operator, nor on how slow the node is. Those
for simulated nodes run no program; those for the real kubelet run `true`, `sleep` or fail on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from e2e.apiserver import JsonObject
from e2e.namespace import RESTRICTED, fail_until, retry, step, workflow

FOR_EVER = "sleep 600"  # longer than any run of a workflow here
FAKE_POD: JsonObject = {
    "nodeSelector": {"kipu.dev/fake": "true"},
    "tolerations": [{"key": "kipu.dev/fake", "operator": "Exists"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A workflow and its end. `attempts` names the steps whose number of tries is certain."""

    name: str
    steps: Sequence[JsonObject]
    end: str
    phases: Mapping[str, str]  # of every step; alternatives are parted by "|"
    attempts: Mapping[str, int]
    spec: Mapping[str, object] = field(default_factory=dict)
    cancel_when_runs: str = ""  # the step at whose start it is cancelled
    is_fake: bool = False

    def manifest(self, name: str) -> JsonObject:
        """The Workflow to be created."""
        made = workflow(name, self.steps, **self.spec)
        if self.is_fake:
            made["spec"]["defaults"]["template"] = {"spec": {**RESTRICTED, **FAKE_POD}}
        return made

    @property
    def succeed(self) -> frozenset[str]:
        """The steps that must succeed."""
        return frozenset(name for name, phase in self.phases.items() if phase == "Succeeded")


def _ends(steps: Sequence[JsonObject], **others: str) -> dict[str, str]:
    """Every step succeeds but those."""
    return {s["name"]: others.get(s["name"], "Succeeded") for s in steps}


def _once(phases: Mapping[str, str]) -> dict[str, int]:
    """Every step that succeeds or fails has one attempt, the others none."""
    return {name: int(phase in ("Succeeded", "Failed")) for name, phase in phases.items()}


def _diamond(script: str) -> list[JsonObject]:
    middle = [step(name, script, ["top"]) for name in ("left", "middle", "right")]
    return [step("top", script), *middle, step("bottom", script, ["left", "middle", "right"])]


def _chain(length: int, script: str) -> list[JsonObject]:
    return [step(f"link-{n}", script, [f"link-{n - 1}"] if n else []) for n in range(length)]


def _plain(name: str, steps: Sequence[JsonObject], *, is_fake: bool = False) -> Shape:
    phases = _ends(steps)
    return Shape(name=name, steps=steps, end="Succeeded", phases=phases, attempts=_once(phases), is_fake=is_fake)


def _retrying() -> Shape:
    steps = [step("flaky", fail_until(3), retry=retry(3)), step("after", "sleep 0.2", ["flaky"])]
    return Shape(name="retrying", steps=steps, end="Succeeded", phases=_ends(steps), attempts={"flaky": 3, "after": 1})


def _failing() -> Shape:
    steps = [
        step("good", "sleep 0.2"),
        step("bad", "exit 3", ["good"], retry=retry(2)),
        step("never", after=["bad"]),
        step("clean-up", after=["bad"], runWhen="AnyFailed"),
    ]
    phases = _ends(steps, bad="Failed", never="Skipped")
    return Shape(
        name="failing",
        steps=steps,
        end="Failed",
        phases=phases,
        attempts={"good": 1, "bad": 2, "never": 0, "clean-up": 1},
        spec={"onFailure": "Continue"},
    )


def _cancelled() -> Shape:
    steps = [
        step("first"),
        step("long", FOR_EVER, ["first"]),
        step("other", FOR_EVER, ["first"]),
        step("never", after=["long"]),
    ]
    phases = _ends(steps, long="Cancelled", other="Cancelled", never="Cancelled")
    return Shape(
        name="cancelled",
        steps=steps,
        end="Cancelled",
        phases=phases,
        attempts={"first": 1, "long": 1, "never": 0},
        cancel_when_runs="long",
    )


def _slow_attempt() -> Shape:
    # Any attempt may be late on a busy node, thus the budget; the first one certainly is.
    script = f'[ "$KIPU_ATTEMPT" -ge 2 ] || {FOR_EVER}'
    steps = [step("slow", script, attemptTimeout="20s", retry=retry(6)), step("after", after=["slow"])]
    return Shape(name="slow-attempt", steps=steps, end="Succeeded", phases=_ends(steps), attempts={"after": 1})


def _too_late() -> Shape:
    steps = [step("long", FOR_EVER), step("never", after=["long"])]
    phases = _ends(steps, long="Cancelled", never="Cancelled|Skipped")
    return Shape(
        name="too-late", steps=steps, end="Failed", phases=phases, attempts={"never": 0}, spec={"timeout": "20s"}
    )


def _one_takes_all_down() -> Shape:
    # "bad" fails only once "busy" was decided: both start at once, and neither waits for a place.
    steps = [step("busy", FOR_EVER), step("bad", "sleep 1; exit 1"), step("after-busy", after=["busy"])]
    phases = _ends(steps, busy="Cancelled", bad="Failed") | {"after-busy": "Skipped"}
    return Shape(
        name="taken-down",
        steps=steps,
        end="Failed",
        phases=phases,
        attempts={"busy": 1, "bad": 1, "after-busy": 0},
        spec={"onFailure": "CancelRunning"},
    )


# What no container is needed for: graphs alone.
FAKE = (
    _plain("diamond-fake", _diamond("true"), is_fake=True),
    _plain("chain-fake", _chain(4, "true"), is_fake=True),
    _plain("wide-fake", [step(f"leaf-{n}") for n in range(6)], is_fake=True),
)
REAL = (
    _plain("diamond", _diamond("sleep 0.2")),
    _plain("chain", _chain(3, "true")),
    _retrying(),
    _failing(),
    _cancelled(),
    _slow_attempt(),
    _too_late(),
    _one_takes_all_down(),
)
