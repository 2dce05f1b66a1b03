"""All that is known of one workflow of a run, from outside: its log, what ran, what is shown, who meddled with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kipu.core.evolve import evolve
from kipu.core.state import State
from kipu.eventlog.ports import Recorded
from tests.fakes.etcd import Json
from tests.fakes.nodes import Execution

from .ledger import Breach, Ledger
from .story import Story

PLACEHOLDER = "kipu.dev/placeholder"


class Case:
    """One workflow."""

    def __init__(self, workflow: Json, read: Callable[[str], Json | None]) -> None:
        metadata = workflow["metadata"]
        self.name: str = metadata["name"]
        self.uid: str = metadata["uid"]
        self.labels: Mapping[str, str] = metadata.get("labels", {})
        self.is_placeholder = metadata.get("annotations", {}).get(PLACEHOLDER) == "true"
        self.parent: Case | None = None  # of a child
        self.children: list[Case] = []
        self.head_name = f"kipu-log-{self.uid}"
        self.ledger = Ledger(self.uid, read)
        self.heads: list[Mapping[str, str]] = []  # the data of each generation
        self.story = Story()
        self.state = State()  # by evolve, from what was read
        self.executions: list[Execution] = []
        self.generation = 0  # of the spec
        self.phase = ""  # as shown
        self.is_to_run_again = False  # the spec asks for a run after the one that is shown
        self.is_stalled = False  # as shown
        self.stalled_by: set[str] = set()  # the lanes that have said so
        self.is_leaving = False  # somebody deletes it: what is its goes with it
        self.is_deleted = False
        self.is_tampered = False  # somebody has written to its log: only I19 and the rules of the log are asked
        self.is_readable = True  # so that a reader must notice at once
        self.is_restored = False  # etcd went back under a writer that may have been in the middle of a commit,
        self.is_lost = False  # which then names what is no longer there: whoever opens it has to stop
        self.is_cut = False  # its end is missing, and no session that has opened it so has decided anything
        self.cut_at = 0.0
        self.loaded_at: dict[str, float] = {}  # by lane: when its newest session began to read the log
        self.is_reopened = False  # but one has claimed it: it has seen all witnesses
        self._is_foreign = False  # the next change of the head is not the operator's

    # -- children --------------------------------------------------------------------------------------------

    def adopt(self, child: Case) -> None:
        """This is the parent."""
        child.parent = self
        self.children.append(child)

    def running(self) -> Iterator[Execution]:
        """What runs of it and of all below it."""
        yield from (each for each in self.executions if each.ended is None)
        for child in self.children:
            yield from child.running()

    def beside(self) -> Iterator[Case]:
        """The other children of the same step or item, those of its ancestors included: other attempts."""
        if self.parent is not None:
            yield from (each for each in self.parent.children if each is not self and each.item == self.item)
            yield from self.parent.beside()

    @property
    def item(self) -> tuple[str | None, ...]:
        """Of which step or item of its parent it is an attempt."""
        return self.labels.get("kipu.dev/step"), self.labels.get("kipu.dev/index")

    def fate(self, step: str, attempt: int) -> tuple[str, str, int]:
        """The root, and under which name and by which attempt its plan knows what this step's program does."""
        if self.parent is None:
            return self.name, step, attempt
        name = f"{self.labels['kipu.dev/step']}/{step.partition('[')[0]}"
        return self.parent.fate(name, int(self.labels["kipu.dev/attempt"]))

    def believe(self, record: Recorded) -> None:
        """Take in what was committed."""
        self.story.tell(record)
        self.state = evolve(self.state, record.event, ts=record.ts)

    def read_head(self, head: Json) -> list[Recorded]:
        """A head as it was just stored; what is new in it. Raises Breach."""
        if self._is_foreign:
            self._is_foreign = False
            return []
        if self.is_lost:
            return []
        if not self.is_readable:
            raise Breach("I19", "a log that somebody has changed is written over")
        try:
            records = self.ledger.take(head)
        except Breach:
            if not self.is_restored:
                raise
            self.is_lost = True
            return []
        self.heads.append(head["data"])
        return records

    def lose_head(self) -> None:
        """The head was deleted. Raises Breach if nobody had a right to."""
        if not self._is_foreign:
            raise Breach("I1", "the head was deleted")
        self._is_foreign = False

    # -- what third parties do ---------------------------------------------------------------------------

    def tamper(self) -> None:
        """The head is about to be changed so that its digest tells."""
        self.is_tampered, self.is_readable, self._is_foreign = True, False, True

    def cut(self, generation: int, now: float) -> None:
        """The head is about to be what it was at this generation, or, with 0, to be deleted."""
        self.cut_at = now
        self.is_tampered = self.is_cut = self._is_foreign = True
        self.rewind(generation)

    def restore(self, head: Json | None) -> None:
        """etcd holds this head again, or none."""
        self.is_tampered = self.is_cut = self.is_restored = True
        data = {} if head is None else head["data"]
        known = [dict(each) for each in self.heads]
        if not data or data in known:
            self.is_readable = True
            self.rewind(known.index(data) + 1 if data else 0)
        else:
            self.is_lost = True  # one that had been cut off, or changed, before

    def rewind(self, generation: int) -> None:
        """That is what its history is from now on."""
        del self.heads[generation:]
        self.ledger.cut(generation)
        self.story, self.state = Story(), State()
        for record in self.ledger.records:
            self.believe(record)
