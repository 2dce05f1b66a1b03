"""One task in ten fails in its first attempt and succeeds in its second: what that costs.

Fails where an attempt is missing, or where there is one too many. With and without failures by turns, each
with an operator of its own.
"""

from __future__ import annotations

import statistics
import time

from bench.witness import LATE_SECONDS, Place
from e2e.apiserver import workflows

from . import lives, manifests, seen
from .figures import Case, Figure

WIDTH = 400
FAILING = frozenset(range(10, WIDTH + 1, 10))
ROUNDS = 3
SECONDS_MAX = 300.0


def run(place: Place, _copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    without: list[float] = []
    failing: list[float] = []
    for number in range(ROUNDS):
        turns = [(without, frozenset[int]()), (failing, FAILING)]
        for found, tasks in turns if number % 2 == 0 else reversed(turns):
            found.append(_seconds(place, tasks))
    figures = [
        Figure("without failures, median", statistics.median(without), "s"),
        Figure("with them, median", statistics.median(failing), "s"),
        Figure("ratio", statistics.median(failing) / statistics.median(without)),
        Figure("without failures, min - max", f"{min(without):.2f} - {max(without):.2f} s"),
        Figure("with them, min - max", f"{min(failing):.2f} - {max(failing):.2f} s"),
        Figure("attempts in each run with failures, counted", len(attempts(FAILING))),
        Figure("of them failed, counted", len(FAILING)),
    ]
    return [Case(f"failing: a fan-out of {WIDTH}, {len(FAILING)} fail once, {ROUNDS} rounds", figures)]


def attempts(failing: frozenset[int]) -> list[seen.Attempt]:
    """All that there should be."""
    return [*seen.steps_of("w0", WIDTH + 1), *(("w0", f"t{task}", "", "2") for task in sorted(failing))]


def _seconds(place: Place, failing: frozenset[int]) -> float:
    """Of one run, all of whose attempts were there once."""
    api, ends, wanted = place.api, seen.Ends(), attempts(failing)
    failed = [("w0", f"t{task}", "", "1") for task in sorted(failing)]
    with (
        lives.alone(place) as (_, at),
        seen.made(api, at) as made,
        seen.ended(api, at) as succeeded,
        seen.reached(api, at, "Failed") as missed,
        ends.watch(api, at) as told,
    ):
        begun = time.monotonic()
        api.create(workflows(at), manifests.fanned_out("w0", WIDTH, failing))
        ends.wait(told, 1, SECONDS_MAX)
        seconds = time.monotonic() - begun
        good = [each for each in wanted if each not in failed]
        for watch, what, expected in ((made, "Jobs", wanted), (succeeded, "ends", good), (missed, "failures", failed)):
            enough = seen.Enough(len(expected), lambda _: True)
            watch.wait_for(enough, LATE_SECONDS, f"{len(expected)} {what}")
            seen.check_once(what, watch.history, expected)
    return seconds
