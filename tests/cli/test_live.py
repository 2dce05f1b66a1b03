"""The tree on a terminal, as it is drawn."""

from __future__ import annotations

import io

from rich.console import Console

from kipu.cli.columns import lines
from kipu.cli.live import LiveTree, bar
from kipu.cli.waits import Shown
from tests.core.given import Flow, fan, flow, step

WIDTH, HEIGHT = 70, 16


def frame(given: Flow, said: Shown | None = None, note: str = "") -> list[str]:
    """What stands on the screen in the end."""
    console = Console(
        file=io.StringIO(), force_terminal=True, width=WIDTH, height=HEIGHT, color_system=None, legacy_windows=False
    )
    live = LiveTree(console, "nightly")
    with live:
        live.show(given.state, said or Shown(), given.now)
        if note:
            live.note(note)
            live.refresh(given.now)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in printed.rpartition("\x1b[2K")[2].partition("\x1b[?25h")[0].splitlines() if line]


def last_frame(given: Flow, said: Shown | None = None, note: str = "") -> list[str]:
    found = frame(given, said, note)
    begins = max(number for number, line in enumerate(found) if "nightly  " in line)
    return [found[begins][found[begins].index("nightly  ") :], *found[begins + 1 :]]


def test_title_bar_steps_and_a_bar_for_a_fan_out() -> None:
    given = flow(step("a"), fan("shard", count=4, parallelism=2))
    given.succeed("a", "shard[0]")
    assert last_frame(given) == [
        "nightly  Running  1/2 steps  0s",
        "━━━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌",
        "├─ ✔ a             Succeeded   1/1",
        "└─ ● shard         Running           0s   ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 1/4 it…",
        "   ├─ ◌ shard[1]   Scheduled   1/1",
        "   └─ ◌ shard[2]   Scheduled   1/1",
    ]


def test_more_steps_than_lines_are_counted_and_no_line_is_wider_than_the_terminal() -> None:
    given = flow(*(step(f"s{n}") for n in range(50)))
    shown = last_frame(given, Shown(waiting={"s0/1": "x" * 200}), note="y" * 200)
    assert len(shown) <= HEIGHT
    assert all(len(line) <= WIDTH for line in shown)
    assert shown[-2].startswith("└─ and ")
    assert shown[-1].startswith("yyy")


def test_a_bar_is_full_only_when_all_is_done() -> None:
    assert bar(0, 3, 6) == "╌╌╌╌╌╌"
    assert bar(999, 1_000, 6) == "━━━━━╌"
    assert bar(3, 3, 6) == bar(0, 0, 6) == "━━━━━━"


def test_a_remark_widens_no_column() -> None:
    assert list(lines([("NAME", "PHASE"), ("a", "Running"), ("and 275 steps more", "")])) == [
        "NAME   PHASE",
        "a      Running",
        "and 275 steps more",
    ]
