"""A Workflow as its object shows it: what a person may ask of it now is judged by this.

Promises: total on whatever the API server returns of a Workflow. The status may be behind the log, so that what it says
is a reason to ask or not to ask, and never a proof. Must never talk to a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kipu.core.lifecycle import TERMINAL_STEP_PHASES, TERMINAL_WORKFLOW_PHASES, StepPhase
from kipu.shell import requests

OVER = frozenset(str(phase) for phase in TERMINAL_WORKFLOW_PHASES)
STEP_OVER = frozenset(str(phase) for phase in TERMINAL_STEP_PHASES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One Workflow at one moment."""

    body: Mapping[str, Any]  # all of it, as the API server has answered
    namespace: str
    name: str
    uid: str
    generation: int
    version: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Seen:
        """Of the object that the API server has answered with."""
        metadata = body["metadata"]
        return cls(
            body=body,
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            version=metadata.get("resourceVersion", ""),
            metadata=metadata,
            spec=body.get("spec") or {},
            status=body.get("status") or {},
        )

    # -- the run -----------------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        """Empty until an operator has taken it up."""
        return str(self.status.get("phase") or "")

    @property
    def message(self) -> str:
        """Why it ended so, or what it waits for; may be empty."""
        return str(self.status.get("message") or "")

    @property
    def shown_run(self) -> int:
        """The newest run that the status knows, from 1."""
        return int(self.status.get("run") or 1)

    @property
    def position(self) -> int:
        """The newest record of its log that the status knows of; 0 while it knows of none."""
        return int((self.status.get("log") or {}).get("position") or 0)

    @property
    def next_run(self) -> int | None:
        """The run that is asked for and not opened yet."""
        return self.shown_run + 1 if requests.opens_run(self.spec, self.phase, self.shown_run) else None

    @property
    def is_over(self) -> bool:
        """It has ended, and nobody has asked for another run."""
        return self.phase in OVER and self.next_run is None

    @property
    def run(self) -> int:
        """The run that a request is about: the one that goes on, or the one that is about to be opened."""
        return self.next_run if self.next_run is not None and self.is_between_runs else self.shown_run

    @property
    def is_between_runs(self) -> bool:
        """It has ended, and the next run is about to be opened: what is shown of steps is of the old one."""
        return self.phase in OVER and self.next_run is not None

    def condition(self, kind: str) -> str | None:
        """What a condition that is True has to say; None where there is none."""
        for each in self.status.get("conditions") or ():
            if each.get("type") == kind and each.get("status") == "True":
                return str(each.get("message") or each.get("reason") or "")
        return None

    @property
    def stuck(self) -> str | None:
        """Why nothing that is asked of it will be read; None if it will."""
        return None if self.phase in OVER else self.condition("Stalled")

    # -- its steps ---------------------------------------------------------------------------------------

    @property
    def written(self) -> dict[str, Mapping[str, Any]]:
        """The steps of the spec by name; those of a template are not in it."""
        steps = [*(self.spec.get("steps") or ()), *(self.spec.get("finally") or ())]
        return {step["name"]: step for step in steps}

    @property
    def last(self) -> list[str]:
        """The steps of finally, as far as the spec has them."""
        return [step["name"] for step in self.spec.get("finally") or ()]

    @property
    def shown(self) -> dict[str, Mapping[str, Any]]:
        """The steps of the status by name: all of them, if there are at most 100."""
        return {step["name"]: step for step in self.status.get("steps") or ()}

    @property
    def reports(self) -> Iterator[Mapping[str, Any]]:
        """What the status says of the first steps that are under way."""
        yield from self.status.get("running") or ()

    @property
    def step_names(self) -> list[str]:
        """All names that are known."""
        return list(self.written or self.shown)

    def phase_of(self, step: str) -> str:
        """Where a step stands; empty where the status does not show it."""
        if step in self.shown:
            return str(self.shown[step]["phase"])
        listed = [("running", ""), ("failed", StepPhase.FAILED.value)]
        for key, phase in listed:
            for report in self.status.get(key) or ():
                if report["step"] == step:
                    return phase or str(report["reason"])
        return ""

    def asks_for_approval(self, step: str) -> bool:
        """As far as can be told: what a template says is not known."""
        written = self.written
        return not written or "approval" in written.get(step, {})

    @property
    def waiting_for_approval(self) -> list[str]:
        """The steps that ask somebody now, of those that the status shows."""
        names = self.shown or [report["step"] for report in self.reports]
        return [
            name
            for name in names
            if self.phase_of(name) == StepPhase.SUSPENDED and name in self.written and self.asks_for_approval(name)
        ]

    @property
    def asking(self) -> list[str]:
        """The steps that ask somebody, sooner or later: those of the spec."""
        return [name for name, step in self.written.items() if "approval" in step]

    @property
    def unknown(self) -> dict[str, int]:
        """The steps of which nobody knows whether they have done their work, each with its attempt."""
        shown = {name: step["attempts"] for name, step in self.shown.items() if step["phase"] == StepPhase.UNKNOWN}
        listed = {each["step"]: each["attempt"] for each in self.reports if each["reason"] == StepPhase.UNKNOWN}
        return shown | listed

    def entries(self, key: str, step: str) -> Sequence[Mapping[str, Any]]:
        """What spec.approvals or spec.resolutions says of a step in this run."""
        listed = self.spec.get(key) or ()
        return [each for each in listed if each["step"] == step and (each.get("run") or 1) == self.run]
