"""The page of `kipu ui`, in a real browser, while things change in a cluster: an API server in process plays it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.browser import Page, kipu_ui
from tests.cli import exports as recorded
from tests.cli.api_server import ApiServer
from tests.cli.histories import STREAM
from tests.core.given import SECOND, Flow

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WORKFLOW = "/apis/kipu.dev/v1alpha1/namespaces/default/workflows/nightly"
WATCHES_MAX = 5
HOUR_MS = 3_600_000


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


def test_where_there_are_no_workflows_that_is_said_until_there_is_one(server: ApiServer, page: Page) -> None:
    page.tab.goto(page.url)
    page.tab.wait_for_selector("#empty-title:text-is('No workflows yet')")
    move(server, recorded.begun(), "ADDED")
    page.tab.wait_for_selector("#empty-title:text-is('Choose a workflow')")


def test_a_workflow_that_no_operator_has_taken_up_is_shown_once_one_has(server: ApiServer, page: Page) -> None:
    server.add_workflow(STREAM, spec=recorded.SPEC)
    tell(server, "ADDED", 1)
    page.tab.goto(page.url)
    page.tab.wait_for_selector("#workflows [role=option]")
    page.tab.goto(f"{page.url}#/default/nightly?view=steps")
    page.tab.wait_for_selector("#empty-text:has-text('no operator has taken it up')")
    page.faults.clear()  # the browser itself tells its console of the status 502
    move(server, recorded.half_done())
    page.tab.wait_for_selector("#workflow:not([hidden])")
    page.calm()
    assert page.counts() == {"Succeeded": 3, "Failed": 1, "Scheduled": 1}
    assert page.tab.get_attribute("#tab-steps", "aria-selected") == "true"


def test_a_workflow_that_is_deleted_while_it_is_shown_stays_and_says_so(server: ApiServer, page: Page) -> None:
    flow = half_done(server, page, "")
    assert page.tab.locator("#notes").is_hidden()
    tell(server, "DELETED", len(flow.log) + 1)
    page.tab.wait_for_selector("#notes:has-text('it was deleted; what is shown was read before')")
    assert page.counts() == {"Succeeded": 3, "Failed": 1, "Scheduled": 1}


def test_time_goes_on_while_a_step_runs_and_stands_still_in_the_past(server: ApiServer, page: Page) -> None:
    flow = recorded.half_done()
    flow.start("bottom", after=SECOND)
    began = flow.log[0][1]
    page.tab.clock.set_fixed_time(datetime.fromtimestamp((began + HOUR_MS) / 1000, UTC))
    move(server, flow, "ADDED")
    page.tab.goto(page.url)
    page.tab.wait_for_selector("#workflows [role=option]")
    page.open("#/default/nightly?view=steps&step=bottom")
    assert page.text("#head-facts").endswith("after 1h")
    page.tab.wait_for_selector("#detail dd:has-text('59m55s')")
    row = page.tab.locator("#steps .rows [role=row]", has_text="bottom")
    assert row.locator("[role=gridcell]").all_inner_texts()[5] == "59m55s"
    page.tab.clock.set_fixed_time(datetime.fromtimestamp((began + 2 * HOUR_MS) / 1000, UTC))
    page.tab.wait_for_selector("#head-facts:has-text('after 2h')")
    page.tab.wait_for_selector("#detail dd:has-text('1h59m')")
    page.press("[")
    assert page.text("#head-facts").endswith("after 4.0s")
