"""A source that keeps its rows in chunks by day, as TimescaleDB does: no statement looks at chunks it does not need."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pytest

from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.fields import METRICS_ROWS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.record import Record
from candlemill.pipeline.source import buckets
from candlemill.pipeline.source.reader import METRIC_COLUMNS, Newer, Source

if TYPE_CHECKING:
    from candlemill.pipeline.base.statements import Sql
    from candlemill.pipeline.source.bulk import Bulk
    from tests.conftest import Server

EXCHANGE = "binance_futures_um"
DAYS = 180
FIRST = datetime(2025, 7, 23, tzinfo=UTC)
#: On the last of the days.
AS_OF = datetime(2026, 1, 18, 14, 7, tzinfo=UTC)
SYMBOLS = [f"S{number:03}USDT" for number in range(12)]
SCHEMA = """
CREATE SCHEMA market_data;
CREATE TABLE market_data.candles_1m (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, bucket_ts TIMESTAMPTZ NOT NULL, open NUMERIC, high NUMERIC,
    low NUMERIC, close NUMERIC, volume NUMERIC, quote_volume NUMERIC, PRIMARY KEY (exchange, symbol, bucket_ts)
) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.candles_5m (LIKE market_data.candles_1m INCLUDING ALL) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.candles_1h (LIKE market_data.candles_1m INCLUDING ALL) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.binance_futures_metrics_5m (
    create_time TIMESTAMP NOT NULL, symbol TEXT NOT NULL, sum_open_interest NUMERIC, sum_open_interest_value NUMERIC,
    count_toptrader_long_short_ratio NUMERIC, sum_toptrader_long_short_ratio NUMERIC, count_long_short_ratio NUMERIC,
    sum_taker_long_short_vol_ratio NUMERIC, is_closed BOOLEAN NOT NULL DEFAULT TRUE, UNIQUE (symbol, create_time)
) PARTITION BY RANGE (create_time);
CREATE INDEX ON market_data.candles_1m (bucket_ts);
CREATE INDEX ON market_data.candles_5m (bucket_ts);
CREATE INDEX ON market_data.candles_1h (bucket_ts);
CREATE INDEX ON market_data.binance_futures_metrics_5m (create_time);
DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['candles_1m', 'candles_5m', 'candles_1h', 'binance_futures_metrics_5m'] LOOP
        FOR day IN 0..179 LOOP
            EXECUTE format('CREATE TABLE market_data.%I PARTITION OF market_data.%I FOR VALUES FROM (%L) TO (%L)',
                'day_' || day || '_of_' || name, name, date '2025-07-23' + day, date '2025-07-23' + day + 1);
        END LOOP;
    END LOOP;
END $$;
"""
#: Hourly metrics as a view, most of which is kept, and the rest of it aggregated when it is asked for.
VIEW = """
CREATE TABLE market_data.kept AS
    SELECT symbol, date_bin('1 hour', create_time, '2000-01-03') AS bucket, {last}, bool_and(is_closed) AS complete
    FROM market_data.binance_futures_metrics_5m WHERE create_time < '2026-01-18 12:00' GROUP BY 1, 2;
CREATE UNIQUE INDEX ON market_data.kept (symbol, bucket);
CREATE VIEW market_data.binance_futures_metrics_1h_last AS
    SELECT * FROM market_data.kept WHERE bucket < '2026-01-18 12:00'
    UNION ALL
    SELECT symbol, date_bin('1 hour', create_time, '2000-01-03') AS bucket, {last}, bool_and(is_closed) AS complete
    FROM market_data.binance_futures_metrics_5m WHERE create_time >= '2026-01-18 12:00' GROUP BY 1, 2;
