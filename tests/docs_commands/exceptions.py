"""Commands that pages show and no test judges, each with the reason.

Promises: a line that no page shows any more fails the test that reads this. Must never hold a `kipu` or `make` line.
"""

from __future__ import annotations

# By a part of the line.
NOT_JUDGED: dict[str, str] = {
    "while read -r chunk": "a loop of the shell, over what jq prints: tests/eventlog holds the format that it reads",
    'base64 -d <<< "$chunk"': "the loop's body",
    "done": "the loop's end",
    "next.yaml": "stands for a manifest of the reader's own",
}
