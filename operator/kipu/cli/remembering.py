"""The ConfigMaps of one log for whoever reads it again and again: what is immutable is read once.

Promises: gives what the API server would give; keeps no more than the last reading has asked for. Must never write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kipu.eventlog.ports import Answer, ConfigMapApi, ObjectName


class Remembering:
    """eventlog.ports.ConfigMapApi over another one; `turn_over` before each reading."""

    def __init__(self, api: ConfigMapApi) -> None:
        self._api = api
        self._old: dict[tuple[str, str], Answer] = {}
        self._new: dict[tuple[str, str], Answer] = {}

    def turn_over(self) -> None:
        """Forget what the reading before has not asked for."""
        self._old, self._new = self._new, {}

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        """See ConfigMapApi."""
        key = namespace, name
        answer = self._new.get(key) or self._old.get(key) or await self._api.get_config_map(namespace, name)
        if answer.body.get("immutable") is True:
            self._new[key] = answer
        return answer

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """Refused by the CLI."""
        return await self._api.create_config_map(namespace, manifest)

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        """Refused by the CLI."""
        return await self._api.patch_config_map(namespace, name, operations)

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        """Refused by the CLI."""
        return await self._api.delete_config_map(namespace, name, uid)

    async def list_config_maps(self, namespace: str, label_selector: str) -> Sequence[ObjectName]:
        """Refused by the CLI."""
        return await self._api.list_config_maps(namespace, label_selector)
