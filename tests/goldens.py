"""Golden cases: inputs as Parquet, and the values that must come out, one row per value."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.source.reader import METRIC_COLUMNS, METRICS_WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent / "golden"
KEY = ("交易对", "周期", "数据时间")

_CANDLES = """CREATE TABLE market_data.{name} (
    exchange text NOT NULL DEFAULT 'binance_futures_um', symbol text NOT NULL, bucket_ts timestamptz NOT NULL,
    open numeric(38,12) NOT NULL, high numeric(38,12) NOT NULL, low numeric(38,12) NOT NULL,
    close numeric(38,12) NOT NULL, volume numeric(38,12) NOT NULL, quote_volume numeric(38,12), trade_count bigint,
    taker_buy_volume numeric(38,12), taker_buy_quote_volume numeric(38,12), is_closed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (exchange, symbol, bucket_ts))"""
_METRICS = """CREATE TABLE market_data.{name} (
    {time} timestamp NOT NULL, symbol text NOT NULL, sum_open_interest numeric, sum_open_interest_value numeric,
    count_toptrader_long_short_ratio numeric, sum_toptrader_long_short_ratio numeric, count_long_short_ratio numeric,
    sum_taker_long_short_vol_ratio numeric, {closed} boolean, UNIQUE (symbol, {time}))"""


def cases() -> list[Path]:
    """The repository's own cases and those below the folder that CANDLEMILL_GOLDEN names, small ones first."""
    folders = [HERE, *([Path(os.environ["CANDLEMILL_GOLDEN"])] if os.environ.get("CANDLEMILL_GOLDEN") else [])]
    found = [file.parent for folder in folders for file in folder.rglob("case.json")]
    return sorted(found, key=lambda case: ((case / "expected.parquet").stat().st_size, case.name))


def description(case: Path) -> dict[str, Any]:
    """as_of, lookback, symbols and intervals of a case."""
    parsed: dict[str, Any] = json.loads((case / "case.json").read_text())
    return parsed


def load(case: Path, url: str) -> None:
    """Fill an empty database with a case, in tables shaped like those of the source."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute("CREATE SCHEMA market_data")
        for file in sorted(case.glob("*.parquet")):
            if file.stem.startswith("candles_"):
                shape = _CANDLES
            elif match := re.fullmatch(r"binance_futures_metrics_\w+?(_last)?", file.stem):
                names = ("bucket", "complete") if match[1] else ("create_time", "is_closed")
                shape = _METRICS.replace("{time}", names[0]).replace("{closed}", names[1])
            else:
                continue
            connection.execute(shape.replace("{name}", file.stem).encode())
            table = pq.read_table(file)
            sink = pa.BufferOutputStream()
            csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
            columns = ", ".join(table.column_names)
            statement = f"COPY market_data.{file.stem} ({columns}) FROM STDIN (FORMAT csv)".encode()
            with connection.cursor().copy(statement) as copy:
                copy.write(memoryview(sink.getvalue()))
        connection.execute("ANALYZE")


def candles(case: Path, interval: str) -> pa.Table:
    """The bars of a case at an interval, of the window that a source is asked for."""
    table = pq.read_table(case / f"candles_{interval}.parquet")
    asked = description(case)
    after = INTERVALS[interval].back(datetime.fromisoformat(asked["as_of"]), 2 * asked["lookback"])
    return table.filter(pc.greater(table["bucket_ts"], pa.scalar(after)))


def metrics(case: Path, interval: str) -> pa.Table | None:
    """The futures metrics of a case at an interval, as a source gives them; None where it has none."""
    names = ("create_time", "is_closed") if interval == "5m" else ("bucket", "complete")
    file = case / f"binance_futures_metrics_{interval}{'' if interval == '5m' else '_last'}.parquet"
    if not file.exists():
        return None
    given = pq.read_table(file)
    time = given[names[0]].cast(pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "symbol": given["symbol"],
            "bucket_ts": time,
            **{name: given[column] for name, column in METRIC_COLUMNS.items()},
            "is_closed": given[names[1]].cast(pa.int8()).cast(pa.float64()),
        }
    )
    as_of = datetime.fromisoformat(description(case)["as_of"])
    recent = pc.and_(pc.greater(time, pa.scalar(as_of - METRICS_WINDOW)), pc.less_equal(time, pa.scalar(as_of)))
    return table.filter(recent)


#: Rows by table and key, each with its values by column.
Rows: TypeAlias = "Mapping[str, Mapping[tuple[str, ...], Mapping[str, Any]]]"


def stored(database: Path, tables: set[str]) -> Rows:
    """The rows of some tables of a result database; a table that no series has rows for is not made."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        made = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} & tables
        return {
            table: {tuple(row[k] for k in KEY): dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')}
            for table in made
        }


@dataclass
class Verdict:
    """How a result database compares with a case."""

    values: int = 0
    flips: int = 0
    wrong: list[str] = field(default_factory=list)


def compare(case: Path, found: Rows, tables: set[str]) -> Verdict:
    """Compare the rows of some tables with what must come out, in both directions."""
    expected: dict[str, dict[tuple[str, ...], dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in pq.read_table(case / "expected.parquet").to_pylist():
        if row["table"] in tables:
            expected[row["table"]][(row["symbol"], row["interval"], row["data_time"])][row["column"]] = row
    verdict = Verdict()
    for table in sorted(tables):
        rows = found.get(table, {})
        for key in rows.keys() ^ expected[table].keys():
            verdict.wrong.append(f"{table} {key}: row {'beyond the expected' if key in rows else 'missing'}")
        for key in rows.keys() & expected[table].keys():
            for column, want in expected[table][key].items():
                verdict.values += 1
                outcome = _agree(want, rows[key][column])
                if outcome == "flip":
                    verdict.flips += 1
                elif outcome:
                    verdict.wrong.append(f"{table} {key} {column}: {outcome}")
    return verdict


def _agree(want: dict[str, Any], got: object) -> str:
    """Nothing where a value agrees; 'flip' for one unit of the last decimal; else the difference."""
    if want["kind"] == "skip":
        return ""
    if want["kind"] == "null":
        return "" if got is None else f"want NULL, got {got!r}"
    if want["kind"] == "text":
        return "" if got == want["text"] else f"want {want['text']!r}, got {got!r}"
    if isinstance(got, bool) or not isinstance(got, int | float):
        return f"want {want['num']!r}, got {got!r}"
    distance = abs(got - want["num"])
    if distance <= max(1e-9 * abs(want["num"]), want["tol_abs"], 1e-11):
        return ""
    return "flip" if want["flip"] and distance <= want["flip"] else f"want {want['num']!r}, got {got!r}"
