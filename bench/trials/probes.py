"""Whether the operator says that it is alive and ready, asked every second as a kubelet would."""

from __future__ import annotations

import threading
import time

from e2e.operator_process import HTTP_SECONDS, OperatorProcess

PERIOD_SECONDS = 1.0
PATHS = ("livez", "readyz")


class Probes:
    """From `with` to its end."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._operator = operator
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self.slowest_seconds = dict.fromkeys(PATHS, 0.0)
        self.asked = 0
        self.refused: list[str] = []

    def __enter__(self) -> Probes:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(len(PATHS) * HTTP_SECONDS)

    def _ask_on(self) -> None:
        while not self._over.wait(PERIOD_SECONDS):
            for path in PATHS:
                self._ask(path)

    def _ask(self, path: str) -> None:
        begun = time.monotonic()
        try:
            said = self._operator.ask(path).strip()
        except OSError as error:
            said = f"{error}"
        seconds = time.monotonic() - begun
        self.asked += 1
        self.slowest_seconds[path] = max(self.slowest_seconds[path], seconds)
        if said != "ok":
            self.refused.append(f"/{path}: {said}")
