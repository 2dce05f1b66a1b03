"""The effects as a model: one step of two attempts, replicas that come and go, and a cluster that is always late.

The log is taken for what tests/models/log.py shows it to be: a commit is atomic, and fails for whoever has not read
the last one. Up to two replicas live at once; each claim begins a new life. A create may be carried out long after
its sender is dead; a delete too, and more than once. Controllers act late or never see what was between.
What is modelled of the code stands beside each move.

Bounds: `claims_max` lives, of which the last does not die (else nobody is left to end the run), and SENDS_MAX
creates of each attempt. Taken for granted: a Job has one pod at most, the Job controller hears of the Jobs of one name
in their order, and nobody else deletes a placeholder or a stranger's Job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.models.effects_state import ATTEMPTS_MAX, SENDS_MAX, Life, Log, Name, Rules, State, Try, settle
from tests.models.explorer import Move

LIVES_MAX = 2


class EffectsModel:
    """See above. Attempts are counted from 0 here, uids from 1."""

    def __init__(self, rules: Rules, *, claims_max: int = 2, forgets: bool = True) -> None:
        self.rules = rules
        self.claims_max = claims_max
        self.forgets = forgets

    def first(self) -> Iterable[State]:
        nothing: frozenset[tuple[int, int]] = frozenset()
        free = (Name(),) * ATTEMPTS_MAX
        yield State(Log(), (), free, nothing, nothing, stranger=False)
        yield State(Log(), (), (Name("stranger"), *free[1:]), nothing, nothing, stranger=True)

    def is_end(self, state: State) -> bool:
        return state.log.end != ""

    def fault(self, state: State) -> str:
        running = [number for number, name in enumerate(state.names) if _runs(name)]
        succeeded = [number for number, try_ in enumerate(state.log.tries) if try_.phase == "succeeded"]
        if len(running) > 1:
            return "two attempts of the step run at once"
        if running and succeeded:
            return "the step has succeeded, and it runs again"
        if running and state.log.end:
            return f"the run is {state.log.end}, and a pod runs"
        if any("ok" not in state.names[number].pods for number in succeeded):
            return "the step succeeded, though no pod of it did"
        if state.stranger and state.names[0].holder != "stranger":
            return "a stranger's Job was deleted"
        return ""

    def moves(self, state: State) -> Iterator[Move[State]]:
        for label, after, owed in self._all_moves(state):
            yield Move(label, settle(after, self.rules) if self.forgets else after, owed)

    def _all_moves(self, state: State) -> Iterator[Move[State]]:
        yield from self._births(state)
        for place, life in enumerate(state.lives):
            if life.view != state.log or state.log.epoch < self.claims_max or not life.claimed:
                yield Move(f"{_who(life)} dies", _with_life(state, place, None), owed=False)
            if life.view == state.log and not state.log.end:
                yield from self._commits(state, place, life)
            if life.claimed or not self.rules.claim_first:
                yield from self._effects(state, place, life)
        yield from self._network(state)
        for number, name in enumerate(state.names):
            yield from self._cluster(state, number, name)

    # -- the log: Actor._begin, Actor._turn -------------------------------------------------------------------

    def _births(self, state: State) -> Iterator[Move[State]]:
        """Actor.open and the claim. In between nothing is done, unless the rule is broken."""
        if state.log.end or len(state.lives) == LIVES_MAX or state.log.epoch == self.claims_max:
            return
        claimed = state.log._replace(epoch=state.log.epoch + 1)
        after = state._replace(log=claimed, lives=(*state.lives, Life(claimed)))
        yield Move(f"a replica claims epoch {claimed.epoch}", after)
        if not self.rules.claim_first and all(life.claimed for life in state.lives):
            reader = Life(state.log, claimed=False)
            yield Move("a replica reads the log", state._replace(lives=(*state.lives, reader)), owed=False)

    def _commits(self, state: State, place: int, life: Life) -> Iterator[Move[State]]:
        """decide, and the append: only onto the log that was read."""
        if not life.claimed:
            return
        log = state.log
        last = log.tries[-1] if log.tries else None
        for what, after, owed in self._decisions(state, life, last):
            new = life._replace(view=after, proof="")
            label = f"{_who(life)} commits: {what}"
            yield Move(label, _with_life(state, place, new)._replace(log=after), owed=owed)

    def _decisions(self, state: State, life: Life, last: Try | None) -> Iterator[tuple[str, Log, bool]]:
        log, number = state.log, len(state.log.tries)
        if (last is None or last.phase == "failed") and not log.shutdown:  # advance._schedule
            yield f"attempt {number + 1} scheduled", log._replace(tries=(*log.tries, Try("live", log.epoch))), True
        if not log.shutdown:  # answers._request_shutdown, advance._take_down_everything
            stopped = log._replace(shutdown=True)
            if last is not None and last.phase == "live":
                stopped = _phase(stopped, "leaving")
            elif last is None or last.phase == "failed":
                stopped = stopped._replace(end="Cancelled")
            yield "shutdown", stopped, False
        if last is not None and last.phase == "live":
            # answers._fire_timers; every attempt has a timeout here, or else a person ends it
            yield f"attempt {number} given up: timed out", _phase(log, "leaving"), True
            yield from self._outcomes(state, number)
        if last is not None and last.phase == "leaving" and life.proof == "gone":  # answers._observe_gone
            over = _phase(log, "cancelled")._replace(end="Cancelled") if log.shutdown else _failed(log)
            yield f"attempt {number} is gone", over, True

    def _outcomes(self, state: State, number: int) -> Iterator[tuple[str, Log, bool]]:
        """Actor._sighted -> observations.observe -> answers._observe_outcome; and Performer._adopt."""
        log, name = state.log, state.names[number - 1]
        strangers = name.holder == "stranger"
        if "ok" in name.pods or (strangers and not self.rules.by_intent):
            yield f"attempt {number} succeeded", _phase(log, "succeeded")._replace(end="Succeeded"), True
        if "failed" in name.pods:
            yield f"attempt {number} failed", _failed(log), True
        if strangers and self.rules.by_intent:
            yield f"attempt {number} failed: its name is taken", _phase(log, "failed")._replace(end="Failed"), True

    # -- effects: Performer ----------------------------------------------------------------------------------

    def _effects(self, state: State, place: int, life: Life) -> Iterator[Move[State]]:
        """From what was read, however old: core.effects."""
        for number, try_ in enumerate(life.view.tries):
            if try_.phase == "live":
                yield from self._ensure_job(state, place, life, number)
            elif try_.phase == "leaving":
                yield from self._ensure_no_job(state, place, life, number)
            elif try_.phase in ("failed", "succeeded"):
                yield from self._clean_up(state, life, number)

    def _ensure_job(self, state: State, place: int, life: Life, number: int) -> Iterator[Move[State]]:
        """Performer.ensure_job: a create, and another one while no answer comes."""
        name = state.names[number]
        if name.sends == SENDS_MAX:
            return
        create = (number, name.sends + 1)
        after = _with_life(state, place, life._replace(unanswered=life.unanswered | {create}))
        after = _with_name(after, number, name._replace(sends=name.sends + 1))
        yield Move(f"{_who(life)} sends {_create(create)}", after._replace(creates=state.creates | {create}))

    def _ensure_no_job(self, state: State, place: int, life: Life, number: int) -> Iterator[Move[State]]:
        """Performer.ensure_no_job, look by look."""
        name, who = state.names[number], _who(life)
        if life.proof and life.view != state.log:
            return
        if life.proof == "displaced":  # Performer._pods_gone
            if not (self.rules.pod_list and _runs(name)):
                label = (
                    f"{who} lists no pod of attempt {number + 1}" if self.rules.pod_list else f"{who} asks for no list"
                )
                yield Move(label, _with_life(state, place, life._replace(proof="gone")))
        elif life.proof == "":  # Performer._displaced
            if name.holder == "job":
                yield from self._delete(state, who, number)
            elif name.holder == "" and self.rules.placeholder:
                after = _with_name(state, number, name._replace(holder="placeholder"))
                yield Move(f"{who} puts a placeholder for attempt {number + 1}", after)
            elif life.view == state.log and (
                name.holder != "placeholder" or name.is_taken_up or not self.rules.taken_up
            ):
                label = f"{who} finds the Job of attempt {number + 1} gone"
                yield Move(label, _with_life(state, place, life._replace(proof="displaced")))

    def _clean_up(self, state: State, life: Life, number: int) -> Iterator[Move[State]]:
        """retention.Shelf: a finished attempt's Job is deleted early."""
        own = life.view.tries[number].epoch == life.view.epoch
        definite = not any(create[0] == number for create in life.unanswered)
        if state.names[number].holder == "job" and ((own and definite) or not self.rules.deletion_rule):
            for label, after, _ in self._delete(state, _who(life), number):
                yield Move(f"{label}, early", after, owed=False)

    def _delete(self, state: State, who: str, number: int) -> Iterator[Move[State]]:
        """Kube.delete_job: by uid, in the foreground."""
        name = state.names[number]
        delete = (number, len(name.pods) if self.rules.delete_uid else 0)
        if not name.deleting and delete not in state.deletes:
            after = state._replace(deletes=state.deletes | {delete})
            yield Move(f"{who} sends a delete of the Job of attempt {number + 1}", after)

    # -- the API server --------------------------------------------------------------------------------------

    def _network(self, state: State) -> Iterator[Move[State]]:
        for create in state.creates:
            number, name = create[0], state.names[create[0]]
            after = state._replace(creates=state.creates - {create})
            if name.holder == "":
                after = _with_name(after, number, name._replace(holder="job", pods=(*name.pods, "")))
            yield Move(f"{_create(create)} is carried out, unheard", after)
            for place, life in enumerate(after.lives):
                if create in life.unanswered:
                    heard = _with_life(after, place, life._replace(unanswered=life.unanswered - {create}))
                    yield Move(f"{_create(create)} is carried out and answered", heard)
        for number, uid in state.deletes:
            if (after := self._carry_out_delete(state, number, uid)) != state:
                yield Move(f"a delete of the Job of attempt {number + 1} is carried out", after)

    def _carry_out_delete(self, state: State, number: int, uid: int) -> State:
        name = state.names[number]
        if name.holder == "" or (uid and (name.holder, uid) != ("job", len(name.pods))):
            return state
        if name.holder != "job":
            return _with_name(state, number, name._replace(holder="", is_taken_up=False))
        if self.rules.foreground:
            return _with_name(state, number, name._replace(deleting=True))
        pod = "adrift" if name.pods[-1] == "runs" else name.pods[-1]
        return _with_name(state, number, name._replace(holder="", pods=(*name.pods[:-1], pod)))

    # -- controllers and kubelet -----------------------------------------------------------------------------

    def _cluster(self, state: State, number: int, name: Name) -> Iterator[Move[State]]:
        if name.deleting:  # the garbage collector, whose list of pods may be old
            gone = _with_name(state, number, name._replace(holder="", deleting=False))
            yield Move(f"the Job of attempt {number + 1} vanishes", gone)
        if name.holder == "placeholder" and not name.is_taken_up:
            pods = tuple(pod or "over" for pod in name.pods)  # what has not started by now never will
            seen = _with_name(state, number, name._replace(is_taken_up=True, pods=pods))
            yield Move(f"the Job controller sees the placeholder of attempt {number + 1}", seen)
        for place, pod in enumerate(name.pods):
            wanted = name.holder == "job" and place == len(name.pods) - 1 and not name.deleting
            for what, then, owed in self._pod_moves(pod, wanted, name.is_taken_up):
                pods = (*name.pods[:place], then, *name.pods[place + 1 :])
                after = _with_name(state, number, name._replace(pods=pods))
                yield Move(f"a pod of attempt {number + 1} {what}", after, owed)

    def _pod_moves(self, pod: str, wanted: bool, is_taken_up: bool) -> Iterator[tuple[str, str, bool]]:
        """A Job controller that lags starts the pod of a Job that is being deleted, and of one that is gone."""
        if pod == "" and not is_taken_up:
            yield "starts", "runs", wanted
        if pod in ("runs", "adrift"):
            yield "succeeds", "ok", False
            yield "fails", "failed", False
        if pod == "runs" and not wanted:
            yield "is killed", "over", True


def _runs(name: Name) -> bool:
    return "runs" in name.pods or "adrift" in name.pods


def _who(life: Life) -> str:
    return f"leader {life.view.epoch}" if life.claimed else "the reader"


def _create(create: tuple[int, int]) -> str:
    return f"create {create[1]} of attempt {create[0] + 1}"


def _phase(log: Log, phase: str) -> Log:
    return log._replace(tries=(*log.tries[:-1], log.tries[-1]._replace(phase=phase)))


def _failed(log: Log) -> Log:
    """answers._fail: the next attempt, or the end."""
    over = _phase(log, "failed")
    return over._replace(end="Failed") if len(log.tries) == ATTEMPTS_MAX else over


def _with_life(state: State, place: int, life: Life | None) -> State:
    kept = () if life is None else (life,)
    return state._replace(lives=(*state.lives[:place], *kept, *state.lives[place + 1 :]))


def _with_name(state: State, number: int, name: Name) -> State:
    return state._replace(names=(*state.names[:number], name, *state.names[number + 1 :]))
