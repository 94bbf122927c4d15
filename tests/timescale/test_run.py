"""A run on TimescaleDB writes what a run on plain PostgreSQL writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.base.statements import identifier, literal, render, statement
from candlemill.pipeline.source.schema import init_db
from tests.conftest import dump_of
from tests.timescale.market import EXCHANGE, add_metrics, add_minutes, execute, rows, run_jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran, Server

SYMBOLS = ("AUSDT", "BUSDT", "CUSDT")
#: In the middle of all bars but those of 1m.
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)


def test_the_results_are_those_of_plain_postgresql_over_all_tables(
    url: str, server: Server, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    plain = server.database("plain")
    for database in (url, plain):
        init_db(database)
        # One symbol begins later, one ends before the others, one has a gap.
        add_minutes(database, SYMBOLS[:1], AS_OF - timedelta(days=13), AS_OF + timedelta(minutes=1))
        add_minutes(database, SYMBOLS[1:2], AS_OF - timedelta(days=9), AS_OF - timedelta(hours=3))
        add_minutes(database, SYMBOLS[2:], AS_OF - timedelta(days=11), AS_OF - timedelta(days=4))
        add_minutes(database, SYMBOLS[2:], AS_OF - timedelta(days=2), AS_OF + timedelta(minutes=1))
        add_metrics(database, SYMBOLS, datetime(2026, 1, 10, tzinfo=UTC), AS_OF)
    for name in DEFAULT_INTERVALS[1:]:
        interval = INTERVALS[name]
        query = render(
            statement("ingest/build_bars"), relation=identifier(interval.candles), bucket=literal(interval.bucket)
        )
        for symbol in SYMBOLS:
            first, last = rows(plain, "SELECT min(bucket_ts), max(bucket_ts) FROM market_data.candles_1m")[0]
            rows(
                plain, f"{query} RETURNING 1",
                exchange=EXCHANGE, symbol=symbol, first=first, last=last, source="built",
            )  # fmt: skip
    # Compressed chunks, aggregates that hold some of it and show the rest as it is.
    run_jobs(url, "policy_compression")
    for name in ("candles_5m", "candles_1h", "candles_1w", "binance_futures_metrics_1h_last"):
        zone = "timestamp" if "metrics" in name else "timestamptz"
        execute(url, f"CALL refresh_continuous_aggregate('market_data.{name}', NULL, {zone} '2026-01-20 00:00+00')")
    tables = {}
    for name, database in (("timescale", url), ("plain", plain)):
        ran = candlemill(
            "run", "--source", database, "--symbols", "all", "--as-of", AS_OF.isoformat(), "--json",
            "--sqlite", f"{name}.db", "--duckdb", f"{name}.duckdb",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert (ran.record["errors"], ran.record["series"]) == ([], 21)
        assert "WARNING" not in ran.err
        tables[name] = dump_of(tmp_path / f"{name}.db")
    assert len(tables["plain"]) >= 38
    assert tables["timescale"] == tables["plain"]
