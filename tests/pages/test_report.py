"""The report as its reader has it: sorted, filtered, clicked through to the charts, on a desk and on a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from playwright.sync_api import expect

from tests import goldens
from tests.conftest import CANDLEMILL
from tests.pages.conftest import PHONE, until_nothing_is_covered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.pages.conftest import Visits

CASE = goldens.HERE / "synth_core"
NOW, EARLIER = "2026-01-22T09:07:00+00:00", "2026-01-22T09:01:00+00:00"
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
#: Symbols that would do something, were they a part of the page.
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "<b>&amp;</b><a href='javascript:alert(4)'>go</a>",
    "__proto__",
    "$title ${title} \\u003c",
)


def command(folder: Path, *words: object) -> str:
    done = subprocess.run([str(CANDLEMILL), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of two runs, the second of them some minutes after the first, and reports over them."""
    folder = tmp_path_factory.mktemp("reported")
    for as_of in (EARLIER, NOW):
        command(folder, "run", "--source", golden_url(CASE), "--as-of", as_of, "--symbols", "all", *FILES)
    command(folder, "report", *FILES, "--bars", 30, "--output", "report.html")
    command(folder, "report", *FILES, "--bars", 30, "--output", "zh.html", "--words", "zh")
    return folder


@pytest.fixture
def page(folder: Path, opened: Visits) -> Page:
    return opened(folder / "report.html")


def rows(page: Page) -> Locator:
    return page.locator("main tbody tr")


def column(page: Page, title: str) -> list[str]:
    """The texts of a column, the words of the bar before excepted."""
    heads = page.locator("main thead th").all_inner_texts()
    [place] = [n for n, head in enumerate(heads) if re.sub(r"\s*[▲▼]", "", head).split("\n")[0] == title]
    cells = page.locator(f"main tbody tr > :nth-child({place + 1})").all_inner_texts()
    return [cell.split("\n")[0] for cell in cells]


def signals(folder: Path) -> list[dict[str, Any]]:
    with duckdb.connect(str(folder / "work.duckdb"), read_only=True) as connection:
        found: list[dict[str, Any]] = connection.execute("FROM latest_signals").to_arrow_table().to_pylist()
    return found


def test_every_series_has_a_row_with_its_signals(page: Page, folder: Path, opened: Visits) -> None:
    found = {(row["symbol"], row["interval"]): row for row in signals(folder)}
    assert len(found) > 100
    expect(page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} rows")
    for seen, suffix in ((page, "_en"), (opened(folder / "zh.html"), "")):
        keys = list(zip(column(seen, "Symbol"), column(seen, "Interval"), strict=True))
        assert sorted(keys) == sorted(found)
        for title, name in (("MACD", "macd_signal"), ("SuperTrend", "supertrend_direction"),
                            ("Candlestick and price patterns", "candle_patterns")):  # fmt: skip
            wanted = [found[key][name + suffix] or "–" for key in keys]
            assert [cell.replace(", ", ",") for cell in column(seen, title)] == [
                one.replace(", ", ",") for one in wanted
            ]
        closes = [float(text.replace(",", "")) for text in column(seen, "Close")]
        assert closes == pytest.approx([found[key]["price"] for key in keys], rel=1e-5)
    expect(page.locator("#about")).to_contain_text("as of 2026-01-22 09:07 UTC")


def test_what_changed_is_what_the_command_says(page: Page, folder: Path) -> None:
    told = json.loads(command(folder, "changes", "--sqlite", "result.db", "--json"))
    assert len(told) > 20
    expect(page.locator("#about")).to_contain_text(f"{len(told)} signals changed")
    page.get_by_label("changed at the newest bar").check()
    keys = list(zip(column(page, "Symbol"), column(page, "Interval"), strict=True))
    assert sorted(keys) == sorted({(change["symbol"], change["interval"]) for change in told})
    changes = dict(zip(keys, map(int, column(page, "Changes")), strict=True))
    for key, count in changes.items():
        assert count == sum((change["symbol"], change["interval"]) == key for change in told)


def test_a_column_sorts_both_ways_and_says_so(page: Page) -> None:
    head = page.get_by_role("columnheader", name="Close")
    for order, sign in (("ascending", 1), ("descending", -1)):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", order)
        closes = [sign * float(text.replace(",", "")) for text in column(page, "Close")]
        assert closes == sorted(closes)
    page.get_by_role("columnheader", name="Interval").get_by_role("button").press("Enter")
    found = list(dict.fromkeys(column(page, "Interval")))
    assert found == ["1m", "5m", "15m", "1h", "4h", "1d", "1w"]
    page.get_by_role("columnheader", name="KDJ").get_by_role("button").click()
    words = [word for word in dict.fromkeys(column(page, "KDJ stochastic")) if word != "–"]
    known = ["golden cross", "death cross", "J above 100", "J below 0", "continues"]
    assert words == [word for word in known if word in words]
    # What has no value is last.
    page.get_by_role("columnheader", name="KDJ").get_by_role("button").click()
    assert "–" not in column(page, "KDJ stochastic")[:10]


def test_rows_are_filtered_by_symbol_interval_and_word(page: Page, folder: Path) -> None:
    found = signals(folder)
    page.get_by_role("searchbox").fill("n1")
    expect(page.locator("#count")).to_contain_text(f"{sum('N1' in row['symbol'] for row in found)} of {len(found)}")
    page.locator("[name=interval]").select_option("1h")
    assert column(page, "Symbol") == [
        row["symbol"] for row in found if "N1" in row["symbol"] and row["interval"] == "1h"
    ]
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} rows")
    page.locator("[name=word]").select_option("supertrend.direction=short")
    short = sum(row["supertrend_direction_en"] == "short" for row in found)
    expect(page.locator("#count")).to_have_text(f"{short} of {len(found)} rows")
    assert set(column(page, "SuperTrend")) == {"short"}
    page.get_by_role("searchbox").fill("no such symbol")
    expect(page.get_by_text("No row passes these filters.")).to_be_visible()


