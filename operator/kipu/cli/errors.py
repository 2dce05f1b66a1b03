"""What ends a command early, by its exit code. 0 is success; click itself ends wrong usage with 2.

Messages are whole sentences for the person at the keyboard; they go to stderr, one line.
"""

from __future__ import annotations

from kipu.core.errors import KipuError

CHECK_FAILED = 1  # also: a run that was waited for has not succeeded; what was asked for was not done
CANNOT_TELL = 2
NO_WORKFLOW = 3
TIMED_OUT = 124  # as of timeout(1)
INTERRUPTED = 130  # as of a shell: 128 and the number of SIGINT


class CannotTell(KipuError):
    """Nothing was checked: no cluster, no right, no such workflow, no such file."""


class NoRight(CannotTell):
    """The API server does not let us: who we are, or what we may do."""


class NoWorkflow(CannotTell):
    """There is no Workflow of this name, or not any more."""


class Refused(KipuError):
    """What was asked for was not done: it makes no sense now, or the API server or the operator does not take it."""


class OutOfTime(KipuError):
    """What is waited for has not come within --timeout. It goes on."""
