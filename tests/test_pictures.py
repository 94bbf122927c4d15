"""What a picture of a market consists of, by the roles of columns: the arrangement, its colours, and the page."""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from candlemill.indicators import roles
from candlemill.indicators.contract import Indicator, number, price, text
from candlemill.indicators.registry import INDICATORS
from candlemill.indicators.roles import (
    CLOUD,
    CLOUD_BASE,
    CONTROL,
    LEVEL,
    LOWER,
    MARKS,
    STEP,
    UPPER,
    flips,
    guided,
    tone,
)
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.intervals import INTERVALS, microseconds
from candlemill.pipeline.documents.pictures import series_of
from candlemill.pipeline.plotting.arrange import arranged, asked_columns
from candlemill.pipeline.plotting.headline import IN_UTC, headline, zone_of
from candlemill.pipeline.plotting.history import Series, Track
from candlemill.pipeline.plotting.interactive import COLOURS, figure, script
from candlemill.pipeline.plotting.numbers import short
from candlemill.pipeline.plotting.page import page
from candlemill.pipeline.plotting.palette import PALETTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from candlemill.indicators.contract import Column
    from candlemill.pipeline.plotting.arrange import Arrangement

PLOTTING = Path(__file__).parent.parent / "pipeline" / "plotting"
BARS = 40
SIDES = {"多": "long", "空": "short", "无": "none", "震荡": "sideways"}


@pytest.fixture(scope="module")
def series() -> Series:
    return series_of("BTCUSDT", INTERVALS["1h"], BARS)


def declared(*columns: Column, name: str = "mine", **other: Any) -> Indicator:
    return Indicator(
        id=name, title=name, family="trend", inputs=("close",), columns=columns, formula="a test's", **other
    )


def tracks_of(indicator: Indicator, *values: Iterable[Any]) -> list[Track]:
    return [
        Track(indicator, column, np.array(list(own), dtype=object if column.unit == "category" else float))
        for column, own in zip(indicator.columns, values, strict=True)
    ]


def around(series: Series, share: Any) -> Any:
    return series.field("close") * share


def words_of(arrangement: Arrangement) -> dict[str, list[tuple[str, str]]]:
    return {strip.name: [(word.text, word.tone) for word in strip.words] for strip in arrangement.strips}


# -- roles


def test_drawing_knows_no_indicator() -> None:
    names = re.compile(rf"\b({'|'.join(INDICATORS)})\b")
    for file in PLOTTING.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documents = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            said = node.value if isinstance(node, ast.Constant) and id(node) not in documents else None
            assert not (isinstance(said, str) and names.search(said)), f"{file.name}: {said}"
    assert not names.search((PLOTTING / "chart.js").read_text(encoding="utf-8"))


def test_every_word_with_a_meaning_is_one_that_an_indicator_has() -> None:
    words = {word for one in INDICATORS.values() for column in one.columns for word in column.words.values()}
    assert set(roles._TONES) <= words
    assert len(roles._TONES) == len(roles._LONG) + len(roles._SHORT) + len(roles._NOTHING)
    for long, short_ in (("buy", "sell"), ("up", "down"), ("golden cross", "death cross"), ("oversold", "overbought")):
        assert (tone(long), tone(short_)) == ("long", "short")
    assert (tone("wait"), tone("none"), tone("a word of nobody")) == ("neutral", "nothing", "neutral")


def test_a_side_that_is_no_text_of_the_indicator_is_refused() -> None:
    with pytest.raises(ValueError, match="the side of a line that flips is a text column"):
        declared(price("stop", "a stop", role=flips("side")), number("side", "no text", unit="state"))


def test_the_fullest_price_of_no_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="a column of a profile needs by_price"):
        declared(price("fullest", "a price", role=CONTROL))


# -- colours


