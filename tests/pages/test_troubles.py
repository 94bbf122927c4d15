"""What the tests of pages notice of each page they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pages.conftest import Visits


@pytest.mark.parametrize(
    ("script", "begins"),
    [
        ("console.error('wrong')", "console: wrong"),
        ("setTimeout(() => { throw new Error('thrown') })", "error: thrown"),
        ("alert('shown')", "dialog: shown"),
        ("new Image().src = 'http://127.0.0.1:9/x.png'", "request: http://127.0.0.1:9/x.png"),
        ("document.title = ''", ""),
    ],
)
def test_no_trouble_of_a_page_goes_unnoticed(script: str, begins: str, opened: Visits, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title>Page</title><script>{script}</script>")
    page = opened(file)
    for _ in range(500 if begins else 0):
        page.wait_for_timeout(20)
        if opened.troubles:
            break
    assert "".join(opened.troubles)[: len(begins)] == begins
    opened.troubles.clear()
