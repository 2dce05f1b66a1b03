"""How the fake API server refuses: metav1.Status objects with the reasons and texts of the real one."""

from __future__ import annotations

from .etcd import Json


class Refused(Exception):
    """An HTTP status of 400 or more."""

    def __init__(self, status: int, reason: str, message: str, *, field: str | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message
        self._field = field

    def body(self) -> Json:
        """The metav1.Status."""
        details: Json = {"causes": [{"field": self._field, "message": self.message}]} if self._field else {}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.status,
        }


def not_found(resource: str, name: str) -> Refused:
    return Refused(404, "NotFound", f'{resource} "{name}" not found')


def no_such_path() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource")


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def already_exists(resource: str, name: str, *, leaving: bool) -> Refused:
    prefix = "object is being deleted: " if leaving else ""
    return Refused(409, "AlreadyExists", f'{prefix}{resource} "{name}" already exists')


def stale(resource: str, name: str) -> Refused:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return Refused(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {why}')


def precondition(resource: str, name: str, what: str, given: str, real: str) -> Refused:
    why = f"the {what} in the precondition ({given}) does not match the {what} in record ({real})"
    return Refused(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {why}')


def invalid(kind: str, name: str, field: str, why: str) -> Refused:
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {field}: {why}', field=field)


def patch_failed() -> Refused:
    """A failed `test`, or a path that is not there: the real server tells no more than this."""
    return Refused(422, "Invalid", "the server rejected our request due to an error in our request")


def expired(message: str = "The provided continue parameter is too old") -> Refused:
    return Refused(410, "Expired", message)


def too_large() -> Refused:
    return Refused(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