def _seen(colour: str, matrix: Sequence[Sequence[float]]) -> Any:
    """A colour in CIE Lab as somebody sees it whose sight a matrix over linear RGB stands for."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


#: Machado, Oliveira and Fernandes (2009), at full severity; and nothing changed.
SIGHTS = {
    "all": np.eye(3).tolist(),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_long_and_short_and_lines_are_told_apart_by_everybody(theme: str, sight: str) -> None:
    palette, matrix = PALETTES[theme], SIGHTS[sight]
    long, short_, neutral = (_seen(colour, matrix) for colour in (palette.long, palette.short, palette.neutral))
    assert np.linalg.norm(long - short_) > 20
    assert min(np.linalg.norm(long - neutral), np.linalg.norm(short_ - neutral)) > 10
    if sight == "all":
        lines = [_seen(colour, matrix) for colour in palette.lines]
        assert min(np.linalg.norm(one - other) for one, other in combinations(lines, 2)) > 20
        assert min(np.linalg.norm(one - meant) for one in lines for meant in (long, short_)) > 20


def test_a_figure_names_colours_that_every_theme_has(series: Series) -> None:
    mine = declared(
        *(price(f"p{place}", "a price") for place in range(8)),
        text("said", "words", {str(place): f"word {place}" for place in range(9)}),
    )
    values = [around(series, 1.01 + place / 100) for place in range(8)]
    drawn = figure(series, arranged(series, tracks_of(mine, *values, [str(place % 9) for place in range(BARS)])))
    named = set(re.findall(r'"\$(\w+)"', json.dumps(drawn)))
    assert {"long", "short", "line0", "line7", "neutral3"} <= named
    for colours in COLOURS.values():
        assert named <= set(colours)


# -- the arrangement


def test_words_have_their_colour_whatever_comes_first(series: Series) -> None:
    mine = declared(text("side", "which side", SIDES))
    long_first, short_first = ["多", "空", "震荡", "无"] * 10, ["空", "震荡", "无", "多"] * 10
    wanted = {"mine side": [("long", "long"), ("short", "short"), ("none", "nothing"), ("sideways", "neutral")]}
    for said in (long_first, short_first):
        found = arranged(series, tracks_of(mine, said))
        assert words_of(found) == wanted
        [strip] = found.strips
        rebuilt = np.full(BARS, "", object)
        for word, begin, end in strip.runs():
            rebuilt[begin:end] = word.text
        assert rebuilt.tolist() == [SIDES[one] for one in said]
    assert [word for word, _ in words_of(arranged(series, tracks_of(mine, said), words="zh"))["mine side"]] == [*SIDES]


def test_a_bar_without_a_word_has_none(series: Series) -> None:
    mine = declared(text("side", "which side", SIDES))
    [strip] = arranged(series, tracks_of(mine, [None] * 39 + ["多"])).strips
    assert [(word.text, begin, end) for word, begin, end in strip.runs()] == [("long", 39, 40)]


def test_a_line_that_flips_changes_its_colour_and_breaks(series: Series) -> None:
    mine = declared(price("stop", "a stop", role=flips("side")), text("side", "which side", SIDES))
    stops = around(series, 0.99)
    found = arranged(series, tracks_of(mine, stops, ["多"] * 30 + ["空"] * 10))
    long, short_ = found.over.curves
    assert ((long.tone, long.listed), (short_.tone, short_.listed)) == (("long", False), ("short", True))
    np.testing.assert_array_equal(long.values, [*stops[:30], *[np.nan] * 10])
    np.testing.assert_array_equal(short_.values, [*[np.nan] * 30, *stops[30:]])


def test_edges_belong_together_and_a_cloud_has_the_colour_of_its_upper_edge(series: Series) -> None:
    mine = declared(
        price("low", "an edge", role=LOWER),
        price("middle", "a line"),
        price("high", "an edge", role=UPPER),
        price("fast", "an edge", role=CLOUD),
        price("slow", "an edge", role=CLOUD_BASE),
    )
    values = [around(series, share) for share in (0.98, 1.001, 1.02)]
    fast, slow = around(series, np.linspace(0.99, 1.01, BARS)), around(series, np.linspace(1.01, 0.99, BARS))
    found = arranged(series, tracks_of(mine, *values, fast, slow))
    band, cloud = found.over.areas
    assert [(area.first.name, area.second.name, area.cloud) for area in (band, cloud)] == [
        ("mine high", "mine low", False), ("mine fast", "mine slow", True),
    ]  # fmt: skip
    assert band.first.hue == band.second.hue != cloud.first.hue
    fills = [trace for trace in figure(series, found)["data"] if trace.get("fill") == "tonexty"]
    assert [trace["fillcolor"] for trace in fills] == ["$band0", "$long_area", "$short_area"]
    # The green part ends where the red one begins.
    assert fills[1]["y"][0] == pytest.approx(slow[0])
    assert fills[2]["y"][0] == pytest.approx(fast[0])


def test_the_ninth_line_over_the_candles_goes_into_a_panel(series: Series) -> None:
    eight = declared(*(price(f"p{place}", "a price") for place in range(8)), name="eight")
    more = declared(price("one", "a price", role=STEP), price("two", "a price"), name="more")
    over = tracks_of(eight, *(around(series, 1 + place / 1000) for place in range(1, 9)))
    found = arranged(series, [*over, *tracks_of(more, around(series, 1.02), around(series, 0.98))])
    assert len(found.over.curves) == 8
    assert [[curve.name for curve in pane.curves] for pane in found.panels] == [["more one", "more two"]]


def test_what_is_not_shown_unasked_is_drawn_when_asked_for(series: Series) -> None:
    mine = declared(
        number("main", "a number", unit="score", role=guided(30, 70)),
        number("aside", "a number", unit="ratio", role=replace(guided(1), shown=False)),
        price("again", "the close once more"),
    )
    tracks = tracks_of(mine, range(BARS), range(BARS), series.field("close"))
    unasked = arranged(series, tracks)
    assert [(pane.unit, [c.name for c in pane.curves], pane.guides) for pane in unasked.panels] == [
        ("score", ["mine main"], [30, 70])
    ]
    assert unasked.over.curves == []
    asked = arranged(series, tracks, columns=asked_columns(["aside", "mine.again"], [mine]))
    assert [pane.unit for pane in asked.panels] == ["ratio"]
    assert [curve.name for curve in asked.over.curves] == ["mine again"]
    with pytest.raises(UsageError, match="unknown column 'asides': did you mean 'aside'"):
        asked_columns(["asides"], [mine])


def test_lines_are_drawn_ahead_where_that_is_asked_for_and_said_where_it_is_not(series: Series) -> None:
    mine = declared(price("span", "a price", role=LEVEL.ahead(26)), price("lag", "a price", role=LEVEL.ahead(-26)))
    tracks = tracks_of(mine, around(series, 1.01), around(series, 0.99))
    plain, moved = arranged(series, tracks), arranged(series, tracks, displaced=True)
    assert [curve.shift for curve in plain.over.curves] == [0, 0]
    assert [curve.shift for curve in moved.over.curves] == [26, -26]
    [said], [drawn] = plain.notes, moved.notes
    assert said == "mine: every value at its own bar; --displaced draws span 26 bars ahead, lag 26 bars back"
    assert drawn == "mine: drawn span 26 bars ahead, lag 26 bars back"
    assert (figure(series, plain)["ahead"], figure(series, moved)["ahead"]) == (0, 26)


def test_patterns_are_named_at_their_bars_and_what_lasts_where_it_begins(series: Series) -> None:
    names = {"锤": "hammer", "十字": "doji", "顶": "double top", "无": "no pattern"}
    mine = declared(text("seen", "patterns", names, role=MARKS, listed=True, lasting=("顶",)))
    said = ["顶"] * 10 + ["十字,顶"] * 9 + ["锤,顶"] + ["无"] * 10 + ["顶"] * 10
    marks = arranged(series, tracks_of(mine, said)).marks
    assert [(mark.bar, mark.names, mark.tone) for mark in marks] == [
        *((bar, ("doji",), "neutral") for bar in range(10, 19)),
        (19, ("hammer",), "long"), (30, ("double top",), "short"),
    ]  # fmt: skip
    assert marks[-1].label == "double top"


def test_a_profile_has_the_fullest_price_and_the_value_area_of_the_indicator() -> None:
    indicator = next(one for one in INDICATORS.values() if one.by_price)
    series = series_of("BTCUSDT", INTERVALS["1h"], BARS)
    compute = indicator.compute
    assert compute is not None
    values = compute(series.window_panel(indicator.inputs), indicator.defaults).columns
    tracks = [
        Track(indicator, column, np.full(BARS, own[0]))  # type: ignore[index]
        for column, own in zip(indicator.columns, values, strict=True)
        if column.unit == "price"
    ]
    [profile] = arranged(series, tracks).profiles
    fullest = int(profile.amounts.argmax())
    assert profile.bars == 400
    assert profile.edges[fullest] < profile.control < profile.edges[fullest + 1]
    inside = profile.amounts[(profile.edges[1:] > profile.low) & (profile.edges[:-1] < profile.high)]
    assert inside.sum() >= 0.7 * profile.amounts.sum()
    assert profile.amounts.sum() == pytest.approx(series.window_panel(("volume",)).volume.sum())


# -- what stands above


def test_the_head_has_the_newest_bar_the_change_and_the_zone(series: Series) -> None:
    close = series.field("close")
    head = headline(series, zone_of("Europe/Berlin", int(series.times[-1])))
    change = close[-1] - close[-2]
    assert head.close == f"{close[-1]:,.2f}".replace("-", "\N{MINUS SIGN}")
    assert head.change.startswith("+" if change >= 0 else "\N{MINUS SIGN}")
    assert head.time == "2026-03-02 12:00 Europe/Berlin (UTC+01:00)"
    assert headline(series, IN_UTC).time == "2026-03-02 11:00 UTC"


def test_a_picture_has_one_offset_where_clocks_change() -> None:
    newest = microseconds(datetime(2026, 3, 29, 12, tzinfo=UTC))
    zone = zone_of("Europe/Berlin", newest)
    assert zone.name == "Europe/Berlin (UTC+02:00)"
    hours = zone.times(newest - np.arange(24)[::-1] * 3_600_000_000)
    assert (np.diff(hours) == np.timedelta64(1, "h")).all()
    for name in ("Europe/Berln", "../UTC", "", "Europe"):
        with pytest.raises(UsageError, match="unknown time zone"):
            zone_of(name, newest)


@pytest.mark.parametrize(
    ("value", "text_"),
    [(64_012.3, "64,012.30"), (1.234567e9, "1.23B"), (0.00001234567, "0.00001235"), (-3.5, "\N{MINUS SIGN}3.50"),
     (0.0, "0"), (25.0, "25"), (250_000.4, "250,000"), (np.nan, "\N{EN DASH}")],
)  # fmt: skip
def test_numbers_of_keys_are_short(value: float, text_: str) -> None:
    assert short(value) == text_


# -- the page


def test_a_missing_bar_is_a_hole_that_no_line_crosses(series: Series) -> None:
    kept = np.r_[0:395, 397:400]
    cut = replace(series, candles=series.candles.take(kept), drawn=38)
    mine = declared(price("level", "a price"), text("side", "which side", SIDES))
    drawn = figure(cut, arranged(cut, tracks_of(mine, around(cut, 1.01), ["多"] * 38)))
    times = np.array(drawn["times"])
    assert len(times) == 39
    assert set(np.diff(times)) == {3_600_000, 2 * 3_600_000}
    by_name = {trace["name"]: trace for trace in drawn["data"]}
    hole = by_name["mine level"]["y"].index(None)
    assert hole == by_name["BTCUSDT"]["close"].index(None) == 35
    assert by_name["mine side"]["marker"]["which"] == [0 if place != hole else -1 for place in range(39)]


def test_every_strip_and_pane_has_a_key_of_its_own(series: Series) -> None:
    mine = declared(
        price("level", "a price"), number("main", "a number", unit="score"), text("side", "which side", SIDES)
    )
    drawn = figure(series, arranged(series, tracks_of(mine, around(series, 1.01), range(BARS), ["多", "空"] * 20)))
    keys = {trace["name"]: (trace["yaxis"], trace["legend"]) for trace in drawn["data"] if trace.get("legend")}
    assert keys == {
        "volume": ("y2", "legend2"), "mine level": ("y", "legend"), "mine main": ("y3", "legend3"),
    }  # fmt: skip
    assert {trace["name"]: trace["key"] for trace in drawn["data"] if "key" in trace}["mine main"] == [
        "mine main", "39",
    ]  # fmt: skip
    [strip] = [annotation for annotation in drawn["layout"]["annotations"] if "words" in annotation]
    assert (strip["text"], strip["words"]) == ("mine side", [("long", "$long0"), ("short", "$short0")])


def test_without_plotly_a_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError, match=r"a page needs plotly, the extra candlemill\[plot\]: pip install plotly"):
        script.__wrapped__()


def test_a_page_is_one_file_that_loads_nothing_and_ends_no_script_early(series: Series) -> None:
    named = replace(series, symbol="</script><b>$long&")
    arrangement = arranged(named, tracks_of(declared(price("level", "a price")), around(named, 1.01)))
    written = page(named, arrangement, IN_UTC, None).decode()
    assert "default-src 'none'" in written
    own = re.sub(r"<script>/\*\*.*?</script>", "", written, count=1, flags=re.DOTALL)
    assert len(own) < 100_000 < len(written)
    assert not re.search(r"(src|href)\s*=|https?://|@import|</script><b>", own)
    assert "<h1>&lt;/script&gt;&lt;b&gt;$long&amp; 1h</h1>" in own
    [data] = re.findall(r'<script type="application/json" id="figure">(.*?)</script>', own)
    assert json.loads(data)["head"]["name"] == "</script><b>$long& 1h"
    assert 'name="viewport"' in own
    assert ("dark.matches" in own, "dark.matches" in page(named, arrangement, IN_UTC, "dark").decode()) == (True, False)
