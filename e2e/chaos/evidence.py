"""What is read of each Workflow at the end, directly from the API server and through the operator's own code.

Promises: the log is read twice, by hand (e2e/history.py) and by the reader that ships; a log that either of them
refuses is a fault, not an error. Must never write.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from e2e.apiserver import JsonObject
from e2e.history import Log, read
from e2e.namespace import Namespace
from e2e.watching import Change
from kipu.api import status as projections
from kipu.cli import transcript
from kipu.cli.cluster import Cluster
from kipu.core.errors import KipuError
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import StreamId

from .judge import Evidence, Judgement, judge
from .load import Submitted
from .patient import PatientApi

Seen = Mapping[str, Sequence[Change]]


class Reader:
    """Reads and judges. What was seen comes by the Workflow's uid: of pods, of Jobs, of itself."""

    def __init__(self, api: PatientApi, pods: Seen, jobs: Seen, shown: Seen) -> None:
        self._api = api
        self._pods, self._jobs, self._shown = pods, jobs, shown
        self._cluster = Cluster.connect(None, None)

    def judge(self, submitted: Submitted) -> Judgement:
        """One Workflow."""
        namespace = Namespace(self._api, submitted.namespace)
        found = namespace.workflow(submitted.name)
        status = found.get("status", {})
        try:
            log = read(namespace, submitted.uid)
            projected = self._project(submitted, log, found["metadata"]["generation"])
        except (AssertionError, KipuError, KeyError) as error:
            return Judgement(faults={"log not sound": f"{type(error).__name__}: {error}"})
        evidence = Evidence(
            status=status,
            log=log,
            projected=projected,
            pods=self._pods.get(submitted.uid, []),
            jobs=self._jobs.get(submitted.uid, []),
            shown=self._shown.get(submitted.uid, []),
        )
        return judge(submitted.shape, evidence)

    def _project(self, submitted: Submitted, log: Log, generation: int) -> JsonObject:
        """The status of the log, verified and folded by the code that ships. Raises KipuError, AssertionError."""
        stream = StreamId(namespace=submitted.namespace, name=submitted.name, uid=submitted.uid)
        # A loop of its own, and not asyncio.run: that takes away the one that a test may have here.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            history = runner.run(ConfigMapLog(self._cluster).load(stream))
        assert history is not None, "the head is gone"
        assert history.head.hash == log.meta["hash"], "the log moved on after its end"
        projected = projections.project(
            transcript.fold(history.records),
            generation=generation,
            log_position=history.head.position,
            log_hash=history.head.hash,
            waiting={},
            spec_changed=False,
        )
        made: JsonObject = json.loads(json.dumps(projected))
        return made
