"""The front as the image runs it, over kopf as it is. In a process of its own, since kopf has a thread."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.kube.serving import serving

PROGRAM = """
import getpass

from kipu.shell.handlers import Front

def nameless():
    raise KeyError("getpwuid(): uid not found: 65532")

getpass.getuser = nameless
front = Front(lambda kind, body: None)
front.start()
assert front._ready.wait(10)
front.stop(10)
assert not front.is_alive
"""


@pytest.mark.proof
def test_the_front_starts_as_a_user_that_has_no_name() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("POD_ID", "KUBECONFIG")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


FRONT = """
import sys

from kipu.shell.handlers import Front

told = []
front = Front(lambda kind, body: told.append(body["metadata"]["name"]), sys.argv[1:])
front.start()
assert sys.stdin.readline()
front.stop(10)
print(*sorted(told))
"""
GROUP = "/apis/kipu.dev/v1alpha1"
VERBS = ["get", "list", "watch"]
DISCOVERY: dict[str, Any] = {
    "/version": {"major": "1", "minor": "37"},
    "/api": {"versions": ["v1"]},
    "/apis": {
        "groups": [
            {
                "name": "kipu.dev",
                "versions": [{"groupVersion": "kipu.dev/v1alpha1", "version": "v1alpha1"}],
                "preferredVersion": {"groupVersion": "kipu.dev/v1alpha1", "version": "v1alpha1"},
            }
        ]
    },
    "/api/v1": {
        "resources": [
            {"name": "namespaces", "singularName": "", "kind": "Namespace", "namespaced": False, "verbs": VERBS}
        ]
    },
    GROUP: {
        "resources": [
            {"name": "workflows", "singularName": "workflow", "kind": "Workflow", "namespaced": True, "verbs": VERBS}
        ]
    },
}


class Listed:
    """Answers as an API server that has one Workflow in each list; what is watched, by its path."""

    def __init__(self, watches: int) -> None:
        self.watched: list[str] = []
        self.is_watched = asyncio.Event()
        self._watches = watches

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        path = request.path.removeprefix(GROUP)
        if "watch" not in request.query:
            metadata = {"name": path, "uid": path, "resourceVersion": "1"}
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": metadata}]})
        self.watched.append(path)
        if len(self.watched) == self._watches:
            self.is_watched.set()
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()  # until it is cut
        return response


@pytest.mark.proof
@pytest.mark.parametrize(
    ("namespaces", "paths"),
    [((), ["/workflows"]), (("here", "there"), ["/namespaces/here/workflows", "/namespaces/there/workflows"])],
    ids=["all", "two"],
)
async def test_the_front_watches_the_namespaces_that_it_is_given_or_all(
    namespaces: tuple[str, ...], paths: list[str], tmp_path: Path
) -> None:
    listed = Listed(len(paths))
    async with serving(listed.answer) as transport:
        environment = os.environ | {"KUBECONFIG": str(access(tmp_path, transport._endpoint.server))}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FRONT, *namespaces, stdin=PIPE, stdout=PIPE, env=environment
        )
        async with asyncio.timeout(60):
            await listed.is_watched.wait()
            told, _ = await process.communicate(b"end\n")
    assert process.returncode == 0
    assert sorted(listed.watched) == paths
    assert told.decode().split() == paths


def access(folder: Path, server: str) -> Path:
    """A kubeconfig for this server."""
    file = folder / "kubeconfig"
    config = {
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
    file.write_text(json.dumps(config))
    return file
