"""The last line of `make test`: all phases together, as `N passed, N failed, N skipped`.

Reads the JUnit files of build/results. Promises: exit 1 when anything failed, nothing was run, or a phase that
`make test` has left no file; an error in a fixture counts as a failure. Standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path("build/results")
PHASES = ("unit", "proof", "simulation", "browser", "e2e", "alone", "scale")


def main(phases: Sequence[str]) -> int:
    """One line for each phase, one for all."""
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    missing = []
    for phase in phases:
        file = RESULTS / f"{phase}.xml"
        if not file.exists():
            missing.append(phase)
            continue
        counts, seconds = read(file)
        sys.stdout.write(f"{phase:<12} {line(counts):<40} {seconds:7.1f} s\n")
        sys.stdout.writelines(f"  {text}\n" for text in [*told(file), *counted(file)])
        totals = {key: totals[key] + counts[key] for key in totals}
    for phase in missing:
        sys.stdout.write(f"{phase:<12} did not run: {RESULTS / phase}.xml is missing\n")
    sys.stdout.write(line(totals) + "\n")
    return int(bool(missing) or totals["failed"] > 0 or totals["passed"] == 0)


def read(file: Path) -> tuple[dict[str, int], float]:
    """The counts of one file, and its seconds."""
    counts, seconds = {"passed": 0, "failed": 0, "skipped": 0}, 0.0
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        total = int(suite.get("tests", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        counts["failed"] += failed
        counts["skipped"] += skipped
        counts["passed"] += total - failed - skipped
        seconds += float(suite.get("time", 0))
    return counts, seconds


def told(file: Path) -> list[str]:
    """What the tests that kill the operator, make another replica take over, or are large, have measured."""
    properties = ElementTree.parse(file).getroot().iter("property")
    named = [(each.get("name", ""), each.get("value", "")) for each in properties]
    return [f"{name} {value}" for name, value in named if name.split()[0] in ("kills", "takeover", "scale")]


def counted(file: Path) -> list[str]:
    """What the simulation has run: a line of sums, if there is anything to sum."""
    sums = dict.fromkeys(("points", "pairs", "seeds", "violations"), 0)
    for each in ElementTree.parse(file).getroot().iter("property"):
        if each.get("name") in sums:
            sums[each.get("name", "")] += int(each.get("value", 0))
    text = ", ".join(f"{count:,} {name}" for name, count in sums.items())
    return [f"simulated {text}"] if any(sums.values()) else []


def line(counts: dict[str, int]) -> str:
    """The plain form that the runner of the checks reads."""
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PHASES))
