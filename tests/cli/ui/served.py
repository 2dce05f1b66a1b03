"""The server of `kipu ui` as a browser meets it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
import yarl
from aiohttp import web

from kipu.cli.ui.guard import Guard
from kipu.cli.ui.source import Source

WORKFLOW = "api/workflows/default/nightly-etl"


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    client: aiohttp.ClientSession
    guard: Guard
    source: Source
    runner: web.AppRunner

    async def ask(self, path: str, *, method: str = "GET", **headers: str) -> Reply:
        """Below the secret; a path that begins with / is below the server's root."""
        root = f"http://127.0.0.1:{self.guard.port}"
        url = root + path if path.startswith("/") else self.guard.url + path
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(
            method, yarl.URL(url, encoded=True), headers=sent, allow_redirects=False
        ) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.read())

    async def json(self, path: str) -> Any:
        reply = await self.ask(path)
        assert reply.status == 200, reply.body
        return reply.json


async def messages(reply: aiohttp.ClientResponse, count: int) -> list[Any]:
    """The next so many server-sent events."""
    found: list[Any] = []
    while len(found) < count:
        line = await reply.content.readline()
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            found.append(json.loads(line.removeprefix(b"data: ")))
    return found
