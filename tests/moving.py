"""A market that moves: bars that form and close, feeds that lag, end and have gaps, played into a database."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from candlemill.pipeline.base.intervals import INTERVALS, bucket_start

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALWAYS, _NEVER = (datetime(year, 1, 1, tzinfo=UTC) for year in (2000, 2200))
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
    since: datetime = _ALWAYS
    until: datetime = _NEVER
    lag: timedelta = timedelta(0)
    leaves_out: int = 0


@dataclass
class Market:
    """A market in a database that is played forward; every bar is a function of symbol, time and how long it forms."""

    url: str
    coins: list[Coin]
    now: datetime = START
    names: tuple[str, ...] = NAMES
    _delivered: dict[str, datetime] = field(default_factory=dict)

    def play(self, now: datetime) -> None:
        """Write what the feeds deliver up to a moment; the bar that forms comes again, grown."""
        with psycopg.connect(self.url, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
            for name in self.names:
                query = _BAR.replace("{table}", f"candles_{name}").encode()
                cursor.executemany(query, [bar for coin in self.coins for bar in self._bars(coin, name, now)])
            cursor.executemany(_METRICS.encode(), [row for coin in self.coins for row in self._metrics(coin, now)])
            for coin in self.coins:
                delivered = min(now - coin.lag, coin.until)
                self._delivered[coin.symbol] = max(delivered, self._delivered.get(coin.symbol, delivered))
        self.now = now

    def execute(self, query: str, *parameters: object) -> None:
        with psycopg.connect(self.url, options="-c timezone=UTC") as connection:
            assert connection.execute(query.encode(), parameters).rowcount > 0

    def execute_any(self, query: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(query.encode())

    def _bars(self, coin: Coin, name: str, now: datetime) -> Iterator[tuple[Any, ...]]:
        length = INTERVALS[name].length
        first = max(coin.since, now - 2 * LOOKBACK * length - 6 * length)
        if coin.symbol in self._delivered:
            # Of what was delivered the bar that formed comes again, whatever the feed lags by now.
            first = self._delivered[coin.symbol]
        start = bucket_start(first, INTERVALS[name])
        while start <= min(now - coin.lag, coin.until):
            number = int(start.timestamp() / length.total_seconds())
            if not coin.leaves_out or number % coin.leaves_out:
                grown = min(1.0, (now - coin.lag - start) / length)
                yield (coin.symbol, start, *_values(f"{coin.symbol}{name}{number}", grown))
            start += length

    def _metrics(self, coin: Coin, now: datetime) -> Iterator[tuple[Any, ...]]:
        length = timedelta(minutes=5)
        first = self._delivered.get(coin.symbol, max(coin.since, now - coin.lag - 300 * length))
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
