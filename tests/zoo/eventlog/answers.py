"""Mutants of kipu/eventlog/answers.py: what an answer proves."""

from __future__ import annotations

from kipu.eventlog.answers import NO_ANSWER
from kipu.eventlog.ports import Answer
from tests.zoo.mutants import mutant

CONFIG_MAPS = "tests/eventlog/test_configmaps.py"


@mutant("is_too_large", breaks="I16, retry on too-large", caught_by=CONFIG_MAPS)
def too_large_is_tried_again(answer: Answer) -> bool:
    """etcd's 500 for a request that is too large is taken for one that may pass."""
    return False


@mutant("is_refusal", breaks="I16", caught_by=CONFIG_MAPS)
def a_refusal_is_sent_again_and_again(answer: Answer) -> bool:
    """A policy's 422 is taken for an unclear answer."""
    return False


@mutant("is_done", breaks="I1", caught_by=CONFIG_MAPS)
def no_answer_is_a_good_answer(answer: Answer) -> bool:
    """What nobody answered is taken for carried out, as a busy server's 429 is."""
    return answer.status in (NO_ANSWER, 429) or 200 <= answer.status < 300
