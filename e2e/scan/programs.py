"""The programs that `make scan` looks with, as a person would call them."""

from __future__ import annotations

import subprocess

PROGRAM_SECONDS = 120.0


def run(*command: str, codes: tuple[int, ...] = (0,)) -> str:
    """What it prints. Any other exit code ends the scan with its words."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout
