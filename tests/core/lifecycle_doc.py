"""Writes docs/lifecycle.md from the table of transitions: `python -m tests.core.lifecycle_doc`.

Promises: a pure function of `kipu.core.lifecycle`; a test fails when the committed file is not what it yields.
"""

from __future__ import annotations

from pathlib import Path

from kipu.core.lifecycle import (
    STEP_TRANSITIONS,
    TERMINAL_STEP_PHASES,
    TERMINAL_WORKFLOW_PHASES,
    StepPhase,
    WorkflowPhase,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "lifecycle.md"

STEP_MEANINGS = {
    StepPhase.PENDING: "Waits for its dependencies, or for a free place.",
    StepPhase.SCHEDULED: "An attempt is decided; it was not yet seen running.",
    StepPhase.RUNNING: "An attempt was seen running.",
    StepPhase.RETRYING: "The last attempt failed; waits for its backoff, or for a free place after it.",
    StepPhase.UNKNOWN: "An External attempt is over, and a person must say what became of it (spec.resolutions).",
    StepPhase.SUSPENDED: "Somebody is asked for an approval, or time has to pass.",
    StepPhase.SUCCEEDED: "An attempt ended well, it was approved or waited; or adopted; or a person said so.",
    StepPhase.FAILED: "No further attempt will be made in this run.",
    StepPhase.SKIPPED: "Never runs in this run; the culprit is named.",
    StepPhase.CANCELLED: "Ended, or kept from starting, by a shutdown, a timeout or onFailure: CancelRunning.",
}
WORKFLOW_MEANINGS = {
    WorkflowPhase.PENDING: "Accepted; nothing is scheduled yet.",
    WorkflowPhase.RUNNING: "Something was scheduled.",
    WorkflowPhase.SUSPENDED: "By spec.suspend: nothing new starts, what runs may end.",
    WorkflowPhase.FINALIZING: "The steps are over and their end is known; those of finally run.",
    WorkflowPhase.CANCELLING: "Jobs are being taken down, or drained; lasts until none of their pods is left.",
    WorkflowPhase.SUCCEEDED: "Every step has succeeded, or was skipped by its rule; failures only where allowed.",
    WorkflowPhase.FAILED: "A step failed that may not, one of finally too, or a timeout passed.",
    WorkflowPhase.CANCELLED: "It was asked for, before everything had ended anyway.",
    WorkflowPhase.REJECTED: "The spec cannot run; nothing was started.",
}


def lifecycle_document() -> str:
    """The whole text of docs/lifecycle.md."""
    return "\n".join(
        [
            "# The lifecycle of a step",
            "",
            "<!-- Written by `python -m tests.core.lifecycle_doc` from operator/kipu/core/lifecycle.py. -->",
            "",
            "A step moves only by a recorded event. What is not drawn here cannot happen: a log that says otherwise is",
            "corrupt, and its workflow stops with a condition. An attempt that was given up (`AttemptAbandoned`) keeps",
            "its step's phase until its Job is proven gone; only then `AttemptFailed` or `StepsCancelled` moves it.",
            "What is final is so in its run: `WorkflowRerun` has the steps that are not kept begin again as Pending.",
            "",
            *_diagram(),
            "",
            "| From | Event | To |",
            "|---|---|---|",
            *[f"| {start} | `{kind.__name__}` | {end} |" for (start, kind), end in STEP_TRANSITIONS.items()],
            "",
            "| Phase | Final | Meaning |",
            "|---|---|---|",
            *[f"| {phase} | {_yes(phase in TERMINAL_STEP_PHASES)} | {STEP_MEANINGS[phase]} |" for phase in StepPhase],
            "",
            "## The phases of a workflow",
            "",
            "| Phase | Final | Meaning |",
            "|---|---|---|",
            *[
                f"| {phase} | {_yes(phase in TERMINAL_WORKFLOW_PHASES)} | {WORKFLOW_MEANINGS[phase]} |"
                for phase in WorkflowPhase
            ],
            "",
        ]
    )


def _diagram() -> list[str]:
    ends = [f"    {phase} --> [*]" for phase in StepPhase if phase in TERMINAL_STEP_PHASES]
    arrows = [f"    {start} --> {end}: {kind.__name__}" for (start, kind), end in STEP_TRANSITIONS.items()]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {StepPhase.PENDING}", *arrows, *ends, "```"]


def _yes(whether: bool) -> str:
    return "yes" if whether else ""


if __name__ == "__main__":
    DOCUMENT.write_text(lifecycle_document())
