"""A Workflow's graph as nodes and edges, and as text for Mermaid and Graphviz.

Promises: pure; the same definition and state give the same bytes; every name is quoted as the format asks for it; a
fan-out is one node. Must never lay anything out: `layers` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from kipu.core import graph
from kipu.core.definition import Definition, Kind, Step
from kipu.core.lifecycle import StepPhase
from kipu.core.state import State

from .details import printable
from .waits import counted

# Of a node: what fills it, and what frames it.
COLOURS = {
    StepPhase.PENDING: ("#f6f8fa", "#8c959f"),
    StepPhase.SCHEDULED: ("#ddf4ff", "#54aeff"),
    StepPhase.RUNNING: ("#b6e3ff", "#0969da"),
    StepPhase.RETRYING: ("#fff8c5", "#bf8700"),
    StepPhase.UNKNOWN: ("#ffd8b5", "#bc4c00"),
    StepPhase.SUSPENDED: ("#fff8c5", "#9a6700"),
    StepPhase.SUCCEEDED: ("#dafbe1", "#1a7f37"),
    StepPhase.FAILED: ("#ffebe9", "#cf222e"),
    StepPhase.SKIPPED: ("#ffffff", "#afb8c1"),
    StepPhase.CANCELLED: ("#eaeef2", "#57606a"),
}
NO_PHASE = ("#ffffff", "#57606a")
_KINDS = {Kind.RUN: "", Kind.APPROVAL: "approval", Kind.WAIT: "wait", Kind.WORKFLOW: "workflow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step. `note`: its kind, or how far a fan-out is."""

    name: str
    note: str = ""
    phase: StepPhase | None = None  # None: it is a file's, and was never run
    in_finally: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands in it."""
        return tuple(printable(line) for line in (self.name, self.note, self.phase or "") if line)

    @property
    def colours(self) -> tuple[str, str]:
        """What fills it, and what frames it."""
        return NO_PHASE if self.phase is None else COLOURS[self.phase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Nodes by their place; an edge goes from a need to what depends on it."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


def of_definition(name: str, definition: Definition) -> Drawing:
    """A Workflow that has not run."""
    nodes = (Node(name=each.name, note=_note(each), in_finally=each.in_finally) for each in definition.steps)
    return Drawing(name=name, nodes=tuple(nodes), edges=_edges(definition))


def of_state(name: str, state: State) -> Drawing:
    """One as it stands; it was accepted."""
    assert state.definition is not None
    nodes = []
    for place, each in enumerate(state.definition.steps):
        fanout = state.fanouts.get(place)
        note = _note(each) if fanout is None else counted(fanout)
        nodes.append(Node(name=each.name, note=note, phase=state.steps[place].phase, in_finally=each.in_finally))
    return Drawing(name=name, nodes=tuple(nodes), edges=_edges(state.definition))


def _edges(definition: Definition) -> tuple[tuple[int, int], ...]:
    needs = graph.build(definition).needs
    return tuple((need, place) for place, places in enumerate(needs) for need in places)


def _note(step: Step) -> str:
    if step.for_each is None:
        return _KINDS[step.kind]
    count = step.for_each.count if step.for_each.items is None else len(step.for_each.items)
    return "for each item" if count is None else f"x {count}"


# -- Mermaid -----------------------------------------------------------------------------------------------


def mermaid(drawing: Drawing) -> str:
    """A flowchart; GitHub and many others draw it."""
    lines = ["flowchart TD"]
    for place, node in _of_steps(drawing):
        lines.append(f"  {_mermaid_node(place, node)}")
    if last := [(place, node) for place, node in enumerate(drawing.nodes) if node.in_finally]:
        lines += ["  subgraph finally", *(f"    {_mermaid_node(place, node)}" for place, node in last), "  end"]
    lines += [f"  s{need} --> s{place}" for need, place in drawing.edges]
    for phase, (fill, stroke) in COLOURS.items():
        if members := [f"s{place}" for place, node in enumerate(drawing.nodes) if node.phase is phase]:
            lines.append(f"  classDef {phase} fill:{fill},stroke:{stroke},color:#24292f")
            lines.append(f"  class {','.join(members)} {phase}")
    return "\n".join(lines) + "\n"


def _mermaid_node(place: int, node: Node) -> str:
    text = "<br/>".join(line.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;") for line in node.lines)
    return f's{place}["{text}"]'


def _of_steps(drawing: Drawing) -> Iterator[tuple[int, Node]]:
    return ((place, node) for place, node in enumerate(drawing.nodes) if not node.in_finally)


# -- Graphviz ----------------------------------------------------------------------------------------------


def dot(drawing: Drawing) -> str:
    """A digraph: `| dot -Tsvg`."""
    lines = [
        f"digraph {_dot_text(drawing.name)} {{",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for place, node in _of_steps(drawing):
        lines.append(f"  {_dot_node(place, node)}")
    if last := [(place, node) for place, node in enumerate(drawing.nodes) if node.in_finally]:
        lines += ["  subgraph cluster_finally {", '    label="finally"; style=dashed;']
        lines += [*(f"    {_dot_node(place, node)}" for place, node in last), "  }"]
    lines += [f"  s{need} -> s{place};" for need, place in drawing.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_node(place: int, node: Node) -> str:
    fill, stroke = node.colours
    label = r"\n".join(_dot_text(line)[1:-1] for line in node.lines)
    return f's{place} [label="{label}", fillcolor="{fill}", color="{stroke}"];'


def _dot_text(text: str) -> str:
    """Quoted: Graphviz knows the escapes of a quote and of a backslash."""
    return json.dumps(text, ensure_ascii=False)
