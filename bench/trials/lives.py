"""The operator of a trial: killed and started again, it takes its own Lease back at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contest import namespace
from bench.witness import Place
from e2e.operator_process import OperatorProcess

HOLDER = "bench-trials"  # as the pod's uid is, which outlives its container


def operator(place: Place, folder: str, **settings: str) -> OperatorProcess:
    """The one that ships, with these KIPU_ settings."""
    return OperatorProcess(place.api, Path(folder), {"KIPU_LEASE_HOLDER": HOLDER, **settings})


@contextmanager
def alone(place: Place, **settings: str) -> Iterator[tuple[OperatorProcess, str]]:
    """It leads, in a cluster with a namespace for this trial, which is gone before it ends."""
    with TemporaryDirectory() as folder, operator(place, folder, **settings) as process, namespace(place.api) as at:
        yield process, at
