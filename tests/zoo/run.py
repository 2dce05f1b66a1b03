"""`make zoo`: every mutant against the tests that must catch it. The last line is `K of N caught`.

First all of these tests run on the sound code: a test that fails anyway catches nothing. Then each mutant runs in a
process of its own, two at a time. Arguments are parts of mutants' ids, to run only those.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.zoo.mutants import Mutant, all_mutants

ROOT = Path(__file__).parents[2]
AT_ONCE_MAX = 2
SECONDS_MAX = 150  # of one mutant, on a busy machine
TEST_SECONDS_MAX = 45  # of one test: some mutants hang, which counts as caught
PYTEST = (sys.executable, "-m", "pytest", "-q", "-r", "fE", "-p", "no:cacheprovider", "-p", "tests.zoo.plugin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one mutant."""

    mutant: Mutant
    word: str  # caught | survived | broken
    test: str  # that failed first, or why it is broken
    seconds: float


def judge(mutant: Mutant) -> Verdict:
    """Run the tests that must catch it, in a process where it is at work."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        environment = dict(os.environ, KIPU_MUTANT=mutant.id, KIPU_MUTANT_REPORT=str(report))
        command = [*PYTEST, "-x", f"--timeout={TEST_SECONDS_MAX}", *mutant.caught_by]
        try:
            code = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS_MAX, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        lines = report.read_text().splitlines() if report.exists() else []
    word, test = _read(code, lines)
    return Verdict(mutant=mutant, word=word, test=test, seconds=time.monotonic() - begun)


def _read(code: int, lines: Sequence[str]) -> tuple[str, str]:
    """The verdict from pytest's exit code and the plugin's report."""
    if code == 0:
        return "survived", ""
    if code != 1 or not lines:
        return "broken", f"pytest ended with {code}: {lines[0] if lines else 'no test failed'}"
    word, where, why = lines[0].split("\t")
    return word, where if word == "caught" else f"{where}: {why}"


def main(arguments: Sequence[str]) -> int:
    """Judge them all; 1 if one was not caught."""
    mutants = [m for m in all_mutants() if not arguments or any(part in m.id for part in arguments)]
    if not mutants:
        print(f"no mutant's id has {' or '.join(arguments)} in it")
        return 1
    selections = sorted({selection for mutant in mutants for selection in mutant.caught_by})
    print(f"{len(selections)} selections of tests on the sound code ...", flush=True)
    if subprocess.run([*PYTEST, "-n", str(AT_ONCE_MAX), *selections], cwd=ROOT, check=False).returncode != 0:
        print("a test that fails without a mutant catches none")
        return 1
    caught = 0
    with ThreadPoolExecutor(AT_ONCE_MAX) as threads:
        for verdict in threads.map(judge, mutants):
            caught += verdict.word == "caught"
            breaks = ", ".join(verdict.mutant.breaks)
            print(f"{verdict.word:8} {verdict.seconds:5.1f} s  {verdict.mutant.id} ({breaks})", flush=True)
            print(f"{'':17}{verdict.test or verdict.mutant.sentence}", flush=True)
    print(f"{caught} of {len(mutants)} caught")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
