"""A walk through a page: what is done, in which order, and what counts as shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_commands import pages
from tests.docs_commands.walk import WALKED, Type, Write, missing, walk

ROOT = Path(__file__).parents[2]
PAGE = """
<!-- not run: a cluster is there already -->

```sh
make cluster-up
```

```yaml
# first.yaml
kind: Workflow
```

```sh
kipu submit first.yaml --watch     # exit code 1
kipu get first
```

```text
first  Failed  1/1 steps  4s  ...
```

```sh
kipu logs first step
```

An end.
"""


def test_a_page_is_walked_in_its_order_without_what_is_not_run() -> None:
    written, submitted, read = walk("page.md", PAGE)
    assert written == Write("first.yaml", "# first.yaml\nkind: Workflow\n")
    assert isinstance(submitted, Type)
    assert [(line.text.split()[1], line.exit_code) for line in submitted.lines] == [("submit", 1), ("get", 0)]
    assert (submitted.shown, submitted.only_reads) == (("first  Failed  1/1 steps  4s  ...",), False)
    assert isinstance(read, Type)
    assert (read.shown, read.only_reads) == ((), True)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("└─ ✔ a   Succeeded  1/1  3s", "└─ ✔ a Succeeded    1/1    1m2s"),
        ("at 2026-11-24T04:05:06.789Z ...", "at 2027-01-01T00:00:00.000Z and more"),
        ("a  Running  ...", "a Running"),
        ("OK: ... events, head ..., phase Failed", f"OK: 7 events, head {'0a' * 32}, phase Failed"),
    ],
)
def test_times_widths_and_hashes_are_not_compared(shown: str, printed: str) -> None:
    assert missing((shown,), f"before\n{printed}\nafter") == ""


@pytest.mark.parametrize("printed", ["", "a Failed 1/1", "b Succeeded 1/1", "x a Succeeded 1/1"])
def test_another_phase_or_name_is_noticed(printed: str) -> None:
    assert missing(("a Succeeded 1/1",), printed) == "a Succeeded 1/1"


def test_lines_are_to_be_shown_in_their_order() -> None:
    assert missing(("a", "b"), "a\nx\nb") == ""
    assert missing(("b", "a"), "a\nx\nb") == "a"


@pytest.mark.parametrize("page", WALKED)
def test_a_page_that_is_walked_says_why_of_each_block_that_is_not_run(page: str) -> None:
    """All commands of these pages are typed by e2e/tests/test_walks.py, but for those with a reason."""
    text = (ROOT / page).read_text()
    not_run = [block for block in pages.blocks(page, text) if block.why_not_run]
    assert all(len(block.why_not_run.split()) >= 4 for block in not_run)
    assert len([step for step in walk(page, text) if isinstance(step, Type)]) >= 2 * len(not_run)
