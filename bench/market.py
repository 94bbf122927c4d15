"""A market of any size, made inside the server from a seed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg

from pipeline.intervals import INTERVALS
from pipeline.market import bucket_start
from pipeline.schema import init_db
from pipeline.statements import Sql, identifier, literal, render

BARS = 500
#: When the market's newest bar forms; the runs look from here.
NOW = datetime(2026, 6, 17, 12, 3, tzinfo=UTC)
_HERE = Path(__file__).parent


def make_market(url: str, symbols: int, intervals: list[str]) -> None:
    """Fill an empty database. Coarser metrics stand in tables, as a continuous aggregate keeps them."""
    init_db(url)
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as door:
        door.execute("SELECT setseed(0.5)")
        for name in intervals:
            interval = INTERVALS[name]
            shared = {
                "newest": Sql(f"timestamptz {literal(bucket_start(NOW, interval))}"),
                "length": literal(interval.bucket),
                "symbols": literal(symbols),
            }
            relation = identifier(f"candles_{name}")
            door.execute(render(_sql("market"), relation=relation, bars=literal(BARS), **shared).encode())
            if name == "1m":
                continue
            table = "binance_futures_metrics_5m" if name == "5m" else f"binance_futures_metrics_{name}_last"
            time, closed = ("create_time", "is_closed") if name == "5m" else ("bucket", "complete")
            if name != "5m":
                door.execute(f"DROP VIEW market_data.{identifier(table)}".encode())
                door.execute(render(_sql("coarse_metrics"), relation=identifier(table)).encode())
            parts = {"relation": identifier(table), "time": identifier(time), "closed": identifier(closed)}
            door.execute(render(_sql("metrics"), **parts, **shared).encode())
        door.execute("VACUUM ANALYZE")


def _sql(name: str) -> Sql:
    lines = (_HERE / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return Sql("\n".join(line for line in lines if not line.startswith("--")))
