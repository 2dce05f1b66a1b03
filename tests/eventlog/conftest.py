"""The contract's asserts explain themselves, though its file is not a test file."""

import pytest

pytest.register_assert_rewrite("tests.eventlog.contract", "tests.eventlog.laws")
