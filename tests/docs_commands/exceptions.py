"""What pages show and no test judges: commands, each with the reason, and what is no command.

Promises: what no page shows any more fails the test that reads this. Must never hold one of `kipu` or `make`.
"""

from __future__ import annotations

# By the command.
NOT_JUDGED: dict[str, str] = {
    "kubectl apply -f next.yaml": "stands for a manifest of the reader's own",
}

# What indented blocks show that nobody types, by the beginning of its first line.
ONLY_SHOWN: tuple[str, ...] = (
    "observation -> Command",
    "cli -> shell",
    "nightly  Running",
    "step 'report' waits",
    "step 'load' has not started",
    "kipu: step 'load'",
    "build/<hash>",
    '{"attempt":1,',
    '{"chunks":[',
    "${{ steps['shard']",
    ".kipu/diamond/lock",
    "4 bytes",
    "workflow nightly",
    "kipu/<uid of the Workflow>",
)
