"""`python -m bench`: contestants take turns at each workload, in every round in another order, on one cluster.

Promises: what is printed was measured in this run; a round in which others used the machine is run again, and shown.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from e2e.apiserver import ApiServer
from kipu.core.errors import UserError

from . import dag as dags
from . import report
from .contest import Outcome, ideal_client, kipu
from .dag import Dag
from .witness import Place

Contestant = Callable[[Place, Dag, str], Outcome]

CONTESTANTS: Mapping[str, Contestant] = {
    report.POD_FLOOR: lambda place, dag, name: ideal_client(place, dag, name, "Pod"),
    report.LOG_FLOOR: lambda place, dag, name: ideal_client(place, dag, name, "Pod", log=True),
    report.JOB_FLOOR: lambda place, dag, name: ideal_client(place, dag, name, "Job"),
    report.KIPU: lambda place, dag, name: kipu(place, dag, name, "Pod"),
    report.KIPU_ON_JOBS: lambda place, dag, name: kipu(place, dag, name, "Job"),
}
OF_A_FILE = (report.POD_FLOOR, report.JOB_FLOOR, report.LOG_FLOOR, report.KIPU)
ROUNDS = 3
FOREIGN_MAX = 0.15  # of the machine: beyond it the outcome is void; the kernel's own threads need half of it
VOID_MAX = 2  # of one contestant in one round; then it counts as it is, and is marked
CRITICAL_MS_MAX = 60_000


def main(arguments: Sequence[str]) -> int:
    """0: measured. 2: the workload cannot be run."""
    options = _parser().parse_args(arguments)
    try:
        given = _workloads(options)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    place = Place(ApiServer(), Path(os.environ["KUBECONFIG"]).parents[1])
    report.begin(place)
    results = [_measure(place, dag, options.contestant, options.rounds) for dag in given]
    if options.workload is not None:
        report.say(report.ratios(results[0]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--workload", type=Path, help='a file: {"tasks": [[parents]...], "ms": [...]}')
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--contestant", action="append", choices=list(CONTESTANTS), help="only these; may be repeated")
    return parser


def _workloads(options: argparse.Namespace) -> list[Dag]:
    if options.workload is None:
        return [dags.chain(10), dags.fan_out(100)]
    dag = dags.load(options.workload)
    if (critical := dag.critical_ms()) > CRITICAL_MS_MAX:
        report.say(
            f"{dag.name}: its longest path of {critical / 1000:,.0f} s is scaled to {CRITICAL_MS_MAX / 1000:g} s"
        )
        return [dag.scaled(CRITICAL_MS_MAX / critical)]
    return [dag]


def _measure(place: Place, dag: Dag, chosen: Sequence[str] | None, rounds: int) -> report.Result:
    result = report.Result(dag)
    names = list(chosen or OF_A_FILE)
    for number in range(rounds):
        random.Random(number).shuffle(names)
        for name in names:
            result.add(number, _undisturbed(place, dag, name, result))
    report.table(result)
    return result


def _undisturbed(place: Place, dag: Dag, name: str, result: report.Result) -> Outcome:
    for _ in range(VOID_MAX):
        outcome = _run(place, dag, name)
        if outcome.seen.foreign <= FOREIGN_MAX:
            return outcome
        result.void(outcome)
    return _run(place, dag, name)


def _run(place: Place, dag: Dag, name: str) -> Outcome:
    begun = time.monotonic()
    outcome = CONTESTANTS[name](place, dag, name)
    report.say(
        f"{dag.name}: {name}: {outcome.seconds:.2f} s, others had {outcome.seen.foreign:.0%} of the machine"
        f" ({time.monotonic() - begun:.0f} s with clean-up)",
        to=sys.stderr,
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