def test_the_address_keeps_filters_order_and_columns(page: Page) -> None:
    page.locator("[name=interval]").select_option("4h")
    page.get_by_role("columnheader", name="Close").get_by_role("button").click()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("MACD, signal").uncheck()
    before = column(page, "Symbol")
    page.reload()
    expect(page.get_by_role("columnheader", name="Close")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("columnheader", name="MACD")).to_have_count(0)
    assert column(page, "Symbol") == before
    assert set(column(page, "Interval")) == {"4h"}


def test_a_row_opens_its_chart_and_all_its_words(page: Page, folder: Path) -> None:
    page.locator("[name=interval]").select_option("1h")
    page.get_by_role("button", name="BTCUSDT").press("Enter")
    dialog = page.get_by_role("dialog", name="BTCUSDT 1h")
    expect(dialog).to_be_visible()
    with duckdb.connect(str(folder / "work.duckdb"), read_only=True) as connection:
        query = "SELECT close FROM candles WHERE symbol = 'BTCUSDT' AND interval = '1h' ORDER BY bucket_ts"
        closes = [close for (close,) in connection.execute(query).fetchall()][-30:]
    expect(page.locator("#chart .cartesianlayer")).to_be_visible()
    drawn = page.evaluate("document.getElementById('chart').data.find((trace) => trace.type === 'candlestick').close")
    values = list(drawn.values()) if isinstance(drawn, dict) else drawn
    assert values == pytest.approx(closes, rel=1e-6)
    [row] = [row for row in signals(folder) if (row["symbol"], row["interval"]) == ("BTCUSDT", "1h")]
    words = {tuple(line.inner_text().split("\t")[:3]) for line in page.locator("#words tr").all()}
    assert ("SuperTrend", "direction", row["supertrend_direction_en"]) in words
    assert len(words) > 20
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name=re.compile("DOWNUSDT 1h"))).to_be_visible()
    page.get_by_role("button", name="Previous row").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="BTCUSDT")).to_be_focused()


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Path:
    """A report over a work file with hostile symbols, and more series than a table begins with."""
    file = folder / "hostile.duckdb"
    shutil.copyfile(folder / "work.duckdb", file)
    with duckdb.connect(str(file)) as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_columns() WHERE column_name = 'symbol' AND NOT table_name IN"
            " (SELECT view_name FROM duckdb_views())"
        ).fetchall()
        for (name,) in tables:
            for symbol in HOSTILE:
                connection.execute(
                    f"INSERT INTO {name} SELECT * REPLACE (? AS symbol) FROM {name} WHERE symbol = 'AAAUSDT'", [symbol]
                )
            more = "SELECT * REPLACE ('more ' || symbol AS symbol)"
            connection.execute(f"INSERT INTO {name} {more} FROM {name} WHERE symbol LIKE '%USDT'")
    command(folder, "report", "--sqlite", "none.db", "--duckdb", file, "--bars", 5, "--output", "hostile.html")
    return folder / "hostile.html"


def test_a_hostile_symbol_is_a_text_and_nothing_else(hostile: Path, opened: Visits) -> None:
    page = opened(hostile)
    for symbol in HOSTILE:
        page.get_by_role("searchbox").fill(symbol)
        assert set(column(page, "Symbol")) == {symbol}
        rows(page).first.click()
        expect(page.get_by_role("dialog", name=symbol)).to_be_visible()
        expect(page.locator("#chart .cartesianlayer")).to_be_visible()
        expect(page.locator("dialog").locator("script, img, a[href*=javascript], b")).to_have_count(0)
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
    # The address has the last one, too.
    page.reload()
    assert set(column(page, "Symbol")) == {symbol}


def test_rows_come_as_the_table_is_scrolled(hostile: Path, opened: Visits) -> None:
    page = opened(hostile)
    expect(rows(page)).to_have_count(200)
    total = int(page.locator("#count").inner_text().split()[0].replace(",", ""))
    assert total > 300
    while rows(page).count() < total:
        before = rows(page).count()
        page.locator("#end").scroll_into_view_if_needed()
        expect(rows(page)).not_to_have_count(before)
    expect(page.locator("#about")).to_contain_text("what changed is not known")


def test_it_fits_a_phone(folder: Path, opened: Visits) -> None:
    page = opened(folder / "report.html", screen=PHONE)
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths == [PHONE[0], PHONE[0]]
    button = rows(page).first.get_by_role("button")
    name = button.inner_text()
    button.tap()
    expect(page.get_by_role("dialog", name=name)).to_be_visible()
    chart = page.locator("#chart .main-svg").first
    box = chart.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE[0]
    until_nothing_is_covered(page)
    close = page.get_by_role("dialog").get_by_role("button", name="Close")
    size = close.bounding_box()
    assert size
    assert min(size["width"], size["height"]) >= 34
    close.tap()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_it_follows_the_taste_of_its_reader(folder: Path, opened: Visits) -> None:
    colours = [
        opened(folder / "report.html", dark=dark).evaluate("getComputedStyle(document.body).backgroundColor")
        for dark in (False, True)
    ]
    assert [sum(map(int, re.findall(r"\d+", colour)[:3])) > 380 for colour in colours] == [True, False]
