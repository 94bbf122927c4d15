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
        page.set_default_timeout(15_000)
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
