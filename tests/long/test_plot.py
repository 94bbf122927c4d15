"""Pictures of markets and runs: what is drawn, the values it is drawn from, and what is said where nothing can be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet as pq

from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.kinds import TEXT, TIME
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.history import read_history
from candlemill.pipeline.plotting.arrange import arranged
from candlemill.pipeline.plotting.candles import Chart
from candlemill.pipeline.plotting.canvas import draw, printable
from candlemill.pipeline.plotting.history import Series, read_drawn, read_series, tracks
from candlemill.pipeline.plotting.numbers import PlainFormatter, price
from candlemill.pipeline.plotting.palette import PALETTES
from candlemill.pipeline.settings import Settings
from candlemill.pipeline.workfile.reader import published
from tests import goldens
from tests.conftest import CANDLEMILL, Ran
from tests.pictures import size_of_png, texts_of_svg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

SYMBOL, SHORT = "AAAUSDT", "N60USDT"
WORDS = ("run", "--symbols", f"{SYMBOL},{SHORT}", "--intervals", "5m,1w", "--sqlite", "result.db", "--duckdb")
NOW, EARLIER = "2026-01-22T09:07:00+00:00", "2026-01-22T08:32:00+00:00"


@pytest.fixture(scope="module")
def work(golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work file of a run of all indicators."""
    folder = tmp_path_factory.mktemp("drawn")
    url = golden_url(goldens.HERE / "synth_lengths")
    command = [str(CANDLEMILL), *WORDS, "work.duckdb", "--as-of", NOW, "--source", url]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder / "work.duckdb"


def changed(work: Path, folder: Path, statement: str) -> Path:
    """A copy of a work file, with its candles changed."""
    file = folder / "changed.duckdb"
    shutil.copyfile(work, file)
    with duckdb.connect(str(file)) as connection:
        connection.execute(statement)
    return file


def series_of(file: Path, symbol: str = SYMBOL, interval: str = "5m", bars: int = 60) -> Series:
    with published(file) as connection:
        return read_series(connection, symbol, INTERVALS[interval], bars)


def chart(series: Series, *names: str, theme: str = "light") -> Figure:
    found = tracks(series, [INDICATORS[name] for name in names])
    return Chart(series, arranged(series, found), PALETTES[theme]).figure()


def newest_row(file: Path, name: str, symbol: str, interval: str) -> dict[str, Any]:
    with duckdb.connect(str(file), read_only=True) as connection:
        query = f"SELECT * EXCLUDE (symbol, interval, run_id) FROM {name} WHERE symbol = ? AND interval = ?"
        [row] = connection.execute(query, [symbol, interval]).to_arrow_table().to_pylist()
    return dict(row)


# -- the values


@pytest.mark.parametrize(("symbol", "interval"), [(SYMBOL, "5m"), (SYMBOL, "1w"), (SHORT, "5m")])
def test_the_history_ends_with_the_stored_rows(work: Path, symbol: str, interval: str) -> None:
    series = series_of(work, symbol, interval, bars=5)
    found = tracks(series, list(INDICATORS.values()))
    covering = [declared for declared in INDICATORS.values() if declared.covers(interval)]
    columns = [(i.id, column.name) for i in covering for column in i.columns if column.kind is not TIME]
    assert [(track.indicator.id, track.column.name) for track in found] == columns
    stored = {name: newest_row(work, name, symbol, interval) for name in dict(columns)}
    compared = 0
    for track in found:
        row, drawn = stored[track.indicator.id], track.values[-1]
        kept = row[track.column.name]
        if row["bucket_ts"].timestamp() * 1e6 != series.times[-1] or track.column.name == "market_share":
            # Metrics of another moment, or the share of a total, which the file does not hold.
            continue
        if track.column.kind is TEXT or kept is None:
            assert drawn == kept or (kept is None and np.isnan(drawn)), track.name
        else:
            assert drawn == pytest.approx(kept, rel=1e-9, abs=1e-12), track.name
        compared += kept is not None
    assert compared > 100


