"""The same life, event for event, in another process with another hash seed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kipu.core.definition import Backoff, Definition, ForEach, OnFailure, Retry, RunWhen, Step
from kipu.core.state import canonical
from tests.core.world import World

pytestmark = pytest.mark.proof

ROOT = Path(__file__).parents[2]
SEEDS = range(12)
THIS = "from tests.core.test_determinism import lives; print(lives())"


def lives() -> str:
    """A digest over every event and the last state of some random lives."""
    digest = hashlib.sha256()
    for seed in SEEDS:
        world = World(random_definition(seed), seed)
        digest.update(canonical(world.run()))
        for event, ts in world.log:
            digest.update(f"{event!r}@{ts}".encode())
    return digest.hexdigest()


def random_definition(seed: int) -> Definition:
    draw = random.Random(seed)
    return Definition(
        steps=tuple(
            Step(
                name=f"s{number}",
                depends_on=tuple(f"s{need}" for need in range(number) if draw.random() < 0.15),
                run_when=draw.choice([RunWhen.ALL_SUCCEEDED, RunWhen.ALL_SUCCEEDED, *RunWhen]),
                allow_failure=draw.random() < 0.3,
                retry=Retry(max_attempts=3, backoff=Backoff(initial_ms=1_000)),
                attempt_timeout_ms=60_000,
                for_each=ForEach(count=4, parallelism=2, max_failures=1) if draw.random() < 0.2 else None,
            )
            for number in range(20)
        ),
        parallelism=4,
        on_failure=draw.choice(list(OnFailure)),
    )


@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295"])
def test_a_life_is_the_same_under_every_hash_seed(hash_seed: str) -> None:
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
    other = subprocess.run(
        [sys.executable, "-c", THIS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == lives()
