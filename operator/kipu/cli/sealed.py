"""A cluster whose sealed objects, the chunks and blobs of a log, are read once: nothing may change them.

Promises: gives what the API server would give. What is kept was asked for by the last reading or by this one
(`turn_over`), and has at most SEALED_BYTES_MAX as JSON; the oldest goes first. A log that does not verify can be read
again without what is kept (`forget`), for an object may have been deleted and made anew under its name.
"""

from __future__ import annotations

import json
from collections import OrderedDict

from kipu.eventlog.ports import Answer

from .cluster import Cluster

SEALED_BYTES_MAX = 64 * 1024 * 1024  # of one Workflow: more than a whole log of 250,000 events has


class Sealed(Cluster):
    """For whoever reads the log of one Workflow again and again; `turn_over` before each reading."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.client, cluster.namespace)
        self._kept: OrderedDict[str, tuple[Answer, int]] = OrderedDict()
        self._bytes = 0
        self._asked: set[str] = set()  # for, by this reading

    def turn_over(self) -> None:
        """Forget what the reading before has not asked for."""
        for name in [each for each in self._kept if each not in self._asked]:
            self._bytes -= self._kept.pop(name)[1]
        self._asked.clear()

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        """See ConfigMapApi."""
        self._asked.add(name)
        if (kept := self._kept.get(name)) is not None:
            return kept[0]
        answer = await super().get_config_map(namespace, name)
        if answer.body.get("immutable") is True:
            self._keep(name, answer)
        return answer

    def forget(self) -> None:
        """All of it."""
        self._kept.clear()
        self._bytes = 0

    def _keep(self, name: str, answer: Answer) -> None:
        size = len(json.dumps(answer.body))
        self._kept[name] = answer, size
        self._bytes += size
        while self._bytes > SEALED_BYTES_MAX:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped
