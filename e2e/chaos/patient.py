"""The API server as the harness asks it: directly, never through the proxy, and through its own deaths.

Promises: a request is repeated while the server is down or overloaded, at most PATIENCE_SECONDS; a create that may
have been carried out before its answer was lost is found. Must never hide a refusal: 4xx is raised at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from urllib3.exceptions import HTTPError

from e2e.apiserver import POLL_SECONDS, ApiError, ApiServer, JsonObject

PATIENCE_SECONDS = 120.0  # a killed API server is back within 15 s on two idle cores


class PatientApi(ApiServer):
    """An ApiServer that outlives the real one."""

    def request(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] = {}) -> bytes:
        """See ApiServer."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().request(method, path, body, headers=headers)
            except ApiError as error:
                if error.status < 500 and error.status != 429:
                    raise
                failure: Exception = error
            except HTTPError as error:
                failure = error
            if time.monotonic() > end:
                raise AssertionError(f"{method} {path}: no answer within {PATIENCE_SECONDS:g} s") from failure
            time.sleep(POLL_SECONDS)

    def ensure(self, path: str, body: JsonObject) -> JsonObject:
        """Create it, or find it created."""
        try:
            return self.create(path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return self.get(f"{path}/{body['metadata']['name']}")

    def remove(self, path: str) -> None:
        """Delete it, or find it gone."""
        try:
            self.delete(path)
        except ApiError as error:
            if error.status != 404:
                raise

    def answers(self) -> bool:
        """Whether the server is ready at this moment."""
        try:
            super().request("GET", "/readyz")
        except (ApiError, HTTPError):
            return False
        return True
