"""What a bar of history costs: the windows of a series in lanes beside the same windows as series of a panel.

``python -m bench.history``: processor time per window and core for all indicators of candles, and for those of metrics,
and for a whole task of a backfill with all tables of candles; medians of rounds in which all of them take turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bench.document import put
from candlemill.indicators.profiles import PARITY
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.backfill import export, folder
from candlemill.pipeline.backfill.plan import code_version
from candlemill.pipeline.backfill.store import Folder
from candlemill.pipeline.backfill.task import Task, perform
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.compute import compiler
from candlemill.pipeline.compute.history import Series, history_of, later
from candlemill.pipeline.compute.sql import SqlIndicators
from candlemill.pipeline.record import Record
from candlemill.pipeline.settings import RETENTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from candlemill.indicators.contract import Ints

INTERVAL = INTERVALS["5m"]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LOOKBACK, METRICS_ROWS = 400, 240
MARKS = "<!-- history: begin -->", "<!-- history: end -->"
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


def measure(windows: int, as_series: int, bars: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds per window by source: in lanes, as series of a panel, and how many times cheaper lanes are.

    Under ``task``: microseconds per bar that a task writes, and bytes in its files.

    Args:
        windows: how many are computed in lanes.
        as_series: how many of them as series of a panel.
        bars: of the task.
        rounds: of all; medians are returned, the first round is for warming up.
    """
    compiler.keep()
    both = {"candles": candles(windows + LOOKBACK, 5), "metrics": metrics(windows + METRICS_ROWS, 5)}
    taken: dict[tuple[str, bool], list[float]] = defaultdict(list)
    written: list[float] = []
    with open_duckdb() as connection, TemporaryDirectory(prefix="candlemill-bench-") as place:
        sql = SqlIndicators(connection)
        for turn in range(rounds + 1):
            for source, series in both.items():
                for lanes, count in ((True, windows), (False, as_series)):
                    taken[source, lanes].append(computed(source, series, windows, count, sql, lanes) / count * 1e6)
            store = Folder(Path(place))
            given = task(store, bars, turn)
            begun = process_time()
            record = perform(given, store, lanes=True)
            written.append((process_time() - begun) / bars * 1e6)
    found = {}
    for source in both:
        in_lanes, by_definition = (statistics.median(taken[source, lanes][1:]) for lanes in (True, False))
        found[source] = {"lanes": in_lanes, "series": by_definition, "times": by_definition / in_lanes}
    size = sum(record["files"].values()) / bars
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["task"] = {"lanes": statistics.median(written[1:]), "bytes": size, "peak_mb": peak}
    return found


def computed(source: str, series: Series, windows: int, count: int, sql: SqlIndicators, lanes: bool) -> float:
    """Seconds of processor time that the first of the newest windows of a series take."""
    chosen = [declared for declared in INDICATORS.values() if declared.source == source]
    first = len(series.time) - windows
    since, until = int(series.time[first]), int(series.time[first + count - 1]) + 1
    bars, futures = (series, None) if source == "candles" else (None, series)
    record = Record(BEGIN, "", [INTERVAL.name], len(chosen))
    begun = process_time()
    history_of(chosen, bars, futures, since, until, sql, record, lanes=lanes, coded=True)
    taken = process_time() - begun
    if record.errors:
        raise RuntimeError(record.errors[0]["message"])
    return taken


def task(store: Folder, bars: int, turn: int) -> Task:
    """A task of all indicators of candles over one symbol, with its bars exported."""
    series, name = candles(bars + 2 * LOOKBACK, 5), f"bars-{turn}"
    columns = {"symbol": pa.repeat(series.symbol, len(series.time)), "bucket_ts": pa.array(series.time)}
    table = pa.table({**columns, **series.fields})
    place = table.column_names.index("bucket_ts")
    table = table.set_column(place, "bucket_ts", table["bucket_ts"].cast(pa.timestamp("us", "UTC")))
    draft = store.draft(folder.bars_of(name, ""))
    digest = export.write(table, draft)
    store.publish({draft: folder.bars_of(name, digest)})
    return Task(
        name="bench",
        interval=INTERVAL.name,
        symbols=(series.symbol,),
        since=int(series.time[2 * LOOKBACK]),
        until=int(series.time[-1]) + 1,
        exchange="bench",
        profile=PARITY,
        lookback=LOOKBACK,
        forming=0,
        indicators=tuple(declared.id for declared in INDICATORS.values() if declared.source == "candles"),
        bars=name,
        metrics=(),
        exported=(digest,),
        version=code_version(),
    )


def table_of(found: Mapping[str, Mapping[str, float]], rounds: int) -> str:
    """What was measured, as Markdown, and what a year comes to."""
    lines = ["| processor time, one core | in lanes | as series of a panel | times |", "| --- | ---: | ---: | ---: |"]
    for source in ("candles", "metrics"):
        count = sum(declared.source == source for declared in INDICATORS.values())
        cost = found[source]
        lines.append(
            f"| {count} indicators of {source}, µs per window | {cost['lanes']:.1f} | {cost['series']:.0f} "
            f"| {cost['times']:.1f} |"
        )
    whole = found["task"]
    rate = 1e6 / whole["lanes"]
    lines.append(f"| all tables of candles written, µs per bar | {whole['lanes']:.1f} | | |")
    bars = {name: 365 * 24 * 60 * 60 / INTERVALS[name].length.total_seconds() for name in RETENTION}
    year = 50 * sum(bars.values())
    fine = 50 * bars["1m"]
    return (
        f"Medians of {rounds} rounds that take turns; peak memory {whole['peak_mb']:.0f} MB.\n\n"
        + "\n".join(lines)
        + f"\n\nThat is {rate:,.0f} bars a second and core, of {whole['bytes']:,.0f} bytes each. "
        f"A year of 50 symbols x "
        f"7 intervals is {year / 1e6:.1f} million bars, {fine / 1e6:.1f} million of them of 1m: "
        f"{year / rate / 3600:.1f} hours of one core, and {year * whole['bytes'] / 1e9:.0f} GB; without 1m "
        f"{(year - fine) / rate / 60:.0f} minutes and {(year - fine) * whole['bytes'] / 1e9:.0f} GB.\n"
    )


def main() -> None:
    """Print what a window and a written bar cost, or put it into a document."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--windows", type=int, default=16_384)
    parser.add_argument("--as-series", type=int, default=1024)
    parser.add_argument("--bars", type=int, default=49_152, help="of the task")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--report", type=Path, metavar="DOCUMENT", help="put the table into a document")
    asked = parser.parse_args()
    found = measure(asked.windows, asked.as_series, asked.bars, asked.rounds)
    text = json.dumps(found) + "\n" if asked.json else table_of(found, asked.rounds)
    if asked.report:
        put(asked.report, lambda: table_of(found, asked.rounds), *MARKS)
    print(text, end="")


if __name__ == "__main__":
    main()
