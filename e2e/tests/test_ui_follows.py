"""The page of `kipu ui`, in a real browser, while things change in a cluster: an API server in process plays it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.browser import Page, kipu_ui
from tests.cli import exports as recorded
from tests.cli.api_server import ApiServer
from tests.core.given import SECOND, Flow

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WORKFLOW = "/apis/kipu.dev/v1alpha1/namespaces/default/workflows/nightly"
WATCHES_MAX = 5


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer.listening() as listening:
        yield listening
        for _ in range(WATCHES_MAX):
            listening.changes.put(None)


@pytest.fixture
def page(server: ApiServer, chromium: Any, tmp_path: Path) -> Iterator[Page]:
    """Of the command over that server; a test fills the server before it opens the page."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(server.kubeconfig())
    with kipu_ui(environment={"KUBECONFIG": str(kubeconfig)}) as address:
        opened = Page(chromium, address)
        yield opened
        opened.close()


def move(server: ApiServer, flow: Flow, kind: str = "MODIFIED") -> None:
    """The log is that of this flow, and the watch says so."""
    for path in [path for path in server.objects if "/configmaps/" in path]:
        del server.objects[path]
    recorded.recorded(server, flow)
    tell(server, kind, len(flow.log))


def tell(server: ApiServer, kind: str, version: int) -> None:
    server.objects[WORKFLOW]["metadata"]["resourceVersion"] = str(version)
    server.changes.put({"type": kind, "object": server.objects[WORKFLOW]})


def half_done(server: ApiServer, page: Page, address: str) -> Flow:
    """Open the page of a Workflow that is half done."""
    flow = recorded.half_done()
    move(server, flow, "ADDED")
    page.tab.goto(page.url)
    page.tab.wait_for_selector("#workflows [role=option]")
    page.open(f"#/default/nightly{address}")
    return flow


def test_the_page_follows_a_log_that_moves_and_shows_the_log_of_a_pod(server: ApiServer, page: Page) -> None:
    flow = half_done(server, page, "?step=bottom")
    assert page.counts() == {"Succeeded": 3, "Failed": 1, "Scheduled": 1}
    flow.start("bottom", after=SECOND)
    server.texts["/api/v1/namespaces/default/pods/pod/log"] = "<b>on my way</b>\n"
    move(server, flow)
    page.tab.wait_for_selector("#legend :text('Running')")
    page.tab.locator("#detail button", has_text="Log").click()
    page.tab.wait_for_selector("#detail pre:has-text('<b>on my way</b>')")
    flow.succeed("bottom", after=SECOND)
    server.texts["/api/v1/namespaces/default/pods/pod/log"] = "arrived\n"
    move(server, flow)
    page.tab.wait_for_selector("#phase:has-text('Succeeded')")
    assert page.counts() == {"Succeeded": 4, "Failed": 1}
    page.tab.wait_for_selector("#detail pre:has-text('arrived')")  # who reads a log is not shown the door
