"""What stands between a valid request and the store: policies that refuse, and quotas that are used up.

The chart's own ValidatingAdmissionPolicies are CEL, which nothing here can run: a test gives a function instead, and
the refusal has the words of a real one. A ResourceQuota is checked last, before the store is asked whether the name
is taken; and it is used before the object is stored, so that a create which then fails has used it for nothing,
until the quota controller counts again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .etcd import Change, Json, Key, Stored
from .kinds import BY_PLURAL, Kind
from .refusals import Refused, denied, over_quota, quota_contended

if TYPE_CHECKING:
    from .apiserver import ApiServer

RECOUNT_SECONDS = 300.0  # of the quota controller, whatever happens


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One write that is about to be stored. Change neither `before` nor `after`."""

    user: str
    verb: Literal["create", "update", "delete"]
    kind: Kind
    namespace: str
    name: str
    is_status: bool = False
    before: Json | None = None
    after: Json | None = None

    def denied(self, policy: str, why: str, *, reason: str = "Invalid") -> Refused:
        """The refusal of a policy with this `reason`, Invalid or Forbidden."""
        return denied(self.kind.resource, self.name, policy, why, reason=reason)


Policy = Callable[[Attempt], Refused | None]


class Admission:
    """Asked by the registry before it writes. `policies` and `contends` are for tests."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._quotas: dict[str, dict[Key, None]] = {}  # namespace -> its ResourceQuotas
        self.policies: list[Policy] = []
        self.contends: Callable[[], bool] = lambda: False  # whether a create under a quota loses to another one
        server.etcd.listeners.append(self._stored)

    def admit(self, attempt: Attempt) -> None:
        """Raises Refused. A create that is admitted has used its quotas."""
        for policy in self.policies:
            refused = policy(attempt)
            if refused is not None:
                raise refused
        if attempt.verb == "create" and attempt.namespace in self._quotas:
            self._use(attempt)

    # -- quotas ------------------------------------------------------------------------------------------

    def _use(self, attempt: Attempt) -> None:
        counted = f"count/{attempt.kind.resource}"
        limiting = [quota for quota in self._of(attempt.namespace) if counted in quota.object["status"].get("hard", {})]
        for quota in limiting:
            status, name = quota.object["status"], quota.key.name
            used, hard = int(status["used"][counted]), int(status["hard"][counted])
            if used + 1 > hard:
                raise over_quota(attempt.kind.resource, attempt.name, name, counted, used, hard)
            if self.contends():
                raise quota_contended(name)
        for quota in limiting:
            used = int(quota.object["status"]["used"][counted])
            self._write(quota, {**quota.object["status"]["used"], counted: str(used + 1)})

    def _of(self, namespace: str) -> list[Stored]:
        found = [self._server.etcd.get(key) for key in self._quotas[namespace]]
        return [quota for quota in found if quota is not None]

    def _stored(self, change: Change) -> None:
        key = change.key
        if key.plural != "resourcequotas":
            if change.after is None and key.namespace in self._quotas:
                self._recount_soon(key.namespace)
            return
        if change.after is None:
            self._quotas[key.namespace].pop(key)
            if not self._quotas[key.namespace]:
                del self._quotas[key.namespace]
        elif change.before is None or change.before.object["spec"] != change.after.object["spec"]:
            self._quotas.setdefault(key.namespace, {})[key] = None
            self._recount_soon(key.namespace)
            self._server.later(RECOUNT_SECONDS, self._recount_again, key)

    def _recount_soon(self, namespace: str) -> None:
        self._server.later(self._server.jitter(self._server.lags.quota_seconds), self._recount, namespace)

    def _recount_again(self, key: Key) -> None:
        if key in self._quotas.get(key.namespace, {}):
            self._recount(key.namespace)
            self._server.later(RECOUNT_SECONDS, self._recount_again, key)

    def _recount(self, namespace: str) -> None:
        if namespace not in self._quotas:
            return
        for quota in self._of(namespace):
            self._write(
                quota, {counted: str(self._count(namespace, counted)) for counted in quota.object["spec"]["hard"]}
            )

    def _count(self, namespace: str, counted: str) -> int:
        """Of "count/jobs.batch"; what is not counted here is nought."""
        plural = counted.removeprefix("count/").partition(".")[0]
        if plural not in BY_PLURAL:
            return 0
        return sum(stored.key.namespace == namespace for stored in self._server.etcd.all(plural))

    def _write(self, quota: Stored, used: Json) -> None:
        status = {"hard": quota.object["spec"]["hard"], "used": used}
        if quota.object["status"] != status:
            body = {**quota.object, "metadata": dict(quota.object["metadata"]), "status": status}
            self._server.etcd.put(quota.key, body)
