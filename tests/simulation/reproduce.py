"""python -m tests.simulation.reproduce SCENARIO [KIND NUMBER]: one run, its history and its violations.

For example: `.venv/bin/python -m tests.simulation.reproduce diamond CrashAfter 7`.
"""

import sys

from tests.simulation.scenarios import SCENARIOS
from tests.simulation.test_crash_points import KINDS
from tests.simulation.world import run_virtually

if __name__ == "__main__":
    name, *fault = sys.argv[1:]
    kind, at = (KINDS[fault[0]], int(fault[1])) if fault else (None, None)
    outcome = run_virtually(SCENARIOS[name], kind=kind, at=at)
    for record in outcome.history.records if outcome.history else ():
        print(record.position, record.ts, record.event)
    print(f"{outcome.writes} writes, {outcome.lives} lives, {len(outcome.violations)} violations")
    for violation in outcome.violations:
        print(" -", violation)
    sys.exit(1 if outcome.violations else 0)
