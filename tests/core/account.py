"""What an audit knows of one step."""

from __future__ import annotations

from dataclasses import dataclass

from kipu.core.events import Decision, Resolution


@dataclass
class Account:
    """What the log has said of one step so far."""

    attempts: int = 0
    open: bool = False  # its newest attempt has neither ended nor gone
    resting: bool = False  # it asks, or waits
    due: int | None = None  # when its wait is over
    decision: Decision | None = None
    abandoned: bool = False
    budget: int = 0
    disruptions: int = 0
    retry_at: int | None = None
    said: Resolution | None = None  # of the attempt that nobody knew about
    unknown: bool = False
    end: str = ""
    culprit: str | None = None
    unasked: bool = False  # its own `when` did not hold
    late: int = 0  # the attempt whose late result was recorded
    items: int | None = None  # of a fan-out that has begun
