"""Live operation without a clock: what is held equals what would be read anew, and passes equal fresh runs."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from indicators.registry import INDICATORS
from pipeline import engine
from pipeline.intervals import INTERVALS
from pipeline.live.passes import Passes
from pipeline.market import bucket_start
from pipeline.schema import init_db
from pipeline.settings import Settings, parse_indicators, parse_intervals
from pipeline.sink import Sink
from tests.conftest import dump_of
from tests.test_workfile import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

START = datetime(2026, 3, 2, 10, 0, 30, tzinfo=UTC)
LOOKBACK = 40
NAMES = ("1m", "5m", "1h")
_BAR = """
INSERT INTO market_data.{table} (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count,
    taker_buy_volume, taker_buy_quote_volume)
VALUES ('binance_futures_um', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (exchange, symbol, bucket_ts) DO UPDATE SET (open, high, low, close, volume, quote_volume, trade_count,
    taker_buy_volume, taker_buy_quote_volume) = (excluded.open, excluded.high, excluded.low, excluded.close,
    excluded.volume, excluded.quote_volume, excluded.trade_count, excluded.taker_buy_volume,
    excluded.taker_buy_quote_volume)
"""
_METRICS = """
INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, sum_open_interest, sum_open_interest_value,
    count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,
    sum_taker_long_short_vol_ratio)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (symbol, create_time) DO UPDATE SET sum_open_interest = excluded.sum_open_interest
