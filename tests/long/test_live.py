"""Live operation without a clock: what is held equals what would be read anew, and passes leave what a run would."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candlemill.indicators.fields import METRICS_ROWS
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import engine
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.intervals import INTERVALS, bucket_start
from candlemill.pipeline.compute.pivot import Pivot, pivot_bars, pivot_metrics
from candlemill.pipeline.live import window
from candlemill.pipeline.live.clock import Reading
from candlemill.pipeline.live.feed import Feed
from candlemill.pipeline.live.passes import Passes
from candlemill.pipeline.live.schedule import Schedule, parse_every
from candlemill.pipeline.live.warm import kept_bars
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import Settings, parse_indicators, parse_intervals
from candlemill.pipeline.source.reader import Newer, Source
from candlemill.pipeline.source.schema import init_db
from candlemill.pipeline.source.symbols import symbols_to_read
from candlemill.pipeline.workfile.provenance import Provenance
from tests.conftest import dump_of
from tests.moving import LOOKBACK, NAMES, START, Coin, Market
from tests.observing import Heard
from tests.test_workfile import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from candlemill.pipeline.base.intervals import Interval
    from candlemill.pipeline.live.warm import Kept
    from tests.conftest import Server

#: Of both languages and both sources.
FEW = "macd,kdj,vwap,volume_ratio,base_data,data_monitor,donchian,futures_sentiment,futures_aggregate"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def market(server: Server) -> Market:
    url = server.database("live")
    init_db(url)
    coins = [
        Coin("AAA"),
        Coin("BBB"),
        Coin("LAGS", lag=12 * MINUTE),
        Coin("ENDS", until=START + 2 * MINUTE),
        Coin("GAPS", leaves_out=3),
    ]
    playing = Market(url, coins)
    playing.play(START)
    return playing


def settings_of(market: Market, folder: Path, symbols: str = "all", closed_only: bool = False) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(
        source=market.url,
        sqlite=folder / "result.db",
        duckdb=folder / "work.duckdb",
        symbols=symbols,
        intervals=parse_intervals(",".join(NAMES)),
        indicators=parse_indicators(FEW),
        as_of=market.now,
        lookback=LOOKBACK,
        workers=2,
        closed_only=closed_only,
    )


def replayed(market: Market) -> Iterator[str]:
    """Play the market forward through everything that happens to one; tells what has just happened."""

    def ahead(seconds: float) -> None:
        market.play(market.now + timedelta(seconds=seconds))

    for seconds in (10, 10, 12, 35, 60, 15):
        ahead(seconds)
        yield "bars form and close"
    closed = bucket_start(market.now, INTERVALS["1m"]) - 3 * MINUTE
    at = "symbol = %s AND bucket_ts = %s"
    market.execute(f"UPDATE market_data.candles_1m SET high = 123, volume = 77 WHERE {at}", "AAA", closed)
    ahead(5)
    yield "a bar is corrected"
    for bar in (closed, closed + MINUTE):
        market.execute(f"DELETE FROM market_data.candles_1m WHERE {at}", "BBB", bar)
    ahead(5)
    yield "bars vanish"
    market.execute(
        "UPDATE market_data.binance_futures_metrics_5m SET sum_open_interest_value = 9"
        " WHERE symbol = 'AAA' AND create_time > %s",
        (market.now - 11 * MINUTE).replace(tzinfo=None),
    )
    ahead(20)
    yield "metrics are corrected"
    market.coins.append(Coin("NEW"))
    ahead(20)
    yield "a symbol is new, with a past"
    market.coins.append(Coin("YOUNG", since=market.now))
    for _ in range(4):
        ahead(47)
        yield "a symbol begins"
    market.coins[2].lag = timedelta(0)
    ahead(10)
    yield "a feed catches up"
    market.coins[1].lag = 30 * MINUTE
    ahead(30 * 60)
    yield "nobody has looked for half an hour, and a feed stands still"
    market.coins[1].lag = 9 * MINUTE
    ahead(61)
    yield "it goes on, and still lags"
    ahead(4 * 3600)
    yield "nobody has looked for hours"


# -- what is held


def same(found: Pivot, wanted: Pivot, built: bool = False) -> bool:
    """Whether two pivots are equal; sums over 1m bars only nearly, because they depend on the order of the minutes."""
    if found.skipped != wanted.skipped or not alike(found.ranked, wanted.ranked, built):
        return False
    totals, others = found.panel.totals, wanted.panel.totals
    return totals.keys() == others.keys() and all(np.array_equal(totals[n], others[n], equal_nan=True) for n in totals)


def alike(here: pa.Table, there: pa.Table, nearly: bool) -> bool:
    """Whether two tables are equal, or nearly so in their numbers."""
    if not nearly:
        return bool(here.equals(there))
    numbers = [field.name for field in here.schema if pa.types.is_floating(field.type)]
    return bool(here.drop_columns(numbers).equals(there.drop_columns(numbers))) and all(
        np.allclose(here[name].to_numpy(), there[name].to_numpy(), rtol=1e-12, atol=0, equal_nan=True)
        for name in numbers
    )


@pytest.mark.parametrize(
    ("symbols", "closed_only", "built"),
    [("all", False, False), ("AAA,BBB,LAGS,ENDS,GAPS,NEW", True, False), ("auto", False, True)],
)
def test_what_is_held_is_what_would_be_read_anew(
    symbols: str, closed_only: bool, built: bool, market: Market, tmp_path: Path
) -> None:
    if built:
        for name in ("5m", "1h"):
            market.execute_any(f"ALTER TABLE market_data.candles_{name} RENAME TO hidden_{name}")
        market.execute_any("DROP VIEW market_data.binance_futures_metrics_1h_last")
        market.names = ("1m",)
    base = settings_of(market, tmp_path, symbols, closed_only)
    feed, seen = Feed(overlap=3), set()
    for happened in chain(["the first look"], replayed(market)):
        settings = replace(base, as_of=market.now)
        heard = Heard()
        source = Source.connect(market.url, heard)
        wanted = symbols_to_read(settings, source)
        for interval in settings.intervals:
            loaded, _ = feed.look(source, settings, wanted, interval, heard)
            bars = _bars(loaded.candles, settings, interval)
            anew = source.candles(interval, settings.exchange, wanted, market.now, LOOKBACK, closed_only)
            assert same(bars, _bars(anew, settings, interval), built), (happened, interval.name)
            seen |= set(bars.panel.symbols)
            metrics = source.metrics(interval, market.now)
            assert (metrics is None) == (loaded.metrics is None)
            if metrics is not None and loaded.metrics is not None:
                found, fresh = (_metrics(t, settings, interval, bars.panel.symbols) for t in (loaded.metrics, metrics))
                assert same(found, fresh), (happened, interval.name)
        assert not heard.errors
    assert {"AAA", "BBB", "LAGS", "ENDS", "GAPS", "NEW"} <= seen


def _bars(table: pa.Table, settings: Settings, interval: Interval) -> Pivot:
    return pivot_bars(table, interval.name, settings.as_of, LOOKBACK)


def _metrics(table: pa.Table, settings: Settings, interval: Interval, symbols: Sequence[str]) -> Pivot:
    return pivot_metrics(table, interval.name, settings.as_of, METRICS_ROWS, symbols)


def test_a_look_reads_what_is_new_and_says_whether_there_was_anything(market: Market, tmp_path: Path) -> None:
    settings, feed, interval = settings_of(market, tmp_path), Feed(overlap=3), INTERVALS["1m"]

    def look() -> tuple[bool, int, int]:
        heard = Heard()
        source = Source.connect(market.url, heard)
        _, new = feed.look(source, replace(settings, as_of=market.now), None, interval, heard)
        return new, heard.rows, heard.statements

    new, everything, queries = look()
    assert new
    assert queries == 2  # the catalogue, and the bars: there are no metrics at 1m
    market.now += timedelta(seconds=5)
    new, again, queries = look()
    # Five bars of each, the one that forms among them; of the symbol that lags five before its own newest.
    assert (new, queries) == (False, 2)
    assert 15 <= again <= 25 < everything
    market.play(market.now + timedelta(seconds=5))
    assert look()[0]
    market.execute(
        "DELETE FROM market_data.candles_1m WHERE symbol = 'AAA' AND bucket_ts > %s", market.now - 2 * MINUTE
    )
    assert look()[0]
    assert not look()[0]
    feed.forget()
    new, anew, _ = look()
    assert new
    assert everything - 10 < anew


def test_a_correction_before_the_overlap_is_seen_when_all_is_read_anew(market: Market, tmp_path: Path) -> None:
    settings, feed, interval = settings_of(market, tmp_path), Feed(overlap=1), INTERVALS["1m"]

    def highs() -> set[float]:
        heard = Heard()
        loaded, _ = feed.look(Source.connect(market.url, heard), settings, None, interval, heard)
        return set(loaded.candles["high"].to_pylist())

    highs()
    at = "symbol = 'AAA' AND bucket_ts = %s"
    early, late = (bucket_start(market.now, interval) - bars * MINUTE for bars in (3, 2))
    market.execute(f"UPDATE market_data.candles_1m SET high = 500 WHERE {at}", early)
    market.execute(f"UPDATE market_data.candles_1m SET high = 600 WHERE {at}", late)
    assert highs() & {500, 600} == {600}
    feed.forget()
    assert highs() & {500, 600} == {500, 600}


def test_a_pause_does_not_shorten_the_overlap(market: Market, tmp_path: Path) -> None:
    settings, feed, interval = settings_of(market, tmp_path), Feed(overlap=3), INTERVALS["1m"]

    def highs() -> set[float]:
        heard = Heard()
        asked = replace(settings, as_of=market.now)
        loaded, _ = feed.look(Source.connect(market.url, heard), asked, None, interval, heard)
        return set(loaded.candles["high"].to_pylist())

    highs()
    corrected = bucket_start(market.now, interval) - 3 * MINUTE
    market.play(market.now + 4 * MINUTE)
    at = "symbol = 'AAA' AND bucket_ts = %s"
    market.execute(f"UPDATE market_data.candles_1m SET high = 500 WHERE {at}", corrected)
    assert 500 in highs()


@pytest.mark.parametrize("back", [timedelta(seconds=20), timedelta(minutes=35), timedelta(hours=5)])
def test_a_look_from_an_earlier_moment_holds_what_would_be_read_anew(
    back: timedelta, market: Market, tmp_path: Path
) -> None:
    base, feed = settings_of(market, tmp_path), Feed(overlap=3)
    # Set back, and forward again.
    for as_of in (market.now, market.now - back, market.now - back + timedelta(seconds=30), market.now):
        settings = replace(base, as_of=as_of)
        source = Source.connect(market.url)
        for interval in settings.intervals:
            loaded, new = feed.look(source, settings, None, interval)
            bars = _bars(loaded.candles, settings, interval)
            anew = source.candles(interval, settings.exchange, None, as_of, LOOKBACK)
            assert same(bars, _bars(anew, settings, interval)), (as_of, interval.name)
            metrics = source.metrics(interval, as_of)
            if metrics is not None and loaded.metrics is not None:
                found, fresh = (_metrics(t, settings, interval, bars.panel.symbols) for t in (loaded.metrics, metrics))
                assert same(found, fresh), (as_of, interval.name)
            assert new or as_of != market.now - back


def test_what_is_held_does_not_grow(market: Market, tmp_path: Path) -> None:
    settings = replace(settings_of(market, tmp_path), indicators=parse_indicators("macd,volume_ratio"))
    held, descriptors = [], []
    with Sink(settings.sqlite, 1) as sink, closing(Passes(settings, sink, overlap=3)) as passes:
        for _ in range(24):
            market.play(market.now + 2 * MINUTE)
            passes.update(market.now, settings.intervals[:1])
            held.append(sum(h.rows.num_rows for h in passes.feed._candles.values()))
            descriptors.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    # Each of the seven has at most the bars of a pass, and some for holes; one with gaps twice as many.
    assert max(held) <= 7 * 2 * (LOOKBACK + 5)
    assert held[-1] <= held[18]
    assert descriptors[-1] <= descriptors[5]


# -- passes


def newest_rows(database: Path, copies: Path) -> dict[str, dict[tuple[str, str], tuple[Any, ...]]]:
    """The newest row of each pair by table, out of a copy: no other library may open the file in this process."""
    copies.mkdir(exist_ok=True)
    for file in database.parent.glob(f"{database.name}*"):
        shutil.copy(file, copies / file.name)
    dumped = dump_of(copies / database.name)
    del dumped["schema"]
    return {
        table: {row[1:3]: row[1:] for row in sorted(found, key=lambda row: str(row[3]))}
        for table, found in dumped.items()
    }


def test_any_number_of_passes_leave_what_a_fresh_run_would(market: Market, tmp_path: Path) -> None:
    settings = settings_of(market, tmp_path / "live")
    with Sink(settings.sqlite, 1) as sink, closing(Passes(settings, sink, overlap=3)) as passes:
        passes.publish(market.now)
        for number, happened in enumerate(replayed(market)):
            record = passes.update(market.now, settings.intervals)
            assert record.sqlite_commits == 1
            assert not record.errors
            if number in (7, 10, 16):
                anew = settings_of(market, tmp_path / f"anew-{number}")
                engine.run(anew)
                wanted, found = (newest_rows(s.sqlite, tmp_path / "copies") for s in (anew, settings))
                assert set(wanted) == {declared.table for declared in settings.indicators}
                for table, newest in wanted.items():
                    assert newest
                    assert {pair: found[table].get(pair) for pair in newest} == newest, (happened, table)
        market.play(market.now + timedelta(seconds=70))
        published = passes.publish(market.now)
    anew = settings_of(market, tmp_path / "anew")
    engine.run(anew)
    for table in ("candles", "futures_metrics", *(declared.id for declared in settings.indicators)):
        columns = "* EXCLUDE run_id" if table in INDICATORS else "*"
        query = f'SELECT {columns} FROM {table} ORDER BY symbol, "interval"::VARCHAR, bucket_ts'
        wanted_rows = rows(anew.duckdb, query)
        assert wanted_rows
        assert repr(rows(settings.duckdb, query)) == repr(wanted_rows), table
    runs = rows(settings.duckdb, "SELECT run_id, sqlite_commits FROM runs ORDER BY started_at")
    assert len(runs) == number + 3
    assert runs[-1] == (published.run_id, 1)


def test_a_pass_without_news_writes_nothing_and_one_that_failed_is_made_good(market: Market, tmp_path: Path) -> None:
    settings = replace(settings_of(market, tmp_path), indicators=parse_indicators("macd"))
    intervals = settings.intervals[:2]
    with Sink(settings.sqlite, 1) as sink, closing(Passes(settings, sink, overlap=3)) as passes:
        assert passes.update(market.now, intervals).rows == 2 * 5
        idle = passes.update(market.now + timedelta(seconds=1), intervals)
        assert (idle.rows, idle.sqlite_commits, len(idle.stages)) == (0, 0, 2)
        market.execute("UPDATE market_data.candles_1m SET close = high WHERE symbol = 'AAA'")
        one = passes.update(market.now + timedelta(seconds=2), intervals)
        assert [stage.interval for stage in one.stages if stage.bars] == ["1m"]
        market.execute("UPDATE market_data.candles_1m SET close = low WHERE symbol = 'AAA'")
        sink.path = tmp_path
        with pytest.raises(Exception, match="cannot be"):
            passes.update(market.now + timedelta(seconds=3), intervals)
        sink.path = settings.sqlite
        owed = passes.update(market.now + timedelta(seconds=4), intervals)
        assert (owed.rows, owed.sqlite_commits) == (2 * 5, 1)


# -- a warm start


HOUR = timedelta(hours=1)


def warm(settings: Settings) -> tuple[Feed, Kept]:
    kept = kept_bars(settings, settings.as_of, 24 * HOUR)
    assert kept
    feed = Feed(overlap=3)
    feed.begin_with(kept.candles, kept.as_of)
    return feed, kept


@pytest.mark.parametrize(
    ("symbols", "closed_only", "built"),
    [("all", False, False), ("AAA,BBB,LAGS,ENDS,GAPS,NEW", True, False), ("auto", False, True)],
)
def test_after_a_warm_start_what_is_held_is_what_would_be_read_anew(
    symbols: str, closed_only: bool, built: bool, market: Market, tmp_path: Path
) -> None:
    if built:
        for name in ("5m", "1h"):
            market.execute_any(f"ALTER TABLE market_data.candles_{name} RENAME TO hidden_{name}")
        market.names = ("1m",)
    base = replace(settings_of(market, tmp_path, symbols, closed_only), indicators=parse_indicators("macd"))
    engine.run(base)
    first, _ = warm(base)
    for happened in replayed(market):
        settings = replace(base, as_of=market.now)
        heard = Heard()
        source = Source.connect(market.url, heard)
        wanted = symbols_to_read(settings, source)
        # One that began warm long ago, and one that begins now.
        for feed in (first, warm(settings)[0]):
            for interval in settings.intervals:
                loaded, _ = feed.look(source, settings, wanted, interval, heard)
                anew = source.candles(interval, settings.exchange, wanted, market.now, LOOKBACK, closed_only)
                found, fresh = (_bars(table, settings, interval) for table in (loaded.candles, anew))
                assert same(found, fresh, built), (happened, interval.name)
        engine.run(settings)


def test_a_warm_start_reads_what_is_newer_than_the_work_file(market: Market, tmp_path: Path) -> None:
    base = settings_of(market, tmp_path)
    engine.run(base)
    market.play(market.now + MINUTE)
    settings = replace(base, as_of=market.now)
    read = {}
    for name, feed in (("warm", warm(settings)[0]), ("cold", Feed(overlap=3))):
        heard = Heard()
        feed.look(Source.connect(market.url, heard), settings, None, settings.intervals[0], heard)
        read[name] = heard.rows
    assert 0 < read["warm"] * 5 < read["cold"]


def test_after_a_warm_start_passes_leave_what_a_fresh_run_would(market: Market, tmp_path: Path) -> None:
    settings = settings_of(market, tmp_path / "live")
    engine.run(settings)
    market.play(market.now + 2 * MINUTE)
    feed, kept = warm(replace(settings, as_of=market.now))
    assert kept.as_of == settings.as_of
    with Sink(settings.sqlite, 1) as sink, closing(Passes(settings, sink, overlap=3)) as passes:
        passes.feed = feed
        passes.update(market.now, settings.intervals)
    anew = settings_of(market, tmp_path / "anew")
    engine.run(anew)
    wanted, found = (newest_rows(s.sqlite, tmp_path / "copies") for s in (anew, settings))
    for table, newest in wanted.items():
        assert {pair: found[table].get(pair) for pair in newest} == newest, table


def _of_an_older_version(settings: Settings) -> None:
    with duckdb.connect(str(settings.duckdb)) as connection:
        connection.execute("COMMENT ON TABLE candles IS NULL")


def _damaged(settings: Settings) -> None:
    settings.duckdb.write_bytes(settings.duckdb.read_bytes()[:5000])


def _of_somebody_else(settings: Settings) -> None:
    settings.duckdb.unlink()
    with duckdb.connect(str(settings.duckdb)) as connection:
        connection.execute("CREATE TABLE candles AS SELECT 1 AS x")


@pytest.mark.parametrize(
    ("changed", "spoiled", "why"),
    [
        ({"source": "postgresql://elsewhere/x"}, None, "another source"),
        ({"exchange": "elsewhere"}, None, "another exchange"),
        ({"lookback": LOOKBACK + 1}, None, "fewer bars"),
        ({"closed_only": True}, None, "forming bars"),
        ({"as_of": START - MINUTE}, None, "from the future"),
        ({"as_of": START + 24 * HOUR}, None, "older than --reload"),
        ({"symbols": "all"}, None, "some symbols only"),
        ({}, _of_an_older_version, "does not say what its bars are"),
        ({}, _damaged, "not a work file"),
        ({}, _of_somebody_else, "not a work file"),
    ],
)
def test_another_work_file_is_not_taken(
    changed: dict[str, Any],
    spoiled: Callable[[Settings], None] | None,
    why: str,
    market: Market,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = replace(settings_of(market, tmp_path, "AAA,BBB"), indicators=parse_indicators("macd"))
    engine.run(settings)
    if spoiled:
        spoiled(settings)
    asked = replace(settings, **changed)
    with caplog.at_level("INFO"):
        assert kept_bars(asked, asked.as_of, 24 * HOUR) is None
    assert "a cold start" in caplog.text
    assert why in caplog.text


def test_a_work_file_that_rows_were_left_out_of_is_not_taken(
    market: Market, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(settings_of(market, tmp_path), indicators=parse_indicators("macd"))
    market.execute("UPDATE market_data.candles_1m SET low = high + 1 WHERE symbol = 'AAA' AND bucket_ts = %s",
                   bucket_start(market.now, INTERVALS["1m"]) - 9 * MINUTE)  # fmt: skip
    engine.run(settings)
    with caplog.at_level("INFO"):
        assert kept_bars(settings, settings.as_of, 24 * HOUR) is None
    assert "were left out" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "{", "[]", "null", "\0", "[" * 100_000, '{"as_of": 1}', '{"as_of": "2026-01-01T00:00:00+00:00"}'),
        '{"as_of": "2026-01-01", "source": "", "exchange": "", "lookback": 1, "closed_only": true,'
        ' "every_symbol": true, "left_out": 0}',
        '{"as_of": "2026-01-01T00:00:00+00:00", "source": "", "exchange": "", "lookback": [], "closed_only": true,'
        ' "every_symbol": true, "left_out": 0}',
    ],
    ids=lambda text: str(text)[:30],
)
def test_a_work_file_may_say_anything_of_its_bars(text: str | None) -> None:
    with pytest.raises(ValueError, match="does not say what its bars are"):
        Provenance.from_text(text)


def test_where_no_work_file_is_nothing_is_said(
    market: Market, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        assert kept_bars(settings_of(market, tmp_path), market.now, HOUR) is None
    assert not caplog.text


# -- the window, by itself


SYMBOLS = ("A", "B", "C", "D")
Bars = dict[tuple[str, int], int]


def table_of(bars: Bars) -> pa.Table:
    moments = [START + number * MINUTE for _, number in bars]
    return pa.table(
        {
            "symbol": pa.array([symbol for symbol, _ in bars], pa.string()),
            "bucket_ts": pa.array(moments, pa.timestamp("us", "UTC")),
            "close": pa.array(bars.values(), pa.int64()),
        }
    )


def dict_of(table: pa.Table) -> Bars:
    numbers = [int((moment - START) / MINUTE) for moment in table["bucket_ts"].to_pylist()]
    return dict(zip(zip(table["symbol"].to_pylist(), numbers, strict=True), table["close"].to_pylist(), strict=True))


bars_st = st.dictionaries(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 29)), st.integers(0, 9))


@given(bars_st, bars_st, st.integers(0, 29), st.integers(0, 29), st.none() | st.sets(st.sampled_from(SYMBOLS)))
def test_merging_what_is_newer_equals_reading_anew(
    held: Bars, world: Bars, since: int, after: int, chosen: set[str] | None
) -> None:
    symbols = sorted(chosen) if chosen is not None else None
    since = max(since, after)
    newer = window.newer_than(table_of(held), symbols, START + since * MINUTE, START + after * MINUTE, 2 * MINUTE)
    bounds = {symbol: int((moment - START) / MINUTE) for symbol, moment in newer.late.items()}
    assert all(after <= bound <= since for bound in bounds.values())
    # What was read before has not changed, save where it is read again.
    now = {key: value for key, value in held.items() if key[1] <= bounds.get(key[0], since)}
    now |= {key: value for key, value in world.items() if key[1] > bounds.get(key[0], since)}
    if symbols is not None:
        now = {key: value for key, value in now.items() if key[0] in symbols}
    # A source may send more than was asked for.
    fresh = table_of({key: value for key, value in {**world, **now}.items() if symbols is None or key[0] in symbols})
    merged = window.merged(table_of(held), fresh, newer, symbols)
    assert dict_of(merged) == now
    assert merged.num_rows == len(now)
    assert window.changed(table_of(held), merged, newer) == (dict_of(table_of(held)) != now)


@given(bars_st, bars_st, st.integers(0, 29), st.none() | st.sets(st.sampled_from(SYMBOLS)))
def test_a_row_has_vanished_that_is_not_among_those_read_in_its_place(
    held: Bars, fresh: Bars, since: int, chosen: set[str] | None
) -> None:
    symbols = sorted(chosen) if chosen is not None else None
    newer = Newer(START + since * MINUTE, {"A": START})
    replaced = {key for key in held if (key[1] > since or (key[0] == "A" and key[1] > 0))}
    gone = {key for key in replaced - set(fresh) if chosen is None or key[0] in chosen}
    assert window.vanished(table_of(held), table_of(fresh), newer, symbols) == bool(gone)


@given(bars_st, st.integers(0, 29), st.integers(0, 29), st.integers(1, 5))
def test_a_complete_symbol_is_cut_to_its_newer_half(bars: Bars, after: int, near: int, most: int) -> None:
    near = max(near, after)
    found = dict_of(window.cut(table_of(bars), START + after * MINUTE, START + near * MINUTE, most))
    for symbol in SYMBOLS:
        times = {number for name, number in bars if name == symbol and number > after}
        recent = {number for number in times if number > near}
        assert {number for name, number in found if name == symbol} == (recent if len(recent) >= most else times)


# -- the schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-02T{text}+00:00")


def read(now: datetime, set_ahead: float = 0) -> Reading:
    """Both clocks at a time, where nobody has set one, or the time of day is some seconds ahead."""
    return Reading(now + timedelta(seconds=set_ahead), (now - START) / timedelta(seconds=1))


def names(intervals: Sequence[Interval]) -> list[str]:
    return [interval.name for interval in intervals]


def test_intervals_are_due_on_grids_that_begin_with_their_bars() -> None:
    schedule = Schedule(parse_intervals("1m,5m,1h"), {}, 2)
    assert names(schedule.due(read(at("10:00:30")))) == ["1m", "5m", "1h"]
    schedule.looked(schedule.intervals, read(at("10:00:30")))
    assert schedule.due(read(at("10:00:30"))) == []
    assert schedule.next(at("10:00:30")) == at("10:00:32")
    assert names(schedule.due(read(at("10:00:32")))) == ["1m", "5m"]
    schedule.looked(schedule.due(read(at("10:00:32"))), read(at("10:00:32")))
    # The 1h bar is looked at once a minute, at a moment of the others.
    assert names(schedule.due(read(at("10:01:02")))) == ["1m", "5m", "1h"]
    assert names(schedule.due(read(at("10:01:01.9")))) == ["1m", "5m"]


def test_a_new_bar_is_looked_at_after_the_delay_whatever_the_cadence() -> None:
    schedule = Schedule(parse_intervals("5m"), {"5m": 200}, 3)
    [interval] = schedule.intervals
    schedule.looked(schedule.intervals, read(at("10:03:23")))
    assert schedule.next_due(interval, at("10:03:23")) == at("10:05:03")
    assert schedule.due(read(at("10:05:02"))) == []
    assert schedule.due(read(at("10:05:03"))) == [interval]
    schedule.looked(schedule.intervals, read(at("10:05:03.01")))
    assert schedule.next_due(interval, at("10:05:04")) == at("10:08:23")


@given(st.integers(0, 366 * 86_400_000), st.sampled_from(list(INTERVALS)), st.integers(0, 5))
def test_what_is_due_next_becomes_due_and_not_before(milliseconds: int, name: str, delay: int) -> None:
    now = START + timedelta(milliseconds=milliseconds)
    schedule = Schedule([INTERVALS[name]], {}, delay)
    schedule.looked(schedule.intervals, read(now))
    following = schedule.next(now)
    assert now < following <= now + timedelta(seconds=60)
    assert schedule.due(read(following - timedelta(microseconds=1))) == []
    assert schedule.due(read(following)) == [INTERVALS[name]]


@given(
    st.sampled_from(list(INTERVALS)),
    st.integers(0, 86_400_000),
    st.floats(0, 100),
    st.floats(-1e7, 1e7),
)
def test_no_clock_that_is_set_delays_a_look(name: str, milliseconds: int, share: float, step: float) -> None:
    looked = START + timedelta(milliseconds=milliseconds)
    schedule = Schedule([INTERVALS[name]], {}, 2)
    schedule.looked(schedule.intervals, read(looked))
    span = schedule.next(looked) - looked
    now = looked + span * share / 50
    at = read(now, step)
    # By the clock that nobody sets, by that which somebody has set, and where that shows a time before the look.
    due = now - looked >= span or not looked <= at.now < looked + span
    assert bool(schedule.due(at)) == due
    assert (schedule.left(at) <= 0) == due
    assert schedule.left(at) <= max(0, (looked + span - now).total_seconds()) + 1e-6


def test_cadences_are_read_and_wrong_ones_refused() -> None:
    assert parse_every("1m=2.5, 1h=30") == {"1m": 2.5, "1h": 30.0}
    assert parse_every(None) == {}
    for wrong in ("1m", "1m=0", "1m=-1", "2m=10", "1m=1=2"):
        with pytest.raises(UsageError):
            parse_every(wrong)
