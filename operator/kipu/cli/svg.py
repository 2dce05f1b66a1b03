"""A drawing as SVG, by itself: no program, no font file, no script.

Promises: pure; well-formed whatever the names; a picture that a browser shows and that stays sharp.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .drawing import Drawing, Node
from .errors import CannotTell
from .layers import POINTS_MAX, Layout, depth, lay_out, points

CHARACTER_WIDTH = 7.5  # of 12 px sans-serif, on the safe side
LINE_HEIGHT = 15
NODE_PADDING = 10
GAP_X, GAP_Y = 24, 44
MARGIN = 20


def svg(drawing: Drawing) -> str:
    """Raises CannotTell for a graph that is too large to be a picture."""
    floor = _floor(drawing)
    if points(len(drawing.nodes), drawing.edges, floor) > POINTS_MAX:
        raise CannotTell(
            f"'{drawing.name}' is too large to be drawn here: give its '-o dot' to Graphviz, such as `sfdp -Tsvg`"
        )
    layout = lay_out(len(drawing.nodes), drawing.edges, floor)
    return "\n".join(_lines(drawing, layout)) + "\n"


def _floor(drawing: Drawing) -> list[int]:
    """Steps of `finally` stand below all others, although no edge says so."""
    others = [place for place, node in enumerate(drawing.nodes) if not node.in_finally]
    number = {place: index for index, place in enumerate(others)}
    edges = [(number[above], number[below]) for above, below in drawing.edges if below in number]
    below_all = depth(len(others), edges)
    return [below_all if node.in_finally else 0 for node in drawing.nodes]


class _Scale:
    """From columns and layers to pixels."""

    def __init__(self, drawing: Drawing, layout: Layout) -> None:
        lines = [_texts(node) for node in drawing.nodes]
        self.node_width = 2 * NODE_PADDING + CHARACTER_WIDTH * max(
            (len(line) for each in lines for line in each), default=1
        )
        self.node_height = 2 * NODE_PADDING + LINE_HEIGHT * max(map(len, lines), default=1)
        columns = [column for column, _ in layout.spots] + [column for bend in layout.bends for column, _ in bend]
        self.width = 2 * MARGIN + self.node_width + max(columns, default=0.0) * (self.node_width + GAP_X)
        self.height = 2 * MARGIN + max(1, layout.layers) * (self.node_height + GAP_Y) - GAP_Y

    def centre(self, spot: tuple[float, int]) -> tuple[float, float]:
        column, layer = spot
        x = MARGIN + self.node_width / 2 + column * (self.node_width + GAP_X)
        return x, MARGIN + self.node_height / 2 + layer * (self.node_height + GAP_Y)


def _lines(drawing: Drawing, layout: Layout) -> Iterator[str]:
    scale = _Scale(drawing, layout)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{scale.width:.0f}" height="{scale.height:.0f}" '
        f'viewBox="0 0 {scale.width:.0f} {scale.height:.0f}" font-family="sans-serif" font-size="12">'
    )
    yield f"<title>{escape(drawing.name)}</title>"
    yield (
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>'
    )
    for edge, bends in zip(drawing.edges, layout.bends, strict=True):
        yield _edge(scale, layout.spots[edge[0]], bends, layout.spots[edge[1]])
    for node, spot in zip(drawing.nodes, layout.spots, strict=True):
        yield _node(scale, node, spot)
    yield "</svg>"


def _edge(
    scale: _Scale, above: tuple[float, int], bends: tuple[tuple[float, int], ...], below: tuple[float, int]
) -> str:
    half = scale.node_height / 2
    x, y = scale.centre(above)
    path = [f"M{x:.1f} {y + half:.1f}"]
    last_x, last_y = x, y + half
    for spot in (*bends, below):
        x, y = scale.centre(spot)
        # Through the layer of a bend straight down; curved in the gap before it.
        top = y - half
        middle = (last_y + top) / 2
        path.append(f"C{last_x:.1f} {middle:.1f} {x:.1f} {middle:.1f} {x:.1f} {top:.1f}")
        if spot is not below:
            path.append(f"V{y + half:.1f}")
        last_x, last_y = x, y + half
    return f'<path d="{"".join(path)}" fill="none" stroke="#57606a" marker-end="url(#end)"/>'


def _node(scale: _Scale, node: Node, spot: tuple[float, int]) -> str:
    x, y = scale.centre(spot)
    fill, stroke = node.colours
    dashes = ' stroke-dasharray="4 3"' if node.in_finally else ""
    left, top = x - scale.node_width / 2, y - scale.node_height / 2
    lines = _texts(node)
    first = y - LINE_HEIGHT * (len(lines) - 1) / 2
    texts = "".join(
        f'<text x="{x:.1f}" y="{first + LINE_HEIGHT * number:.1f}" text-anchor="middle" dominant-baseline="central" '
        f'fill="#24292f"{" font-weight=" + chr(34) + "bold" + chr(34) if number == 0 else ""}>{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{scale.node_width:.1f}" height="{scale.node_height:.1f}" '
        f'rx="6" fill="{fill}" stroke="{stroke}"{dashes}/>{texts}</g>'
    )


def _texts(node: Node) -> tuple[str, ...]:
    return (f"finally: {node.lines[0]}", *node.lines[1:]) if node.in_finally else node.lines
