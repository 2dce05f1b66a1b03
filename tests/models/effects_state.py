"""The state of the model of effects, its rules, and what of a state can matter no more.

`settle` forgets what can change nothing from here on, so that states which differ in nothing else are one. It only
ever drops what no move looks at again; tests/models/test_effects.py explores with and without it and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

ATTEMPTS_MAX = 2
SENDS_MAX = 2  # creates of one attempt, in all lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The design (docs/adr/0008), or one of its broken variants."""

    placeholder: bool = True  # a given-up attempt's name stays occupied
    pod_list: bool = True  # gone means that a list showed no pod, too
    deletion_rule: bool = True  # a finished attempt's Job goes early only if its epoch and its answers allow it
    claim_first: bool = True  # no effect before the commit that claims
    by_intent: bool = True  # a Job is ours by owner and intent, not by its name
    delete_uid: bool = True
    foreground: bool = True  # else the API server's default: the pods are orphaned
    taken_up: bool = True  # gone means that the Job controller has seen the placeholder, too


class Try(NamedTuple):
    """An attempt in the log."""

    phase: str  # live | leaving | failed | succeeded | cancelled
    epoch: int  # that scheduled it


class Log(NamedTuple):
    """What is committed. It never returns to an earlier value, so it is its own version."""

    epoch: int = 0
    tries: tuple[Try, ...] = ()
    shutdown: bool = False
    end: str = ""


class Life(NamedTuple):
    """A replica's session: what it has read, and what it knows beyond that."""

    view: Log
    claimed: bool = True
    unanswered: frozenset[tuple[int, int]] = frozenset()  # its creates without a definite answer
    proof: str = ""  # of the leaving attempt: "" | displaced | gone


class Name(NamedTuple):
    """What stands under the name of an attempt, and the pods of the Jobs that ever stood there, by their uid."""

    holder: str = ""  # "" | job | placeholder | stranger
    deleting: bool = False
    is_taken_up: bool = False  # the Job controller has seen the placeholder, and so that the Jobs before it are gone
    pods: tuple[str, ...] = ()  # "" not started | runs | adrift | ok | failed | over
    sends: int = 0


class State(NamedTuple):
    """The log, who lives, the cluster, and the requests that are under way in it."""

    log: Log
    lives: tuple[Life, ...]  # in the order of their epochs
    names: tuple[Name, ...]
    creates: frozenset[tuple[int, int]]  # in flight: attempt, which of its creates
    deletes: frozenset[tuple[int, int]]  # in flight, for good: attempt, uid (0: whatever stands there)
    stranger: bool


# -- what can matter no more -----------------------------------------------------------------------------


def settle(state: State, rules: Rules) -> State:
    """The same state for every future, with less in it."""
    log = state.log
    lives = tuple(_settle_life(life, log) for life in state.lives)
    if not (rules.delete_uid and rules.by_intent):
        return state._replace(lives=lives)  # then no name is ever safe
    names = tuple(_settle_name(name, log, number) for number, name in enumerate(state.names))
    creates = frozenset(create for create in state.creates if not is_held(names[create[0]]))
    deletes = frozenset(
        (number, uid)
        for number, uid in state.deletes
        if (names[number].holder, len(names[number].pods), names[number].deleting) == ("job", uid, False)
    )
    lives = tuple(life for life in lives if life.view == log or not life.claimed or _can_act(life, names, creates))
    return State(log, lives, names, creates, deletes, state.stranger)


def is_held(name: Name) -> bool:
    """Whether no Job can come under this name any more."""
    return name.holder in ("placeholder", "stranger")


def _settle_life(life: Life, log: Log) -> Life:
    """A proof is for commits, which an old view cannot make; answers are for the early deletion."""
    tries, epoch = life.view.tries, life.view.epoch
    unanswered = frozenset(
        create for create in life.unanswered if tries[create[0]].phase != "leaving" and tries[create[0]].epoch == epoch
    )
    return life._replace(unanswered=unanswered, proof=life.proof if life.view == log else "")


def _settle_name(name: Name, log: Log, number: int) -> Name:
    """How a pod ended is asked only of the attempt that runs or has succeeded."""
    if is_held(name):
        name = name._replace(sends=SENDS_MAX)
    if number >= len(log.tries) or log.tries[number].phase in ("live", "succeeded"):
        return name
    if name.holder == "placeholder":
        return name._replace(pods=tuple(pod for pod in name.pods if pod in ("", "runs", "adrift")))
    return name._replace(pods=tuple("over" if pod in ("ok", "failed") else pod for pod in name.pods))


def _can_act(life: Life, names: tuple[Name, ...], creates: frozenset[tuple[int, int]]) -> bool:
    """Whether a replica with an old view could still send anything that does anything."""
    for number, (phase, epoch) in enumerate(life.view.tries):
        name = names[number]
        if phase == "live" and name.sends < SENDS_MAX:
            return True
        if phase == "leaving" and not is_held(name):
            return True
        own = phase in ("failed", "succeeded") and epoch == life.view.epoch and not is_held(name)
        if own and all(create in creates for create in life.unanswered if create[0] == number):
            return True
    return False
