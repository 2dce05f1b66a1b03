"""A Workflow's progress for a terminal: `python -m e2e.progress NAMESPACE NAME`, a line for each change.

Exit 0 when it has Succeeded, 1 when it ended otherwise or not within PATIENCE_SECONDS. With `--steps` it prints
the steps of the Workflow on stdin as a table instead.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime

from urllib3 import BaseHTTPResponse

from .apiserver import ApiServer, JsonObject, lines, workflows

PATIENCE_SECONDS = 120
MARKS = {"Succeeded": "✓", "Failed": "✗", "Running": "▶", "Scheduled": "·", "Retrying": "↻"}


def main(arguments: list[str]) -> int:
    """Follow one Workflow to its end, or print its steps."""
    if arguments == ["--steps"]:
        sys.stdout.write(steps_table(json.load(sys.stdin)["status"]["steps"]))
        return 0
    namespace, name = arguments
    watch = ApiServer().open_watch(
        workflows(namespace), fieldSelector=f"metadata.name={name}", timeoutSeconds=str(PATIENCE_SECONDS)
    )
    return follow(watch)


def follow(watch: BaseHTTPResponse) -> int:
    """A line for each change until the end."""
    begun, shown = time.monotonic(), ""
    for event in lines(watch):
        status = event["object"].get("status", {})
        text = summary(status)
        if text != shown:
            sys.stdout.write(f"  +{time.monotonic() - begun:5.1f} s  {text}\n")
            sys.stdout.flush()
            shown = text
        if "outcome" in status:
            return int(status["outcome"] != "Succeeded")
    sys.stdout.write(f"  not finished within {PATIENCE_SECONDS} s\n")
    return 1


def summary(status: JsonObject) -> str:
    """One line: the phase, the progress and where each step that has begun stands."""
    steps = "  ".join(f"{MARKS[s['phase']]} {s['name']}" for s in status.get("steps", []) if s["phase"] in MARKS)
    return f"{status.get('phase', 'Pending'):<10} {status.get('progress', ''):>5}  {steps}".rstrip()


def steps_table(steps: list[JsonObject]) -> str:
    """Name, phase, attempts and duration of each step."""
    rows = [("STEP", "PHASE", "ATTEMPTS", "DURATION")]
    rows += [(s["name"], s["phase"], str(s["attempts"]), duration(s)) for s in steps]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "".join(
        "  " + "   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def duration(step: JsonObject) -> str:
    """From the first start to the end; Kubernetes counts in whole seconds."""
    if "startTime" not in step or "finishTime" not in step:
        return "-"
    begin, end = (datetime.fromisoformat(step[key].replace("Z", "+00:00")) for key in ("startTime", "finishTime"))
    return f"{(end - begin).total_seconds():g}s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