"""


@dataclass
class Overheard:
    """A way to read that keeps the statements."""

    way: Bulk
    said: list[Sql] = field(default_factory=list)

    def read(self, query: Sql, schema: pa.Schema) -> pa.Table:
        self.said.append(query)
        return self.way.read(query, schema)


@pytest.fixture(scope="module")
def chunks(server: Server) -> str:
    """Bars and metrics of half a year: a few of all the time, more of the last days, with gaps; some symbols end."""
    url = server.database("chunks")
    columns = ", ".join(METRIC_COLUMNS.values())
    last = ", ".join(f"(array_agg({name} ORDER BY create_time DESC))[1] AS {name}" for name in METRIC_COLUMNS.values())

    def bars(name: str, first: str, step: str) -> str:
        return (
            f"INSERT INTO market_data.candles_{name}"
            f" SELECT '{EXCHANGE}', symbol, t, 100 + a, 102 + a, 99 + a, 101 + a, a, a"
            f" FROM generate_series('{first}+00'::timestamptz, '{AS_OF}', '{step}') AS t, symbols,"
            " LATERAL (SELECT ('x' || left(md5(symbol || t), 4))::bit(16)::int / 65536.0 AS a) AS x"
            " WHERE a > 0.03 AND (symbol <> 'S011USDT' OR t < '2026-01-18 09:00+00') ON CONFLICT DO NOTHING"
        )

    def metrics(first: str, step: str) -> str:
        return (
            f"INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, {columns})"
            " SELECT symbol, t, a, 100 * a, a, a, a, a"
            f" FROM generate_series('{first}'::timestamp, '{AS_OF:%Y-%m-%d %H:%M}', '{step}') AS t, symbols,"
            " LATERAL (SELECT ('x' || left(md5(symbol || t), 4))::bit(16)::int / 65536.0 AS a) AS x"
            # Of one symbol there are holes, and two have ended, one of them a long time ago.
            " WHERE (symbol <> 'S009USDT' OR a > 0.4) AND (symbol <> 'S010USDT' OR t < '2026-01-10')"
            " AND (symbol <> 'S011USDT' OR t < '2025-12-01') ON CONFLICT DO NOTHING"
        )

    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        for statement in (
            SCHEMA,
            f"CREATE TEMP TABLE symbols AS SELECT unnest(ARRAY{SYMBOLS}) AS symbol",
            bars("1m", "2025-07-23 00:00", "1 day"),
            bars("1m", "2026-01-16 00:00", "1 minute"),
            bars("5m", "2026-01-14 00:00", "5 minutes"),
            bars("1h", "2025-11-23 00:00", "1 hour"),
            metrics("2025-07-23", "1 day"),
            metrics("2025-12-25", "5 minutes"),
            VIEW.replace("{last}", last),
            "VACUUM ANALYZE",
        ):
            connection.execute(statement.encode())
    return url


@pytest.fixture
def source(chunks: str) -> tuple[Source, Overheard]:
    found = Source.connect(chunks, Record(AS_OF, "", [], 0))
    overheard = Overheard(found._bulk)
    found._bulk = overheard
    return found, overheard


def days_in_the_plans(url: str, statements: list[Sql]) -> dict[str, set[int]]:
    """Which chunks the plans of the statements have, by the table that they are of."""
    days = defaultdict(set)

    def look(node: Any) -> None:
        if chunk := re.fullmatch(r"day_(\d+)_of_(\w+)", node.get("Relation Name", "")):
            days[chunk[2]].add(int(chunk[1]))
        for below in node.get("Plans", []):
            look(below)

    with psycopg.connect(url, options="-c timezone=UTC -c search_path=pg_catalog") as connection:
        for statement in statements:
            [(plan,)] = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode()).fetchall()
            look(json.loads(plan)[0]["Plan"] if isinstance(plan, str) else plan[0]["Plan"])
    return dict(days)


def days(window: timedelta) -> set[int]:
    """The days from a time before as-of on."""
    return set(range((AS_OF - window - FIRST).days, DAYS))


@pytest.mark.parametrize(("name", "window"), [("1m", 800), ("5m", 800), ("1h", 800)])
def test_candles_are_looked_for_in_their_window(
    name: str, window: int, source: tuple[Source, Overheard], chunks: str
) -> None:
    found, overheard = source
    interval = INTERVALS[name]
    assert found.candles(interval, EXCHANGE, None, AS_OF, window // 2).num_rows
    assert days_in_the_plans(chunks, overheard.said) == {interval.candles: days(window * interval.length)}


@pytest.mark.parametrize("late", [0, 2, 12])
@pytest.mark.parametrize("name", ["1m", "5m", "1h"])
def test_newer_candles_are_looked_for_where_they_are_however_many_symbols_are_late(
    name: str, late: int, source: tuple[Source, Overheard], chunks: str
) -> None:
    found, overheard = source
    interval = INTERVALS[name]
    moments = {symbol: AS_OF - (20 + number) * interval.length for number, symbol in enumerate(SYMBOLS[:late])}
    newer = Newer(AS_OF - 4 * interval.length, moments)
    rows = found.newer_candles(interval, EXCHANGE, None, AS_OF, newer)
    back = (20 + late if late else 4) * interval.length
    assert days_in_the_plans(chunks, overheard.said) == {interval.candles: days(back)}
    assert len(overheard.said) == 1
    assert sorted(rows["symbol"].to_pylist()) == sorted(
        symbol for symbol, _ in expected_newer(chunks, interval.candles, newer)
    )


def test_a_symbol_that_is_very_late_costs_the_others_nothing(source: tuple[Source, Overheard], chunks: str) -> None:
    found, overheard = source
    moments = dict.fromkeys(SYMBOLS, AS_OF - timedelta(minutes=50)) | {SYMBOLS[3]: AS_OF - timedelta(days=60)}
    newer = Newer(AS_OF - timedelta(minutes=20), moments)
    rows = found.newer_candles(INTERVALS["5m"], EXCHANGE, None, AS_OF, newer)
    assert sorted(zip(rows["symbol"].to_pylist(), rows["bucket_ts"].to_pylist(), strict=True)) == expected_newer(
        chunks, "candles_5m", newer
    )
    [statement] = overheard.said
    parts = statement.split("UNION ALL")
    assert [SYMBOLS[3] in part for part in parts] == [False, False, True]
    assert [SYMBOLS[4] in part for part in parts] == [False, True, False]


def expected_newer(url: str, table: str, newer: Newer) -> list[tuple[str, datetime]]:
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        rows = connection.execute(
            f"SELECT symbol, bucket_ts FROM market_data.{table} WHERE bucket_ts <= %s".encode(), [AS_OF]
        ).fetchall()
    return sorted((symbol, at) for symbol, at in rows if at > newer.late.get(symbol, newer.since))


# -- metrics


def newest_metrics(url: str, relation: str, time: str) -> list[tuple[Any, ...]]:
    """The newest rows of every symbol within a month, as they were always read."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        return connection.execute(
            f"""
            SELECT symbol, {time} AT TIME ZONE 'UTC', sum_open_interest::float8
            FROM (
                SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY {time} DESC) AS place
                FROM market_data.{relation}
                WHERE {time} > %(after)s AND {time} <= %(until)s
            ) AS ranked
            WHERE place <= {METRICS_ROWS}
            ORDER BY 1, 2
            """.encode(),
            {"after": (AS_OF - timedelta(days=30)).replace(tzinfo=None), "until": AS_OF.replace(tzinfo=None)},
        ).fetchall()


