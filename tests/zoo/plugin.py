"""A pytest plugin (`-p tests.zoo.plugin`): puts the mutant named by KIPU_MUTANT to work, and reports how tests failed.

It acts when it is imported, before any test is. Without KIPU_MUTANT it changes nothing. KIPU_MUTANT_REPORT names a
file for the report: one line for each failure, whether it is a violation or only a broken mutant, and the test.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.zoo.mutants import find

# What a replacement raises that no longer fits the code around it. To crash is not to be caught.
BROKEN = (TypeError, AttributeError, NameError, ImportError, SyntaxError)
REPORT = os.environ.get("KIPU_MUTANT_REPORT")

if NAME := os.environ.get("KIPU_MUTANT"):
    find(NAME).apply()


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group of errors, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _report(verdict: str, where: str, why: str) -> None:
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(f"{verdict}\t{where}\t{why.splitlines()[0][:200] if why else ''}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge each failure of a test."""
    report = yield
    if report.failed and call.excinfo is not None:
        error = call.excinfo.value
        broken = any(isinstance(leaf, BROKEN) for leaf in leaves(error))
        _report("broken" if broken else "caught", item.nodeid, f"{type(error).__name__}: {error}")
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be collected has judged nothing."""
    if report.failed:
        _report("broken", report.nodeid, str(report.longrepr))
