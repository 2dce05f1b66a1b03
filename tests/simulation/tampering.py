"""Somebody writes to a log: what is stored is changed, cut short, deleted. I19 judges what the operator makes of it."""

from __future__ import annotations

import base64
import copy
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kipu.shell.kube_http import Request
from tests.fakes.etcd import Json
from tests.fakes.faults import Fault
from tests.fakes.refusals import Refused

from .script import Harm

if TYPE_CHECKING:
    from .case import Case
    from .replica import Replica
    from .world import World


@dataclass(frozen=True, slots=True)
class EditHead:
    """One character of a head's `key` ("meta", "tail" or "digest") is another one."""

    pick: int
    key: str
    harm: ClassVar[Harm] = Harm.LOG

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        case = chosen(world, self.pick)
        if case is not None and world.server.get("configmaps", "default", case.head_name) is not None:
            case.tamper()
            world.server.update("configmaps", "default", case.head_name, self._edited)
        return None

    def _edited(self, body: Json) -> Json:
        text = body["data"][self.key]
        place = self.pick % max(1, len(text))
        body["data"][self.key] = text[:place] + ("0" if text[place : place + 1] != "0" else "1") + text[place + 1 :]
        return body


@dataclass(frozen=True, slots=True)
class CutLog:
    """A head is as it was `commits` ago: its chain is sound, and its end is missing."""

    pick: int
    commits: int
    harm: ClassVar[Harm] = Harm.LOG

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        case = chosen(world, self.pick)
        if case is None or world.server.get("configmaps", "default", case.head_name) is None or len(case.heads) < 2:
            return None
        generation = max(1, len(case.heads) - self.commits)
        data = case.heads[generation - 1]
        case.cut(generation, world.loop.time())

        def cut(body: Json) -> Json:
            return {**body, "data": dict(data)}

        world.server.update("configmaps", "default", case.head_name, cut)
        return None


@dataclass(frozen=True, slots=True)
class DeleteFromLog:
    """A ConfigMap of a log is deleted: its "head", or one of its chunks or blobs."""

    pick: int
    what: str
    harm: ClassVar[Harm] = Harm.LOG

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        case = chosen(world, self.pick)
        if case is None:
            return None
        name = case.head_name if self.what == "head" else part_of(world, case, self.pick)
        if name is not None and world.server.get("configmaps", "default", name) is not None:
            if self.what == "head":
                case.cut(0, world.loop.time())
            else:
                case.is_tampered = True
            world.server.delete("configmaps", "default", name)
        return None


@dataclass(frozen=True, slots=True)
class ReplaceChunk:
    """A chunk or blob is deleted and made anew under its name, with other bytes."""

    pick: int
    harm: ClassVar[Harm] = Harm.LOG

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        case = chosen(world, self.pick)
        name = part_of(world, case, self.pick) if case is not None else None
        if case is None or name is None:
            return None
        case.is_tampered = True
        body = copy.deepcopy(world.server.get("configmaps", "default", name))
        assert body is not None
        key = next(iter(body["binaryData"]))
        lines = zlib.decompress(base64.b64decode(body["binaryData"][key]))
        changed = bytes((lines[0] ^ 1, *lines[1:]))
        body["binaryData"][key] = base64.b64encode(zlib.compress(changed)).decode()
        for server_set in ("uid", "resourceVersion", "creationTimestamp"):
            body["metadata"].pop(server_set, None)
        world.server.delete("configmaps", "default", name)
        with suppress(Refused):  # by a quota: then it stays deleted
            world.server.create(body)
        return None


def chosen(world: World, pick: int) -> Case | None:
    """One of the workflows that are not gone."""
    cases = [case for case in world.auditor.cases.values() if not case.is_leaving]
    return cases[pick % len(cases)] if cases else None


def part_of(world: World, case: Case, pick: int) -> str | None:
    """A chunk or blob that the log needs."""
    names = sorted(case.ledger.named())
    there = [name for name in names if world.server.get("configmaps", "default", name) is not None]
    return there[pick % len(there)] if there else None