@pytest.mark.parametrize(
    ("name", "relation", "time"),
    [("5m", "binance_futures_metrics_5m", "create_time"), ("1h", "binance_futures_metrics_1h_last", "bucket")],
)
def test_the_newest_metrics_are_those_of_a_month_wherever_a_symbol_has_them(
    name: str, relation: str, time: str, source: tuple[Source, Overheard], chunks: str
) -> None:
    found, overheard = source
    table = found.metrics(INTERVALS[name], AS_OF)
    assert table is not None
    columns = (table[column].to_pylist() for column in ("symbol", "bucket_ts", "open_interest"))
    expected = newest_metrics(chunks, relation, time)
    assert sorted(zip(*columns, strict=True)) == expected
    counts = {symbol: sum(row[0] == symbol for row in expected) for symbol in SYMBOLS}
    assert counts["S000USDT"] == METRICS_ROWS
    # Rows of both have to be looked for before the newest 240 intervals; the third ended before the month.
    assert counts["S009USDT"] == METRICS_ROWS
    assert counts["S010USDT"] > 0
    assert counts["S011USDT"] == 0
    assert len(overheard.said) == 1
    assert days_in_the_plans(chunks, overheard.said) == {"binance_futures_metrics_5m": days(timedelta(days=30))}


def test_a_role_that_may_read_coarse_metrics_alone_gets_the_same(server: Server, chunks: str) -> None:
    """The symbols that have some are looked up in the table of 5m only where that can be read."""
    name = chunks.rpartition("/")[2]
    view = "market_data.binance_futures_metrics_1h_last"
    with psycopg.connect(chunks, autocommit=True) as connection:
        connection.execute("CREATE ROLE coarse LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA market_data TO coarse")
        connection.execute(f"GRANT SELECT ON {view} TO coarse")
        try:
            urls = (chunks, server.url_of(name, "coarse"))
            found = [Source.connect(url).metrics(INTERVALS["1h"], AS_OF) for url in urls]
        finally:
            connection.execute("DROP OWNED BY coarse")
            connection.execute("DROP ROLE coarse")
    keys = [("symbol", "ascending"), ("bucket_ts", "ascending")]
    everything, coarse = (table.sort_by(keys) for table in found if table)
    assert everything.num_rows
    assert coarse.equals(everything)


@pytest.mark.parametrize("late", [0, 2, 12])
def test_newer_metrics_are_looked_for_where_they_are(late: int, source: tuple[Source, Overheard], chunks: str) -> None:
    found, overheard = source
    moments = {symbol: AS_OF - timedelta(hours=20 + number) for number, symbol in enumerate(SYMBOLS[:late])}
    newer = Newer(AS_OF - timedelta(minutes=20), moments)
    assert found.metrics(INTERVALS["5m"], AS_OF, newer)
    back = timedelta(hours=20 + late) if late else timedelta(minutes=20)
    assert days_in_the_plans(chunks, overheard.said) == {"binance_futures_metrics_5m": days(back)}


# -- symbols


