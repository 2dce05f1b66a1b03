"""Selections of tests that several mutants die in, under one name each."""

CRASH_POINTS = "tests/simulation/test_crash_points.py"
CLEAN_RUN = f"{CRASH_POINTS}::test_without_a_fault_the_scenario_ends_right[diamond]"
SPEAKING_RUN = f"{CRASH_POINTS}::test_without_a_fault_the_scenario_ends_right[language]"
COST = "tests/core/test_cost.py::test_ten_times_the_steps_cost_ten_times_the_work"


def crashes(scenario: str, kind: str) -> str:
    """A fault of this kind at every single point of this scenario."""
    return f"{CRASH_POINTS}::test_a_fault_at_every_single_point_ends_as_one_clean_run[{scenario}-{kind}]"
