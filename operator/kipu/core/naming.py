"""Names that are the same wherever they are computed.

An attempt's Job has a readable prefix and 64 bits of hash over its identity: two attempts share a name with
probability 2^-64 per pair, and the prefix alone is never trusted.
"""

from __future__ import annotations

import hashlib
import re

JOB_NAME_LENGTH_MAX = 63  # a pod's hostname and the label job-name (RFC 1123 label)
HASH_LENGTH = 16


def attempt_id(*, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """The identity of one attempt as 32 hex digits (128 bits)."""
    return _digest("attempt", workflow_uid, str(run), step, str(attempt))[:32]


def idempotency_key(*, workflow_uid: str, step: str, redone: int = 0) -> str:
    """The same for all attempts of a step, so that its program can recognise its own earlier try. `redone` counts the
    successes that a later run has not kept: what is done again on purpose has a key of its own."""
    again = (str(redone),) if redone else ()
    return _digest("idempotency", workflow_uid, step, *again)[:32]


def job_name(*, workflow: str, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """The name of the one Job of an attempt: a DNS label of at most 63 characters."""
    identity = attempt_id(workflow_uid=workflow_uid, run=run, step=step, attempt=attempt)[:HASH_LENGTH]
    readable = re.sub(r"[^a-z0-9-]+", "-", f"{workflow}-{step}".lower())
    prefix = readable[: JOB_NAME_LENGTH_MAX - HASH_LENGTH - 1].strip("-")
    return f"{prefix or 'kipu'}-{identity}"


def keyed_fraction(limit: int, *parts: str) -> int:
    """A whole number from 0 to `limit` drawn evenly by a keyed hash: jitter that a replay draws again."""
    return int(_digest("jitter", *parts)[:16], 16) % (limit + 1)


def _digest(domain: str, *parts: str) -> str:
    # The length prefix keeps ("a", "bc") and ("ab", "c") apart.
    text = domain + "".join(f"|{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()
