"""Random scenarios under random scripts: 2,000 seeds of `make simulate SEED= N= DEPTH=`, which runs any others."""

from collections.abc import Callable

import pytest

from tests.simulation.main import block, explain

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(600)]

SEEDS, PARTS, DEPTH = 2_000, 8, 4
SEEDS_EACH = SEEDS // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_violates_an_invariant(part: int, record_property: Callable[[str, object], None]) -> None:
    failed = block((part * SEEDS_EACH, SEEDS_EACH, DEPTH))
    record_property("seeds", SEEDS_EACH)
    record_property("violations", len(failed))
    assert not failed, explain(failed[0][0], DEPTH)
