"""Mutants of kipu/eventlog/codec.py: the record and the chain."""

from __future__ import annotations

import hashlib

from tests.zoo.mutants import mutant


@mutant(
    "link",
    breaks="I2, hash chain over position only",
    caught_by=("tests/eventlog/test_codec.py", "tests/eventlog/test_contract.py"),
)
def the_chain_does_not_see_the_records(previous: bytes, record: bytes) -> bytes:
    """A link of the chain covers how many links there are, and not what they hold."""
    return hashlib.sha256(previous).digest()


@mutant("seed", breaks="I19", caught_by=("tests/eventlog/test_codec.py", "tests/eventlog/test_contract.py"))
def all_workflows_share_a_seed(workflow_uid: str, spec_hash: str) -> bytes:
    """A log's chain does not begin with whose it is."""
    return hashlib.sha256(b"kipu.dev/log/v1").digest()
