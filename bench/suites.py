"""Which workloads are run: `quick` takes a quarter of an hour on two cores, `full` half a day.

`slopes` is what shows how cost grows with size, `wide` the same of fan-outs up to 10,000, `targets` what the table of
targets needs, `real` the recorded DAGs without the times of their tasks, `timed` with them.
"""

from __future__ import annotations

from pathlib import Path

from kipu.core.errors import Problem, UserError

from . import dag as dags
from .dag import Dag, Workload

REAL = Path(__file__).parents[2] / "shared" / "dags"  # where they are present
TIMED_MS = 20_000  # on the longest path of each


def single(dag: Dag) -> Workload:
    """One workflow of it."""
    return Workload(name=dag.name, dag=dag)


def many(copies: int, dag: Dag) -> Workload:
    """So many of it."""
    return Workload(name=f"{copies} x {dag.name}", dag=dag, copies=copies)


def real(folder: Path | None = None) -> list[Workload]:
    """Recorded runs of scientific workflows, with no time in their tasks, so that all time is overhead.

    `folder` holds other ones. Raises UserError if there are none in it, or if one of them cannot be run.
    """
    if folder is not None and not any(folder.glob("*.json")):
        raise UserError((Problem(path=str(folder), reason="has no *.json in it", hint="name a folder of DAGs"),))
    return [Workload(name=dag.name, dag=dag.scaled(0), is_real=True) for dag in _recorded(folder or REAL)]


def timed() -> list[Workload]:
    """The same with the times of their tasks, as much faster or slower as it takes for TIMED_MS."""
    return [
        Workload(name=dag.name, dag=dag.scaled(TIMED_MS / max(1, dag.critical_ms())), is_real=True)
        for dag in _recorded(REAL)
    ]


def _recorded(folder: Path) -> list[Dag]:
    return [dags.load(path) for path in sorted(folder.glob("*.json"))]


def quick() -> list[Workload]:
    """One of each kind."""
    return [
        single(dags.chain(10)),
        single(dags.chain(50)),
        single(dags.fan_out(100)),
        single(dags.lattice(10)),
        single(dags.montage(10)),
        many(50, dags.chain(3)),
    ]


def full() -> list[Workload]:
    """All of design 05 that one kind of run can show."""
    return [
        *(single(dags.chain(length)) for length in (10, 50, 200, 1_000)),
        *(single(dags.fan_out(width)) for width in (10, 100, 1_000, 10_000)),
        *(single(dags.lattice(side)) for side in (10, 20)),
        *(single(dags.layered(tasks)) for tasks in (10, 100, 500, 2_000)),
        *(single(dags.montage(images)) for images in (10, 50, 200)),
        *real(),
        many(500, dags.chain(3)),
        many(1_000, dags.chain(1)),
        many(200, dags.chain(5)),
    ]


def slopes() -> list[Workload]:
    """The two extremes of shape, each at sizes from 10 to the top, evenly spaced on a logarithmic scale."""
    sizes = (10, 30, 100, 300, 1_000)
    return [*(single(dags.chain(size)) for size in sizes), *(single(dags.fan_out(size)) for size in sizes)]


def wide() -> list[Workload]:
    """Fan-outs up to the most items that one may have."""
    return [single(dags.fan_out(width)) for width in (10, 100, 1_000, 10_000)]


def targets() -> list[Workload]:
    """What the rows of bench.targets are measured on, the slopes apart: they take a suite of their own."""
    return [
        single(dags.chain(10)),
        single(dags.chain(1_000)),
        single(dags.fan_out(1_000)),
        *real(),
        many(200, dags.chain(5)),
        many(500, dags.chain(3)),
    ]


SUITES = {
    "quick": quick,
    "full": full,
    "real": real,
    "timed": timed,
    "slopes": slopes,
    "wide": wide,
    "targets": targets,
}
