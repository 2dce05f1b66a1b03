"""The pages that tell people what to type, walked through from top to bottom on a real cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from e2e.apiserver import ApiServer, kubectl, wait_until
from tests.docs_commands.walk import WALKED, Type, Write, missing, walk

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SECONDS = 120.0  # of one line, and of what a page shows until it is shown


@pytest.fixture
def environment(api: ApiServer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of a reader: a namespace of one's own in a kubeconfig, and `kipu` on the PATH."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"kipu.dev/e2e": "true"}}})
    wait_until(lambda: api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"), 30, f"the account of {name}")
    request.node.user_properties.append(("namespace", name))
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--flatten", "--output=yaml"))
    for context in config["contexts"]:
        context["context"]["namespace"] = name
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    yield {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": path, "NO_COLOR": "1", "COLUMNS": "200"}
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", WALKED)
def test_a_page_shows_what_happens(page: str, environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    for step in walk(page, (ROOT / page).read_text()):
        if isinstance(step, Write):
            (folder / step.name).write_text(step.text)
        else:
            type_and_look(step, environment, folder)


def type_and_look(step: Type, environment: dict[str, str], folder: Path) -> None:
    """What only reads is asked again until it shows what the page shows."""
    last = typed(step, environment, folder)

    def look() -> bool:
        nonlocal last
        if fault(step, *last):
            last = typed(step, environment, folder)
        return not fault(step, *last)

    if step.only_reads and fault(step, *last):
        with suppress(AssertionError):  # what is missing is said below
            wait_until(look, SECONDS, "it shows what the page shows", poll_seconds=1.0)
    assert fault(step, *last) == ""


def fault(step: Type, printed: str, ended: str) -> str:
    """What is not as the page has it; else empty."""
    line = missing(step.shown, printed)
    what = ended or (f"'{line}' is not shown" if line else "")
    return f"{step.lines[0]}\n{what}; printed:\n{printed}" if what else ""


def typed(step: Type, environment: dict[str, str], folder: Path) -> tuple[str, str]:
    """What its lines print, stderr too, up to the first that does not end with the exit code that the page promises."""
    printed = ""
    for line in step.lines:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line.text],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        printed += done.stdout
        if done.returncode != line.exit_code:
            return printed, f"'{line.text}' ended with exit code {done.returncode}"
    return printed, ""
