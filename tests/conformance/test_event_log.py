"""The event log's contract through the real client: on the fake, and on a real API server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.objects import head_manifest
from kipu.eventlog.ports import Answer, StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_http import HttpTransport
from tests.conformance.world import MERGE_PATCH, PATIENCE_SECONDS, World
from tests.eventlog.contract import EventLogContract, MakeLog, MakeStream


@dataclass(frozen=True, slots=True)
class Unowned:
    """The client, with the owner left out: a Workflow that exists would be run by an operator that serves here.

    Without one the garbage collector would take the log. The world's namespace goes after the test.
    """

    kube: Kube

    async def create_config_map(self, namespace: str, manifest: Mapping[str, Any]) -> Answer:
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
        return await self.kube.create_config_map(namespace, {**manifest, "metadata": metadata})

    @property
    def get_config_map(self) -> Any:
        return self.kube.get_config_map

    @property
    def patch_config_map(self) -> Any:
        return self.kube.patch_config_map

    @property
    def delete_config_map(self) -> Any:
        return self.kube.delete_config_map

    @property
    def list_config_maps(self) -> Any:
        return self.kube.list_config_maps


async def lift_the_guard(world: World) -> None:
    """Where the chart is installed, its policy lets the operator alone write logs. This namespace is the test's own."""
    path, label = f"/api/v1/namespaces/{world.namespace}", {"kipu.dev/log-guard": "off"}
    labelled = await world.call("PATCH", path, {"metadata": {"labels": label}}, MERGE_PATCH)
    assert labelled.status == 200, labelled.body
    probe = head_manifest(StreamId(namespace=world.namespace, name="probe", uid="probe"), {})

    async def is_lifted() -> bool:
        return (await Unowned(world.kube).create_config_map(world.namespace, probe)).status == 201

    async with asyncio.timeout(PATIENCE_SECONDS):
        await world.until(is_lifted)  # the API server's admission sees the label a moment later


class TestConfigMapsThroughTheClient(EventLogContract):
    @pytest.fixture
    async def make_log(self, world: World) -> MakeLog:
        if isinstance(world.transport, HttpTransport):
            await lift_the_guard(world)
        return lambda: ConfigMapLog(Unowned(world.kube))

    @pytest.fixture
    def make_stream(self, world: World) -> MakeStream:
        return lambda: StreamId(namespace=world.namespace, name="nightly", uid=str(uuid.uuid4()))
