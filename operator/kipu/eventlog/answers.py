"""What an answer of the API server proves about a write, and what it does not (docs/event-log.md has the table).

Promises: an answer counts as a refusal only if it proves that this very request changed nothing and that
sending it again would not either. Must never guess from a message but for "too large", which etcd and the API
server tell only in words.
"""

from __future__ import annotations

from collections.abc import Mapping

from kipu.core.errors import TransientError

from .ports import Answer

NO_ANSWER = 0  # in place of an HTTP status: timeout or reset
_UNCLEAR = frozenset({408, 409, 429})  # a conflict may be our own earlier try
_TOO_LARGE_WORDS = ("request is too large", "Too long", "Request entity too large")


def no_answer(error: Exception) -> Answer:
    """In place of an answer that did not come."""
    return Answer(status=NO_ANSWER, reason="Unanswered", message=str(error), body={})


def is_done(answer: Answer) -> bool:
    """The request was carried out."""
    return 200 <= answer.status < 300


def is_refusal(answer: Answer) -> bool:
    """The request was not carried out, and the same request will not be unless something else changes."""
    return 400 <= answer.status < 500 and answer.status not in _UNCLEAR


def is_taken(answer: Answer) -> bool:
    """The name of a create is in use. A quota under contention answers 409 too, with reason Conflict."""
    return answer.status == 409 and answer.reason == "AlreadyExists"


def is_too_large(answer: Answer) -> bool:
    """For good: etcd says so with status 500, ConfigMap validation with 422, the API server with 413."""
    return answer.status == 413 or (
        answer.status in (422, 500) and any(words in answer.message for words in _TOO_LARGE_WORDS)
    )


def words(answer: Answer) -> str:
    """For people."""
    return f"{answer.status or 'no status'} {answer.reason}: {answer.message}"


def identity(body: Mapping[str, object]) -> tuple[str, str]:
    """The uid and resourceVersion of an object. Raises TransientError if the answer holds no object."""
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping):
        uid, resource_version = metadata.get("uid"), metadata.get("resourceVersion")
        if isinstance(uid, str) and isinstance(resource_version, str):
            return uid, resource_version
    raise TransientError("the API server's answer holds no object")
