"""Mutants of kipu/shell/local_attempts.py: who may run an attempt."""

from __future__ import annotations

import os
from dataclasses import asdict

from kipu.eventlog.disk import write_draft
from kipu.shell.local_attempts import Attempt, Claim
from tests.zoo.mutants import mutant


@mutant(
    "Attempt.make_claim",
    breaks="I8",
    caught_by="tests/shell/test_local_warden.py::test_both_files_are_there_whole_or_not_at_all",
)
def the_last_claim_wins(self: Attempt, claim: Claim) -> bool:
    """Whoever comes later takes the attempt over, and the program runs twice at once."""
    write_draft(self.folder / f".claim.{os.getpid()}", asdict(claim)).replace(self.folder / "claim")
    return True
