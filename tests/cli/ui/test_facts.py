"""Facts, laid over each other, are the core's own state at every position: the page tells no rules anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from kipu.cli.ui.facts import (
    FACTS_PER_NODE_MAX,
    OUTCOMES,
    STEP_PHASES,
    WORKFLOW,
    WORKFLOW_PHASES,
    Fact,
    Facts,
    names_in,
)
from kipu.core.definition import OnFailure
from kipu.core.events import Event, WorkflowRerun
from kipu.core.evolve import evolve
from kipu.core.language import Evaluated, Unevaluated
from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.core.state import State
from tests.cli import histories as plain
from tests.cli.ui import histories
from tests.core.given import SECOND, START, Flow, approval, fan, flow, last, nested, step

Log = Sequence[tuple[Event, int]]


@dataclass
class Folded:
    """What the page makes of facts, in a few lines: the same that js/story.js does."""

    facts: Facts
    phases: dict[int, StepPhase] = field(default_factory=dict)
    workflow: WorkflowPhase = WorkflowPhase.PENDING
    run: int = 0
    expanded: dict[int, tuple[int, int]] = field(default_factory=dict)
    taken: int = 0

    def take(self) -> None:
        facts = self.facts
        for index in range(self.taken, len(facts.positions)):
            node, word, number = facts.nodes[index], facts.words[index], facts.numbers[index]
            if word == Fact.PHASE and node == WORKFLOW:
                self.workflow = WORKFLOW_PHASES[number]
            elif word == Fact.PHASE:
                self.phases[node] = STEP_PHASES[number]
                if number == 0:
                    self.expanded.pop(node, None)
            elif word == Fact.RUN:
                self.run = number
            elif word == Fact.EXPANDED:
                parent, first, count = facts.expansions[number]
                self.expanded[parent] = (first, count)
                self.phases |= dict.fromkeys(range(first, first + count), StepPhase.PENDING)
        self.taken = len(facts.positions)


def rerun() -> Log:
    """A fan-out that has failed runs again, with fewer of its items' places known."""
    given = flow(
        step("a"), fan("b", "a", count=3), fan("c", "a", count=2), step("d", "b", "c"), on_failure=OnFailure.CONTINUE
    )
    given.succeed("a", after=SECOND)
    given.succeed("b[0]", "b[1]", "c[0]", "c[1]", after=SECOND)
    given.fail("b[2]", after=SECOND)
    given.rerun(number=2)
    given.start("b[0]", after=SECOND)
    given.succeed("b[0]", "b[1]", "b[2]", after=SECOND)
    given.succeed("d", after=SECOND)
    return given.log


def failing_alike() -> Log:
    """An item without a value for its expression fails in one step, in each run."""

    def evaluate(state: State, place: int) -> Evaluated | Unevaluated:
        return Unevaluated(message="when: divide by zero") if state.name(place) == "b[1]" else Evaluated()

    given = flow(fan("b", count=2), evaluate=evaluate)
    given.succeed("b[0]", after=SECOND)
    given.rerun(number=2)
    given.succeed("b[0]", after=SECOND)
    return given.log


def asking() -> Log:
    given = flow(step("a"), approval("ok", "a"), nested("child", "ok"), last("bye"))
    given.succeed("a", after=SECOND)
    given.answer("ok")
    given.fail("child", after=SECOND)
    given.succeed("bye", after=SECOND)
    return given.log


def cancelled() -> Log:
    given = flow(step("a"), fan("b", count=3), step("c", "a"))
    given.start("a", "b[1]", after=SECOND)
    given.shut_down()
    given.gone("a", "b[0]", "b[1]", "b[2]", after=SECOND)
    return given.log


def played(run: histories.Played) -> Log:
    return [(event, ts) for events, ts in run.play(1_500).commits for event in events]


