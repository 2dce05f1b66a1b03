"""How the random tests run: the same cases every time, unless KIPU_RANDOM asks for new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

RANDOM = "KIPU_RANDOM" in os.environ
EXAMPLES = int(os.environ.get("KIPU_EXAMPLES", "60"))

LAW = settings(
    derandomize=not RANDOM,
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
FEWER = settings(LAW, max_examples=max(1, EXAMPLES // 4))  # where one example is several runs
