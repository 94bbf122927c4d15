"""The chart of a market as its reader has it: values under the crosshair, zoom, pan, keys, a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.documents.pictures import series_of
from candlemill.pipeline.plotting.arrange import arranged
from candlemill.pipeline.plotting.headline import zone_of
from candlemill.pipeline.plotting.history import tracks
from candlemill.pipeline.plotting.page import page
from tests.pages.conftest import DESK, PHONE, until_nothing_is_covered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: What is in sight: times in milliseconds, as plotly has them as numbers or as text, and prices.
RANGES = """() => {
    const { xaxis, yaxis } = document.getElementById("chart").layout;
    const time = (value) => (typeof value === "number" ? value : Date.parse(`${value.replace(" ", "T")}Z`));
    return [xaxis.range.map(time), yaxis.range];
}"""
BARS = 90
#: Every shape that is drawn.
SHOWN = ("bollinger", "macd", "supertrend", "ichimoku", "vpvr_profile", "candle_patterns", "smart_money_structure")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of the sample market, in the clock of Berlin."""
    series = series_of("BTCUSDT", INTERVALS["1h"], BARS)
    arrangement = arranged(series, tracks(series, [INDICATORS[name] for name in SHOWN]), displaced=True)
    file = tmp_path_factory.mktemp("page") / "chart.html"
    file.write_bytes(page(series, arrangement, zone_of("Europe/Berlin", int(series.times[-1])), None))
    return file


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a price with twelve decimals, with long keys and every kind of strip."""
    series = series_of("PEPEUSDT", INTERVALS["1h"], BARS)
    arrangement = arranged(series, tracks(series, [INDICATORS[name] for name in (*SHOWN, "kdj", "adx")]))
    file = tmp_path_factory.mktemp("page") / "small.html"
    file.write_bytes(page(series, arrangement, zone_of("UTC", int(series.times[-1])), None))
    return file


@pytest.fixture
def drawn(opened: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Opens the page and waits for its chart."""

    def open_page(**reader: Any) -> Any:
        shown = opened(file, **reader)
        shown.wait_for_selector(".nsewdrag")
        until(shown, "() => 'range' in document.getElementById('chart').layout.xaxis")
        return shown

    return open_page


def ranges(shown: Any) -> tuple[list[float], list[float]]:
    """The first and last time, in milliseconds, and the lowest and highest price that are in sight."""
    times, prices = shown.evaluate(RANGES)
    return times, prices


def middle(shown: Any) -> tuple[float, float]:
    """A place among the candles, in pixels."""
    box = shown.locator(".nsewdrag").first.bounding_box()
    return box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"]


def until(shown: Any, function: str, argument: Any = None) -> None:
    """Wait until a function of the page says so. Playwright's own waiting is forbidden by the policy of the page."""
    for _ in range(1500):
        if shown.evaluate(function, argument):
            return
        shown.wait_for_timeout(20)
    pytest.fail(f"it did not come to {function} with {argument}")


def until_changed(shown: Any, before: list[float]) -> None:
    """Wait until the axis of prices has followed that of time."""
    until(shown, "before => String(document.getElementById('chart').layout.yaxis.range) !== String(before)", before)


def test_the_crosshair_shows_the_values_of_its_bar_in_every_pane(drawn: Callable[..., Any]) -> None:
    shown = drawn()
    shown.mouse.move(*middle(shown))
    shown.wait_for_selector(".hoverlayer .legendtext")
    texts = shown.locator(".hoverlayer .legendtext").all_text_contents()
    for start in (
        "BTCUSDT : open: ",
        "bollinger(20, 2) upper ",
        "macd(12, 26, 9) histogram ",
        "volume : ",
        "macd signal: ",
    ):
        assert sum(text.startswith(start) for text in texts) == 1, texts
    assert shown.locator(".spikeline").count() >= 2


def test_the_wheel_zooms_the_hand_pans_and_prices_follow(drawn: Callable[..., Any]) -> None:
    shown = drawn()
    times, prices = ranges(shown)
    shown.mouse.move(*middle(shown))
    shown.mouse.wheel(0, -500)
    until_changed(shown, prices)
    zoomed, near = ranges(shown)
    assert times[0] < zoomed[0] < zoomed[1] < times[1]
    x, y = middle(shown)
    shown.mouse.down()
    shown.mouse.move(x + 250, y, steps=5)
    shown.mouse.up()
    until_changed(shown, near)
    panned, _ = ranges(shown)
    assert panned[0] < zoomed[0]
    assert panned[1] - panned[0] == pytest.approx(zoomed[1] - zoomed[0], rel=1e-6)
    shown.mouse.dblclick(x, y)
    until(shown, f"first => ({RANGES})()[0][0] === first", times[0])


def test_a_key_switches_its_line_off_and_on(drawn: Callable[..., Any]) -> None:
    shown = drawn()
    off = (
        "count => document.getElementById('chart').data.filter((one) => one.visible === 'legendonly').length === count"
    )
    key = shown.locator("g.legend .traces", has_text="bollinger").locator(".legendtoggle")
    for hidden in (1, 0):
        key.first.click()
        until(shown, off, hidden)


def test_what_is_written_can_be_selected_and_a_reader_has_the_colours_they_prefer(drawn: Callable[..., Any]) -> None:
    backgrounds = set()
    for dark in (False, True):
        shown = drawn(dark=dark)
        backgrounds.add(shown.evaluate("document.getElementById('chart').layout.paper_bgcolor"))
        selected = shown.evaluate(
            "() => { getSelection().selectAllChildren(document.body); return `${getSelection()}` }"
        )
        assert "BTCUSDT 1h" in selected
        assert "Europe/Berlin (UTC+01:00)" in selected
        assert "macd signal" in selected
    assert backgrounds == {"#ffffff", "#14181d"}


def test_a_telephone_shows_the_newest_bars_as_wide_as_it_is(drawn: Callable[..., Any]) -> None:
    shown = drawn(screen=PHONE)
    assert shown.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert shown.locator("#chart .main-svg").first.bounding_box()["width"] <= PHONE[0]
    times, _ = ranges(shown)
    assert 60 * 3_600_000 <= times[1] - times[0] < BARS * 3_600_000
    # A finger scrolls the page.
    assert shown.evaluate("document.getElementById('chart').layout.dragmode") is False


@pytest.mark.parametrize("screen", [PHONE, DESK])
def test_every_key_and_the_last_price_have_room_of_their_own(
    opened: Callable[..., Any], small: Path, screen: tuple[int, int]
) -> None:
    shown = opened(small, screen=screen)
    shown.wait_for_selector(".nsewdrag")
    until_nothing_is_covered(shown)
    assert shown.locator("g.annotation", has_text=shown.locator(".close").inner_text()).count() == 1
    assert shown.locator("g.annotation", has_text="kdj signal").count() == 1
    # A telephone that is turned: whatever is drawn on the way, in the end there is room for all.
    width, height = screen
    shown.set_viewport_size({"width": height, "height": width})
    until(shown, "width => document.querySelector('#chart .main-svg').getBoundingClientRect().width <= width", height)
    until_nothing_is_covered(shown)
