"""The page of `kipu ui`, in a real browser, over exports that the core has made: what is shown is what was recorded."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.apiserver import wait_until
from e2e.browser import ROOT, Page, axe, kipu_ui
from kipu.cli import transcript
from kipu.core.evolve import evolve
from kipu.core.state import State
from tests.cli.ui import histories

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PICTURES = ROOT / "build/ui"
SMALL, MIDDLING, LARGE = "default/nightly-etl", "analytics/three-hundred", "analytics/ten-thousand"
BROAD = "analytics/five-thousand"  # the shape of it, with 202 steps
RUNS: dict[str, Callable[[], histories.Played]] = {
    SMALL: histories.small,
    MIDDLING: histories.middling,
    LARGE: histories.large,
    BROAD: lambda: histories.broad(width=100),
}
VIEWS = ("graph", "steps", "timeline", "events")
FOCUSED = """(() => {
  const element = document.activeElement, isRinged = getComputedStyle(element).outlineStyle !== "none";
  const isBody = element === document.body;
  return [isBody ? "BODY" : element.id || element.textContent.trim(), isRinged];
})()"""
MOVING = """[...document.querySelectorAll("*")].filter((element) => {
  return !["0s", ""].includes(getComputedStyle(element).transitionDuration);
}).length"""
CHOSEN = "document.querySelector('#graph')._cyreg.cy.$('.selected').renderedBoundingBox({includeOverlays: false})"
ZOOM = "document.querySelector('#graph')._cyreg.cy.zoom()"
AT_THE_EDGE = """(() => {
  const box = document.querySelector("#graph"), { cy } = box._cyreg, { left, top } = box.getBoundingClientRect();
  const last = cy.nodes().max((node) => node.position("x")).ele, { x, y } = last.renderedPosition();
  const width = last.renderedWidth();
  const right = Math.max(width / 2 + 8, 110), below = Math.max(last.renderedHeight() / 2 + 8, 50);
  cy.panBy({ x: box.clientWidth - right - x, y: box.clientHeight - below - y });
  return { x: left + last.renderedPosition().x, y: top + last.renderedPosition().y };
})()"""  # moves the last node to the corner; where it is on the page then
ELEMENTS_MAX = 1_500  # of a page, whatever it shows


@pytest.fixture(scope="module")
def exports() -> dict[str, bytes]:
    return {name: run().play().export() for name, run in RUNS.items()}


@pytest.fixture(scope="module")
def url(exports: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the command that shows them."""
    folder, given = tmp_path_factory.mktemp("exports"), []
    for name, content in exports.items():
        file = folder / f"{name.replace('/', '-')}.jsonl"
        file.write_bytes(content)
        given += ["--file", str(file)]
    with kipu_ui(*given) as address:
        yield address


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Page]:
    opened = Page(chromium, url)
    yield opened
    opened.close()


def counted(export: bytes, position: int) -> dict[str, int]:
    """Steps and items by phase, as the core has them at a position."""
    state = State()
    for record in transcript.verify(io.BytesIO(export)).records[:position]:
        state = evolve(state, record.event, ts=record.ts)
    return dict(Counter(step.phase.value for step in state.steps))


# -- the list ------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_by_name_namespace_and_phase(page: Page) -> None:
    page.open()
    rows = page.tab.locator("#workflows [role=option]")
    assert rows.count() == 4
    page.tab.fill("#filter-text", "TEN-THOUS")
    page.calm()
    assert rows.count() == 1
    page.tab.fill("#filter-text", "")
    page.tab.select_option("#filter-namespace", "analytics")
    page.tab.select_option("#filter-phase", "Failed")
    page.calm()
    assert rows.count() == 2
    assert page.text("#list-count") == "2 of 4 workflows"


def test_a_workflow_is_chosen_with_the_keyboard_alone(page: Page) -> None:
    page.open()
    page.focus("#workflows")
    page.press("ArrowDown", "Home", "Enter")
    page.tab.wait_for_selector("#workflow:not([hidden])")
    assert page.tab.evaluate("document.activeElement.id") == "main-heading"
    assert page.text("#main-heading") in {name.rpartition("/")[2] for name in RUNS}


