"""What can be set from outside, read once at start from the environment (the chart's values).

Promises: every setting has a bound, and a wrong one is refused with its name before anything is touched.
"""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from kipu.api.durations import to_ms
from kipu.api.v1alpha1_base import Duration
from kipu.core.errors import Problem, UserError

EVERYWHERE: tuple[str | None, ...] = (None,)  # the areas of an operator that serves the whole cluster
LEASE_DURATION_SECONDS_MAX = 300
NAMESPACES_MAX = 50  # x six watches, each a connection: 300, where all else takes 64
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LEASE_MARGIN_SECONDS_MIN = 1.0  # between one that stops leading and one that begins: for clocks that run unevenly
FROM_THE_POD = {"identity": "POD_NAME", "lease_holder": "POD_UID", "lease_namespace": "POD_NAMESPACE"}


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

    parallelism: int = Field(default=2_000, ge=1, le=100_000)  # Jobs at once over all workflows
    parallelism_per_namespace: int | None = Field(default=None, ge=1, le=100_000)  # likewise, of each namespace
    # Whose Workflows are served: separated by commas in the environment; none: those of the whole cluster.
    watch_namespaces: tuple[str, ...] = Field(default=(), max_length=NAMESPACES_MAX)
    advance_on: AdvanceOn = AdvanceOn.POD
    log_level: LogLevel = LogLevel.INFO
    http_port: int = Field(default=8080, ge=0, le=65_535)  # 0: any free port
    status_interval_seconds: float = Field(default=1.0, ge=0.1, le=60.0)
    status_writes_per_second: float = Field(default=10.0, ge=0.1, le=1_000.0)  # of all that tell no change of phase
    sweep_interval_seconds: float = Field(default=300.0, ge=1.0, le=3_600.0)
    jobs_kept: int = Field(default=200, ge=0, le=100_000)  # finished Jobs of a run, for people; older ones go early
    ttl_after_finished: Duration | None = None  # of Workflows that do not say themselves; None: for ever
    identity: str = Field(default_factory=socket.gethostname, min_length=1, max_length=253)
    # The Lease: who leads. The pod's uid outlives its container, so that a restart takes its own Lease back at once;
    # outside of a pod no two processes may share a holder, or both would lead.
    lease_namespace: str = Field(default="default", min_length=1, max_length=63)
    lease_name: str = Field(default="kipu", min_length=1, max_length=253)
    lease_holder: str = Field(default_factory=lambda: f"process-{uuid.uuid4()}", min_length=1, max_length=253)
    lease_duration_seconds: int = Field(default=15, ge=3, le=LEASE_DURATION_SECONDS_MAX)
    renew_deadline_seconds: float = Field(default=10.0, ge=1.0, le=LEASE_DURATION_SECONDS_MAX)
    retry_period_seconds: float = Field(default=2.0, ge=0.1, le=LEASE_DURATION_SECONDS_MAX)

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _is_a_list_of_names(cls, value: object) -> object:
        names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        for name in names if isinstance(names, list | tuple) else ():
            if not NAMESPACE.fullmatch(str(name)):
                raise ValueError(f"'{name}' cannot be the name of a namespace")
        return tuple(dict.fromkeys(names)) if isinstance(names, list | tuple) else names

    @field_validator("renew_deadline_seconds")
    @classmethod
    def _ends_before_the_lease(cls, value: float, info: ValidationInfo) -> float:
        limit = info.data.get("lease_duration_seconds", LEASE_DURATION_SECONDS_MAX) - LEASE_MARGIN_SECONDS_MIN
        if value > limit:
            raise ValueError(f"must be at most {limit:g}: {LEASE_MARGIN_SECONDS_MIN:g} s below the lease's duration")
        return value

    @field_validator("retry_period_seconds")
    @classmethod
    def _comes_twice_before_the_deadline(cls, value: float, info: ValidationInfo) -> float:
        limit = info.data.get("renew_deadline_seconds", LEASE_DURATION_SECONDS_MAX) / 2
        if value > limit:
            raise ValueError(f"must be at most {limit:g}: half of the renew deadline")
        return value

    @property
    def areas(self) -> tuple[str | None, ...]:
        """What is listed and watched: each of these namespaces, or (None) the whole cluster."""
        return self.watch_namespaces or EVERYWHERE

    @property
    def ttl_after_finished_ms(self) -> int | None:
        """In milliseconds."""
        return None if self.ttl_after_finished is None else to_ms(self.ttl_after_finished)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the KIPU_ variables, and what the pod says of itself. Raises UserError that names each wrong one."""
    given = {
        name: environment[variable]
        for name in Settings.model_fields
        if (variable := f"KIPU_{name.upper()}") in environment
    }
    for name, variable in FROM_THE_POD.items():
        if name not in given and environment.get(variable):
            given[name] = environment[variable]
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise UserError(
            tuple(Problem(path=f"KIPU_{str(fault['loc'][0]).upper()}", reason=fault["msg"]) for fault in error.errors())
        ) from error
