"""The Workflows that CronWorkflows own, as far as this replica knows: by a list at each takeover, by the watch, and by
the answers to its own writes.

Promises: what a write of this replica has made is known from its answer on; an older version never takes the place of
a newer one. After a complete list nothing that another leader has made is missing, but for what was still on its way,
which finds its name taken or takes it. That a Workflow has ended, or is gone, may be known late: until then it counts.
Bounded: one view without its steps for each.
"""

from __future__ import annotations

from collections.abc import Iterable

from kipu.api.v1alpha1_cron import CRON_KIND

from .kube_owned import RunView
from .watch import is_behind


class Runs:
    """By the uid of the CronWorkflow that controls them."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[str, RunView]] = {}

    def of(self, owner_uid: str) -> Iterable[RunView]:
        """Those of one CronWorkflow."""
        return self._by_owner.get(owner_uid, {}).values()

    def seen(self, run: RunView) -> RunView | None:
        """It was listed, watched or written. What was known of it before."""
        if (owner := owner_of(run)) is None:
            return None
        known = self._by_owner.setdefault(owner, {})
        before = known.get(run.metadata.uid)
        if before is None or not is_behind(run.metadata.resource_version, before.metadata.resource_version):
            known[run.metadata.uid] = run
        return before

    def gone(self, run: RunView) -> None:
        """It was deleted."""
        if (owner := owner_of(run)) is None:
            return
        known = self._by_owner.get(owner, {})
        known.pop(run.metadata.uid, None)
        if not known:
            self._by_owner.pop(owner, None)


def owner_of(run: RunView) -> str | None:
    """The uid of the CronWorkflow that controls it."""
    owners = (owner.uid for owner in run.metadata.owner_references if owner.controller and owner.kind == CRON_KIND)
    return next(owners, None)