def test_an_earlier_bar_has_what_a_run_at_its_time_wrote(
    work: Path, golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    names = ("bollinger", "donchian", "base_data", "volume_ratio", "candle_patterns")
    url = golden_url(goldens.HERE / "synth_lengths")
    command = [str(CANDLEMILL), *WORDS, "earlier.duckdb", "--as-of", EARLIER, "--source", url]
    subprocess.run([*command, "--indicators", ",".join(names)], cwd=tmp_path, capture_output=True, check=True)
    series = series_of(work)
    found = tracks(series, [INDICATORS[name] for name in names])
    for name in names:
        row = newest_row(tmp_path / "earlier.duckdb", name, SYMBOL, "5m")
        [place] = np.flatnonzero(series.times == row["bucket_ts"].timestamp() * 1e6)
        assert place == len(series.times) - 8
        for track in found:
            if track.indicator.id == name:
                value = row[track.column.name]
                same = value if track.column.kind is TEXT else pytest.approx(value, rel=1e-9)
                assert track.values[place] == same, track.name


def test_metrics_stand_at_the_bars_of_their_time(work: Path) -> None:
    series = series_of(work, bars=50)
    [ratio] = [t for t in tracks(series, [INDICATORS["futures_sentiment"]]) if t.column.name == "taker_volume_ratio"]
    kept = dict(
        zip(
            series.metrics["bucket_ts"].cast("int64").to_pylist(),
            series.metrics["taker_volume_ratio"].to_pylist(),
            strict=True,
        )
    )
    expected = np.array([kept.get(time, np.nan) for time in series.times.tolist()], float)
    assert np.isfinite(expected).sum() > 20
    np.testing.assert_array_equal(ratio.values, expected)


# -- what is drawn where


def test_a_source_has_the_bars_that_are_asked_for_with_the_values_of_runs(
    work: Path, golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    url = golden_url(goldens.HERE / "synth_lengths")
    chosen = (INDICATORS["kdj"], INDICATORS["donchian"], INDICATORS["base_data"])
    settings = Settings(
        source=url,
        sqlite=tmp_path / "r.db",
        duckdb=tmp_path / "w.duckdb",
        symbols=SYMBOL,
        intervals=(INTERVALS["5m"],),
        indicators=chosen,
        lookback=60,
        as_of=datetime.fromisoformat(NOW),
    )
    kept = series_of(work, bars=90)
    series, found = read_drawn(settings, 90)
    assert series.times.tolist() == kept.times.tolist()
    for name in BAR_FIELDS[:5]:
        assert np.array_equal(series.field(name), kept.field(name))
    history = read_history(settings, 90)
    assert [track.name for track in found] == [f"{one.id}.{c.name}" for one in chosen for c in one.columns]
    for track in found:
        values = history[track.name.replace(".", "_")].to_pylist()
        assert [None if value != value else value for value in track.values.tolist()] == values


def test_a_plot_reads_the_source_where_there_is_one_and_says_where_it_cannot(
    work: Path, golden_url: Callable[[Path], str], candlemill: Callable[..., Ran]
) -> None:
    words = ("plot", SYMBOL, "--duckdb", work, "--interval", "5m", "--bars", 1000, "--output", "chart.svg",
             "--indicators", "donchian")  # fmt: skip
    source = golden_url(goldens.HERE / "synth_lengths")
    given, alone = candlemill(*words, "--source", source), candlemill(*words)
    lost = candlemill(*words, "--source", "postgresql://127.0.0.1:1/x")
    for ran, says in (
        (given, f"drawn are the 430 5m bars of {SYMBOL} that the source has"),
        (alone, "drawn are the 400 bars that the last run read: give --source for 1000"),
        (lost, "drawn are the 400 bars that the last run read: "),
    ):
        first, last = ran.err.splitlines()
        assert (ran.code, last) == (0, "drawn in chart.svg")
        assert first.startswith(says)


def test_a_thousand_bars_are_drawn_where_the_source_has_them(
    work: Path, golden_url: Callable[[Path], str], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    bars = pq.read_table(goldens.HERE / "synth_lengths" / "candles_5m.parquet")
    bars = bars.filter(pc.equal(bars["symbol"], SYMBOL))
    place, times = bars.column_names.index("bucket_ts"), bars["bucket_ts"]
    earlier = [
        bars.set_column(place, "bucket_ts", pc.subtract(times, pa.scalar(back * 430 * timedelta(minutes=5))))
        for back in (2, 1, 0)
    ]
    longer = tmp_path / "longer"
    longer.mkdir()
    pq.write_table(pa.concat_tables(earlier), longer / "candles_5m.parquet")
    words = ("plot", SYMBOL, "--duckdb", work, "--interval", "5m", "--bars", 1000, "--output", "chart.html",
             "--indicators", "donchian")  # fmt: skip
    ran = candlemill(*words, "--source", golden_url(longer))
    assert (ran.code, ran.err) == (0, "drawn in chart.html\n")
    [data] = re.findall(r'id="figure">(.*?)</script>', (tmp_path / "chart.html").read_text(encoding="utf-8"))
    figure = json.loads(data)
    assert len(figure["times"]) == 1000
    for trace in figure["data"]:
        values = trace["close"] if trace["type"] == "candlestick" else trace["y"]
        assert len(values) == 1000
        assert None not in values


def test_a_profile_from_a_source_is_over_the_bars_of_a_run(golden_url: Callable[[Path], str], tmp_path: Path) -> None:
    chosen = next(one for one in INDICATORS.values() if one.by_price)
    settings = Settings(
        source=golden_url(goldens.HERE / "synth_lengths"),
        sqlite=tmp_path / "r.db",
        duckdb=tmp_path / "w.duckdb",
        symbols=SYMBOL,
        intervals=(INTERVALS["5m"],),
        indicators=(chosen,),
        lookback=120,
        as_of=datetime.fromisoformat(NOW),
    )
    for bars in (20, 150):
        series, found = read_drawn(settings, bars)
        assert (series.drawn, len(series.times)) == (bars, bars)
        [profile] = arranged(series, found).profiles
        assert profile.bars == 120
        fullest = int(profile.amounts.argmax())
        assert profile.edges[fullest] < profile.control < profile.edges[fullest + 1]


def test_prices_lie_over_the_candles_differences_and_other_units_below(work: Path) -> None:
    series = series_of(work)
    found = arranged(series, tracks(series, [INDICATORS[name] for name in ("macd", "bollinger", "data_monitor")]))
    assert [curve.column for curve in found.over.curves] == ["middle", "upper", "lower"]
    # dif and dea repeat macd and signal_line, price and turnover the bar.
    assert [(pane.unit, [curve.name for curve in pane.curves]) for pane in found.panels] == [
        ("price", [f"macd(12, 26, 9) {name}" for name in ("macd", "signal_line", "histogram")]),
        ("fraction", ["bollinger(20, 2) percent_b"]),
        ("count", ["data_monitor bars_loaded"]),
    ]
    assert [strip.name for strip in found.strips] == ["macd signal"]


def test_a_column_that_repeats_the_bar_from_its_first_value_on_is_left_out(work: Path) -> None:
    series = series_of(work, bars=400)
    found = arranged(series, tracks(series, [INDICATORS["ema_gc"]]))
    assert [curve.column for curve in found.over.curves] == ["ema7", "ema25", "ema99"]
    assert np.isnan(found.over.curves[0].values[0])


def test_lists_are_no_categories_and_no_price_is_zero(work: Path) -> None:
    series = series_of(work, bars=200)
    names = ("vpvr_profile", "candle_patterns", "smart_money_structure")
    found = arranged(series, tracks(series, [INDICATORS[name] for name in names]))
    strips = {strip.name for strip in found.strips}
    assert "vpvr_profile position" in strips
    assert not strips & {"vpvr_profile high_nodes", "vpvr_profile low_nodes", "candle_patterns patterns"}
    [tops] = [curve.values for curve in found.over.curves if curve.column == "order_block_top"]
    assert np.nanmin(tops) > 0
    assert found.marks


def test_no_picture_of_one_indicator_buries_the_candles(work: Path) -> None:
    series = series_of(work, bars=150)
    every = tracks(series, list(INDICATORS.values()))
    low, high = series.field("low").min(), series.field("high").max()
    for name in INDICATORS:
        found = arranged(series, [track for track in every if track.indicator.id == name])
        assert len(found.over.curves) <= 8, name
        assert all(len(pane.curves) <= 5 for pane in found.panels), name
        assert len(found.panels) <= 6, name
        bottom, top = Chart(series, found, PALETTES["light"])._price_range()
        # Names of patterns take room above and below; whatever else there is leaves the candles half of the height.
        assert high - low >= (0.3 if found.marks else 0.45) * (top - bottom), name


def test_every_bar_is_a_candle_and_a_missing_bar_a_hole(work: Path, tmp_path: Path) -> None:
    file = changed(work, tmp_path, "DELETE FROM candles WHERE symbol = 'AAAUSDT' AND hour(bucket_ts) = 6")
    series = series_of(file, bars=60)
    assert series.drawn == 48
    candles = chart(series, "bollinger").axes[0]
    assert len(candles.patches) == 48
    [middle, *_] = candles.lines
    values = np.asarray(middle.get_ydata(), float)
    [hole] = np.flatnonzero(np.isnan(values))
    assert len(values) == 49
    assert str(np.asarray(middle.get_xdata())[hole]).endswith("06:00:00.000000")


def test_all_categories_and_prices_are_drawn_in_both_themes_without_a_warning(work: Path, tmp_path: Path) -> None:
    series = series_of(work, bars=30)
    found = arranged(series, tracks(series, list(INDICATORS.values())))
    assert len(found.strips) > 20
    lines = sum(len(pane.curves) for pane in (found.over, *found.panels) if pane.unit == "price")
    assert lines > 20
    # A warning, such as one of a letter that the font does not have, is an error here.
    few = replace(found, panels=found.panels[:2])
    for theme in PALETTES:
        draw(tmp_path / f"{theme}.png", theme, "all", lambda palette: Chart(series, few, palette).figure())
        assert size_of_png(tmp_path / f"{theme}.png")[0] == 1584
    assert (tmp_path / "light.png").read_bytes() != (tmp_path / "dark.png").read_bytes()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM candles WHERE bucket_ts < (SELECT max(bucket_ts) FROM candles)",
        "UPDATE candles SET open = 1, high = 1, low = 1, close = 1, volume = 0",
        "UPDATE candles SET open = open * 1e-12, high = high * 1e-12, low = low * 1e-12, close = close * 1e-12",
    ],
    ids=["one bar", "flat", "minute"],
)
def test_odd_markets_are_drawn(work: Path, tmp_path: Path, statement: str) -> None:
    series = series_of(changed(work, tmp_path, statement))
    draw(tmp_path / "odd.png", None, "odd", lambda _: chart(series, "bollinger", "macd", "donchian"))
    assert size_of_png(tmp_path / "odd.png")[0] == 1584


# -- labels


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ((63_500, 64_000, 64_500), ["63,500", "64,000", "64,500"]),
        ((0.99975, 1.0, 1.00025), ["0.99975", "1.00000", "1.00025"]),
        ((1.2e-6, 1.25e-6, 1.3e-6), ["0.00000120", "0.00000125", "0.00000130"]),
        ((-2e-9, 0, 2e-9), ["\N{MINUS SIGN}0.000000002", "0.000000000", "0.000000002"]),
        ((0, 2.5e9, 5e9), ["0", "2.5B", "5.0B"]),
        ((0.1, 0.2, 0.30000000000000004), ["0.1", "0.2", "0.3"]),
        ((7,), ["7"]),
        ((), []),
    ],
)
def test_ticks_are_written_in_full_with_the_decimals_they_need(ticks: Sequence[float], labels: list[str]) -> None:
    assert PlainFormatter().format_ticks(ticks) == labels


