"""`python -m bench`: contestants take turns at each workload, in every round in another order, on one cluster.

Promises: what is printed was measured in this run; a round in which others used the machine is run again, and shown.
All of it is in `build/bench` too: report.md, results.json and charts. With `--workload` the last line is that of the
ratios.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from e2e.apiserver import ApiServer
from kipu.core.errors import UserError

from . import dag as dags
from . import report
from .contest import Outcome, ideal_client, kipu, naive
from .dag import Workload
from .kipu_jobs import FORGED, job_as_kipu
from .results import JOB_FLOOR, KIPU, KIPU_ON_JOBS, LOG_FLOOR, NAIVE, OBJECTS_FLOOR, POD_FLOOR, Result
from .suites import SUITES, real, single
from .witness import Place

Contestant = Callable[[Place, Workload, str], Outcome]

CONTESTANTS: Mapping[str, Contestant] = {
    POD_FLOOR: lambda place, workload, name: ideal_client(place, workload, name, "Pod"),
    LOG_FLOOR: lambda place, workload, name: ideal_client(place, workload, name, "Pod", log=True),
    OBJECTS_FLOOR: lambda place, workload, name: ideal_client(
        place, workload, name, "Pod", log=True, job=job_as_kipu, labels=FORGED
    ),
    JOB_FLOOR: lambda place, workload, name: ideal_client(place, workload, name, "Job"),
    KIPU: lambda place, workload, name: kipu(place, workload, name, "Pod"),
    KIPU_ON_JOBS: lambda place, workload, name: kipu(place, workload, name, "Job"),
    NAIVE: naive,
}
OF_A_FILE = (POD_FLOOR, JOB_FLOOR, LOG_FLOOR, KIPU)
SUITE = "quick"
ROUNDS = 3
FOREIGN_MAX = 0.15  # of the machine: beyond it the outcome is void; the kernel's own threads need half of it
VOID_MAX = 2  # of one contestant in one round; then it counts as it is
CRITICAL_MS_MAX = 60_000
DEPTH_OF_JOBS_MAX = 60  # waiting for Jobs takes a second for each step on a path
TASKS_OF_NAIVE_MAX = 200  # its cost grows with the square


def main(arguments: Sequence[str]) -> int:
    """0: measured. 2: the workload cannot be run."""
    options = _parser().parse_args(arguments)
    try:
        workloads = _workloads(options)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    place = Place(ApiServer(), Path(os.environ["KUBECONFIG"]).parents[1])
    with report.Report(place) as told:
        for workload in workloads:
            names = options.contestant or (OF_A_FILE if options.workload else CONTESTANTS)
            fitting = list(names) if options.workload else _fitting(workload, names)
            told.add(_measure(place, workload, fitting, options.rounds))
        told.summary()
        told.conclusions()
        if options.workload is not None:
            told.ratios()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    run = parser.add_mutually_exclusive_group()
    run.add_argument("--workload", type=Path, help='a file: {"tasks": [[parents]...], "ms": [...]}, or WfFormat')
    run.add_argument("--dags", type=Path, help="a folder of such files, run without their times as `real` is")
    run.add_argument("--suite", choices=sorted(SUITES), help=f"{SUITE} unless told otherwise")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--contestant", action="append", choices=list(CONTESTANTS), help="only these; may be repeated")
    return parser


def _workloads(options: argparse.Namespace) -> list[Workload]:
    if options.workload is not None:
        return [_of_file(options.workload)]
    return SUITES[options.suite or SUITE]() if options.dags is None else real(options.dags)


def _of_file(path: Path) -> Workload:
    dag = dags.load(path)
    if (critical := dag.critical_ms()) > CRITICAL_MS_MAX:
        report.say(f"{dag.name}: its longest path, {critical / 1000:,.0f} s, is scaled to {CRITICAL_MS_MAX / 1000:g} s")
        return single(dag.scaled(CRITICAL_MS_MAX / critical))
    return single(dag)


def _fitting(workload: Workload, contestants: Iterable[str]) -> list[str]:
    """All of them but those that this workload would take hours."""
    names = list(contestants)
    if workload.dag.depth() > DEPTH_OF_JOBS_MAX:
        names = [name for name in names if name not in (JOB_FLOOR, KIPU_ON_JOBS, NAIVE)]
    if len(workload.dag) > TASKS_OF_NAIVE_MAX or workload.copies > 1:
        names = [name for name in names if name != NAIVE]
    return names


def _measure(place: Place, workload: Workload, names: Sequence[str], rounds: int) -> Result:
    result = Result(workload)
    for number in range(rounds):
        for name in random.Random(number).sample(names, len(names)):
            result.add(number, _undisturbed(place, workload, name, result))
    return result


def _undisturbed(place: Place, workload: Workload, name: str, result: Result) -> Outcome:
    for _ in range(VOID_MAX):
        outcome = _run(place, workload, name)
        if outcome.seen.foreign <= FOREIGN_MAX:
            return outcome
        result.voided.append(outcome)
    return _run(place, workload, name)


def _run(place: Place, workload: Workload, name: str) -> Outcome:
    begun = time.monotonic()
    outcome = CONTESTANTS[name](place, workload, name)
    report.say(
        f"{workload.name}: {name}: {outcome.seconds:.2f} s, others had {outcome.seen.foreign:.0%} of the machine"
        f" ({time.monotonic() - begun:.0f} s with clean-up)",
        to=sys.stderr,
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