# -- time travel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "positions"),
    [(SMALL, (1, 2, 33, 60, 101)), (MIDDLING, (300, 100, 584)), (LARGE, (20_000, 7, 6, 15_000, 30_000))],
    ids=["small", "middling", "large"],
)
def test_at_any_position_the_page_shows_what_the_core_came_to(
    page: Page, exports: dict[str, bytes], name: str, positions: tuple[int, ...]
) -> None:
    page.open(f"#/{name}")
    for position in positions:
        page.travel(position)
        assert page.counts() == counted(exports[name], position)


def test_single_events_are_stepped_through_with_keys(page: Page, exports: dict[str, bytes]) -> None:
    page.open(f"#/{SMALL}")
    page.press("[", "[", "[")
    assert page.text("#moment").startswith("98 / 101")
    assert page.counts() == counted(exports[SMALL], 98)
    page.press("]")
    assert page.text("#moment").startswith("99 / 101")
    page.press("\\")
    assert page.tab.get_attribute("#now", "aria-pressed") == "true"


def test_the_address_brings_back_the_view_the_position_and_the_step(page: Page) -> None:
    page.open(f"#/{SMALL}?view=timeline&at=60&step=shard%5B3%5D")
    assert page.tab.get_attribute("#tab-timeline", "aria-selected") == "true"
    assert page.text("#moment").startswith("60 / 101")
    assert page.text("#detail h2") == "shard[3]"


def test_a_click_on_an_event_travels_there(page: Page) -> None:
    page.open(f"#/{SMALL}?view=events")
    page.tab.wait_for_selector("#events :text('WorkflowFinished')")
    page.focus("#events")
    page.press("Home", "PageDown")
    position = int(page.text("#moment").split()[0])
    assert 10 < position < 101
    assert page.tab.locator("#events [aria-selected=true]").inner_text().split()[0] == str(position)


# -- graph, timeline, steps ----------------------------------------------------------------------------------


def test_the_graph_is_walked_with_arrows_and_tells_where_one_is(page: Page) -> None:
    page.open(f"#/{SMALL}")
    page.focus("#graph")
    page.press("ArrowRight")
    assert page.text("#spoken") == "fetch, Succeeded, waits for 0 nodes, 3 nodes after it"
    page.press("ArrowRight", "ArrowRight")
    assert page.text("#spoken").startswith("shard, 12 items, 12 Succeeded")
    page.press("Enter")
    assert page.text("#detail h2") == "shard"
    assert page.tab.evaluate("document.activeElement.closest('#detail') !== null")
    page.press("Escape")
    assert page.tab.evaluate("document.activeElement.id") == "graph"


def in_sight(page: Page) -> bool:
    """Whether the chosen node is whole in its box, and the box beside the panel."""
    node, box = page.tab.evaluate(CHOSEN), page.tab.locator("#graph").bounding_box()
    panel = page.tab.locator("#detail").bounding_box()
    beside = box["x"] + box["width"] <= panel["x"] or box["y"] + box["height"] <= panel["y"]
    is_across, is_along = 0 <= node["x1"] < node["x2"] <= box["width"], 0 <= node["y1"] < node["y2"] <= box["height"]
    return bool(beside and is_across and is_along)


@pytest.mark.parametrize("width", [1440, 1000, 600])
@pytest.mark.parametrize("zooms", [0, 2])
def test_the_node_that_was_chosen_is_never_under_the_panel(page: Page, width: int, zooms: int) -> None:
    page.tab.set_viewport_size({"width": width, "height": 900})
    page.open(f"#/{SMALL}")
    for _ in range(zooms):
        page.tab.click("#graph-in")
    place = page.tab.evaluate(AT_THE_EDGE)
    page.tab.mouse.click(place["x"], place["y"])
    page.tab.wait_for_selector("#detail .attempt")
    page.calm()
    assert in_sight(page)
    page.press("Escape")  # wherever the focus is after a click
    assert page.tab.locator("#detail").is_hidden()