@pytest.mark.parametrize(
    ("value", "text"),
    [(64_012.3, "64,012.30"), (0.000001234567, "0.00000123457"), (1.5, "1.50000"), (0.0, "0.00")],
)
def test_prices_have_six_digits_whatever_their_size(value: float, text: str) -> None:
    assert price(value) == text


def test_what_the_font_lacks_becomes_codes() -> None:
    assert printable("$币1_a$") == "$\\u5e011_a$"


# -- the command


def test_a_market_is_drawn_in_every_format(work: Path, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    words = ("plot", SYMBOL, "--duckdb", work, "--interval", "5m", "--bars", 40)
    ran = candlemill(*words)
    assert (ran.code, ran.out) == (0, "")
    assert ran.last == f"drawn in data/plots/{SYMBOL}-5m.png"
    assert size_of_png(tmp_path / f"data/plots/{SYMBOL}-5m.png")[0] == 1584
    shown = (*words, "--indicators", "布林带扫描器.py,kdj")
    for name in ("chart.svg", "chart.html"):
        ran = candlemill(*shown, "--output", name, "--tz", "Europe/Berlin")
        assert (ran.code, ran.out, ran.err) == (0, "", f"drawn in {name}\n")
    texts = texts_of_svg((tmp_path / "chart.svg").read_bytes())
    assert {"bollinger(20, 2)", "kdj(9, 3)", "kdj signal", "golden cross", "volume"} <= set(texts)
    for start in ("upper ", "percent_b ", "j ", "now: ", f"{SYMBOL} 5m   ", "O ", "Europe/Berlin (UTC+01:00)"):
        assert any(text.startswith(start) for text in texts), start
    assert all(text.replace("\N{MINUS SIGN}", "-").isascii() for text in texts)
    written = (tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "plotly.js" in written
    assert "<td>kdj signal</td>" in written
    assert "金叉" not in written
    assert candlemill(*shown, "--output", "chart.html", "--words", "zh").code == 0
    [data] = re.findall(r'id="figure">(.*?)</script>', (tmp_path / "chart.html").read_text(encoding="utf-8"))
    strips = [one["words"] for one in json.loads(data)["layout"]["annotations"] if "words" in one]
    assert {word for words in strips for word, _ in words} & {"金叉", "死叉", "延续"}


def test_only_the_columns_that_are_asked_for_are_drawn(
    work: Path, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    words = ("plot", SYMBOL, "--duckdb", work, "--interval", "5m", "--output", "chart.svg")
    assert candlemill(*words, "--columns", "upper,macd.dif").code == 0
    texts = texts_of_svg((tmp_path / "chart.svg").read_bytes())
    assert [text.split()[0] for text in texts if text.startswith(("upper", "lower", "middle", "dif", "macd "))] == [
        "upper", "dif",
    ]  # fmt: skip


def test_an_indicator_without_values_is_named(work: Path, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    words = ("--interval", "5m", "--indicators", "zero_lag_band_cross,macd", "--output", "chart.svg")
    ran = candlemill("plot", SHORT, "--duckdb", work, *words)
    assert ran.code == 0
    assert "zero_lag_band_cross has no value at the drawn bars" in ran.err.splitlines()
    assert any(text.startswith("histogram ") for text in texts_of_svg((tmp_path / "chart.svg").read_bytes()))


def test_a_run_is_drawn(work: Path, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    [record] = json.loads(candlemill("runs", "--duckdb", work, "--json").out)
    for name, words in (("run.svg", ["--run"]), ("that.svg", ["--run-id", record["run_id"][:7]])):
        ran = candlemill("plot", *words, "--duckdb", work, "--output", name)
        assert (ran.code, ran.out, ran.err) == (0, "", f"drawn in {name}\n")
    assert (tmp_path / "run.svg").read_bytes() == (tmp_path / "that.svg").read_bytes()
    texts = texts_of_svg((tmp_path / "run.svg").read_bytes())
    assert {"5m", "1w", "write", "t_read", "t_compute", "t_write", record["run_id"][:6]} <= set(texts)
    for value in (record["t_write"], record["stages"][0]["t_compute"]):
        assert f"{value:.2f}" in texts
    assert str(record["peak_rss_mb"]) in texts
    assert any(f"total {record['total']:.2f} s" in text for text in texts)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("AAUSDT",), 2, "unknown symbol 'AAUSDT': did you mean 'AAAUSDT'?"),
        (("aaausdt",), 2, "unknown symbol 'aaausdt': did you mean 'AAAUSDT'?"),
        (("QQQ",), 2, "unknown symbol 'QQQ': known are AAAUSDT, N60USDT"),
        ((SYMBOL, "--interval", "5min"), 2, "unknown interval '5min': did you mean '5m'?"),
        ((SYMBOL, "--interval", "1h"), 5, f"the last run read no 1h candles of {SYMBOL}: it read 5m, 1w"),
        ((SYMBOL, "--indicators", "bolinger"), 2, "unknown indicator 'bolinger': did you mean 'bollinger'?"),
        (
            (SYMBOL, "--interval", "5m", "--output", "chart.pdf"), 2,
            "chart.pdf ends in none of .png, .svg, .html: the suffix says what to write",
        ),
        ((SYMBOL, "--interval", "5m", "--columns", "uper"), 2, "unknown column 'uper': did you mean 'upper'?"),
        ((SYMBOL, "--interval", "5m", "--words", "de"), 2, "unknown --words 'de': known are en, zh"),
        (
            (SYMBOL, "--interval", "5m", "--tz", "Europe/Berln"), 2,
            "unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
        ),
        ((), 2, "give a symbol to draw, or --run for a run: one of the two"),
        ((SYMBOL, "--run"), 2, "give a symbol to draw, or --run for a run: one of the two"),
        (("--run-id", "nothing"), 2, "no run 'nothing' in WORK: `candlemill runs` lists them"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_in_a_line(
    work: Path, candlemill: Callable[..., Ran], tmp_path: Path, words: tuple[str, ...], code: int, complaint: str
) -> None:
    ran = candlemill("plot", *words, "--duckdb", work)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err == f"candlemill: {complaint.replace('WORK', str(work))}\n"
    assert list(tmp_path.iterdir()) == []
