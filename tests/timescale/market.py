"""A market of 1m bars and 5m metrics that the server makes itself, and what a database holds and is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

EXCHANGE = "binance_futures_um"

#: Values that depend on the symbol and the time alone, whatever server computes them.
_NOISE = """
    SELECT s.symbol, t.at, ('x' || substr(md5(s.symbol || extract(EPOCH FROM t.at)::bigint), 1, 6))::bit(24)::int AS n
    FROM unnest(%(symbols)s::text[]) AS s (symbol)
    CROSS JOIN generate_series(%(start)s::timestamptz, %(until)s::timestamptz - {step}, {step}) AS t (at)
"""
_MINUTES = f"""
    INSERT INTO market_data.candles_1m (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
        taker_buy_volume, taker_buy_quote_volume
    )
    SELECT
        '{EXCHANGE}', symbol, at, 100 + n %% 997 / 100.0, 112 + n %% 89 / 50.0, 90 - n %% 83 / 50.0,
        100 + n / 1000 %% 991 / 100.0, 1 + n %% 1009 / 8.0, 100 + n %% 1013 / 4.0, n %% 211, TRUE,
        n %% 499 / 16.0, 50 + n %% 503 / 8.0
    FROM ({_NOISE.format(step="INTERVAL '1 minute'")}) AS noise
"""
_METRICS = f"""
    INSERT INTO market_data.binance_futures_metrics_5m (
        create_time, symbol, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio
    )
    SELECT
        at AT TIME ZONE 'UTC', symbol, 1000 + n %% 997, 100000 + n %% 9973, 1 + n %% 89 / 64.0, 1 + n %% 83 / 64.0,
        1 + n %% 79 / 64.0, 1 + n %% 73 / 64.0
    FROM ({_NOISE.format(step="INTERVAL '5 minutes'")}) AS noise
"""


def execute(url: str, *queries: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        for query in queries:
            connection.execute(query.encode())


def rows(url: str, query: str, **parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def add_minutes(url: str, symbols: Sequence[str], start: datetime, until: datetime) -> None:
    """1m bars of some symbols, up to a time and without it."""
    _add(url, _MINUTES, symbols, start, until)


def add_metrics(url: str, symbols: Sequence[str], start: datetime, until: datetime) -> None:
    """5m metrics of some symbols, up to a time and without it."""
    _add(url, _METRICS, symbols, start, until)


def _add(url: str, query: str, symbols: Sequence[str], start: datetime, until: datetime) -> None:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute(query.encode(), {"symbols": list(symbols), "start": start, "until": until})


def table(url: str, relation: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a relation of the schema, in an order of their own."""
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        query = sql.SQL("SELECT {} FROM market_data.{} ORDER BY {}").format(
            sql.SQL(columns), sql.Identifier(relation), sql.SQL("2, 3" if relation.startswith("candles") else "1, 2")
        )
        return connection.execute(query).fetchall()


_STATE = {
    "relations": """
        SELECT c.oid, c.relname, c.relkind, c.relfilenode, c.relacl::text, c.reloptions, pg_get_viewdef(c.oid)
        FROM pg_class AS c
        WHERE c.relnamespace = 'market_data'::regnamespace AND c.relkind IN ('r', 'v', 'i') ORDER BY 1
    """,
    "hypertables": "SELECT * FROM timescaledb_information.hypertables ORDER BY 1, 2",
    "dimensions": "SELECT * FROM timescaledb_information.dimensions ORDER BY 1, 2",
    "chunks": "SELECT * FROM timescaledb_information.chunks ORDER BY 3, 4",
    "compression": "SELECT * FROM timescaledb_information.hypertable_compression_settings ORDER BY 1",
    "aggregates": "SELECT * FROM timescaledb_information.continuous_aggregates ORDER BY 3, 4",
    "watermarks": "SELECT * FROM _timescaledb_catalog.continuous_aggs_watermark ORDER BY 1",
    "jobs": "SELECT * FROM timescaledb_information.jobs ORDER BY 1",
    "triggers": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
}


def state(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, settings and jobs of the schema."""
    found = {name: rows(url, query) for name, query in _STATE.items()}
    names = rows(
        url, "SELECT relname FROM pg_class WHERE relnamespace = 'market_data'::regnamespace AND relkind IN ('r', 'v')"
    )
    return found | {name: table(url, name) for (name,) in names}


def run_jobs(url: str, procedure: str, relation: str = "%") -> None:
    """What the background workers of a real server would do."""
    jobs = rows(
        url,
        "SELECT job_id FROM timescaledb_information.jobs"
        " WHERE proc_name = %(procedure)s AND hypertable_name LIKE %(relation)s ORDER BY 1",
        procedure=procedure,
        relation=relation,
    )
    assert jobs
    for (job,) in jobs:
        execute(url, f"CALL run_job({job})")


def refresh(url: str) -> None:
    """Let all aggregates hold what is over. A policy does the same bucket by bucket, which takes much longer here."""
    aggregates = rows(
        url, "SELECT format('%%I.%%I', view_schema, view_name) FROM timescaledb_information.continuous_aggregates"
    )
    for (name,) in aggregates:
        kind = "timestamp" if "metrics" in name else "timestamptz"
        execute(url, f"CALL refresh_continuous_aggregate('{name}', NULL, now()::{kind})")