def test_symbols_are_chosen_from_the_days_that_decide(source: tuple[Source, Overheard], chunks: str) -> None:
    found, overheard = source
    assert found.auto_symbols(EXCHANGE, AS_OF, 3)
    assert days_in_the_plans(chunks, overheard.said) == {
        "candles_5m": days(timedelta(hours=25)),
        "binance_futures_metrics_5m": days(timedelta(days=7)),
    }
    overheard.said.clear()
    assert found.symbols(EXCHANGE, [INTERVALS["1m"], INTERVALS["1h"]], AS_OF, 400) == SYMBOLS
    assert days_in_the_plans(chunks, overheard.said) == {
        "candles_1m": days(timedelta(minutes=800)),
        "candles_1h": days(timedelta(hours=800)),
    }


# -- bars of 1m bars


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PART_ROWS", 1000)
    monkeypatch.setattr(buckets, "_FIRST_PART", timedelta(minutes=20))


@pytest.mark.parametrize("name", ["3m", "15m", "2h"])
@pytest.mark.parametrize("symbols", [None, SYMBOLS[:3], [*SYMBOLS[:3], "NONE"]])
@pytest.mark.usefixtures("small_parts")
def test_bars_of_1m_bars_come_in_parts_and_are_the_same(
    name: str, symbols: list[str] | None, source: tuple[Source, Overheard], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, overheard = source
    interval = INTERVALS[name]
    in_parts = found.candles(interval, EXCHANGE, symbols, AS_OF, 20)
    parts = len(overheard.said)
    monkeypatch.setattr(buckets, "_FIRST_PART", timedelta(days=365))
    whole = found.candles(interval, EXCHANGE, symbols, AS_OF, 20)
    assert parts > len(overheard.said) - parts
    order = [("symbol", "ascending"), ("bucket_ts", "ascending")]
    assert in_parts.sort_by(order).equals(whole.sort_by(order))
    # One has ended five hours before, which is out of the window at 3m.
    every = SYMBOLS[:-1] if name == "3m" else SYMBOLS
    assert set(whole["symbol"].to_pylist()) == set(every if symbols is None else SYMBOLS[:3])


@pytest.mark.parametrize(
    ("per_day", "window", "expected"),
    [
        # Few bars, or none: each part is four times as long as the one after it.
        (0, 30, [1, 4, 16, 9]),
        (10, 30, [1, 4, 16, 9]),
        # No part has more bars than a part may have.
        (250, 12, [1, 4, 4, 3]),
        (4000, 2, [1, 0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_parts_begin_with_a_day_and_grow_as_long_as_there_are_few_bars(
    per_day: int, window: int, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "PART_ROWS", 1000)
    columns = pa.schema([("symbol", pa.string()), ("bucket_ts", pa.timestamp("us", "UTC"))])
    columns = pa.schema([*columns, *((name, pa.float64()) for name in BAR_FIELDS)])
    parts: list[tuple[datetime, datetime]] = []

    def read(begin: datetime, end: datetime) -> pa.Table:
        assert begin < end
        parts.append((begin, end))
        rows = round(per_day * ((end - begin) / timedelta(days=1)))
        bars = [{"symbol": "A", "bucket_ts": end, **dict.fromkeys(BAR_FIELDS, 1.0)}] * rows
        return pa.Table.from_pylist(bars, schema=columns)

    after = AS_OF - timedelta(days=window)
    assert len(buckets.in_parts(read, INTERVALS["3m"], after, AS_OF)) == len(parts)
    assert [(end - begin) / timedelta(days=1) for begin, end in parts] == expected
    assert [begin for begin, _ in parts] == [*(end for _, end in parts[1:]), after]


@pytest.mark.usefixtures("small_parts")
def test_of_1m_bars_no_more_are_read_than_are_needed(source: tuple[Source, Overheard], chunks: str) -> None:
    found, overheard = source
    interval = INTERVALS["15m"]
    near, after = AS_OF - 20 * interval.length, AS_OF - 40 * interval.length
    found.candles(interval, EXCHANGE, None, AS_OF, 20)
    with psycopg.connect(chunks, options="-c timezone=UTC") as connection:
        # One symbol has ended in the newer half of the window: of it alone the older half is read.
        [(needed,)] = connection.execute(
            "SELECT count(*) FROM market_data.candles_1m"
            " WHERE bucket_ts <= %s AND (bucket_ts > %s OR (symbol = 'S011USDT' AND bucket_ts > %s))",
            [AS_OF, near, after],
        ).fetchall()
        read = 0
        for statement in overheard.said:
            rows = [found for _, found, _ in connection.execute(statement.encode()).fetchall()]
            assert sum(rows) <= 4 * 1000
            read += sum(rows)
    record = found._observer
    assert isinstance(record, Record)
    assert read == record.pg_rows == needed
