"""Mutants of kipu/shell/elector.py: who leads."""

from __future__ import annotations

from kipu.shell.elector import Elector
from tests.zoo.mutants import mutant

ELECTOR = "tests/shell/test_elector.py"
_lead_until = Elector._lead_until


@mutant("Elector.is_leading", breaks="I8, I18", caught_by=ELECTOR)
def who_was_told_to_lead_leads(self: Elector) -> bool:
    """A leader leads until somebody tells it that its lease is over."""
    return self._is_told


@mutant("Elector._lead_until", breaks="I8, I18", caught_by=ELECTOR)
def a_renewal_counts_from_its_answer(self: Elector, deadline: float) -> None:
    """However late the answer comes, the lease is as long as ever from then on."""
    _lead_until(self, max(deadline, self._loop.time() + self._renew_deadline_seconds))


@mutant("Elector._occupied_seconds", breaks="I8, ordering by time", caught_by=ELECTOR)
def a_lease_is_judged_by_the_times_written_in_it(self: Elector) -> float:
    """Whether a lease has run out is read off another machine's wall clock."""
    renewed = self._seen.spec.renew_time if self._seen is not None else None
    return 0.0 if not renewed else float(self._lease_duration_seconds) - self._clock.now() / 1000 % 60
