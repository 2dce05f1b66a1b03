"""python -m tests.simulation.main [--seed S] [--n N] [--depth D]: random runs, and the smallest script that breaks one.

The last line is `N seeds, V violations`; the exit code is 1 if V is not 0. `make simulate SEED= N= DEPTH=` calls it.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator

from .compare import Baselines, i15_the_outcome_is_that_of_a_run_without_faults
from .generator import scenario_of
from .scenario import Scenario, show
from .script import Harm, Script, harm
from .scripting import script_of
from .shrink import shrink, shrink_scenario
from .world import Outcome, run

PROCESSES = 2
BLOCK = 64  # seeds that one process takes at a time


def simulate(scenario: Scenario, script: Script, seed: int, baselines: Baselines) -> Outcome:
    """One run, judged to the end."""
    outcome = run(scenario, script, seed)
    if harm(script) is Harm.NONE and not outcome.violations:
        faults = i15_the_outcome_is_that_of_a_run_without_faults(scenario, outcome.endings, baselines)
        outcome.violations += [f"I15: {fault}" for fault in faults]
    return outcome


def one_of(seed: int, depth: int) -> tuple[Scenario, Script]:
    """What a seed stands for."""
    scenario = scenario_of(seed)
    return scenario, script_of(seed, scenario, depth)


def one(seed: int, depth: int, baselines: Baselines) -> tuple[Scenario, Script, Outcome]:
    """The run of a seed."""
    scenario, script = one_of(seed, depth)
    return scenario, script, simulate(scenario, script, seed, baselines)


def block(arguments: tuple[int, int, int]) -> list[tuple[int, list[str]]]:
    """Seeds in a row; those that failed, with their violations."""
    first, count, depth = arguments
    logging.disable(logging.CRITICAL)
    baselines = Baselines()
    found = []
    for seed in range(first, first + count):
        outcome = one(seed, depth, baselines)[2]
        if outcome.violations:
            found.append((seed, outcome.violations))
    return found


def breaks(scenario: Scenario, script: Script, seed: int, invariant: str) -> bool:
    """Whether this run is wrong in the same way, and not already without its faults."""
    if run(scenario).violations:
        return False
    return any(each.startswith(invariant) for each in simulate(scenario, script, seed, Baselines()).violations)


def explain(seed: int, depth: int) -> str:
    """A failing seed, as small as it gets."""
    baselines = Baselines()
    scenario, script, outcome = one(seed, depth, baselines)
    lines = [f"SEED={seed} DEPTH={depth} at commit {commit()}", *(f"  {text}" for text in outcome.violations)]
    wrong = outcome.violations[0].split()[0]
    small = shrink(script, lambda tried: breaks(scenario, tried, seed, wrong))
    scenario = shrink_scenario(scenario, lambda tried: breaks(tried, small, seed, wrong))
    outcome = simulate(scenario, small, seed, baselines)
    lines += [
        "  smallest script:",
        *(f"    {show(each)}," for each in small),
        *(f"    -> {text}" for text in outcome.violations),
    ]
    lines += [f"  scenario: {show(scenario)}", f"  again: make simulate SEED={seed} N=1 DEPTH={depth}"]
    return "\n".join(lines)


def commit() -> str:
    """What is checked out."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def blocks(first: int, count: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """The range in pieces."""
    for start in range(first, first + count, BLOCK):
        yield start, min(BLOCK, first + count - start), depth


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=2_000)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--explain", type=int, default=3, help="failures to shrink")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, done, failed = time.monotonic(), 0, []
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for found in pool.imap(block, blocks(given.seed, given.n, given.depth)):
            failed += found
            for seed, violations in found:  # at once: a long run may be ended before its last line
                print(f"SEED={seed}: {violations[0]}", flush=True)
            done = min(given.n, done + BLOCK)
            if done == given.n or done % (BLOCK * 8) == 0:
                seconds = time.monotonic() - began
                print(f"{done} of {given.n} seeds, {len(failed)} with violations, {seconds:.0f} s", flush=True)
    for seed, _ in failed[: given.explain]:
        print(explain(seed, given.depth), flush=True)
    print(f"{given.n} seeds, {len(failed)} violations")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
