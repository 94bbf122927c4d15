"""A market of any size, made inside the server from a seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from candlemill.indicators.fields import METRICS_ROWS
from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS, bucket_start
from candlemill.pipeline.base.statements import Sql, identifier, literal, render
from candlemill.pipeline.settings import DEFAULT_LOOKBACK
from candlemill.pipeline.source.schema import init_db

#: When the market's newest bar forms; the runs look from here.
NOW = datetime(2026, 6, 17, 12, 3, tzinfo=UTC)
#: Bars per series: a database holds more than a pass keeps.
BARS = 2 * DEFAULT_LOOKBACK
_METRICS = 2 * METRICS_ROWS
#: A scale of two intervals has the first two, and so on.
_BY_USE = ("5m", "1h", "1d", "15m", "4h", "1m", "1w")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Scale:
    """Symbols times intervals."""

    symbols: int
    intervals: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Scale of ``30x7``. Raises ValueError for anything else."""
        match = re.fullmatch(r"([1-9]\d{0,3})x([1-7])", text)
        if not match:
            raise ValueError(f"{text!r} is not SYMBOLSxINTERVALS with 1 to 9999 symbols and 1 to 7 intervals")
        chosen = _BY_USE[: int(match[2])]
        return cls(int(match[1]), tuple(name for name in DEFAULT_INTERVALS if name in chosen))

    def __str__(self) -> str:
        return f"{self.symbols}x{len(self.intervals)}"


@dataclass(frozen=True)
class Metrics:
    """Where the market keeps the metrics of an interval."""

    relation: str
    time: str
    closed: str


def metrics_of(interval: str) -> Metrics | None:
    """The metrics relation of an interval; None at 1m, which has none."""
    if interval == "1m":
        return None
    if interval == "5m":
        return Metrics("binance_futures_metrics_5m", "create_time", "is_closed")
    return Metrics(f"binance_futures_metrics_{interval}_last", "bucket", "complete")


def new_database(url: str, name: str) -> str:
    """URL of a new, empty database of the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {identifier(name)}".encode())
    return re.sub(r"/\w+(?=\?|$)", f"/{name}", url, count=1)


def make_market(url: str, scale: Scale, bars: int = BARS, present: int = 0) -> None:
    """Fill an empty database, or add the symbols beyond the ``present`` first ones to such a market.

    Coarser metrics stand in tables, as a continuous aggregate keeps them. All rows are laid down in the order of time,
    as a feed delivers them.
    """
    if not present:
        init_db(url)
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC -c synchronous_commit=off") as connection:
        connection.execute("SELECT setseed(0.5)")
        for name in scale.intervals:
            shared = {
                "newest": newest(name),
                "length": literal(INTERVALS[name].bucket),
                "first": literal(present + 1),
                "last": literal(scale.symbols),
            }
            relation = identifier(f"candles_{name}")
            connection.execute(render(sql("market"), relation=relation, bars=literal(bars), **shared).encode())
            metrics = metrics_of(name)
            if metrics is None:
                continue
            parts = {"relation": identifier(metrics.relation)}
            if name != "5m" and not present:
                connection.execute(f"DROP VIEW market_data.{parts['relation']}".encode())
                connection.execute(render(sql("coarse_metrics"), **parts).encode())
            parts |= {"time": identifier(metrics.time), "closed": identifier(metrics.closed)}
            connection.execute(render(sql("metrics"), rows=literal(_METRICS), **parts, **shared).encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def newest(interval: str) -> Sql:
    """Start of the bar that forms, in SQL."""
    return Sql(f"timestamptz {literal(bucket_start(NOW, INTERVALS[interval]))}")


def sql(name: str) -> Sql:
    """Text of ``bench/<name>.sql`` without its comment."""
    lines = (_HERE / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return Sql("\n".join(line for line in lines if not line.startswith("--")))
