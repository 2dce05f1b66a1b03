"""What ends a command early, by its exit code. 0 is success; click itself ends wrong usage with 2.

Messages are whole sentences for the person at the keyboard; they go to stderr, one line.
"""

from __future__ import annotations

from kipu.core.errors import KipuError

CHECK_FAILED = 1
CANNOT_TELL = 2


class CannotTell(KipuError):
    """Nothing was checked: no cluster, no right, no such workflow, no such file."""
