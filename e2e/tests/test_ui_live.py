"""`kipu ui` on a real cluster, as a person starts it: with a kubeconfig that may do what docs/ui.md says, and no more.

What is asked here is what the page asks: its HTTP interface. What the page draws of it is looked at in test_ui.py.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from e2e.apiserver import JsonObject, wait_until
from e2e.namespace import Namespace, step, workflow
from e2e.operator_process import kubeconfig, token_of
from kipu.cli import transcript
from kipu.core.evolve import evolve
from kipu.core.state import State
from tests.cli.local_terminal import hear_all

pytestmark = pytest.mark.cluster

KIPU = str(Path(sys.executable).with_name("kipu"))
SECONDS = 30.0  # of each thing that is waited for
END_SECONDS = 10.0
FOREIGN = {"Host": "evil.example"}
RIGHTS = [  # docs/ui.md, "What it may read"
    {"apiGroups": ["kipu.dev"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["configmaps", "pods/log"], "verbs": ["get"]},
]


class Reply(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Ui:
    """The command while it runs; `root` is the path with the secret."""

    process: subprocess.Popen[str]
    port: int
    root: str

    def ask(self, path: str, **headers: str) -> Reply:
        """Below the secret; a path that begins with / is below the server's root."""
        with self._asked(path, headers) as reply:
            return Reply(reply.status, reply.read())

    def json(self, path: str) -> Any:
        reply = self.ask(path)
        assert reply.status == 200, reply.body
        return reply.json

    @contextmanager
    def changes(self) -> Iterator[Iterator[JsonObject]]:
        """What a page is told from now on, message by message, until the server ends."""
        with self._asked("api/changes", {}) as reply:
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            yield _messages(reply)

    @contextmanager
    def _asked(self, path: str, headers: dict[str, str]) -> Iterator[HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("GET", path if path.startswith("/") else self.root + path, headers=headers)
            with connection.getresponse() as reply:
                yield reply
        finally:
            connection.close()

    def is_heard(self) -> bool:
        """Whether anybody answers at its port."""
        with suppress(OSError):
            return self.ask("/").status > 0
        return False

    def is_alive(self) -> bool:
        """It, or any process that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            return True
        return False

    def interrupt(self) -> int:
        """Ctrl-C, which a terminal sends to all of its processes; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(END_SECONDS)


def _messages(reply: HTTPResponse) -> Iterator[JsonObject]:
    deadline = time.monotonic() + SECONDS
    while line := reply.readline():
        assert time.monotonic() < deadline, "nothing of what is waited for was told"
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@pytest.fixture
def ui(namespace: Namespace, tmp_path: Path) -> Iterator[Ui]:
    """Started by somebody who may read this one namespace, which is that of the kubeconfig's context."""
    file = tmp_path / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(access(namespace)))
    process = subprocess.Popen(
        [KIPU, "ui", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KUBECONFIG": str(file)},
        preexec_fn=hear_all,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()  # it ends with the process, and a test with its own time
        assert printed.startswith("http://127.0.0.1:"), printed + process.stdout.read()
        port, secret, rest = printed.strip().removeprefix("http://127.0.0.1:").split("/")
        assert rest == ""
        yield Ui(process, int(port), f"/{secret}/")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def access(namespace: Namespace) -> JsonObject:
    """A kubeconfig whose user has RIGHTS in this namespace alone."""
    rbac, name = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace.name}", {"metadata": {"name": "reader"}}
    namespace.api.create(f"{rbac}/roles", {**name, "rules": RIGHTS})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace.name}
    namespace.api.create(f"{rbac}/rolebindings", {**name, "roleRef": role, "subjects": [subject]})
    given, token = kubeconfig(), token_of(namespace.api, namespace.name, "default")
    context = {"cluster": given["clusters"][0]["name"], "user": "reader", "namespace": namespace.name}
    own = {"users": [{"name": "reader", "user": {"token": token}}], "contexts": [{"name": "own", "context": context}]}
    return given | own | {"current-context": "own"}


def kipu(namespace: Namespace, *arguments: str) -> bytes:
    """What another command prints, by somebody who may do everything."""
    command = [KIPU, *arguments, "--namespace", namespace.name]
    return subprocess.run(command, capture_output=True, timeout=SECONDS, check=True).stdout


class Shown:
    """One Workflow as a page keeps it: asked anew for what is behind the last position, whenever the list has moved."""

    def __init__(self, ui: Ui, path: str) -> None:
        self._ui, self._path = ui, path
        self.position, self.told, self.facts = 0, dict[str, Any](), list[tuple[int, ...]]()

    def grow(self) -> None:
        new = self._ui.json(f"{self._path}/story?since={self.position}")
        assert new["since"] == self.position
        self.told = new | {key: value for key, value in self.told.items() if key not in new}
        self.facts += zip(*new["facts"], strict=True)
        self.position = new["position"]

    def phases(self, position: int) -> dict[str, str]:
        """Of the steps as of then."""
        steps, words = [each["name"] for each in self.told["definition"]["steps"]], self.told["words"]
        found = dict.fromkeys(steps, "Pending")
        for at, node, word, number in self.facts:
            if at <= position and node >= 0 and word == words["PHASE"]:
                found[steps[node]] = self.told["stepPhases"][number]
        return found


def as_recorded(export: bytes) -> list[dict[str, str]]:
    """The phases of the steps at each position from the second on, at which the Workflow was accepted."""
    state, found = State(), list[dict[str, str]]()
    for record in transcript.verify(io.BytesIO(export)).records:
        state = evolve(state, record.event, ts=record.ts)
        if state.definition is not None:
            names = [step.name for step in state.definition.steps]
            found.append({name: at.phase.value for name, at in zip(names, state.steps, strict=True)})
    return found


