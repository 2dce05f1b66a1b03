"""How the fake API server refuses: metav1.Status objects with the reasons and texts of the real one."""

from __future__ import annotations

from .etcd import Json


class Refused(Exception):
    """An HTTP status of 400 or more."""

    def __init__(
        self, status: int, reason: str, message: str, *, details: Json | None = None, token: str | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message
        self.details: Json = details or {}
        self._token = token

    def body(self) -> Json:
        """The metav1.Status."""
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        if self._token is not None:
            status["metadata"]["continue"] = self._token
        reason = {"reason": self.reason} if self.reason else {}
        return status | {"message": self.message, **reason, "details": self.details, "code": self.status}


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
    details = {"name": name, "causes": [{"field": field, "message": why}]}
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {field}: {why}', details=details)


def patch_failed() -> Refused:
    """A failed `test`, or a path that is not there: the real server tells no more than this."""
    return Refused(422, "Invalid", "the server rejected our request due to an error in our request")


def continue_expired(token: str) -> Refused:
    """`token`: the rest of the list as it is now."""
    message = "The provided continue parameter is too old to display a consistent list result."
    return Refused(410, "Expired", message, token=token)


def version_expired() -> Refused:
    return Refused(410, "Expired", "The resourceVersion for the provided list is too old.")


def version_in_the_future(version: int, current: int) -> Refused:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return Refused(504, "Timeout", message, details={"causes": [cause], "retryAfterSeconds": 1})


def bad_list_options(why: str) -> Refused:
    return invalid("ListOptions.meta.k8s.io", "", "resourceVersionMatch", why)


def over_quota(resource: str, name: str, quota: str, counted: str, used: int, hard: int) -> Refused:
    why = f"exceeded quota: {quota}, requested: {counted}=1, used: {counted}={used}, limited: {counted}={hard}"
    message = f'{resource} "{name}" is forbidden: {why}'
    return Refused(403, "Forbidden", message, details={"name": name, "kind": resource.partition(".")[0]})


def quota_contended(quota: str) -> Refused:
    """Two creates at once, and one did not come through in three tries: no name that is taken."""
    return stale("resourcequotas", quota)


def denied(resource: str, name: str, policy: str, why: str, *, reason: str = "Invalid") -> Refused:
    """By a ValidatingAdmissionPolicy: 422 or 403, as the policy says."""
    told = f"ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {why}"
    details = {"name": name, "kind": resource.partition(".")[0], "causes": [{"message": told}]}
    status = {"Invalid": 422, "Forbidden": 403}[reason]
    return Refused(status, reason, f'{resource} "{name}" is forbidden: {told}', details=details)


def too_large() -> Refused:
    return Refused(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")


def too_large_for_etcd(plural: str, name: str) -> Refused:
    """After the first refusal the server tries once more without managedFields: a Job by then has the labels of the
    first try, and it is those that are refused."""
    if plural == "jobs":
        return invalid("Job.batch", name, "spec.selector", "Invalid value: `selector` not auto-generated")
    return Refused(500, "", "etcdserver: request is too large")
