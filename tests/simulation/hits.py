"""python -m tests.simulation.hits [--seed S] [--n N] [--depth D]: the table of docs/faults.md.

Which kind of fault struck where, and how often, in N random runs.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
from collections import Counter

from .compare import Baselines
from .main import BLOCK, PROCESSES, blocks, one

Hits = Counter[tuple[str, str]]  # kind of fault, site


def hits(arguments: tuple[int, int, int]) -> Hits:
    """Of the seeds in a row."""
    first, count, depth = arguments
    logging.disable(logging.CRITICAL)
    found: Hits = Counter()
    baselines = Baselines()
    for seed in range(first, first + count):
        outcome = one(seed, depth, baselines)[2]
        found.update((kind_of(each.fault), site) for each, site in zip(outcome.struck, outcome.sites, strict=True))
    return found


def kind_of(fault: object) -> str:
    """Its class, and what tells two of a class apart."""
    code = getattr(fault, "code", "")
    after = " after" if getattr(fault, "after", False) else ""
    return f"{type(fault).__name__}{after}{f' {code}' if code else ''}"


def table(found: Hits) -> str:
    """Markdown: a row for each site, and for each kind that has struck there its count."""
    sites = Counter[str]()
    for (_, site), count in found.items():
        sites[site] += count
    lines = ["| Site | Hits | Of them |", "|---|---:|---|"]
    for site, total in sites.most_common():
        kinds = Counter({kind: count for (kind, where), count in found.items() if where == site})
        shown = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        lines.append(f"| {site} | {total:,} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=BLOCK)
    parser.add_argument("--depth", type=int, default=4)
    given = parser.parse_args()
    found: Hits = Counter()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for part in pool.imap(hits, blocks(given.seed, given.n, given.depth)):
            found += part
    print(table(found))


if __name__ == "__main__":
    main()
