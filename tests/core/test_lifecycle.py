"""The document of the lifecycle is what the table says."""

from __future__ import annotations

from kipu.core.lifecycle import StepPhase, WorkflowPhase
from tests.core.lifecycle_doc import DOCUMENT, STEP_MEANINGS, WORKFLOW_MEANINGS, lifecycle_document


def test_the_committed_document_is_current() -> None:
    assert DOCUMENT.read_text() == lifecycle_document(), "run: python -m tests.core.lifecycle_doc"


def test_every_phase_has_a_meaning() -> None:
    assert set(STEP_MEANINGS) == set(StepPhase)
    assert set(WORKFLOW_MEANINGS) == set(WorkflowPhase)
