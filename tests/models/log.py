"""The log as a model: one head, chunks, merges; two writers, each with a sweeper; a network that forgets nothing.

A request that was sent stays in flight for ever: it may be carried out at any later moment, and again after that.
Its answer may be lost. A writer may die at any moment and open the log again. What is modelled of the code stands
beside each move; the bytes, the chain and the tail's size are left out, and every append rolls the tail.

Bounds: the log begins with two chunks and a tail, and each writer may name two objects in all its lives. That is
enough for a merge that overtakes an append, for a roll sent twice, and for both writers to lose to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from tests.models.explorer import Move

WRITERS = ("A", "B")


class Sweep(Enum):
    """Which chunk, among those that the head does not name, a sweeper deletes."""

    GENERATION = auto()  # if the generation in its name is not above the head's
    ABANDONED = auto()  # if no living writer is about to name it
    AGE = auto()  # if, besides, no request that is still on its way would name it: so old it is
    ANY = auto()


class Guard(Enum):
    """What the commit's patch tests of the head."""

    WHOLE = auto()  # uid, resourceVersion and digest
    LAST_RECORD = auto()  # only that the last record is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The design (docs/event-log.md), or one of its broken variants."""

    sweep: Sweep = Sweep.GENERATION
    guard: Guard = Guard.WHOLE
    content_names: bool = False  # chunks are named by what they hold, and AlreadyExists counts as stored
    recreate: bool = False  # a commit deletes the head and creates it anew


class Chunk(NamedTuple):
    """A sealed object. `generation` is part of the name: that of the commit it was made for."""

    generation: int
    nonce: str
    records: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.generation}-{self.nonce}"


class Head(NamedTuple):
    """The one mutable object."""

    uid: int
    version: int  # resourceVersion
    generation: int
    commit: str
    chunks: tuple[Chunk, ...]
    tail: tuple[str, ...]


class Request(NamedTuple):
    """Sent, and so at the mercy of the network."""

    verb: str  # create | patch | sweep | remove | post
    sender: str  # of a sweep nobody: no answer is waited for
    chunk: Chunk | None = None
    base: Head | None = None  # the guards of a patch
    head: Head | None = None  # what it would make of the head


class Writer(NamedTuple):
    """One replica's life: what it has read, and what it waits for."""

    base: Head | None = None  # None: not open
    staging: Chunk | None = None  # asked for, not known to be stored
    merging: bool = False
    sent: Request | None = None  # the commit under way
    used: int = 0  # names given, over all lives


class State(NamedTuple):
    """The store, the network, the writers, and what was promised to anybody."""

    head: Head | None
    chunks: frozenset[Chunk]
    flight: frozenset[Request]
    writers: tuple[Writer, ...]
    acknowledged: frozenset[str]
    heads: int = 1  # how many were ever created: the next uid


