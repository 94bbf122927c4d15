"""What a bar of history costs: the windows of a series in lanes beside the same windows as series of a panel.

``python -m bench.history``: processor time per window and core for all indicators of candles, and for those of metrics,
medians of rounds in which both ways take turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
from datetime import UTC, datetime, timedelta
from functools import partial
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.compute import compiler
from candlemill.pipeline.compute.history import Series, history_of, later
from candlemill.pipeline.compute.sql import SqlIndicators
from candlemill.pipeline.record import Record

if TYPE_CHECKING:
    from candlemill.indicators.contract import Ints

INTERVAL = INTERVALS["5m"]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LOOKBACK, METRICS_ROWS = 400, 240
MONTH = timedelta(days=30) // timedelta(microseconds=1)


def times(bars: int) -> Ints:
    """Starts of bars, microseconds since the epoch."""
    step = INTERVAL.length // timedelta(microseconds=1)
    return int(BEGIN.timestamp() * 1_000_000) + step * np.arange(bars, dtype=np.int64)


def candles(bars: int, seed: int) -> Series:
    """Bars of a coin: prices with two decimals, volatility that comes in waves, some bars without volume."""
    random = np.random.default_rng(seed)
    swing = 0.001 * np.exp(0.5 * np.sin(np.arange(bars) / 300))
    close = np.round(100 * np.exp(np.cumsum(swing * random.standard_normal(bars) - 1e-7 * np.arange(bars) / bars)), 2)
    opening = np.concatenate([close[:1], close[:-1]])
    high = np.round(np.maximum(opening, close) * (1 + swing * random.exponential(0.4, bars)), 2)
    low = np.round(np.minimum(opening, close) * (1 - swing * random.exponential(0.4, bars)), 2)
    volume = np.where(random.random(bars) < 0.02, 0.0, np.round(1000 * random.lognormal(0, 0.8, bars), 3))
    quote, share = np.round(volume * (opening + close) / 2, 4), random.random(bars)
    fields = {
        "open": opening, "high": np.maximum(high, np.maximum(opening, close)),
        "low": np.minimum(low, np.minimum(opening, close)), "close": close, "volume": volume, "quote_volume": quote,
        "trade_count": np.where(volume > 0, 1.0 + random.integers(0, 500, bars), 0.0),
        "taker_buy_volume": np.round(volume * share, 3), "taker_buy_quote_volume": np.round(quote * share, 4),
    }  # fmt: skip
    begins = partial(later, interval=INTERVAL, bars=-2 * LOOKBACK)
    return Series("COIN", INTERVAL, times(bars), fields, LOOKBACK, begins)


def metrics(rows: int, seed: int) -> Series:
    """Metrics rows of a coin."""
    random = np.random.default_rng(seed)
    interest = 5000.0 * np.exp(np.cumsum(0.003 * random.standard_normal(rows)))
    fields = {
        "open_interest": interest, "open_interest_value": interest * 100, "is_closed": np.ones(rows),
        **{
            name: np.exp(0.2 * random.standard_normal(rows))
            for name in (
                "top_trader_account_ratio", "top_trader_position_ratio", "global_account_ratio", "taker_volume_ratio",
            )
        },
    }  # fmt: skip
    return Series("COIN", INTERVAL, times(rows), fields, METRICS_ROWS, lambda ends: ends - MONTH)


def measure(windows: int, as_series: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds per window by source: in lanes, as series of a panel, and how many times cheaper lanes are.

    Args:
        windows: how many are computed in lanes.
        as_series: how many of them as series of a panel.
        rounds: of both; medians are returned, the first round is for warming up.
    """
    compiler.lanes_pay(1 << 40, 1)
    found = {}
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        both = {"candles": candles(windows + LOOKBACK, 5), "metrics": metrics(windows + METRICS_ROWS, 5)}
        for source, series in both.items():
            chosen = [declared for declared in INDICATORS.values() if declared.source == source]
            first = len(series.time) - windows
            taken: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(rounds + 1):
                for lanes, count in ((True, windows), (False, as_series)):
                    since = int(series.time[first])
                    until = int(series.time[first + count - 1]) + 1
                    bars, futures = (series, None) if source == "candles" else (None, series)
                    record = Record(BEGIN, "", [INTERVAL.name], len(chosen))
                    begun = process_time()
                    history_of(chosen, bars, futures, since, until, sql, record, lanes=lanes)
                    taken[lanes].append((process_time() - begun) / count * 1e6)
                    if record.errors:
                        raise RuntimeError(record.errors[0]["message"])
            in_lanes, by_definition = (statistics.median(taken[lanes][1:]) for lanes in (True, False))
            found[source] = {"lanes": in_lanes, "series": by_definition, "times": by_definition / in_lanes}
    return found


def main() -> None:
    """Print what a window costs either way."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--windows", type=int, default=16_384)
    parser.add_argument("--as-series", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.windows, asked.as_series, asked.rounds)
    if asked.json:
        print(json.dumps(found))
        return
    for source, cost in found.items():
        count = sum(declared.source == source for declared in INDICATORS.values())
        print(
            f"{count} indicators of {source}: {cost['lanes']:.1f} us per window in lanes, "
            f"{cost['series']:.0f} us as series of a panel: {cost['times']:.1f} times"
        )


if __name__ == "__main__":
    main()
