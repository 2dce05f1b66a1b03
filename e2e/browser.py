"""`kipu ui` as a program, and a headless Chromium that looks at its page.

The browser is that of $KIPU_BROWSER, else the one that `e2e/browser.sh` fetches. Promises: whatever the page writes to
its console as an error, and whatever its policy refuses, fails the test that looked at it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.local_terminal import hear_all

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 1440, 900
START_SECONDS = 60.0
LOADS_MAX = 5
CUT_OFF = "ERR_NETWORK_CHANGED"
CALM = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))"


def executable() -> str:
    """Of the browser."""
    if given := os.environ.get("KIPU_BROWSER"):
        return given
    script = str(ROOT / "e2e/browser.sh")
    return subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium of playwright's."""
    from playwright.sync_api import sync_playwright  # late: only `make browser` installs it

    with sync_playwright() as playwright:
        # no sandbox: a container's root has none; the one page that is opened is ours
        chromium = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def kipu_ui(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The command as a person gives it; its address."""
    command = [sys.executable, "-m", "kipu.cli.main", "ui", "--no-browser", *arguments]
    own = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own, preexec_fn=hear_all)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the command has ended before it served"
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=START_SECONDS)
        finally:
            process.kill()  # one that did not end: nothing for one that did
    assert process.returncode == 0, "Ctrl-C is an orderly end"


class Page:
    """One page, in light or in dark."""

    def __init__(self, chromium: Any, url: str, scheme: str = "light", **context: Any) -> None:
        self.url = url
        size = {"width": WIDTH, "height": HEIGHT}
        self._context = chromium.new_context(viewport=size, color_scheme=scheme, **context)
        self.tab = self._context.new_page()
        self.faults: list[str] = []
        self.requests: list[Any] = []
        self.tab.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.faults.append(f"a dialog: {dialog.message}"))
        self.tab.on("request", lambda request: self.requests.append(request))

    def close(self) -> None:
        """With whatever was wrong on it."""
        self._context.close()
        self._was_cut_off()
        assert not self.faults, self.faults

    def open(self, address: str = "") -> None:
        """The page, or a view of it by the fragment that names it; returns when it is drawn."""
        for _ in range(LOADS_MAX):
            self.tab.goto("about:blank")
            self.tab.goto(self.url + address)
            if not self._was_cut_off():
                break
        self.tab.wait_for_selector("#workflow:not([hidden])" if address else "#workflows [role=option]")
        self.calm()

    def _was_cut_off(self) -> bool:
        """Chromium gives up what it loads when an interface of the machine comes or goes: no fault of the page."""
        before, self.faults = self.faults, [fault for fault in self.faults if CUT_OFF not in fault]
        return len(before) > len(self.faults)

    def calm(self) -> None:
        """Until what was asked for is drawn."""
        self.tab.evaluate(CALM)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)
        self.calm()

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def focus(self, selector: str) -> None:
        self.tab.focus(selector)

    def counts(self) -> dict[str, int]:
        """What stands above: steps and items by phase."""
        words = [text.split() for text in self.tab.locator("#legend button").all_inner_texts()]
        return {parts[-1]: int("".join(parts[:-1])) for parts in words}

    def travel(self, position: int) -> None:
        """By the slider."""
        slider = self.tab.locator("#slider")
        slider.evaluate("(slider, to) => { slider.value = to; }", str(position))
        for event in ("input", "change"):
            slider.dispatch_event(event)
        self.calm()

    def shoot(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.tab.screenshot(path=str(file))


def axe(page: Page, source: str) -> Sequence[str]:
    """What the rules of WCAG 2.2, at A and AA, have against the page as it is."""
    page.tab.evaluate(source)
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = page.tab.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