"""


@dataclass
class Coin:
    """A symbol: bars from a moment to another, by which time its feed lags, and which bars it leaves out."""

    symbol: str
    since: datetime = START - timedelta(days=10)
    until: datetime = START + timedelta(days=1)
    lag: timedelta = timedelta(0)
    leaves_out: int = 0


@dataclass
class Market:
    """A market in a database that is played forward; every bar is a function of symbol, time and how long it forms."""

    url: str
    coins: list[Coin]
    now: datetime = START - timedelta(days=4)
    _played: dict[str, datetime] = field(default_factory=dict)

    def play(self, now: datetime) -> None:
        """Write what the feeds deliver up to a moment; the bar that forms comes again, grown."""
        with psycopg.connect(self.url, options="-c timezone=UTC") as door, door.cursor() as cursor:
            for name in NAMES:
                query = _BAR.replace("{table}", f"candles_{name}").encode()
                cursor.executemany(query, [bar for coin in self.coins for bar in self._bars(coin, name, now)])
            cursor.executemany(_METRICS.encode(), [row for coin in self.coins for row in self._metrics(coin, now)])
            for coin in self.coins:
                self._played[coin.symbol] = now
        self.now = now

    def execute(self, query: str, *parameters: object) -> None:
        with psycopg.connect(self.url, options="-c timezone=UTC") as door:
            assert door.execute(query.encode(), parameters).rowcount > 0

    def _bars(self, coin: Coin, name: str, now: datetime) -> Iterator[tuple[Any, ...]]:
        length = INTERVALS[name].length
        first = max(coin.since, now - 2 * LOOKBACK * length - 6 * length)
        if coin.symbol in self._played:
            first = self._played[coin.symbol] - coin.lag - length
        start = bucket_start(first, INTERVALS[name])
        while start <= min(now - coin.lag, coin.until):
            number = int(start.timestamp() / length.total_seconds())
            if not coin.leaves_out or number % coin.leaves_out:
                grown = min(1.0, (now - coin.lag - start) / length)
                yield (coin.symbol, start, *_values(f"{coin.symbol}{name}{number}", grown))
            start += length

    def _metrics(self, coin: Coin, now: datetime) -> Iterator[tuple[Any, ...]]:
        length = timedelta(minutes=5)
        first = self._played.get(coin.symbol, max(coin.since, now - 300 * length)) - coin.lag - length
        start = bucket_start(first, INTERVALS["5m"])
        while start <= min(now - coin.lag, coin.until):
            dice = random.Random(f"{coin.symbol}{start}")
            yield (coin.symbol, start.replace(tzinfo=None), *(round(dice.uniform(0.3, 3), 6) for _ in range(6)))
            start += length


def _values(seed: str, grown: float) -> tuple[float, ...]:
    dice = random.Random(seed)
    open_, close = dice.uniform(90, 110), dice.uniform(90, 110)
    close = open_ + (close - open_) * grown
    high, low = max(open_, close) + dice.random(), min(open_, close) - dice.random()
    volume = 10 + 90 * dice.random() * grown
    share = dice.random()
    numbers = (open_, high, low, close, volume, volume * close, int(volume), volume * share, volume * close * share)
    return tuple(round(number, 8) for number in numbers)


@pytest.fixture
def market(server: Server) -> Market:
    url = server.database("live")
    init_db(url)
    coins = [
        Coin("AAA"),
        Coin("BBB"),
        Coin("LAGS", lag=timedelta(minutes=12)),
        Coin("ENDS", until=START + timedelta(minutes=2)),
        Coin("GAPS", leaves_out=3),
    ]
    return Market(url, coins)


def settings_of(market: Market, folder: Path, symbols: str = "all", names: tuple[str, ...] = NAMES) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(
        source=market.url,
        sqlite=folder / "result.db",
        duckdb=folder / "work.duckdb",
        symbols=symbols,
        intervals=parse_intervals(",".join(names)),
        indicators=parse_indicators(None),
        as_of=market.now,
        lookback=LOOKBACK,
        workers=2,
    )


def content(database: Path, folder: Path) -> dict[str, dict[tuple[str, str], tuple[Any, ...]]]:
    """The newest row of each pair by table, out of a copy: no other library may open the file in this process."""
    for file in database.parent.glob(f"{database.name}*"):
        shutil.copy(file, folder / file.name)
    dumped = dump_of(folder / database.name)
    del dumped["schema"]
    return {
        table: {row[1:3]: row[1:] for row in sorted(found, key=lambda row: str(row[3]))}
        for table, found in dumped.items()
    }


def assert_equals_a_fresh_run(settings: Settings, market: Market, place: Path) -> None:
    """Compare the newest rows that passes left in SQLite with those of a run from nothing."""
    anew = replace(settings_of(market, place / "anew", settings.symbols), intervals=settings.intervals)
    (place / "copies").mkdir(exist_ok=True)
    engine.run(anew)
    wanted, found = content(anew.sqlite, place / "copies"), content(settings.sqlite, place / "copies")
    assert set(wanted) == {declared.table for declared in INDICATORS.values()}
    for table, newest in wanted.items():
        assert newest
        assert {pair: found[table].get(pair) for pair in newest} == newest, table
    for file in anew.sqlite.parent.iterdir():
        file.unlink()


def assert_same_work_files(settings: Settings, market: Market, place: Path) -> None:
    anew = replace(settings_of(market, place / "anew", settings.symbols), intervals=settings.intervals)
    engine.run(anew)
    for table in ("candles", "futures_metrics", *INDICATORS):
        query = f'SELECT * FROM {table} ORDER BY symbol, "interval"::VARCHAR, bucket_ts'
        if table in INDICATORS:
            query = query.replace("*", "* EXCLUDE run_id")
        wanted, found = rows(anew.duckdb, query), rows(settings.duckdb, query)
        assert wanted
        assert repr(found) == repr(wanted), table


@pytest.mark.parametrize("symbols", ["all", "AAA,LAGS,ENDS,GAPS,NEW", "auto"])
def test_any_number_of_passes_leave_what_a_fresh_run_would(symbols: str, market: Market, tmp_path: Path) -> None:
    market.play(START)
    settings = settings_of(market, tmp_path / "live", symbols)
    with Sink(settings.sqlite, 1) as sink, closing(Passes(settings, sink, overlap=3)) as passes:

        def step(seconds: float, compared: bool = False) -> None:
            market.play(market.now + timedelta(seconds=seconds))
            passes.update(market.now, settings.intervals)
            if compared:
                assert_equals_a_fresh_run(settings, market, tmp_path)

        passes.publish(market.now)
        for seconds in (10, 10, 12, 35, 60):
            step(seconds)
        step(15, compared=True)
        # A late correction, a bar that vanishes, and one that was left out and comes late.
        closed = bucket_start(market.now, INTERVALS["1m"]) - timedelta(minutes=3)
        market.execute(
            "UPDATE market_data.candles_1m SET high = 123, volume = 77 WHERE symbol = 'AAA' AND bucket_ts = %s", closed
        )
        market.execute("DELETE FROM market_data.candles_1m WHERE symbol = 'BBB' AND bucket_ts = %s", closed)
        market.execute(
            "UPDATE market_data.binance_futures_metrics_5m SET sum_open_interest = 9 WHERE symbol = 'AAA' AND create_time > %s",
            market.now - timedelta(minutes=11),
        )
        step(20, compared=True)
        market.coins.append(Coin("NEW"))
        step(30, compared=True)
        market.coins.append(Coin("YOUNG", since=market.now))
        for _ in range(6):
            step(47)
        step(5, compared=True)
        # Half an hour without a pass; afterwards one symbol catches up.
        market.play(market.now + timedelta(minutes=30))
        market.coins[2].lag = timedelta(0)
        step(61, compared=True)
        step(3600, compared=True)
        market.play(market.now + timedelta(seconds=70))
        passes.publish(market.now)
        assert_same_work_files(settings, market, tmp_path)