def test_who_has_zoomed_by_the_wheel_stays_there_when_the_panel_opens(page: Page) -> None:
    page.open(f"#/{SMALL}")
    place, before = page.tab.evaluate(AT_THE_EDGE), page.tab.evaluate(ZOOM)
    page.tab.mouse.move(place["x"], place["y"])
    page.tab.mouse.wheel(0, -200)
    wait_until(lambda: page.tab.evaluate(ZOOM) > before, 10, "the wheel zooms")
    zoom, place = page.tab.evaluate(ZOOM), page.tab.evaluate(AT_THE_EDGE)
    page.tab.mouse.click(place["x"], place["y"])
    page.tab.wait_for_selector("#detail .attempt")
    page.calm()
    assert page.tab.evaluate(ZOOM) == zoom
    assert in_sight(page)


def test_the_timeline_is_walked_with_arrows_and_unfolds_a_fan_out(page: Page) -> None:
    page.open(f"#/{SMALL}?view=timeline")
    page.focus("#gantt")
    page.press("Home")
    spoken = page.text("#spoken")
    assert spoken.startswith("fetch: Succeeded")
    assert [word for word in ("waited", "queued", "ran", "ExitCode", "Succeeded") if word not in spoken] == []
    page.press(*["ArrowDown"] * 4, "ArrowRight", "ArrowDown")
    assert page.text("#spoken").startswith("shard[0]: Succeeded")


def test_a_fan_out_is_one_node_that_lists_its_items(page: Page) -> None:
    page.open(f"#/{LARGE}")
    page.focus("#graph")
    page.press("ArrowRight", "ArrowRight")
    assert page.text("#spoken").startswith("shard, 10 000 items")
    page.press("Enter")
    assert page.tab.get_attribute("#detail [role=grid]", "aria-rowcount") == "10000"
    assert page.tab.locator("#detail .members [role=row]").first.inner_text().split()[-1] == "Failed"


def test_alike_steps_are_one_node_and_can_be_drawn_one_by_one(page: Page) -> None:
    page.open(f"#/{BROAD}")
    page.focus("#graph")
    page.press("ArrowRight", "ArrowRight")
    assert page.text("#spoken").startswith("extract-…, 100 steps")
    page.press("ArrowRight")
    assert page.text("#spoken").startswith("load-…, 100 steps")
    page.tab.uncheck("#graph-group")
    page.focus("#graph")
    page.press("ArrowLeft")
    assert page.text("#spoken") == "extract-0000, Succeeded, waits for 1 node, 1 node after it"


def test_a_workflow_that_is_chosen_while_another_is_read_is_the_one_that_is_shown(page: Page) -> None:
    page.open()
    page.tab.evaluate(f"() => {{ location.hash = '/{LARGE}'; setTimeout(() => (location.hash = '/{SMALL}'), 0); }}")
    page.tab.wait_for_selector("#main-heading:text-is('nightly-etl')")
    page.calm()
    assert page.text("#main-heading") == "nightly-etl"


def test_the_table_has_every_step_and_item_with_its_times(page: Page) -> None:
    page.open(f"#/{SMALL}?view=steps")
    assert page.tab.get_attribute("#steps", "aria-rowcount") == "23"  # 10 steps, 12 items, the head
    page.tab.fill("#steps-text", "shard[")
    page.calm()
    assert page.text("#steps-count") == "12 rows"
    cells = page.tab.locator("#steps .rows [role=row]").first.locator("[role=gridcell]").all_inner_texts()
    assert cells[:3] == ["shard[0]", "Succeeded", "1"]
    assert all(cell.endswith("s") for cell in cells[3:6])


def test_a_count_opens_the_table_of_that_phase(page: Page, exports: dict[str, bytes]) -> None:
    page.open(f"#/{LARGE}")
    page.tab.locator("#legend button", has_text="Failed").click()
    page.calm()
    failed = counted(exports[LARGE], 10**9)["Failed"]
    assert page.text("#steps-count") == f"{failed} rows"


# -- a step --------------------------------------------------------------------------------------------------


