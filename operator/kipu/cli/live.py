"""A Workflow on a terminal while it runs: its tree, drawn anew with each change, and a bar of what is done.

Promises: fits the terminal, whose height bounds the steps that are shown; what is committed and what the status says,
nothing else. Must never be used off a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from kipu.api.status import steps_total
from kipu.core.lifecycle import TERMINAL_STEP_PHASES
from kipu.core.state import State

from .columns import PHASE_STYLES, lines
from .details import printable
from .tree import ITEMS_SHOWN_MAX, Line, title, tree
from .waits import NOTHING_SHOWN, Shown

BAR_WIDTH = 40
LINES_BESIDE = 4  # the title, the bar, a note, and the cursor's own
STEPS_SHOWN_MIN = 3


class LiveTree:
    """Of one Workflow, from `__enter__` on; what it shows last stays on the screen."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._state = State()
        self._said = NOTHING_SHOWN
        self._note = ""
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> LiveTree:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: State, said: Shown, now: int) -> None:
        """As it stands now, in epoch milliseconds."""
        self._state, self._said, self._note = state, said, ""
        self.refresh(now)

    def note(self, text: str) -> None:
        """Say something below it until the next change."""
        self._note = printable(text)

    def refresh(self, now: int) -> None:
        """Draw anew what changes by time alone."""
        self._live.update(Group(*self._parts(now)), refresh=True)

    def _parts(self, now: int) -> Iterator[RenderableType]:
        state = self._state
        style = f"bold {PHASE_STYLES.get(state.phase.value, '')}"
        yield Text(title(self._name, state, self._said, now=now), style=style, no_wrap=True, overflow="ellipsis")
        if state.definition is not None:
            over = sum(state.counts[phase] for phase in TERMINAL_STEP_PHASES)
            yield Text(bar(over, steps_total(state), BAR_WIDTH), style=style)
        room = max(STEPS_SHOWN_MIN, self._console.height - LINES_BESIDE - 1)
        yield from drawn(tree(state, self._said, now=now, steps_max=_steps_max(state, room)))
        if self._note:
            yield Text(self._note, style="yellow", no_wrap=True, overflow="ellipsis")


def _steps_max(state: State, room: int) -> int:
    """So many that the items below fan-outs have room, too."""
    under = sum(
        min(len(fanout.under_way) + len(fanout.failures), ITEMS_SHOWN_MAX + 1) for fanout in state.fanouts.values()
    )
    return max(STEPS_SHOWN_MIN, room - under)


def drawn(rows: list[Line]) -> Iterator[Text]:
    """The lines in columns, cut at the terminal's edge; a fan-out under way has a bar before its details."""
    cells = []
    for row in rows:
        *first, details = row.cells
        cells.append((*first, details if row.done is None else f"{bar(*row.done, BAR_WIDTH // 2)} {details}"))
    for row, line in zip(rows, lines(cells) if cells else (), strict=True):
        yield Text(line, style=PHASE_STYLES.get(row.phase, ""), no_wrap=True, overflow="ellipsis")


def bar(done: int, total: int, width: int) -> str:
    """So much of it is done; full only when all is."""
    filled = width if total == 0 else width * done // total
    return "━" * filled + "╌" * (width - filled)
