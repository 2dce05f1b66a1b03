"""Workflows with a spec, to export and to salvage: what the cluster holds of them, sound or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from kipu.api.definition import parse, spec_hash
from kipu.cli import transcript
from kipu.core.commands import Accept, Claim
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.memory import MemoryLog
from kipu.eventlog.objects import head_name
from tests.api.specs import spec, step
from tests.cli import histories
from tests.cli.api_server import ApiServer, StoredConfigMaps
from tests.cli.histories import STREAM
from tests.core.given import SECOND, Flow

SPEC = spec(
    step("top", resources={"limits": {"cpu": 0.5}}),
    step("left", dependsOn=["top"]),
    step("right", dependsOn=["top"], allowFailure=True),
    step("report", dependsOn=["right"], runWhen="AllFinished"),
    step("bottom", dependsOn=["left", "report"]),
    shutdown={"mode": "Cancel"},
)
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
HEAD = f"{CONFIG_MAPS}/{head_name(STREAM)}"


def begun(given: Mapping[str, Any] = SPEC) -> Flow:
    """A Workflow of this spec, just accepted."""
    flow = Flow(None)
    flow.tell(Claim(writer="kipu-0"), Accept(spec_hash=spec_hash(given), definition=parse(given)))
    return flow


def half_done() -> Flow:
    """top and left have succeeded, right has failed, which it may, report has succeeded; bottom runs."""
    flow = begun()
    flow.succeed("top", after=SECOND)
    flow.succeed("left", after=SECOND)
    flow.fail("right", after=SECOND)
    flow.succeed("report", after=SECOND)
    return flow


@cache
def wide(steps: int = 60) -> tuple[dict[str, Any], Flow]:
    """So many steps that the definition lies in a blob and the records in chunks; its spec. Shared: read it only."""
    given = spec(*[step(f"shard-{number}", attemptTimeout="1m") for number in range(steps)])
    flow = begun(given)
    for number in range(steps):
        flow.start(f"shard-{number}", after=SECOND)
    for number in range(steps):
        flow.succeed(f"shard-{number}", after=SECOND)
    return given, flow


def recorded(server: ApiServer, flow: Flow, given: Mapping[str, Any] = SPEC, condition: str = "") -> ConfigMapHead:
    """Commit the history through the production log, and let the status have seen its end."""
    head = histories.record(ConfigMapLog(StoredConfigMaps(server)), flow, spec_hash(given))
    assert isinstance(head, ConfigMapHead)
    server.add_workflow(STREAM, {"position": head.position, "hash": head.hash}, spec=given, condition=condition)
    return head


def exported(
    flow: Flow, given: Mapping[str, Any] | None = SPEC, seed: str = "", partial: transcript.Partial | None = None
) -> bytes:
    """The file of a history; without a spec as `kipu history` writes it."""
    seed = seed or spec_hash(given or {})
    log = MemoryLog()
    histories.record(log, flow, seed)
    history = histories.run(log.load(STREAM))
    assert history is not None
    sound = None if given is None else {key: value for key, value in given.items() if key != "shutdown"}
    enclosed = transcript.Enclosed(spec=sound, partial=partial)
    return b"".join(line + b"\n" for line in transcript.write(STREAM, history, seed, enclosed))
