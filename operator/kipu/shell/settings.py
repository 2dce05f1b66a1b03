"""What can be set from outside, read once at start from the environment (the chart's values).

Promises: every setting has a bound, and a wrong one is refused with its name before anything is touched.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kipu.api.durations import to_ms
from kipu.api.v1alpha1 import Duration
from kipu.core.errors import Problem, UserError


class AdvanceOn(StrEnum):
    """What ends an attempt: its pod's terminal phase (about 1 s sooner), or its Job's condition."""

    POD = "Pod"
    JOB = "Job"


class LogLevel(StrEnum):
    """How much the operator says."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"


class Settings(BaseModel):
    """The operator's settings; the environment variable of each is KIPU_ and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parallelism: int = Field(default=500, ge=1, le=100_000)  # Jobs at once over all workflows
    advance_on: AdvanceOn = AdvanceOn.POD
    log_level: LogLevel = LogLevel.INFO
    http_port: int = Field(default=8080, ge=0, le=65_535)  # 0: any free port
    status_interval_seconds: float = Field(default=1.0, ge=0.1, le=60.0)
    sweep_interval_seconds: float = Field(default=300.0, ge=1.0, le=3_600.0)
    jobs_kept: int = Field(default=200, ge=0, le=100_000)  # finished Jobs of a run, for people; older ones go early
    ttl_after_finished: Duration | None = None  # of Workflows that do not say themselves; None: for ever
    identity: str = Field(default_factory=socket.gethostname, min_length=1, max_length=253)

    @property
    def ttl_after_finished_ms(self) -> int | None:
        """In milliseconds."""
        return None if self.ttl_after_finished is None else to_ms(self.ttl_after_finished)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the KIPU_ variables. Raises UserError that names each wrong one."""
    given = {
        name: environment[variable]
        for name in Settings.model_fields
        if (variable := f"KIPU_{name.upper()}") in environment
    }
    if "identity" not in given and environment.get("POD_NAME"):
        given["identity"] = environment["POD_NAME"]
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise UserError(
            tuple(Problem(path=f"KIPU_{str(fault['loc'][0]).upper()}", reason=fault["msg"]) for fault in error.errors())
        ) from error