class LogModel:
    """See above."""

    def __init__(self, rules: Rules, *, names_max: tuple[int, int] = (2, 2), forgets: bool = True) -> None:
        self.rules = rules
        self._names_max = names_max  # of each writer
        # With the whole guard versions only rise, so that what was made for an older one can never be committed;
        # and a name that is drawn for one commit is drawn for no other.
        exact = rules.guard is Guard.WHOLE and not rules.recreate and not rules.content_names
        self._forgets = forgets and exact

    def first(self) -> Iterable[State]:
        chunks = (Chunk(1, "old1", ("r1",)), Chunk(2, "old2", ("r2",)))
        head = Head(uid=1, version=1, generation=2, commit="old2", chunks=chunks, tail=("r3",))
        acknowledged = frozenset({"r1", "r2", "r3"})
        yield State(head, frozenset(chunks), frozenset(), (Writer(), Writer()), acknowledged)

    def is_end(self, state: State) -> bool:
        return False

    def fault(self, state: State) -> str:
        """Every chunk named by the head exists as committed; no acknowledged append is lost."""
        head = state.head
        if head is None:
            return ""
        if lost := [chunk.name for chunk in head.chunks if chunk not in state.chunks]:
            return f"the head names chunks that are gone: {', '.join(lost)}"
        held = {record for chunk in head.chunks for record in chunk.records} | set(head.tail)
        if forgotten := sorted(state.acknowledged - held):
            return f"acknowledged and forgotten: {', '.join(forgotten)}"
        return ""

    def moves(self, state: State) -> Iterator[Move[State]]:
        for label, after, owed in self._all_moves(state):
            yield Move(label, _settle(after) if self._forgets else after, owed)

    def _all_moves(self, state: State) -> Iterator[Move[State]]:
        for number, writer in enumerate(state.writers):
            yield from self._writer_moves(state, number, writer)
        for request in state.flight:
            yield from self._land(state, request)

    # -- a writer --------------------------------------------------------------------------------------------

    def _writer_moves(self, state: State, number: int, writer: Writer) -> Iterator[Move[State]]:
        who = WRITERS[number]
        if writer.base is None:
            if state.head is not None:  # ConfigMapLog.load; with no head: LogMissing, stop
                yield Move(f"{who} opens the log", _with(state, number, Writer(base=state.head, used=writer.used)))
            return
        yield Move(f"{who} dies", _with(state, number, Writer(used=writer.used)))
        if writer.sent is not None:
            yield from self._resolve(state, number, writer, writer.sent)
        elif writer.used < self._names_max[number] and not (self._forgets and _is_stale(writer, state)):
            yield from self._begin(state, number, writer)
        yield from self._sweep(state, who, writer.base)

    def _begin(self, state: State, number: int, writer: Writer) -> Iterator[Move[State]]:
        """ConfigMapLog.append -> _lay_out -> _stage_chunk; also its retry, which takes a fresh name."""
        who, base = WRITERS[number], writer.base
        assert base is not None
        for merging in (False, True):
            if (merging and len(base.chunks) < 2) or (writer.staging and writer.merging is not merging):
                continue
            records = tuple(r for chunk in base.chunks for r in chunk.records) if merging else base.tail
            chunk = self._chunk(base, f"{who}{writer.used + 1}", records)
            after = writer._replace(staging=chunk, merging=merging, used=writer.used + 1)
            what = "a merge of all chunks" if merging else "its tail"
            label = f"{who} asks for chunk {chunk.name} to hold {what}"
            yield Move(label, _send(_with(state, number, after), Request("create", who, chunk=chunk)))

    def _chunk(self, base: Head, nonce: str, records: tuple[str, ...]) -> Chunk:
        if self.rules.content_names:
            return Chunk(0, "+".join(records), records)
        return Chunk(base.generation + 1, nonce, records)

    def _commit(self, state: State, number: int, chunk: Chunk) -> State:
        """ConfigMapLog._commit: the chunk is stored, as an answer has told; now the head."""
        who, writer = WRITERS[number], state.writers[number]
        base = writer.base
        assert base is not None
        commit = f"{who}{writer.used}"
        chunks, tail = ((chunk,), base.tail) if writer.merging else ((*base.chunks, chunk), (commit,))
        head = Head(base.uid, base.version, base.generation + 1, commit, chunks, tail)
        sent = Request("remove" if self.rules.recreate else "patch", who, base=base, head=head)
        return _send(_with(state, number, writer._replace(staging=None, sent=sent)), sent)

    def _resolve(self, state: State, number: int, writer: Writer, sent: Request) -> Iterator[Move[State]]:
        """ConfigMapLog._commit after an unclear answer: GET the head. Sending again changes nothing here."""
        who, seen = WRITERS[number], state.head
        assert writer.base is not None
        assert sent.head is not None
        if seen is not None and seen.commit == sent.head.commit:
            yield Move(f"{who} reads its own commit on the head", _acknowledge(state, number, seen))
        elif seen is None or (seen.uid, seen.version) != (writer.base.uid, writer.base.version):
            yield Move(f"{who} reads that it has lost", _with(state, number, Writer(used=writer.used)))

    def _sweep(self, state: State, who: str, seen: Head) -> Iterator[Move[State]]:
        """The sweeper: a list of chunks against the head that its writer has last read. Its deletes may be late."""
        if self.rules.sweep in (Sweep.ABANDONED, Sweep.AGE) and state.head is not None:
            seen = state.head  # the care that such sweepers take
        for chunk in state.chunks:
            if chunk not in seen.chunks and self._may_sweep(state, chunk, seen):
                sweep = Request("sweep", "", chunk=chunk)
                if sweep not in state.flight:
                    yield Move(f"{who} asks for chunk {chunk.name} to be deleted", _send(state, sweep))

    def _may_sweep(self, state: State, chunk: Chunk, seen: Head) -> bool:
        match self.rules.sweep:
            case Sweep.GENERATION:
                return chunk.generation <= seen.generation
            case Sweep.ABANDONED:
                return not any(_is_about_to_name(writer, chunk) for writer in state.writers)
            case Sweep.AGE:
                late = any(request.head and chunk in request.head.chunks for request in state.flight)
                return not late and not any(_is_about_to_name(writer, chunk) for writer in state.writers)
            case Sweep.ANY:
                return True

    # -- the API server --------------------------------------------------------------------------------------

    def _land(self, state: State, request: Request) -> Iterator[Move[State]]:
        """A request is carried out, with and without the answer reaching who sent it, if he still waits."""
        after, done = self._carry_out(state, request)
        what = f"{request.verb} of {_subject(request)} is carried out"
        if after != state:
            yield Move(f"{what}, unheard", after)
        if request.verb == "sweep":
            return
        number = WRITERS.index(request.sender)
        writer = after.writers[number]
        if done and request.chunk is not None and writer.staging == request.chunk and request.verb == "create":
            yield Move(f"{what}; {request.sender} sends its commit", self._commit(after, number, request.chunk))
        elif done and after.head is not None and writer.sent == request:
            yield Move(f"{what}, and acknowledged", _acknowledge(after, number, after.head))

    def _carry_out(self, state: State, request: Request) -> tuple[State, bool]:
        """What it makes of the store, and whether the answer would be 2xx."""
        head, chunk = state.head, request.chunk
        if chunk is not None and request.verb == "create":
            if chunk in state.chunks:
                return state, self.rules.content_names
            return state._replace(chunks=state.chunks | {chunk}), True
        if chunk is not None:
            return state._replace(chunks=state.chunks - {chunk}), False
        assert request.base is not None
        assert request.head is not None
        if request.verb == "post":
            return self._post(state, request.head)
        if head is None or not self._guards_hold(head, request.base):
            return state, False
        if request.verb == "remove":
            return _send(state._replace(head=None), request._replace(verb="post")), False
        return state._replace(head=request.head._replace(uid=head.uid, version=head.version + 1)), True

    def _post(self, state: State, head: Head) -> tuple[State, bool]:
        if state.head is not None:
            return state, False
        uid = state.heads + 1
        return state._replace(head=head._replace(uid=uid, version=1), heads=uid), True

    def _guards_hold(self, head: Head, base: Head) -> bool:
        if self.rules.guard is Guard.LAST_RECORD:
            return head.tail == base.tail
        return (head.uid, head.version, head.commit) == (base.uid, base.version, base.commit)


