"""Workflows in waves: so many in flight, and new ones as long as they are wanted.

Promises: what was submitted is remembered with its shape, whatever became of it; a Workflow to be cancelled is
cancelled once a watch of pods has shown its long step running. Bounded: `in_flight_max` at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from e2e.apiserver import workflows
from e2e.watching import Change, has_run

from .patient import PatientApi
from .shapes import FAKE, REAL, Shape
from .witness import Witness

LOOK_SECONDS = 0.3
END_SECONDS = 150.0  # above the API's patience
FINISHED = frozenset({"Succeeded", "Failed", "Cancelled", "Rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """One Workflow of the load."""

    namespace: str
    name: str
    uid: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How much of it. `is_wanted` is asked once the count is reached: whether there is to be more."""

    count: int
    in_flight_max: int
    fake_share: float
    is_wanted: Callable[[], bool]


class Load:
    """Submits in a thread from `with` until the quantity is reached, or its end."""

    def __init__(
        self, api: PatientApi, namespaces: Sequence[str], quantity: Quantity, seed: int, pods: Witness, seen: Witness
    ) -> None:
        self._api = api
        self._namespaces = namespaces
        self._quantity = quantity
        self._random = random.Random(seed)
        self._pods, self._seen = pods, seen
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._cancelled: set[str] = set()
        self._looked_at = 0  # of the pods' history
        self.submitted: list[Submitted] = []
        self.failure: BaseException | None = None

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(END_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether everything that was wanted was submitted."""
        return len(self.submitted) >= self._quantity.count and not self._quantity.is_wanted()

    def in_flight(self) -> list[Submitted]:
        """Those that no watch has shown ended."""
        newest = self._seen.newest
        return [each for each in self.submitted if not has_finished(newest.get(each.uid))]

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._cancel()
                running = len(self.in_flight())
                if not self.is_over and running <= self._quantity.in_flight_max // 2:
                    self._submit_wave(self._quantity.in_flight_max - running)
                self._stop.wait(LOOK_SECONDS)
        except BaseException as failure:
            self.failure = failure
            raise

    def _submit_wave(self, size: int) -> None:
        for _ in range(size):
            if self.is_over or self._stop.is_set():
                return
            fake = self._random.random() < self._quantity.fake_share
            shape = self._random.choice(FAKE if fake else REAL)
            number = len(self.submitted)
            namespace, name = self._namespaces[number % len(self._namespaces)], f"{shape.name}-{number}"
            made = self._api.ensure(workflows(namespace), shape.manifest(name))
            self.submitted.append(Submitted(namespace=namespace, name=name, uid=made["metadata"]["uid"], shape=shape))

    def _cancel(self) -> None:
        known = {each.uid: each for each in self.submitted if each.shape.cancel_when_runs}
        changes, self._looked_at = self._pods.history[self._looked_at :], len(self._pods.history)
        for change in changes:
            uid, step = change.labels.get("kipu.dev/workflow-uid", ""), change.labels.get("kipu.dev/step")
            target = known.get(uid)
            if target is None or uid in self._cancelled or step != target.shape.cancel_when_runs:
                continue
            if has_run(change):
                self._cancelled.add(uid)
                shutdown = {"spec": {"shutdown": {"mode": "Cancel", "run": 1}}}
                self._api.merge(workflows(target.namespace, target.name), shutdown)


def has_finished(change: Change | None) -> bool:
    """Whether this Workflow's status says so."""
    return change is not None and change.phase in FINISHED
