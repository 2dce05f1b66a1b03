"""What is kept of a Workflow that was violated, for whoever looks for the cause: one JSON file each.

Must never hold a body of a request: the proxy keeps none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from e2e.apiserver import JsonObject
from e2e.watching import Change

from .judge import Judgement
from .load import Submitted
from .proxy import Entry

FOLDER = Path("build/chaos")


def keep(submitted: Submitted, judgement: Judgement, journal: Sequence[Entry]) -> Path:
    """Write it; the path."""
    evidence = judgement.evidence
    text: JsonObject = {"workflow": f"{submitted.namespace}/{submitted.name}", "faults": dict(judgement.faults)}
    if evidence is not None:
        text |= {"status": evidence.status, "projected": evidence.projected, "records": evidence.log.records}
        text |= {"pods": told(evidence.pods), "jobs": told(evidence.jobs), "workflow": told(evidence.shown)}
    text["writes"] = [written(entry) for entry in journal if concerns(entry, submitted)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{submitted.namespace}-{submitted.name}.json"
    path.write_text(json.dumps(text, indent=1))
    return path


def concerns(entry: Entry, submitted: Submitted) -> bool:
    """Whether this write may have been about the Workflow; a create does not say in its path what it creates."""
    name = entry.call.name
    named = submitted.uid in name or name.startswith(submitted.name)
    return entry.call.namespace == submitted.namespace and (named or not name)


def written(entry: Entry) -> str:
    """One write in a line."""
    call, client = entry.call, entry.client
    what = f"{call.verb} {call.resource} {call.name}".rstrip()
    return f"{entry.at:.3f} {client.address}/{client.life} {what}: {entry.status} {entry.fault}".rstrip()


def told(changes: Iterable[Change]) -> list[JsonObject]:
    """What a witness was told."""
    return [{"kind": change.kind, "at": change.at, "version": change.version, **change.body} for change in changes]