def _is_about_to_name(writer: Writer, chunk: Chunk) -> bool:
    sent = writer.sent.head if writer.sent else None
    return chunk == writer.staging or (sent is not None and chunk in sent.chunks)


def _is_stale(writer: Writer, state: State) -> bool:
    return writer.base is not None and state.head is not None and writer.base.version != state.head.version


def _settle(state: State) -> State:
    """The same state for every future: without a patch that can never win, and without a chunk that nobody can
    name from here on. A sweeper's old view is kept: what it deletes may be wanted by others.
    """
    head = state.head
    assert head is not None
    writers = tuple(w._replace(staging=None, merging=False) if _is_stale(w, state) else w for w in state.writers)
    patches = frozenset(request for request in state.flight if request.base and request.base.version == head.version)
    named = {*head.chunks, *(writer.staging for writer in writers)}
    named.update(chunk for patch in patches if patch.head for chunk in patch.head.chunks)
    flight = patches | frozenset(request for request in state.flight if request.chunk in named)
    chunks = frozenset(chunk for chunk in state.chunks if chunk in named)
    return state._replace(writers=writers, flight=flight, chunks=chunks)


def _with(state: State, number: int, writer: Writer) -> State:
    writers = tuple(writer if place == number else other for place, other in enumerate(state.writers))
    return state._replace(writers=writers)


def _send(state: State, request: Request) -> State:
    return state._replace(flight=state.flight | {request})


def _acknowledge(state: State, number: int, head: Head) -> State:
    used = state.writers[number].used
    acknowledged = state.acknowledged | set(head.tail)
    return _with(state, number, Writer(base=head, used=used))._replace(acknowledged=acknowledged)


def _subject(request: Request) -> str:
    if request.chunk is not None:
        return f"chunk {request.chunk.name}"
    assert request.head is not None
    return f"commit {request.head.commit}"
