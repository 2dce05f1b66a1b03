"""`kipu graph`: the drawing, its layout, and the three formats."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st

from kipu.cli.drawing import COLOURS, Drawing, Node, dot, mermaid, of_definition, of_state
from kipu.cli.layers import POINTS_MAX, depth, lay_out, points
from kipu.cli.svg import svg
from kipu.core.definition import Definition, ForEach
from kipu.core.lifecycle import StepPhase
from tests.cli import histories
from tests.cli.api_server import ApiServer
from tests.cli.errors_expected import told
from tests.cli.histories import recorded
from tests.cli.terminal import Terminal
from tests.core.given import approval, fan, flow, last, nested, step

DIAMOND = ((0, 1), (0, 2), (1, 3), (2, 3))
EXAMPLES = Path(__file__).parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"


def drawing(*names: str, edges: tuple[tuple[int, int], ...] = ()) -> Drawing:
    return Drawing(name="nightly", nodes=tuple(Node(name=name) for name in names), edges=edges)


# -- what is drawn -----------------------------------------------------------------------------------------


def test_a_state_is_drawn_with_phases_and_the_counts_of_fan_outs() -> None:
    given = flow(step("a"), fan("shard", "a", count=3), approval("ask", "shard"), nested("sub", "ask"), last("z"))
    given.succeed("a")
    found = of_state("nightly", given.state)
    assert [(node.name, node.note, node.phase, node.in_finally) for node in found.nodes] == [
        ("a", "", "Succeeded", False),
        ("shard", "0/3 items, 3 running", "Running", False),
        ("ask", "approval", "Pending", False),
        ("sub", "workflow", "Pending", False),
        ("z", "", "Pending", True),
    ]
    assert found.edges == ((0, 1), (1, 2), (2, 3))


@pytest.mark.parametrize(
    ("for_each", "note"),
    [(ForEach(count=3), "x 3"), (ForEach(items=("a", "b")), "x 2"), (ForEach(expression="params.x"), "for each item")],
)
def test_a_definition_is_drawn_without_phases(for_each: ForEach, note: str) -> None:
    (node,) = of_definition("nightly", Definition(steps=(replace(step("a"), for_each=for_each),))).nodes
    assert (node.note, node.phase) == (note, None)


def test_every_phase_has_a_colour() -> None:
    assert set(COLOURS) == set(StepPhase)


# -- formats -----------------------------------------------------------------------------------------------


def test_mermaid_has_nodes_edges_finally_and_classes_of_phases() -> None:
    given = flow(step("a"), step("b", "a"), last("z"))
    given.succeed("a")
    lines = mermaid(of_state("nightly", given.state)).splitlines()
    assert lines[:7] == [
        "flowchart TD",
        '  s0["a<br/>Succeeded"]',
        '  s1["b<br/>Scheduled"]',
        "  subgraph finally",
        '    s2["z<br/>Pending"]',
        "  end",
        "  s0 --> s1",
    ]
    assert "  class s0 Succeeded" in lines


def test_dot_has_nodes_edges_and_a_cluster_for_finally() -> None:
    text = dot(of_state("nightly", flow(step("a"), step("b", "a"), last("z")).state))
    assert text.startswith('digraph "nightly" {\n')
    assert r's0 [label="a\nScheduled", ' in text
    assert "  s0 -> s1;\n" in text
    assert "subgraph cluster_finally {" in text


def test_names_are_quoted_as_each_format_asks() -> None:
    odd = drawing('a"<b>&\\c')
    assert '["a#quot;#lt;b>#amp;\\c"]' in mermaid(odd)
    assert r'[label="a\"<b>&\\c"' in dot(odd)
    texts = [element.text for element in ElementTree.fromstring(svg(odd)).iter(f"{SVG}text")]
    assert texts == ['a"<b>&\\c']


def test_svg_has_a_box_for_each_node_and_a_path_for_each_edge() -> None:
    root = ElementTree.fromstring(svg(of_state("nightly", histories.diamond().state)))
    boxes = list(root.iter(f"{SVG}rect"))
    paths = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert (len(boxes), len(paths)) == (4, 4)
    assert {box.get("fill") for box in boxes} == {COLOURS[StepPhase.SUCCEEDED][0]}
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for box in boxes:
        x, y, w, h = (float(box.get(key) or 0) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h


def test_finally_stands_below_all_others() -> None:
    root = ElementTree.fromstring(svg(of_state("n", flow(step("a"), step("b", "a"), last("y"), last("z", "y")).state)))
    tops = [float(box.get("y") or 0) for box in root.iter(f"{SVG}rect")]
    assert tops == sorted(tops)
    assert len(set(tops)) == 4


def test_a_graph_that_is_too_large_is_refused_with_what_to_do() -> None:
    # A chain, with an edge from its beginning to each of its links: the square of it in points.
    count = 202
    chain = [(node, node + 1) for node in range(count - 1)]
    edges = tuple(chain + [(0, node) for node in range(2, count)])
    assert points(count, edges, [0] * count) > POINTS_MAX
    assert "give its '-o dot' to Graphviz" in told(lambda: svg(drawing(*(f"s{n}" for n in range(count)), edges=edges)))


# -- layout ------------------------------------------------------------------------------------------------


def test_a_diamond_stands_in_three_layers_its_sides_beside_each_other() -> None:
    layout = lay_out(4, DIAMOND, [0] * 4)
    assert [layer for _, layer in layout.spots] == [0, 1, 1, 2]
    (top, _), (left, _), (right, _), (bottom, _) = layout.spots
    assert (left, right) == (0, 1)
    assert top == bottom == 0.5


def test_a_long_edge_bends_once_in_each_layer_between() -> None:
    layout = lay_out(4, ((0, 1), (1, 2), (2, 3), (0, 3)), [0] * 4)
    assert [len(bend) for bend in layout.bends] == [0, 0, 0, 2]
    assert [layer for _, layer in layout.bends[3]] == [1, 2]


def test_nothing_is_laid_out_of_nothing() -> None:
    assert lay_out(0, (), []).layers == 0
    assert depth(0, ()) == 0


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], list[int]]:
    count = draw(st.integers(1, 12))
    pairs = [(above, below) for below in range(count) for above in range(below)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return count, edges, [draw(st.integers(0, 2)) for _ in range(count)]


@over(graphs())
@settings(max_examples=60, deadline=None)
def test_every_node_stands_below_its_needs_and_apart_from_its_neighbours(
    graph: tuple[int, list[tuple[int, int]], list[int]],
) -> None:
    count, edges, floor = graph
    layout = lay_out(count, edges, floor)
    layer = [spot[1] for spot in layout.spots]
    assert all(layer[above] < layer[below] for above, below in edges)
    assert all(layer[node] >= floor[node] for node in range(count))
    spots = [*layout.spots, *(spot for bend in layout.bends for spot in bend)]
    assert len(spots) == points(count, edges, floor)
    for row in range(layout.layers):
        columns = sorted(column for column, number in spots if number == row)
        assert all(right - left > 0.999 for left, right in pairwise(columns))
    assert min(column for column, _ in spots) == 0


# -- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["mermaid", "dot", "svg"])
def test_a_workflow_of_the_cluster_is_drawn(terminal: Terminal, server: ApiServer, output: str) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("graph", "nightly", "-o", output)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Succeeded" in outcome.out
    assert "join" in outcome.out


@pytest.mark.parametrize("output", ["mermaid", "dot", "svg"])
def test_a_file_is_drawn_without_a_cluster(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, here: Path, output: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(here / "none"))
    for example in ("diamond", "fan-out", "finally"):
        assert terminal.kipu("graph", "-f", str(EXAMPLES / f"{example}.yaml"), "-o", output).code == 0


def test_a_file_that_is_wrong_is_refused_with_the_place(terminal: Terminal, here: Path) -> None:
    (here / "wrong.yaml").write_text("kind: Workflow\n")
    outcome = terminal.kipu("graph", "-f", "wrong.yaml")
    assert outcome.code == 2
    assert "apiVersion" in outcome.err


@pytest.mark.parametrize("arguments", [(), ("nightly", "-f", "x.yaml")])
def test_a_name_or_a_file_is_given(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert terminal.kipu("graph", *arguments).code == 2


def test_a_workflow_that_was_not_taken_up_has_no_graph_yet(terminal: Terminal, server: ApiServer) -> None:
    server.add_workflow(histories.STREAM)
    outcome = terminal.kipu("graph", "nightly")
    assert outcome.code == 2
    assert "its steps are not known" in outcome.err
    assert terminal.kipu("graph", "other").code == 3
