"""What a step that runs costs the operator in memory: few of them, then many, all at once.

The slope between the two is what each one more costs, without what any number needs: connections, code, watches. Fails
where not all of them run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.contest import submit
from bench.witness import Place
from kipu.core.definition import ITEMS_UNDER_WAY_MAX as ITEMS

from . import lives, manifests, seen
from .figures import KIBIBYTE, Case, Figure, mebibytes

FEW, MANY = 1, 4  # workflows, each with as many items as may be under way at once
PLACES = MANY * ITEMS
SECONDS_PER_ITEM_MAX = 0.3
# After the last has begun: its connections are closed, within two minutes, and its heap is tended, one later
# (shell/kube_http, shell/heap).
STILL_SECONDS = 190.0


def run(place: Place, _copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    return [Case("memory: of steps that run", figures([_grown(place, FEW), _grown(place, MANY)]))]


def _grown(place: Place, copies: int) -> int:
    """By how many bytes the operator is larger while the steps of so many workflows run."""
    count = copies * ITEMS
    with (
        lives.alone(place, KIPU_PARALLELISM=str(PLACES)) as (operator, at),
        seen.reached(place.api, at, "Running") as run,
    ):
        base_bytes = operator.memory_bytes()
        submit(place.api, at, [manifests.items(f"w{copy}", ITEMS, runs_for="1h") for copy in range(copies)])
        run.wait_for(lambda each: len(each.history) >= count, 60 + SECONDS_PER_ITEM_MAX * count, f"{count} pods run")
        time.sleep(STILL_SECONDS)
        return operator.memory_bytes() - base_bytes


def figures(grown: Sequence[int]) -> list[Figure]:
    """Of the few and of the many."""
    few, many = grown
    each = (many - few) / ((MANY - FEW) * ITEMS)
    return [
        *(
            mebibytes(f"above the base, while {copies * ITEMS:,} items run", size_bytes)
            for copies, size_bytes in zip((FEW, MANY), grown, strict=True)
        ),
        Figure("each item more", each / KIBIBYTE, "KiB", 1),
    ]