HISTORIES = {
    "a diamond": plain.diamond().log,
    "skipping": plain.skipping().log,
    "a fan-out that runs again": rerun(),
    "an item that fails alike in each run": failing_alike(),
    "approvals, a child, finally": asking(),
    "cancelled": cancelled(),
    "every kind": played(histories.small()),
    "many steps that fail": played(histories.middling()),
    "many items": played(histories.large(items=200)),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_at_every_position_they_come_to_the_phases_of_the_core(name: str) -> None:
    state, facts = State(), Facts()
    page = Folded(facts)
    for event, ts in HISTORIES[name]:
        state = evolve(state, event, ts=ts)
        facts.add(event, state)
        page.take()
        assert (page.workflow, page.run) == (state.phase, state.run)
        assert {place: fanout.total for place, fanout in state.fanouts.items()} == {
            place: count for place, (_, count) in page.expanded.items()
        }
        steps = len(state.steps) - len(state.owners)
        told = [page.phases.get(node, StepPhase.PENDING) for node in range(steps)]
        assert told == [step.phase for step in state.steps[:steps]]
        for place, fanout in state.fanouts.items():
            first, count = page.expanded[place]
            items = [page.phases[node] for node in range(first, first + count)]
            assert items == [item.phase for item in state.steps[fanout.base : fanout.base + count]]


@pytest.mark.parametrize("name", HISTORIES)
def test_their_number_is_bounded_by_what_an_event_names(name: str) -> None:
    state, facts = State(), Facts()
    for event, ts in HISTORIES[name]:
        state, before = evolve(state, event, ts=ts), len(facts.positions)
        facts.add(event, state)
        rerun = len(state.steps) if isinstance(event, WorkflowRerun) else 0
        assert len(facts.positions) - before <= FACTS_PER_NODE_MAX * len(names_in(event)) + 2 + rerun


@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_begins_at_a_node_ends_there_before_anything_else_begins(name: str) -> None:
    state, facts, is_open = State(), Facts(), dict[int, bool]()
    for event, ts in HISTORIES[name]:
        state = evolve(state, event, ts=ts)
        facts.add(event, state)
    for node, word in zip(facts.nodes, facts.words, strict=True):
        if word in (Fact.SCHEDULED, Fact.RESTS, Fact.EXPANDED):
            assert not is_open.get(node)
            is_open[node] = True
        elif word == Fact.ENDED:
            assert is_open.pop(node)
    assert not any(is_open.values()) or not state.is_terminal


def told(given: Flow, word: Fact) -> list[tuple[int, int]]:
    """Nodes and numbers of one kind of fact."""
    state, facts = State(), Facts()
    for event, ts in given.log:
        state = evolve(state, event, ts=ts)
        facts.add(event, state)
    return [(n, v) for n, w, v in zip(facts.nodes, facts.words, facts.numbers, strict=True) if w == word]


def test_a_retry_is_told_with_the_time_at_which_it_is_due() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a", after=5 * SECOND)
    assert told(given, Fact.RETRY) == [(0, 6 * SECOND)]
    assert told(given, Fact.ENDED) == [(0, OUTCOMES.index("ExitCode"))]


@pytest.mark.parametrize(("said", "taken"), [(3 * SECOND, 3 * SECOND), (0, 2 * SECOND), (9 * SECOND, 5 * SECOND)])
def test_a_start_that_was_not_seen_lies_between_what_was_decided_and_what_was_seen(said: int, taken: int) -> None:
    given = flow(step("first"), step("a", "first"))
    given.succeed("first", after=2 * SECOND)
    given.tell(replace(given.outcome("a"), started_at=START + said), after=3 * SECOND)
    assert told(given, Fact.STARTED)[-1] == (1, taken)


def test_items_keep_their_nodes_in_later_runs() -> None:
    state, facts = State(), Facts()
    for event, ts in rerun():
        state = evolve(state, event, ts=ts)
        facts.add(event, state)
    of_b = [first for parent, first, _ in facts.expansions if parent == 1]
    assert len(of_b) == 2
    assert of_b[0] == of_b[1]
