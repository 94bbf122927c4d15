"""Series of bars for tests, each a fixed function of its seed, as panels and as the Arrow tables a source gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from candlemill.indicators.contract import BAR_FIELDS, METRIC_FIELDS, Panel
from candlemill.pipeline.base.intervals import INTERVALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candlemill.indicators.contract import Floats, Ints

AS_OF = datetime(2026, 1, 18, 14, 2, 30, tzinfo=UTC)
INTERVAL = "5m"
PRICES = ("open", "high", "low", "close")
NULLABLE = ("quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")


@dataclass(frozen=True, eq=False)
class Series:
    """The bars (or metrics rows) of one symbol, oldest first; NaN stands for NULL."""

    symbol: str
    time: Ints
    fields: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.time)

    def head(self, bars: int) -> Series:
        """The oldest bars."""
        return Series(self.symbol, self.time[:bars], {name: values[:bars] for name, values in self.fields.items()})

    def tail(self, bars: int) -> Series:
        """The newest bars."""
        cut = max(len(self) - bars, 0)
        return Series(self.symbol, self.time[cut:], {name: values[cut:] for name, values in self.fields.items()})

    def called(self, symbol: str) -> Series:
        """The same bars under another name."""
        return replace(self, symbol=symbol)

    def having(self, **changed: Floats) -> Series:
        """The same bars with other values in some fields."""
        return replace(self, fields={**self.fields, **changed})

    def without(self, *names: str) -> Series:
        """The same bars with NULL in some fields."""
        return self.having(**{name: np.full(len(self), np.nan) for name in names})


def stamps(bars: int, interval: str = INTERVAL, end: datetime = AS_OF) -> Ints:
    """Starts of the last bars up to a moment, microseconds since the epoch."""
    length = int(INTERVALS[interval].length.total_seconds()) * 1_000_000
    newest = int(end.timestamp()) * 1_000_000 // length * length
    return newest - length * np.arange(bars - 1, -1, -1, dtype=np.int64)


def walk(
    symbol: str,
    bars: int,
    seed: int,
    *,
    price: float = 100.0,
    swing: float = 0.01,
    decimals: int | None = None,
    volume: float = 1000.0,
    quiet: float = 0.0,
    interval: str = INTERVAL,
) -> Series:
    """A random walk.

    Args:
        symbol: its name.
        bars: how many.
        seed: of the random numbers.
        price: where it starts.
        swing: standard deviation of a bar's relative change.
        decimals: prices are rounded to so many, which makes equal prices and ties.
        volume: median volume of a bar.
        quiet: share of the bars without any volume.
        interval: of the bars.
    """
    random = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(swing * random.standard_normal(bars)))
    opening = np.concatenate([[price], close[:-1]]) * np.exp(swing / 8 * random.standard_normal(bars))
    upper = np.maximum(opening, close) * (1 + swing / 2 * random.random(bars))
    lower = np.minimum(opening, close) * (1 - swing / 2 * random.random(bars))
    if decimals is not None:
        opening, upper, lower, close = (np.round(values, decimals) for values in (opening, upper, lower, close))
    traded = volume * np.exp(random.standard_normal(bars))
    traded[random.random(bars) < quiet] = 0.0
    quote = traded * (opening + close) / 2
    share = random.random(bars)
    return Series(
        symbol,
        stamps(bars, interval),
        {
            "open": opening,
            "high": upper,
            "low": lower,
            "close": close,
            "volume": traded,
            "quote_volume": quote,
            "trade_count": np.where(traded > 0, 1.0 + random.integers(0, 500, bars), 0.0),
            "taker_buy_volume": traded * share,
            "taker_buy_quote_volume": quote * share,
        },
    )


def flat(symbol: str, bars: int, *, price: float = 0.1, volume: float = 7.3, interval: str = INTERVAL) -> Series:
    """Bars that are all the same and have no range."""
    values = dict.fromkeys(PRICES, price) | {
        "volume": volume,
        "quote_volume": volume * price,
        "trade_count": 3.0,
        "taker_buy_volume": volume / 2,
        "taker_buy_quote_volume": volume * price / 2,
    }
    return Series(symbol, stamps(bars, interval), {name: np.full(bars, value) for name, value in values.items()})


def sparse(series: Series, seed: int, *names: str, share: float = 0.3) -> Series:
    """The series with NULL in some fields of some bars, the newest among them."""
    random = np.random.default_rng(seed)
    changed = {}
    for name in names:
        missing = random.random(len(series)) < share
        missing[-1] = True
        changed[name] = np.where(missing, np.nan, series.fields[name])
    return series.having(**changed)


def scaled(series: Series, factor: float) -> Series:
    """The series in another quote currency: prices and turnovers times a factor."""
    names = {*PRICES, "quote_volume", "taker_buy_quote_volume", "open_interest_value"} & series.fields.keys()
    return series.having(**{name: series.fields[name] * factor for name in names})


def jumped(series: Series, factor: float) -> Series:
    """The series with the prices of its older half multiplied, as before a redenomination."""
    older = np.arange(len(series)) < len(series) // 2
    return series.having(**{name: np.where(older, factor, 1.0) * series.fields[name] for name in PRICES})


def paused(series: Series, seed: int, share: float = 0.2) -> Series:
    """The series without some of its bars, as a feed leaves gaps in time; the newest bar stays."""
    kept = np.random.default_rng(seed).random(len(series)) >= share
    kept[-1] = True
    return Series(series.symbol, series.time[kept], {name: values[kept] for name, values in series.fields.items()})


def zoo(bars: int = 450, interval: str = INTERVAL) -> list[Series]:
    """One series of every kind that occurs in markets, and of some that should not; of many lengths."""

    def calm(symbol: str, seed: int, length: int = bars) -> Series:
        return walk(symbol, length, seed, interval=interval)

    stuck = walk("STUCKUSDT", bars, 7, interval=interval)
    asleep = np.arange(bars) >= bars - 60
    stuck = stuck.having(**{name: np.where(asleep, stuck.fields["close"][-60], stuck.fields[name]) for name in PRICES})
    return [
        calm("CALMUSDT", 1),
        walk("WILDUSDT", bars, 2, swing=0.08, interval=interval),
        walk("TICKUSDT", bars, 3, price=2.5, swing=0.003, decimals=2, interval=interval),
        walk("CENTUSDT", bars, 4, price=0.0000182, interval=interval),
        walk("COINUSDT", bars, 5, price=64_000.0, decimals=1, interval=interval),
        walk("DUSTUSDT", bars, 6, price=1.21e-6, volume=8e11, decimals=8, interval=interval),
        stuck,
        flat("FLATUSDT", bars, interval=interval),
        flat("ZEROUSDT", bars, price=0.0, volume=0.0, interval=interval),
        flat("DEADUSDT", bars, price=3.3, volume=0.0, interval=interval),
        walk("QUIETUSDT", bars, 8, quiet=0.5, interval=interval),
        walk("MUTEUSDT", bars, 9, quiet=1.0, interval=interval),
        calm("NOTAKERUSDT", 10).without("taker_buy_volume", "taker_buy_quote_volume"),
        calm("NOQUOTEUSDT", 11).without(*NULLABLE),
        sparse(calm("SPARSEUSDT", 12), 12, *NULLABLE),
        sparse(calm("HALFTAKERUSDT", 13), 13, "taker_buy_volume"),
        paused(calm("PAUSEDUSDT", 14), 14),
        jumped(calm("JUMPUSDT", 15), 1e4),
        *(calm(f"NEW{length}USDT", 100 + length, length) for length in (1, 2, 3, 15, 36, 61, 119, 230, 399)),
    ]


def metrics_walk(symbol: str, rows: int, seed: int, interval: str = INTERVAL) -> Series:
    """Futures metrics of a symbol."""
    random = np.random.default_rng(seed)
    interest = 5000.0 * np.exp(np.cumsum(0.01 * random.standard_normal(rows)))
    ratios = [name for name in METRIC_FIELDS if name.endswith("_ratio")]
    return Series(
        symbol,
        stamps(rows, interval),
        {
            "open_interest": interest,
            "open_interest_value": interest * 100 * np.exp(np.cumsum(0.01 * random.standard_normal(rows))),
            **{name: np.exp(0.3 * random.standard_normal(rows)) for name in ratios},
            "is_closed": np.where(np.arange(rows) < rows - 1, 1.0, 0.0),
        },
    )


def metrics_zoo(symbols: Sequence[str], interval: str = INTERVAL) -> list[Series]:
    """Metrics of some symbols, of many lengths, some with NULL and some with zeros."""
    lengths = (240, 100, 30, 6, 2, 1)
    found = [metrics_walk(symbol, lengths[i % len(lengths)], i, interval) for i, symbol in enumerate(symbols)]
    values = [name for name in METRIC_FIELDS if name != "is_closed"]
    for i, series in enumerate(found):
        if i % 5 == 3:
            found[i] = sparse(series, i, *values)
        elif i % 5 == 4:
            found[i] = series.having(**{name: np.zeros(len(series)) for name in values})
    return found


def panel_of(
    series: Sequence[Series], interval: str = INTERVAL, as_of: datetime = AS_OF, fields: Sequence[str] | None = None
) -> Panel:
    """Panel of some series, ordered as a panel wants them; ``fields``: those it is to have, None: all."""
    ordered = sorted(series, key=lambda one: (-len(one), one.symbol))
    rows = len(ordered[0])
    names = list(ordered[0].fields) if fields is None else list(fields)
    time = np.zeros((rows, len(ordered)), dtype=np.int64)
    values = {name: np.full((rows, len(ordered)), np.nan) for name in names}
    for column, one in enumerate(ordered):
        time[rows - len(one) :, column] = one.time
        for name in names:
            values[name][rows - len(one) :, column] = one.fields[name]
    return Panel(
        intervals=[interval] * len(ordered),
        as_of=int(as_of.timestamp() * 1_000_000),
        symbols=[one.symbol for one in ordered],
        lengths=np.array([len(one) for one in ordered], dtype=np.int64),
        time=time,
        fields=values,
    )


def table_of(series: Sequence[Series]) -> pa.Table:
    """The rows of some series as a source gives them: symbol, bucket_ts and the fields, NULL where there is NaN."""
    names = list(series[0].fields) if series else list(BAR_FIELDS)
    empty: Floats = np.empty(0)
    columns = {name: np.concatenate([empty, *(one.fields[name] for one in series)]) for name in names}
    moments = np.concatenate([np.empty(0, dtype=np.int64), *(one.time for one in series)])
    return pa.table(
        {
            "symbol": pa.array([one.symbol for one in series for _ in range(len(one))], pa.string()),
            "bucket_ts": pa.array(moments).cast(pa.timestamp("us", "UTC")),
            **{name: pa.array(values, mask=np.isnan(values)) for name, values in columns.items()},
        }
    )


def shuffled(table: pa.Table, seed: int, chunks: int = 1) -> pa.Table:
    """The rows in another order, in so many chunks."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    parts = [table.take(pa.array(part)) for part in np.array_split(order, chunks)]
    return pa.concat_tables(parts)


def ragged(columns: Sequence[Sequence[float]]) -> tuple[Floats, Ints]:
    """Series of falling lengths as one array of shape (bars, series), newest row last, and each one's first row."""
    rows = max(len(column) for column in columns)
    values = np.full((rows, len(columns)), np.nan)
    for place, column in enumerate(columns):
        values[rows - len(column) :, place] = column
    return values, np.array([rows - len(column) for column in columns], dtype=np.int64)
