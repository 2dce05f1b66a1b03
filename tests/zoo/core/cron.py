"""Mutants of kipu/core/cron.py: what a CronWorkflow starts, cancels and deletes."""

from __future__ import annotations

from dataclasses import replace

from kipu.core.cron import Child, Concurrency, Cron, Facts, Plan, Schedule, Standing, _standing, child_name, plan
from tests.zoo.mutants import mutant

POLICY = "tests/core/test_cron.py"
CRASHES = "tests/shell/test_cron_crashes.py"
_plan, _stand, _name = plan, _standing, child_name


@mutant("plan", breaks="C1", caught_by=(POLICY, CRASHES))
def only_the_status_says_what_was_served(cron: Cron, schedule: Schedule, facts: Facts) -> Plan:
    """A child is no proof that its time was served: after a crash before the status, its time is due again."""
    blind = replace(facts, children=[replace(child, scheduled_at=None) for child in facts.children])
    return _plan(cron, schedule, blind)


@mutant("plan", breaks="C3", caught_by=POLICY)
def the_first_missed_time_is_made_up_for(cron: Cron, schedule: Schedule, facts: Facts) -> Plan:
    """Of several missed times the oldest one is started."""
    found = _plan(cron, schedule, facts)
    if found.start is None:
        return found
    return replace(found, start=schedule.next(max(facts.since, found.last_scheduled or 0)))


@mutant("plan", breaks="C1", caught_by=POLICY)
def a_name_is_free_as_soon_as_its_run_is_over(cron: Cron, schedule: Schedule, facts: Facts) -> Plan:
    """History is cut at once: a create that is carried out late starts the same time again."""
    long_ago = [replace(child, created_at=0) for child in facts.children]
    return _plan(cron, schedule, replace(facts, children=long_ago))


@mutant("_standing", breaks="C2", caught_by=(POLICY, CRASHES))
def forbid_looks_at_nothing(
    cron: Cron, due: int | None, earliest: int, active: tuple[Child, ...]
) -> tuple[Standing, int | None]:
    """Forbid is Allow."""
    return _stand(replace(cron, concurrency=Concurrency.ALLOW), due, earliest, active)


@mutant("child_name", breaks="C1", caught_by=(POLICY, "tests/shell/test_cron.py"))
def a_child_is_named_by_the_hour(cron: str, scheduled_at: int) -> str:
    """Two times may have one name."""
    return f"{cron}-{scheduled_at // 3_600_000}"
