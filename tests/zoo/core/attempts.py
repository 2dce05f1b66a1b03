"""Mutants of kipu/core/attempts.py: the fold of attempts."""

from __future__ import annotations

from dataclasses import replace

from kipu.core.attempts import fail_attempt, succeed
from kipu.core.events import AttemptFailed, StepSucceeded
from kipu.core.state import State
from tests.zoo.mutants import mutant

_sound_fail_attempt, _sound_succeed = fail_attempt, succeed


@mutant("fail_attempt", breaks="I10, backoff not recorded", caught_by="tests/core/test_retrying.py")
def the_recorded_backoff_is_not_read(state: State, event: AttemptFailed) -> None:
    """A retry is due at once, whatever was recorded."""
    _sound_fail_attempt(state, event if event.retry_at is None else replace(event, retry_at=state.ts))


@mutant("succeed", breaks="I13, last write wins", caught_by="tests/core/test_language.py")
def outputs_are_not_kept(state: State, event: StepSucceeded) -> None:
    """What is committed with a success is not what anybody reads."""
    _sound_succeed(state, replace(event, outputs=None))
