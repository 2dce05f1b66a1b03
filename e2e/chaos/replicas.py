"""The operator's pods as a killer needs them: who leads, at which address, and which process of this machine it is.

The leader is the holder of the Lease. Where that is dead and one pod lives, it is that one: it will lead soon.
"""

from __future__ import annotations

import os
import signal

from e2e.apiserver import ApiError, JsonObject, pods
from e2e.namespace import OPERATOR_NAMESPACE
from e2e.operator_pod import Operator

from .patient import PatientApi


class Replicas:
    """All replicas of the operator."""

    def __init__(self, api: PatientApi) -> None:
        self._api = api
        self._operator = Operator(api)

    def leader(self) -> JsonObject | None:
        """The pod that leads, or the only one there is; None where nobody leads yet."""
        alive, holder = [pod for pod in self._operator.pods() if address(pod)], self.holder()
        leading = next((pod for pod in alive if pod["metadata"]["uid"] == holder), None)
        return leading or (alive[0] if len(alive) == 1 else None)

    def holder(self) -> str:
        """The uid of the pod that the Lease names; empty while nobody leads."""
        return self._operator.holder()

    def delete(self, pod: JsonObject) -> None:
        """By force, with no grace."""
        try:
            self._api.delete(pods(OPERATOR_NAMESPACE, pod["metadata"]["name"]), grace_seconds=0)
        except ApiError as error:
            if error.status != 404:
                raise

    def signal(self, pod: JsonObject, number: signal.Signals) -> bool:
        """To its process on this machine; whether there was one."""
        try:
            os.kill(self._operator.process(str(pod["metadata"]["uid"])), number)
        except (AssertionError, ProcessLookupError):
            return False
        return True

    def is_running(self, pod: JsonObject) -> bool:
        """Whether it has a process on this machine."""
        try:
            return self._operator.process(str(pod["metadata"]["uid"])) > 0
        except AssertionError:
            return False


def address(pod: JsonObject) -> str:
    """Its IP; empty before it has one."""
    return str(pod.get("status", {}).get("podIP", ""))
