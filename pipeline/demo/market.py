"""The sample market of ``demo``: prices as a fixed function of time, so that every run sees the same past.

A price path is the sum of smooth noise in octaves, each twice as slow as the one before and larger by the square root
of two, which looks like a random walk at every scale. A value of the noise depends on the symbol, the octave and the
time alone. Bars of all intervals are cut from the same path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ..base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval, bucket_start
from ..base.statements import identifier, join
from ..settings import DEFAULT_EXCHANGE
from ..source.session import session

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...indicators.contract import Floats, Ints

BARS = 500
METRICS_DAYS = 30
_OCTAVES = 22
_POINTS = 8


@dataclass(frozen=True)
class Coin:
    """One symbol of the sample market.

    Attributes:
        symbol: its name.
        price: around which it moves.
        volume: around which an hour's volume moves, in base units.
        takers: whether the feed gives taker volumes.
        late: bars by which the feed lags.
    """

    symbol: str
    price: float
    volume: float
    takers: bool = True
    late: int = 0


COINS = (
    Coin("BTCUSDT", 64_000.0, 900.0),
    Coin("ETHUSDT", 3_200.0, 11_000.0),
    Coin("BNBUSDT", 580.0, 14_000.0),
    Coin("SOLUSDT", 145.0, 90_000.0),
    Coin("LTCUSDT", 82.0, 40_000.0),
    Coin("LINKUSDT", 14.5, 260_000.0, takers=False),
    Coin("UNIUSDT", 7.8, 300_000.0),
    Coin("ADAUSDT", 0.46, 9_000_000.0, late=2),
    Coin("XRPUSDT", 0.52, 21_000_000.0),
    Coin("DOGEUSDT", 0.125, 88_000_000.0),
    Coin("SHIBUSDT", 0.0000182, 41_000_000_000.0),
    Coin("PEPEUSDT", 0.00000121, 800_000_000_000.0),
)


_METRICS = "binance_futures_metrics_5m"
#: The tables that the sample fills, each with the interval of its bars; None: it has metrics.
TABLES = {**{f"candles_{name}": INTERVALS[name] for name in DEFAULT_INTERVALS}, _METRICS: None}


def load_market(url: str, now: datetime, progress: Callable[[str], None] = lambda _: None) -> int:
    """Fill an empty schema with the sample market up to a moment, replacing an earlier one. Returns the rows loaded.

    ``progress`` is told the name of each table of ``TABLES`` when it begins.
    """
    loaded = 0
    with session(url, writes=True) as connection, connection.transaction():
        for name, interval in TABLES.items():
            progress(name)
            rows = candles(interval, now) if interval else metrics(now)
            loaded += rows.num_rows
            relation = f"market_data.{identifier(name)}"
            connection.execute(f"TRUNCATE {relation}".encode())
            columns = join([identifier(column) for column in rows.column_names])
            sink = pa.BufferOutputStream()
            csv.write_csv(rows, sink, csv.WriteOptions(include_header=False))
            with connection.cursor().copy(f"COPY {relation} ({columns}) FROM STDIN (FORMAT csv)".encode()) as copy:
                copy.write(memoryview(sink.getvalue()))
    with session(url, writes=True) as connection:
        connection.execute("ANALYZE")
    return loaded


def candles(interval: Interval, now: datetime) -> pa.Table:
    """The newest bars of every coin at an interval, the last of them still forming."""
    newest = bucket_start(now, interval)
    end = newest.timestamp() / 60
    minutes = interval.length.total_seconds() / 60
    starts = end - minutes * np.arange(BARS - 1, -1, -1.0)
    # The forming bars are half a minute old at least, so that they have a price range and volume.
    ends = np.minimum(starts + minutes, now.timestamp() / 60 + 0.5)
    # Every bar is looked at in a few points between its start and its end; neighbours share a point.
    within = starts[:, None] + (ends - starts)[:, None] * np.linspace(0, 1, _POINTS + 1)
    moments = pa.array((starts * 60_000_000).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    parts = []
    for coin in COINS:
        path = coin.price * np.exp(_noise(coin.symbol, within))
        share = (ends - starts) / 60
        volume = coin.volume * share * np.exp(2 * _ripple(coin.symbol + "volume", starts))
        buys = volume * (0.5 + 0.3 * _ripple(coin.symbol + "takers", starts))
        quote = volume * path.mean(axis=1)
        columns = {
            "open": path[:, 0],
            "high": path.max(axis=1),
            "low": path.min(axis=1),
            "close": path[:, -1],
            "volume": volume,
            "quote_volume": quote,
            "taker_buy_volume": buys,
            "taker_buy_quote_volume": quote * buys / volume,
        }
        kept = BARS - coin.late
        part = {name: pa.array(np.round(values[:kept], 12)) for name, values in columns.items()}
        if not coin.takers:
            part |= {name: pa.nulls(kept, pa.float64()) for name in ("taker_buy_volume", "taker_buy_quote_volume")}
        parts.append(
            pa.table(
                {
                    "exchange": pa.repeat(DEFAULT_EXCHANGE, kept),
                    "symbol": pa.repeat(coin.symbol, kept),
                    "bucket_ts": moments[:kept],
                    "trade_count": (1 + 2000 * share[:kept]).astype(np.int64),
                    "is_closed": starts[:kept] + minutes <= now.timestamp() / 60,
                    **part,
                }
            )
        )
    return pa.concat_tables(parts)


def metrics(now: datetime) -> pa.Table:
    """A month of futures metrics of every coin at 5m."""
    newest = bucket_start(now, INTERVALS["5m"])
    minutes = newest.timestamp() / 60 - 5 * np.arange(METRICS_DAYS * 288 - 1, -1, -1.0)
    moments = pa.array((minutes * 60_000_000).astype(np.int64)).cast(pa.timestamp("us"))
    parts = []
    for coin in COINS:
        interest = 40 * coin.volume * np.exp(_ripple(coin.symbol + "interest", minutes))
        price = coin.price * np.exp(_noise(coin.symbol, minutes))
        ratios = {
            name: np.exp(_ripple(coin.symbol + name, minutes))
            for name in (
                "count_toptrader_long_short_ratio",
                "sum_toptrader_long_short_ratio",
                "count_long_short_ratio",
                "sum_taker_long_short_vol_ratio",
            )
        }
        columns = {"sum_open_interest": interest, "sum_open_interest_value": interest * price, **ratios}
        parts.append(
            pa.table(
                {
                    "symbol": pa.repeat(coin.symbol, len(minutes)),
                    "create_time": moments,
                    "is_closed": minutes + 5 <= now.timestamp() / 60,
                    **{name: np.round(values, 8) for name, values in columns.items()},
                }
            )
        )
    return pa.concat_tables(parts)


def _noise(seed: str, minutes: Floats) -> Floats:
    """Logarithm of a price path at moments given in minutes since the epoch."""
    path = np.zeros_like(minutes)
    for octave in range(_OCTAVES):
        path += 0.0011 * 2 ** (octave / 2) * _octave(seed, octave, minutes)
    # Bounded, so that a coin stays around its level over ten years of weekly bars.
    return np.tanh(path)


def _ripple(seed: str, minutes: Floats) -> Floats:
    """Noise between -1 and 1 of hours to days."""
    return (_octave(seed, 4, minutes) + _octave(seed, 8, minutes) + _octave(seed, 11, minutes)) / 3


def _octave(seed: str, octave: int, minutes: Floats) -> Floats:
    """Smooth noise between -1 and 1 with a lattice of 2^octave minutes."""
    position = minutes / 2**octave
    cell = np.floor(position).astype(np.int64)
    inside = position - cell
    weight = inside * inside * (3 - 2 * inside)
    key = crc32(f"{seed}/{octave}".encode())
    left, right = _hashed(cell, key), _hashed(cell + 1, key)
    return left + weight * (right - left)


def _hashed(cell: Ints, key: int) -> Floats:
    """A number between -1 and 1 for each cell (the finalizer of SplitMix64)."""
    mixed = cell.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**63 - 1.0


def current_minute() -> datetime:
    """Now, cut to the minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)