def test_a_step_tells_its_message_outputs_and_attempts(page: Page) -> None:
    page.open(f"#/{SMALL}?step=fetch")
    page.tab.wait_for_selector("#detail .attempt")
    told = page.text("#detail")
    expected = ["connection to db-3.internal:5432 was refused", "all rows are there", "attempt 1", "ExitCode", "Pod"]
    assert [word for word in expected if word not in told] == []
    page.tab.locator("#detail .attempt button", has_text="Log").first.click()
    page.tab.wait_for_selector("#detail pre:has-text('a file holds no logs')")


def test_what_a_program_says_is_never_markup(chromium: Any, tmp_path: Path) -> None:
    run = histories.hostile().play()
    file = tmp_path / "hostile.jsonl"
    file.write_bytes(run.export())
    with kipu_ui("--file", str(file)) as address:
        page = Page(chromium, address)
        for view in VIEWS:
            page.open(f"#/default/hostile?view={view}&step=a")
            page.tab.wait_for_selector("#detail .message")
            assert "<img src=x onerror=alert(1)>" in page.text("#detail .message")
        assert page.tab.locator("img[src=x]").count() == 0
        page.close()


# -- large ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_ten_thousand_items_are_few_elements(page: Page, view: str) -> None:
    page.open(f"#/{LARGE}?view={view}&step=shard")
    page.travel(15_000)
    assert page.tab.evaluate("document.querySelectorAll('*').length") < ELEMENTS_MAX


# -- for everybody -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(chromium: Any, url: str, scheme: str) -> None:
    source = (ROOT / "tests/cli/ui/vendor/axe.js").read_text()
    page, broken = Page(chromium, url, scheme), dict[str, Any]()
    for address in ["", *(f"#/{SMALL}?view={view}&at=60&step=fetch" for view in VIEWS), f"#/{MIDDLING}"]:
        page.open(address)
        if found := axe(page, source):
            broken[address] = found
    page.close()
    assert broken == {}


def test_the_focus_goes_through_everything_in_order_and_is_always_seen(page: Page) -> None:
    page.open(f"#/{SMALL}")
    page.tab.evaluate("document.activeElement.blur()")
    seen: list[str] = []
    for _ in range(40):
        page.tab.keyboard.press("Tab")
        told = page.tab.evaluate(FOCUSED)
        if told[0] in ("BODY", *seen[:1]):
            break
        assert told[1], f"{told[0]} has the focus and does not show it"
        seen.append(told[0])
    order = ["filter-text", "workflows", "tab-graph", "graph", "slider", "now"]
    assert [each for each in seen if each in order] == order


def test_who_wants_less_motion_gets_none(chromium: Any, url: str) -> None:
    page = Page(chromium, url, reduced_motion="reduce")
    page.open(f"#/{SMALL}")
    assert page.tab.evaluate(MOVING) == 0
    page.close()


def test_the_address_with_its_secret_is_told_to_nobody(page: Page, url: str) -> None:
    page.open(f"#/{SMALL}")
    page.open(f"#/{LARGE}?view=timeline")
    asked = [request for request in page.requests if not request.url.startswith(("about:", "data:"))]
    assert len(asked) > 20
    assert [request.url for request in asked if not request.url.startswith(url)] == []
    assert [request.url for request in asked if request.headers.get("referer")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_left_to_look_at(chromium: Any, url: str, scheme: str) -> None:
    page = Page(chromium, url, scheme)
    for name in (SMALL, MIDDLING, LARGE):
        for view in VIEWS:
            page.open(f"#/{name}?view={view}{'&at=60' if name == SMALL else ''}")
            page.shoot(PICTURES / f"{name.rpartition('/')[2]}-{view}-{scheme}.png")
    page.open(f"#/{SMALL}?step=fetch")
    page.tab.wait_for_selector("#detail .attempt")
    page.shoot(PICTURES / f"step-{scheme}.png")
    page.close()
    assert len(list(PICTURES.glob(f"*-{scheme}.png"))) >= 3 * len(VIEWS) + 1
