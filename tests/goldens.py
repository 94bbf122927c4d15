"""Golden cases: inputs as Parquet, and the values that must come out, one row per value."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

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
    """The repository's own cases, and those below the folder that CANDLEMILL_GOLDEN names."""
    folders = [HERE, *([Path(os.environ["CANDLEMILL_GOLDEN"])] if os.environ.get("CANDLEMILL_GOLDEN") else [])]
    return [file.parent for folder in folders for file in sorted(folder.rglob("case.json"))]


def description(case: Path) -> dict[str, Any]:
    """as_of, lookback, symbols and intervals of a case."""
    parsed: dict[str, Any] = json.loads((case / "case.json").read_text())
    return parsed


def load(case: Path, url: str) -> None:
    """Fill an empty database with a case, in tables shaped like those of the source."""
    with psycopg.connect(url, options="-c timezone=UTC") as door:
        door.execute("CREATE SCHEMA market_data")
        for file in sorted(case.glob("*.parquet")):
            if file.stem.startswith("candles_"):
                shape = _CANDLES
            elif match := re.fullmatch(r"binance_futures_metrics_\w+?(_last)?", file.stem):
                names = ("bucket", "complete") if match[1] else ("create_time", "is_closed")
                shape = _METRICS.replace("{time}", names[0]).replace("{closed}", names[1])
            else:
                continue
            door.execute(shape.replace("{name}", file.stem).encode())
            table = pq.read_table(file)
            sink = pa.BufferOutputStream()
            csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
            columns = ", ".join(table.column_names)
            statement = f"COPY market_data.{file.stem} ({columns}) FROM STDIN (FORMAT csv)".encode()
            with door.cursor().copy(statement) as copy:
                copy.write(memoryview(sink.getvalue()))
        door.execute("ANALYZE")


@dataclass
class Verdict:
    """How a result database compares with a case."""

    values: int = 0
    flips: int = 0
    wrong: list[str] = field(default_factory=list)


def compare(case: Path, database: Path, tables: set[str]) -> Verdict:
    """Compare the rows of some tables with what must come out, in both directions."""
    expected: dict[str, dict[tuple[str, ...], dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in pq.read_table(case / "expected.parquet").to_pylist():
        if row["table"] in tables:
            expected[row["table"]][(row["symbol"], row["interval"], row["data_time"])][row["column"]] = row
    verdict = Verdict()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as door:
        door.row_factory = sqlite3.Row
        for table in sorted(tables):
            # A table that no series of the case has rows for is not made.
            there = door.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall()
            found = {tuple(r[k] for k in KEY): r for r in (door.execute(f'SELECT * FROM "{table}"') if there else ())}
            for key in found.keys() ^ expected[table].keys():
                verdict.wrong.append(f"{table} {key}: row {'beyond the expected' if key in found else 'missing'}")
            for key in found.keys() & expected[table].keys():
                for column, want in expected[table][key].items():
                    verdict.values += 1
                    outcome = _agree(want, found[key][column])
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
