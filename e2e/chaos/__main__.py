"""`make chaos`: a campaign of faults and deaths on the real control plane; `python -m e2e.chaos --help`.

Exit 0 when everything asked for was reached and nothing was violated, 1 otherwise.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

from .campaign import Plan, run
from .faults import PER_MILLE, Kind
from .report import lines


def main(arguments: list[str]) -> int:
    """One campaign, and its tables."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description="Faults and deaths on a real cluster.")
    parser.set_defaults(first=())
    parser.add_argument("--workflows", type=int, default=plan.workflows)
    parser.add_argument("--kills", type=int, default=plan.kills)
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--minutes", type=float, default=plan.minutes, help="after which nothing new is begun")
    parser.add_argument("--replicas", type=int, default=plan.replicas, help="0: as many as the chart installed")
    parser.add_argument("--in-flight", type=int, default=plan.in_flight, help="workflows at once, at most")
    parser.add_argument("--fake-share", type=float, default=plan.fake_share, help="on simulated nodes, 0 to 1")
    kinds, leave_out = list(PER_MILLE), "faults that are left out"
    parser.add_argument("--without", type=Kind, nargs="*", choices=kinds, default=plan.without, help=leave_out)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # however it ends, it cleans up
    outcome = run(Plan(**vars(parser.parse_args(arguments))), say)
    for line in lines(outcome):
        say(line, clock=False)
    return int(not outcome.is_clean)


def say(text: str, *, clock: bool = True) -> None:
    """To stdout, at once."""
    sys.stdout.write((time.strftime("[%H:%M:%S] ") if clock else "") + text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