def test_a_workflow_is_pushed_while_it_goes_on_and_is_shown_as_of_any_position(namespace: Namespace, ui: Ui) -> None:
    gate = {"name": "gate", "dependsOn": ["first"], "approval": {}}
    shown, heard, pushed = Shown(ui, of(namespace, "watched")), list[JsonObject](), list[JsonObject]()
    with ui.changes() as messages:
        assert next(messages) == {"changed": [], "gone": [], "trouble": "", "whole": True}
        namespace.submit(workflow("watched", [step("first"), gate, step("last", after=["gate"])]))
        for message in messages:
            heard.append(message)
            (told,) = message["changed"]
            pushed.append(told)
            before = shown.position
            if told["position"] > before:  # else an earlier reading of the log was ahead of the list
                shown.grow()
                if shown.phases(shown.position)["gate"] == "Suspended" != shown.phases(before)["gate"]:
                    kipu(namespace, "approve", "watched", "gate")
            if told["phase"] == "Succeeded":
                break
    assert [message for message in heard if message["gone"] or "whole" in message] == []
    assert {told["name"] for told in pushed} == {"watched"}
    assert len({told["position"] for told in pushed}) > 2, "it was told in the middle too"
    assert pushed == sorted(pushed, key=lambda told: told["position"])
    export = kipu(namespace, "export", "watched")
    assert [shown.phases(position) for position in range(2, shown.position + 1)] == as_recorded(export)
    again = Shown(ui, of(namespace, "watched"))
    again.grow()
    assert (again.facts, again.position) == (shown.facts, shown.position)
    rows = ui.json(f"{of(namespace, 'watched')}/events?from=2&to=3")["rows"]
    assert [row[:1] + row[3:4] for row in rows] == [["2", "WorkflowAccepted"], ["3", "StepScheduled"]]


def test_a_step_tells_its_outputs_and_its_log_and_a_failed_one_why(namespace: Namespace, ui: Ui) -> None:
    good = step("good", "echo all is well; echo rows=300 > $KIPU_OUTPUT", outputs=[{"name": "rows"}])
    namespace.submit(workflow("ended", [good, step("bad", "echo no such table; exit 3")], onFailure="Continue"))
    position = namespace.finished("ended")["log"]["position"]
    path = of(namespace, "ended")
    assert wait_until(lambda: ui.json(f"{path}/story")["position"] == position, SECONDS, "the end is told")
    succeeded = ui.json(f"{path}/steps/0")["events"][-1]
    assert (succeeded["kind"], succeeded["outputs"]) == ("StepSucceeded", {"rows": "300"})
    assert "outputs" not in json.dumps(ui.json(f"{path}/steps/0?at=4"))
    attempt = next(event for event in ui.json(f"{path}/steps/1")["events"] if event["kind"] == "AttemptFailed")
    assert (attempt["exit_code"], attempt["reason"]) == (3, "ExitCode")
    logs = [ui.json(f"{path}/steps/{node}/log?attempt=1") for node in (0, 1)]
    assert [log["text"] for log in logs] == ["all is well\n", "no such table\n"]
    namespace.kubectl("delete", "pod", logs[1]["pod"], "--grace-period=0", "--force")
    trouble = ui.json(f"{path}/steps/1/log?attempt=1")["trouble"]
    assert trouble == f"the pod {logs[1]['pod']} is gone, and its log with it"


def test_what_was_deleted_meanwhile_or_never_was_there_is_said_to_be_so(namespace: Namespace, ui: Ui) -> None:
    path = of(namespace, "short")
    with ui.changes() as messages:
        namespace.submit(workflow("short", [step("only", "sleep 300")]))
        assert wait_until(lambda: ui.ask(f"{path}/story").status == 200, SECONDS, "it was taken up")
        namespace.kubectl("delete", "workflow", "short", "--wait=false")
        gone = next(message["gone"] for message in messages if message["gone"])
    assert gone == [[namespace.name, "short"]]
    missing = f"there is no Workflow '{{}}' in namespace '{namespace.name}'"
    for asked in (f"{path}/story?since=1", f"{path}/events?from=1&to=2", f"{path}/steps/0", f"{path}/steps/0/log"):
        reply = ui.ask(asked)
        assert (reply.status, reply.json) == (404, {"error": missing.format("short")})
    reply = ui.ask(f"{of(namespace, 'never')}/story")
    assert (reply.status, reply.json) == (404, {"error": missing.format("never")})


def test_nothing_is_told_without_the_secret_and_ctrl_c_leaves_nothing_behind(namespace: Namespace, ui: Ui) -> None:
    assert ui.json("api/about")["label"].startswith(f"namespace {namespace.name} of https://")
    assert b"<title>Kipu</title>" in ui.ask("").body
    for path in ("/", "/api/about", "/api/changes", f"/{'x' * 43}/api/about", ui.root.rstrip("/")[:-1] + "/api/about"):
        reply = ui.ask(path)
        assert (reply.status, reply.body) == (404, b"the address is not whole: take the one in the terminal\n")
    assert ui.ask("api/about", **FOREIGN).status == 403
    with ui.changes() as messages:
        assert next(messages)["whole"] is True
        assert ui.interrupt() == 0
        assert list(messages) == []
    assert not ui.is_alive()
    assert not ui.is_heard()


def of(namespace: Namespace, name: str) -> str:
    return f"api/workflows/{namespace.name}/{name}"
