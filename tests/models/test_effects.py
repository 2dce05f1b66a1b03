"""The effects in every reachable state, and what each rule of docs/adr/0008 keeps from happening."""

import pytest

from tests.models.effects import EffectsModel
from tests.models.effects_state import Rules, State
from tests.models.explorer import explore

pytestmark = pytest.mark.proof

TWICE = "two attempts of the step run at once"
AGAIN = "the step has succeeded, and it runs again"
AFTER = "the run is Cancelled, and a pod runs"
FALSE = "the step succeeded, though no pod of it did"
STUCK = "from here no end can be reached unless somebody is lucky"

BROKEN = {
    "no placeholder": (Rules(placeholder=False), AFTER),
    "gone without a list of pods": (Rules(pod_list=False), AFTER),
    "gone before the Job controller has seen it": (Rules(taken_up=False), AFTER),
    "early deletion of any finished Job": (Rules(deletion_rule=False), AGAIN),
    "effects before the claim": (Rules(claim_first=False), AGAIN),
    "adoption by name alone": (Rules(by_intent=False), FALSE),
    "delete without uid": (Rules(delete_uid=False), AFTER),
    "orphaning delete": (Rules(foreground=False), STUCK),
}
STATES_MIN = 10_000  # fewer, and the model does not reach what it is about
QUICK = ("no placeholder", "gone without a list of pods", "early deletion of any finished Job")  # whole, too


def test_no_order_of_events_breaks_the_rules_and_the_run_can_always_end() -> None:
    found = explore(EffectsModel(Rules()), ends=True)
    print(f"effects, 2 claims: {found}")
    assert found.fault == ""
    assert found.states >= STATES_MIN


@pytest.mark.simulation
def test_nor_does_it_when_a_third_replica_takes_over() -> None:
    found = explore(EffectsModel(Rules(), claims_max=3), ends=True)
    print(f"effects, 3 claims: {found}")
    assert found.fault == ""


@pytest.mark.parametrize("rule", BROKEN)
def test_without_one_of_the_rules_it_goes_wrong(rule: str) -> None:
    rules, fault = BROKEN[rule]
    found = explore(EffectsModel(rules), ends=True)
    print(f"effects, {rule}: {found}")
    assert found.fault == fault


def test_without_the_placeholder_two_attempts_run_at_once() -> None:
    class TwoAttempts(EffectsModel):
        def fault(self, state: State) -> str:
            return found if (found := super().fault(state)) == TWICE else ""

    found = explore(TwoAttempts(Rules(placeholder=False)))
    print(f"effects, no placeholder, no shutdown: {found}")
    assert found.fault == TWICE


@pytest.mark.parametrize("rule", QUICK)
def test_what_is_forgotten_hides_nothing(rule: str) -> None:
    rules, _ = BROKEN[rule]
    found, whole = explore(EffectsModel(rules)), explore(EffectsModel(rules, forgets=False))
    assert (found.fault, len(found.trace)) == (whole.fault, len(whole.trace))
    assert found.states < whole.states
