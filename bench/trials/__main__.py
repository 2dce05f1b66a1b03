"""`python -m bench.trials NAME...`: what no contest can show, of Kipu alone, on the cluster of simulated nodes.

Promises: what is printed was measured in this run, and stands in build/bench/trials.md and trials.json as soon as a
trial is over. Whatever was lost, doubled or ended wrongly fails its trial, which then has no figures; the others go on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import machine, report
from bench.witness import Place
from e2e.apiserver import ApiServer

from . import cancel, failing, flood, housekeeping, kill, memory, recovery
from .figures import Case, Figure

Trial = Callable[[Place, int | None], list[Case]]  # the number is that of COPIES=, for those that know one

TRIALS: Mapping[str, Trial] = {
    "flood": flood.run,
    "recovery": recovery.run,
    "housekeeping": housekeeping.run,
    "kill": kill.run,
    "cancel": cancel.run,
    "failing": failing.run,
    "memory": memory.run,
}


def main(arguments: Sequence[str]) -> int:
    """0: all went well. 1: a trial has failed."""
    options = _parser().parse_args(arguments)
    names = list(TRIALS) if "all" in options.trials else options.trials
    place = Place(ApiServer(), Path(os.environ["KUBECONFIG"]).parents[1])
    told, failed = Told(report.preface(place)), 0
    for name in names:
        try:
            told.add(name, _measured(place, TRIALS[name], options.copies))
        except AssertionError as error:
            failed += 1
            told.add(name, [Case(f"{name}: FAILED", [Figure("why", " ".join(str(error).split()))])])
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.trials", description=__doc__)
    parser.add_argument("trials", nargs="+", choices=[*TRIALS, "all"], metavar="NAME", help=", ".join([*TRIALS, "all"]))
    parser.add_argument("--copies", type=int, help="how many workflows (flood) or items (housekeeping)")
    return parser


def _measured(place: Place, trial: Trial, copies: int | None) -> list[Case]:
    """What it has found, and who else was there: its operators have ended, so that they count as this program's."""
    begun, before = time.monotonic(), machine.moment(place.pids())
    cases = trial(place, copies)
    seconds = time.monotonic() - begun
    others = machine.moment(place.pids()).foreign_since(before, seconds)
    told = [Figure("seconds, clean-up included", seconds, "s", 0), Figure("others had of the machine", f"{others:.0%}")]
    return [*cases, Case(f"{cases[0].title.partition(':')[0]}: the whole trial", told)]


class Told:
    """To stdout and to the folder, after each trial."""

    def __init__(self, preface: Sequence[str]) -> None:
        self._lines: list[str] = []
        self._trials: dict[str, Sequence[Case]] = {}
        self._say(preface)

    def add(self, name: str, cases: Sequence[Case]) -> None:
        """What one trial has found."""
        self._trials[name] = cases
        self._say([line for case in cases for line in case.lines()])
        report.FOLDER.mkdir(parents=True, exist_ok=True)
        (report.FOLDER / "trials.md").write_text("\n".join(self._lines) + "\n")
        (report.FOLDER / "trials.json").write_bytes(msgspec.json.format(msgspec.json.encode(self._trials)))

    def _say(self, lines: Sequence[str]) -> None:
        self._lines += lines
        for line in lines:
            report.say(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
