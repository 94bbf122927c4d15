"""Pages of candlemill in a headless Chromium, which has to be installed (Debian: apt-get install chromium)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request

#: CSS pixels of a usual phone, and of a small screen of a desk.
PHONE, DESK = (390, 844), (1280, 800)

#: What a reader cannot see, or only over something else: tags, names and keys beyond the chart, and keys over panes or
#: under the buttons.
_COVERED = """() => {
    const chart = document.getElementById("chart");
    const box = (element) => element.getBoundingClientRect();
    const outer = box(chart.querySelector(".main-svg"));
    const { _size: size, ...layout } = chart._fullLayout;
    const over = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
        && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
    const panes = Object.entries(layout).filter(([name]) => name.startsWith("yaxis")).map(([name, axis]) => {
        const [left, top] = [outer.left + size.l, outer.top + axis._offset];
        return [name, { left, right: left + size.w, top, bottom: top + axis._length }];
    });
    const buttons = box(chart.querySelector(".modebar"));
    const inside = ({ left, right }) => left > outer.left - 1 && right < Math.min(outer.right, innerWidth) + 1;
    const found = [];
    for (const note of chart.querySelectorAll("g.annotation")) if (!inside(box(note))) found.push(note.textContent);
    for (const key of chart.querySelectorAll(".infolayer > [class^=legend]")) {
        if (!box(key).height) continue;
        if (!inside(box(key))) found.push(key.textContent);
        for (const [name, pane] of panes) if (over(box(key), pane)) found.push(`${key.textContent} over ${name}`);
        if (over(box(key), buttons)) found.push(`${key.textContent} under the buttons`);
    }
    return found;
}"""


def until_nothing_is_covered(page: Page) -> None:
    """Wait until all that is written in a chart can be read."""
    found = page.evaluate(_COVERED)
    for _ in range(1500):
        if not found:
            return
        page.wait_for_timeout(20)
        found = page.evaluate(_COVERED)
    pytest.fail(f"it stays covered, or beyond the chart: {found}")


class Visits:
    """Opens files as pages, each for a reader of its own.

    Attributes:
        troubles: what no page may do: write to its console, throw an error, ask for anything but its own file, or show
            a dialog of the browser, as a script that got into the data might.
    """

    def __init__(self, browser: Browser) -> None:
        self.troubles: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def __call__(self, file: Path, *, screen: tuple[int, int] = DESK, dark: bool = False) -> Page:
        """The page of a file once it is loaded, on a screen of that size, in the colours that its reader prefers."""
        width, height = screen
        touch = screen == PHONE
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            is_mobile=touch,
            device_scale_factor=2 if touch else 1,
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        own = file.absolute().as_uri()

        def note_request(request: Request) -> None:
            if request.url.partition("#")[0] != own and not request.url.startswith(("data:", "blob:")):
                self.troubles.append(f"request: {request.url}")

        page.on("console", lambda message: self.troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error.message}"))
        page.on("dialog", self._note_dialog)
        page.on("request", note_request)
        page.goto(own)
        return page

    def _note_dialog(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process; without its sandbox, which root and containers do not have."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Visits]:
    """Opens pages, of which none has made any trouble by the end of the test."""
    visits = Visits(browser)
    yield visits
    visits.close()
    assert visits.troubles == []
