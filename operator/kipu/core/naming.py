"""Names that are the same wherever they are computed.

An attempt's Job has a readable prefix and 64 bits of hash over its identity: two attempts share a name with
probability 2^-64 per pair, and the prefix alone is never trusted.
"""

from __future__ import annotations

import hashlib
import re

JOB_NAME_LENGTH_MAX = 63  # a pod's hostname and the label job-name (RFC 1123 label)
HASH_LENGTH = 16
_ITEM = re.compile(r"([^\[\]]*)\[(0|[1-9][0-9]{0,8})\]")


def attempt_id(*, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """The identity of one attempt as 32 hex digits (128 bits)."""
    return _digest("attempt", workflow_uid, str(run), step, str(attempt))[:32]


def idempotency_key(*, workflow_uid: str, step: str, redone: int = 0) -> str:
    """The same for all attempts of a step, so that its program can recognise its own earlier try. `redone` counts the
    successes that a later run has not kept: what is done again on purpose has a key of its own."""
    again = (str(redone),) if redone else ()
    return _digest("idempotency", workflow_uid, step, *again)[:32]


def item_name(step: str, index: int) -> str:
    """The step that item `index` of a fan-out is. No name in a definition holds a bracket."""
    return f"{step}[{index}]"


def split_item(step: str) -> tuple[str, int] | None:
    """The fan-out and the index, if this is an item's name."""
    found = _ITEM.fullmatch(step)
    return None if found is None else (found[1], int(found[2]))


def step_of(name: str) -> str:
    """The step of the definition that has this name, or of which this is an item."""
    return (split_item(name) or (name,))[0]


def job_name(*, workflow: str, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """The name of the one Job of an attempt: a DNS label of at most 63 characters."""
    identity = attempt_id(workflow_uid=workflow_uid, run=run, step=step, attempt=attempt)[:HASH_LENGTH]
    name, index = split_item(step) or (step, None)
    tail = "" if index is None else f"-{index}"
    readable = re.sub(r"[^a-z0-9-]+", "-", f"{workflow}-{name}".lower())
    prefix = readable[: JOB_NAME_LENGTH_MAX - HASH_LENGTH - 1 - len(tail)].strip("-") + tail
    return f"{prefix or 'kipu'}-{identity}"


def claim_name(*, workflow: str, workflow_uid: str) -> str:
    """The name of the claim that is made for a workflow: a DNS label of at most 63 characters."""
    identity = _digest("claim", workflow_uid)[:HASH_LENGTH]
    return f"{workflow[: JOB_NAME_LENGTH_MAX - HASH_LENGTH - 1].strip('-')}-{identity}"


def keyed_fraction(limit: int, *parts: str) -> int:
    """A whole number from 0 to `limit` drawn evenly by a keyed hash: jitter that a replay draws again."""
    return int(_digest("jitter", *parts)[:16], 16) % (limit + 1)


def _digest(domain: str, *parts: str) -> str:
    # The length prefix keeps ("a", "bc") and ("ab", "c") apart.
    text = domain + "".join(f"|{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()
