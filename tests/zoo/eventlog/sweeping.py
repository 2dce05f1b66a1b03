"""Mutants of kipu/eventlog/sweeping.py: which chunks may be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from kipu.eventlog.chunks import Meta
from kipu.eventlog.objects import generation_of
from kipu.eventlog.ports import ObjectName, StreamId
from tests.zoo.mutants import mutant

SWEEPING = "tests/eventlog/test_sweeping.py"


def _unnamed(stream: StreamId, meta: Meta, stored: Iterable[ObjectName]) -> list[ObjectName]:
    named = {chunk.name for chunk in meta.chunks}
    return [item for item in stored if generation_of(stream, item.name) is not None and item.name not in named]


@mutant("dead", breaks="I1, sweep without the generation rule", caught_by=SWEEPING)
def what_the_head_does_not_name_is_dead(stream: StreamId, meta: Meta, stored: Iterable[ObjectName]) -> list[ObjectName]:
    """A chunk that is staged for the commit under way is swept from under it."""
    return _unnamed(stream, meta, stored)


@mutant("dead", breaks="I1, sweep by age", caught_by=SWEEPING)
def all_but_the_newest_is_dead(stream: StreamId, meta: Meta, stored: Iterable[ObjectName]) -> list[ObjectName]:
    """Of what no head names, only the youngest may be of a commit under way: the others are swept for their age."""
    return sorted(_unnamed(stream, meta, stored), key=lambda item: item.name)[:-1]
