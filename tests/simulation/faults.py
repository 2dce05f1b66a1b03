"""Faults of processes, clocks and connections: none of them may change what a run comes to.

What goes wrong with one answer is in `tests.fakes.faults`; what third parties do to Jobs and to the log is beside
this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from kipu.shell.kube_http import Request
from kipu.shell.watch import SILENCE_SECONDS
from tests.fakes.faults import CrashAfter, CrashBefore, Fault
from tests.fakes.watching import End

from .script import Harm

if TYPE_CHECKING:
    from .replica import Replica
    from .world import World

# Until a watch that says nothing is given up, the longest wait after it, and the longest freeze in the midst of that.
DEAF_SECONDS = SILENCE_SECONDS + 6.0 + 60.0


@dataclass(frozen=True, slots=True)
class Die:
    """kill -9: before the request at hand is sent, or, with `after`, once it was carried out."""

    after: bool = False
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        kill = partial(replica.kill, replica.lane)
        if request is None:
            kill()
            return None
        return CrashAfter(crash=kill) if self.after else CrashBefore(crash=kill)


@dataclass(frozen=True, slots=True)
class Freeze:
    """SIGSTOP, and SIGCONT `seconds` later."""

    seconds: float
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        replica.freeze(self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class JumpClock:
    """The wall clock of the replica's machine jumps by so many milliseconds: its next process will see it."""

    milliseconds: int
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        replica.skew_ms += self.milliseconds
        return None


@dataclass(frozen=True, slots=True)
class CutOff:
    """Nothing of the replica reaches the API server for `seconds`."""

    seconds: float
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        replica.cut_off(self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class EndWatch:
    """The replica's watches of one kind end, in one of the ways in which a watch can end."""

    plural: str
    how: End
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        world.disturb(DEAF_SECONDS if self.how is End.MUTE else 0.0)
        for watch in replica.watches(self.plural):
            watch.end(self.how)
        return None


@dataclass(frozen=True, slots=True)
class ExpireWatch:
    """The replica's watch of one kind is told that its version is too old (an ERROR event of 410)."""

    plural: str
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        for watch in replica.watches(self.plural):
            watch.fail(410, "Expired", "too old resource version")
        return None


@dataclass(frozen=True, slots=True)
class SlowWatch:
    """For `seconds` nothing of a watch reaches the replica; then all of it does."""

    plural: str
    seconds: float
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        world.disturb(self.seconds)
        for watch in replica.watches(self.plural):
            watch.hold(self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class RepeatWatch:
    """The watch tells its last `count` changes once more."""

    plural: str
    count: int = 1
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        for watch in replica.watches(self.plural):
            watch.repeat(self.count)
        return None


@dataclass(frozen=True, slots=True)
class Compact:
    """etcd forgets its history: no watch can resume, no list can be continued."""

    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        world.server.etcd.compact()
        return None
