"""The source: what is asked of PostgreSQL, how often, and that its shape, settings and contents change no result."""

from __future__ import annotations

import logging
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.base.statements import Sql
from candlemill.pipeline.base.threads import in_thread
from candlemill.pipeline.reading import read
from candlemill.pipeline.settings import Settings
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.schema import init_db
from tests import goldens
from tests.conftest import CANDLEMILL, Ran, dump_of, rows_of
from tests.observing import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from candlemill.pipeline.reading import Loaded
    from tests.conftest import Server

LENGTHS, CORE = goldens.HERE / "synth_lengths", goldens.HERE / "synth_core"
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
EXCHANGE = "binance_futures_um"
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
BASE, SENTIMENT = INDICATORS["base_data"].table, INDICATORS["futures_sentiment"].table


def connected(url: str) -> tuple[Source, Heard]:
    heard = Heard()
    return Source.connect(url, heard), heard


def execute(url: str, *statements: str) -> None:
    """Statements of a test's own, in UTC."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        for statement in statements:
            connection.execute(statement.encode())


# -- what a run sends


@dataclass
class Watched:
    """A run, with what the server logged of it: first lines of statements, and what each session was set to."""

    record: dict[str, Any]
    statements: list[str]
    sessions: list[str]


SESSION = """
CREATE FUNCTION tell_session() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'session: % read_only=% timezone=% timeout=% path=%', current_setting('application_name'),
        current_setting('transaction_read_only'), current_setting('TimeZone'), current_setting('statement_timeout'),
        current_setting('search_path');
END $$;
CREATE EVENT TRIGGER tell_session ON login EXECUTE FUNCTION tell_session();
"""


@pytest.fixture(scope="module")
def watched(
    server: Server, golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Watched]]:
    """Runs over three and over all 22 symbols of a case, in the eyes of the server."""
    url, folder = golden_url(CORE), tmp_path_factory.mktemp("watched")
    database = url.rpartition("/")[2]
    symbols = goldens.description(CORE)["symbols"]
    server.reload(log_line_prefix="%d|")
    execute(url, f"ALTER DATABASE {database} SET log_statement = 'all'", SESSION)

    def run(chosen: str) -> Watched:
        before = len(server.log())
        words = ["run", "--source", url, "--symbols", chosen, "--intervals", "5m,1h", "--as-of", AS_OF.isoformat()]
        few = ["--indicators", "base_data,macd,futures_sentiment", *FILES, "--json"]
        done = subprocess.run([str(CANDLEMILL), *words, *few], cwd=folder, capture_output=True, text=True, check=True)
        said = server.log()[before:]
        found = re.findall(rf"^{database}\|LOG:  (?:statement|execute \w+): (.*)$", said, re.MULTILINE)
        sessions = re.findall(rf"^{database}\|LOG:  session: (.*)$", said, re.MULTILINE)
        return Watched(Ran(0, done.stdout, done.stderr).record, found, sessions)

    try:
        yield {"3": run(",".join(symbols[:3])), "22": run(",".join(symbols))}
    finally:
        execute(
            url,
            "DROP EVENT TRIGGER tell_session; DROP FUNCTION tell_session()",
            f"ALTER DATABASE {database} RESET log_statement",
        )
        server.reload(log_line_prefix="")


def test_a_run_sends_as_many_statements_for_22_symbols_as_for_3(watched: dict[str, Watched]) -> None:
    """One statement for the catalogue, one per interval for candles and one for metrics, and they are what is counted.

    ConnectorX sends more than statements that read. Per query its pool checks the connection twice with an empty text,
    which the log shows as a statement without words; and it has a first version of the query parsed and described to
    learn the columns, which executes nothing and is not logged. What counts is what was executed.
    """
    for run in watched.values():
        reading = [text for text in run.statements if text]
        assert len(reading) == run.record["pg_queries"] == 5, reading
        assert reading[0] == "SELECT"
        assert all(text.startswith("COPY (") for text in reading[1:])
        assert run.statements.count("") == 2 * 4
    assert watched["22"].record["symbols"] == 22
    assert watched["22"].record["pg_rows"] > watched["3"].record["pg_rows"]


def test_every_session_of_a_run_is_read_only_in_utc_and_has_a_time_limit(watched: dict[str, Watched]) -> None:
    """The first one makes its settings along with its only statement: test_session.py."""
    for run in watched.values():
        assert len(run.sessions) == run.record["pg_queries"]
        assert set(run.sessions[1:]) == {"candlemill read_only=on timezone=UTC timeout=1min path=pg_catalog, pg_temp"}


def test_the_server_refuses_to_let_a_session_write(golden_url: Callable[[Path], str]) -> None:
    source, _ = connected(golden_url(LENGTHS))
    writing = Sql("DELETE FROM market_data.candles_5m RETURNING symbol")
    with pytest.raises(SourceError, match=r"cannot execute DELETE in a read-only transaction"):
        source._read(writing, "candles_5m", ["symbol"])


# -- candles and metrics side by side


def five_minutes(source: Source, heard: Heard, url: str) -> Loaded:
    """What the engine reads of an interval for all indicators."""
    settings = Settings(
        url,
        Path("r.db"),
        Path("w.duckdb"),
        "all",
        (INTERVALS["5m"],),
        tuple(INDICATORS.values()),
        AS_OF,
        exchange=EXCHANGE,
    )
    return read(source, settings, None, INTERVALS["5m"], heard)


def eventually(held: Callable[[], bool], seconds: float = 10) -> bool:
    end = monotonic() + seconds
    while not held() and monotonic() < end:
        sleep(0.01)
    return held()


@pytest.fixture
def own(server: Server) -> str:
    """A database of a test's own."""
    url = server.database("own")
    goldens.load(CORE, url)
    return url


def test_candles_and_metrics_are_read_side_by_side(own: str) -> None:
    source, heard = connected(own)
    before = heard.statements
    with psycopg.connect(own) as connection:
        # The candles do not come before this is let go.
        connection.execute("LOCK market_data.candles_5m IN ACCESS EXCLUSIVE MODE")
        reading = in_thread(lambda: five_minutes(source, heard, own))
        assert eventually(lambda: heard.statements == before + 2)
        assert not reading.done()
    loaded = reading.result(10)
    assert loaded.candles.num_rows
    assert loaded.metrics
    assert loaded.metrics.num_rows


def test_metrics_follow_the_candles_when_nobody_waits_yet(own: str) -> None:
    source, heard = connected(own)
    loaded = five_minutes(source, heard, own)
    assert loaded.candles.num_rows
    assert loaded.metrics
    assert loaded.metrics.num_rows


def test_candles_that_fail_are_told_whatever_the_metrics_do(own: str) -> None:
    source, heard = connected(own)
    execute(own, "ALTER TABLE market_data.candles_5m RENAME TO gone")
    with pytest.raises(SourceError, match=r"reading market_data\.candles_5m failed"):
        five_minutes(source, heard, own)


# -- candles


def bars_of(source: Source, interval: str, lookback: int, as_of: datetime = AS_OF, closed: bool = False) -> list[Any]:
    table = source.candles(INTERVALS[interval], EXCHANGE, None, as_of, lookback, closed)
    return sorted(tuple(row.values()) for row in table.select(["symbol", "bucket_ts", *BAR_FIELDS]).to_pylist())


@pytest.fixture(scope="module")
def gappy(server: Server) -> str:
    """Hourly bars: of every hour, with a gap, with every second one, long ended, and without an hour's key."""
    url = server.database("gappy")
    init_db(url)
    execute(
        url,
        "ALTER TABLE market_data.candles_1h DROP CONSTRAINT candles_1h_pkey",
        """
        INSERT INTO market_data.candles_1h (exchange, symbol, bucket_ts, open, high, low, close, volume)
        SELECT 'binance_futures_um', symbol, t, 1, 1, 1, extract(epoch FROM t) / 3600, 1
        FROM generate_series('2026-01-20 00:00+00'::timestamptz, '2026-01-22 09:00+00', '1 hour') AS t,
            unnest(ARRAY['whole', 'gap', 'half', 'ended', 'repeated']) AS symbol
        WHERE NOT (symbol = 'gap' AND t = '2026-01-22 03:00+00')
            AND NOT (symbol = 'half' AND extract(hour FROM t)::int % 2 = 1)
            AND NOT (symbol = 'ended' AND t > '2026-01-21 20:00+00')
        """,
        "INSERT INTO market_data.candles_1h SELECT * FROM market_data.candles_1h"
        " WHERE symbol = 'repeated' AND bucket_ts = '2026-01-22 03:00+00'",
        "DELETE FROM market_data.candles_1h WHERE symbol = 'repeated' AND bucket_ts = '2026-01-22 04:00+00'",
    )
    return url


def test_older_bars_are_sent_for_series_with_gaps_only(gappy: str) -> None:
    source, _ = connected(gappy)
    as_of = datetime(2026, 1, 22, 9, 30, tzinfo=UTC)
    found = bars_of(source, "1h", 10, as_of)
    hours: dict[str, list[int]] = {}
    for symbol, time, *_ in found:
        hours.setdefault(symbol, []).append(int((as_of - time).total_seconds()) // 3600)
    # 10 bars are wanted, from a window of 20 hours.
    assert {symbol: max(back) for symbol, back in hours.items()} == {
        "whole": 9, "gap": 19, "half": 19, "ended": 19, "repeated": 19,
    }  # fmt: skip
    assert {symbol: len(back) for symbol, back in hours.items()} == {
        "whole": 10, "gap": 19, "half": 10, "ended": 7, "repeated": 20,
    }  # fmt: skip
    closed = bars_of(source, "1h", 10, as_of, closed=True)
    assert [time.hour for symbol, time, *_ in closed if symbol == "whole"] == [23, *range(9)]


ONCE = {
    "candles_1m": ("PRIMARY KEY (exchange, symbol, bucket_ts)", True),
    "candles_5m": ("UNIQUE (symbol, bucket_ts) INCLUDE (close)", True),
    "candles_15m": ("UNIQUE (exchange, symbol, bucket_ts, close)", False),
    "candles_1h": ("UNIQUE (exchange, symbol, bucket_ts) DEFERRABLE", False),
    "candles_4h": ("CHECK (close > 0)", False),
    "candles_1d": ("PRIMARY KEY (exchange, symbol, bucket_ts)", False),
    "candles_1w": ("UNIQUE (exchange, symbol, bucket_ts)", True),
}


def test_rows_are_counted_as_bars_only_where_no_bar_can_be_there_twice(server: Server) -> None:
    url = server.database("once")
    columns = "exchange text, symbol text, bucket_ts timestamptz, close numeric"
    execute(
        url,
        "CREATE SCHEMA market_data",
        *(
            f"CREATE TABLE market_data.{name} ({columns}, {constraint})"
            f"{' PARTITION BY RANGE (bucket_ts)' * (name == 'candles_1w')}"
            for name, (constraint, _) in ONCE.items()
        ),
        "CREATE TABLE market_data.candles_1w_all PARTITION OF market_data.candles_1w DEFAULT",
        "CREATE TABLE market_data.old () INHERITS (market_data.candles_1d)",
        "CREATE UNIQUE INDEX of_some ON market_data.candles_4h (exchange, symbol, bucket_ts) WHERE close > 1",
        "CREATE UNIQUE INDEX of_what ON market_data.candles_4h (exchange, upper(symbol), bucket_ts)",
    )
    relations = connected(url)[0].relations
    assert {name: relations[name].once for name in ONCE} == {name: once for name, (_, once) in ONCE.items()}


def test_of_a_view_the_bar_that_forms_is_read_and_not_counted(server: Server) -> None:
    """It would be aggregated to be counted; who lacks it alone is complete, and nobody is asked for more."""
    url = server.database("view")
    execute(
        url,
        "CREATE SCHEMA market_data",
        """
        CREATE VIEW market_data.candles_1h AS
        SELECT 'binance_futures_um' AS exchange, symbol, t AS bucket_ts, 1.0 AS open, 1.0 AS high, 1.0 AS low,
            1.0 AS close, 1.0 AS volume
        FROM generate_series('2026-01-20 00:00+00'::timestamptz, '2026-01-22 09:00+00', '1 hour') AS t,
            unnest(ARRAY['whole', 'closed', 'gap']) AS symbol
        WHERE NOT (symbol = 'closed' AND t = '2026-01-22 09:00+00')
            AND NOT (symbol = 'gap' AND t = '2026-01-22 08:00+00')
        """,
    )
    as_of = datetime(2026, 1, 22, 9, 30, tzinfo=UTC)
    hours = Counter(symbol for symbol, *_ in bars_of(connected(url)[0], "1h", 10, as_of))
    assert hours == {"whole": 11, "closed": 10, "gap": 19}


@pytest.mark.parametrize(
    "text",
    ["0.000000000012345678", "64123.456789012345", "123456789012345678901234.123456789", "1e-30", "0.1", "2.675",
     "9007199254740993", "-0.000001", "0"],
)  # fmt: skip
def test_a_numeric_arrives_as_the_double_that_the_server_would_make_of_it(text: str, server: Server) -> None:
    url = server.database("numeric")
    init_db(url)
    execute(
        url,
        "ALTER TABLE market_data.candles_1h ALTER volume TYPE numeric",
        "INSERT INTO market_data.candles_1h (exchange, symbol, bucket_ts, open, high, low, close, volume)"
        f" VALUES ('binance_futures_um', 'A', '2026-01-22 09:00+00', 1, 1, 1, 1, {text}::numeric)",
    )
    source, _ = connected(url)
    [row] = bars_of(source, "1h", 10)
    with psycopg.connect(url) as connection:
        [(expected,)] = connection.execute("SELECT volume::float8 FROM market_data.candles_1h").fetchall()
    assert row[2 + BAR_FIELDS.index("volume")] == expected == float(text)


def test_another_number_arrives_as_the_double_that_it_is_for_the_server(server: Server) -> None:
    """The text of a REAL is another number when it is read as a double."""
    url = server.database("real")
    init_db(url)
    execute(
        url,
        "ALTER TABLE market_data.candles_1h ALTER volume TYPE real, ALTER quote_volume TYPE text",
        "INSERT INTO market_data.candles_1h"
        " (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count)"
        " VALUES ('binance_futures_um', 'A', '2026-01-22 09:00+00', 1, 1, 1, 1, 0.1, ' 2.5 ', 7)",
    )
    [row] = bars_of(connected(url)[0], "1h", 10)
    found = dict(zip(BAR_FIELDS, row[2:], strict=True))
    assert (found["volume"], found["quote_volume"], found["trade_count"]) == (0.10000000149011612, 2.5, 7.0)


@pytest.fixture(scope="module")
def minutes(server: Server) -> str:
    """A source with 1m candles only: a week of two symbols, with gaps, and volumes that the feed did not give."""
    url = server.database("minutes")
    init_db(url)
    execute(
        url,
        *(f"DROP TABLE market_data.candles_{name}" for name in DEFAULT_INTERVALS if name != "1m"),
        """
        INSERT INTO market_data.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume,
            trade_count, taker_buy_volume, taker_buy_quote_volume)
        SELECT exchange, symbol, t, 100 + a / 8.0, 140 + b / 8.0, 60 - a / 8.0, 100 + b / 8.0, a / 8.0,
            CASE WHEN a % 3 > 0 THEN b / 8.0 END, a, CASE WHEN symbol = 'AUSDT' THEN b / 16.0 END, a * b / 64.0
        FROM (
            SELECT exchange, symbol, t, ('x' || left(md5(symbol || t), 4))::bit(16)::int % 256 AS a,
                ('x' || right(md5(symbol || t), 4))::bit(16)::int % 256 AS b
            FROM generate_series('2026-01-15 00:00+00'::timestamptz, '2026-01-22 12:00+00', '1 minute') AS t,
                (VALUES ('binance_futures_um', 'AUSDT'), ('binance_futures_um', 'BUSDT'), ('other', 'AUSDT'))
                    AS feed (exchange, symbol)
        ) AS market
        WHERE a % 7 <> 0
        """,
    )
    return url


@pytest.mark.parametrize("interval", ["3m", "5m", "15m", "1h", "4h", "12h", "1d", "3d", "1w", "1M"])
@pytest.mark.parametrize("closed", [False, True], ids=["with forming bars", "closed only"])
def test_a_missing_table_is_built_from_1m_candles_as_the_database_would(
    interval: str, closed: bool, minutes: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, _ = connected(minutes)
    with caplog.at_level(logging.INFO):
        found = bars_of(source, interval, 3, closed=closed)
    assert f"{interval}: no table market_data.candles_{interval}, built from candles_1m" in caplog.text
    bucket = (
        "date_trunc('month', bucket_ts, 'UTC')"
        if interval == "1M"
        else f"date_bin('{INTERVALS[interval].bucket}', bucket_ts, timestamptz '2000-01-03 00:00+00')"
    )
    until = INTERVALS[interval].back(AS_OF, 1) if closed else AS_OF
    with psycopg.connect(minutes, options="-c timezone=UTC") as connection:
        expected = connection.execute(
            f"""
            SELECT symbol, {bucket} AS start, (array_agg(open ORDER BY bucket_ts))[1]::float8, max(high)::float8,
                min(low)::float8, (array_agg(close ORDER BY bucket_ts DESC))[1]::float8, sum(volume)::float8,
                sum(quote_volume)::float8, sum(trade_count)::float8, sum(taker_buy_volume)::float8,
                sum(taker_buy_quote_volume)::float8
            FROM market_data.candles_1m
            WHERE exchange = %(exchange)s AND bucket_ts <= %(as_of)s
            GROUP BY symbol, start
            HAVING {bucket} > %(after)s AND {bucket} <= %(until)s
            ORDER BY symbol, start
            """.encode(),
            {"exchange": EXCHANGE, "as_of": AS_OF, "after": INTERVALS[interval].back(AS_OF, 6), "until": until},
        ).fetchall()
    # Of a series that has three bars in the newer half of the window nothing older is asked for.
    near = INTERVALS[interval].back(until, 3)
    counts = Counter(symbol for symbol, start, *_ in expected if start > near)
    assert expected or (closed and interval == "1M")
    assert found == [row for row in expected if row[1] > near or counts[row[0]] < 3]


def test_coarse_buckets_start_on_mondays_and_at_midnight_utc(minutes: str) -> None:
    source, _ = connected(minutes)
    starts = {name: max(bar[1] for bar in bars_of(source, name, 3)).isoformat() for name in ("4h", "1d", "1w", "1M")}
    assert starts == {
        "4h": "2026-01-22T08:00:00+00:00",
        "1d": "2026-01-22T00:00:00+00:00",
        "1w": "2026-01-19T00:00:00+00:00",
        "1M": "2026-01-01T00:00:00+00:00",
    }


def test_closed_only_leaves_out_a_bar_until_its_end_is_reached(golden_url: Callable[[Path], str]) -> None:
    source, _ = connected(golden_url(LENGTHS))

    def last(minute: int, second: int, closed: bool) -> str:
        moment = AS_OF.replace(minute=minute, second=second)
        return str(max(bar[1] for bar in bars_of(source, "5m", 400, moment, closed)).strftime("%H:%M"))

    assert last(7, 0, closed=False) == "09:05"
    assert last(7, 0, closed=True) == "09:00"
    assert last(9, 59, closed=True) == "09:00"
    assert last(10, 0, closed=True) == "09:05"


# -- metrics


def test_all_forms_of_metrics_give_the_same_rows_and_the_log_says_which_was_used(
    server: Server, candlemill: Callable[..., Ran], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.database("metrics")
    init_db(url)
    columns = (
        "sum_open_interest",
        "sum_open_interest_value",
        "count_toptrader_long_short_ratio",
        "sum_toptrader_long_short_ratio",
        "count_long_short_ratio",
        "sum_taker_long_short_vol_ratio",
    )
    last_of = ", ".join(f"(array_agg({name} ORDER BY create_time DESC))[1] AS {name}" for name in columns)
    execute(
        url,
        """
        INSERT INTO market_data.candles_1h (exchange, symbol, bucket_ts, open, high, low, close, volume)
        SELECT 'binance_futures_um', symbol, t, 5, 6, 4, 5.5, 10
        FROM generate_series('2026-01-22 00:00+00'::timestamptz, '2026-01-22 09:00+00', '1 hour') AS t,
            unnest(ARRAY['AUSDT', 'BUSDT']) AS symbol
        """,
        # The newest row of AUSDT lacks a value, which must stay unknown.
        f"""
        INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, {", ".join(columns)}, is_closed)
        SELECT symbol, t, 1000 + n, 7e6 + 1e5 * n, 1 + n / 100.0, 2 + n / 100.0,
            CASE WHEN symbol = 'BUSDT' OR t <> '2026-01-22 09:05' THEN 3 + n / 100.0 END, 4 + n / 100.0, n % 5 > 0
        FROM (
            SELECT symbol, t, ('x' || left(md5(symbol || t), 2))::bit(8)::int AS n
            FROM generate_series('2026-01-19 00:00'::timestamp, '2026-01-22 09:05', '5 minutes') AS t,
                unnest(ARRAY['AUSDT', 'BUSDT', 'CUSDT']) AS symbol
        ) AS market
        """,
        f"""
        CREATE TABLE market_data.metrics_1h AS
        SELECT symbol, date_bin('1 hour', create_time, '2000-01-03') AS create_time, {last_of},
            bool_and(is_closed) AS is_closed
        FROM market_data.binance_futures_metrics_5m GROUP BY 1, 2
        """,
    )
    found = []
    for gone in (None, "VIEW market_data.binance_futures_metrics_1h_last", "TABLE market_data.metrics_1h"):
        execute(url, *([f"DROP {gone}"] if gone else []))
        source, _ = connected(url)
        with caplog.at_level(logging.INFO):
            metrics = source.metrics(INTERVALS["1h"], AS_OF)
        assert metrics is not None
        found.append(sorted(metrics.to_pylist(), key=lambda row: (row["symbol"], row["bucket_ts"])))
    assert re.findall(r"1h: metrics from (.*)", caplog.text) == [
        "binance_futures_metrics_1h_last",
        "metrics_1h",
        "binance_futures_metrics_5m, last row of each bucket",
    ]
    assert len(found[0]) == 3 * (3 * 24 + 10)
    assert found[0] == found[1] == found[2]
    # What the run makes of them: the newest row as it is.
    ran = candlemill(
        "run", "--source", url, "--symbols", "AUSDT,BUSDT", "--intervals", "1h", "--as-of", AS_OF.isoformat(),
        "--indicators", "futures_sentiment", *FILES,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = rows_of(tmp_path / "result.db", f'SELECT 交易对, 数据时间, 持仓张数, 全体多空比 FROM "{SENTIMENT}"')
    with psycopg.connect(url) as connection:
        last = connection.execute(
            "SELECT symbol, sum_open_interest::float8, count_long_short_ratio::float8 "
            "FROM market_data.binance_futures_metrics_5m WHERE create_time = '2026-01-22 09:05' ORDER BY symbol"
        ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (symbol, "2026-01-22T09:00:00+00:00", interest, ratio) for symbol, interest, ratio in last[:2]
    ]
    assert last[0][2] is None


def test_metrics_of_the_future_and_of_long_ago_are_not_read(server: Server) -> None:
    url = server.database("window")
    init_db(url)
    moments = ("2025-12-23 09:07:00", "2025-12-23 09:07:01", "2026-01-22 09:07:00", "2026-01-22 09:07:01")
    execute(
        url,
        *(
            f"INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time) VALUES ('A', '{moment}')"
            for moment in moments
        ),
    )
    source, _ = connected(url)
    found = source.metrics(INTERVALS["5m"], AS_OF)
    assert found is not None
    assert sorted(str(moment) for moment in found["bucket_ts"].to_pylist()) == [f"{m}+00:00" for m in moments[1:3]]
    assert source.metrics(INTERVALS["1m"], AS_OF) is None


# -- shapes and settings of the database


def test_time_zones_and_column_types_of_the_source_change_nothing(
    server: Server, golden_url: Callable[[Path], str], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    url = server.database("elsewhere")
    goldens.load(LENGTHS, url)
    database = url.rpartition("/")[2]

    def dump(source: str, label: str, **env: str) -> dict[str, list[tuple[Any, ...]]]:
        ran = candlemill(
            "run", "--source", source, "--symbols", "AAAUSDT,N60USDT", "--intervals", "5m,1w", "--as-of",
            AS_OF.isoformat(), "--indicators", "base_data,macd,data_monitor,futures_sentiment,futures_gap_monitor",
            *FILES, "--sqlite", label, env=env,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        return dump_of(tmp_path / label)

    plain = dump(golden_url(LENGTHS), "plain.db")
    assert len(plain[BASE]) == len(plain[SENTIMENT]) == 4
    execute(
        url,
        f"ALTER DATABASE {database} SET timezone = 'Asia/Kathmandu'",
        f"ALTER ROLE postgres IN DATABASE {database} SET timezone = 'America/St_Johns'",
    )
    values = ", ".join(
        f"ALTER {name} TYPE double precision" for name in BAR_FIELDS if name not in ("trade_count", "volume")
    )
    for interval in ("5m", "1w"):
        execute(
            url,
            f"ALTER TABLE market_data.candles_{interval} {values}, ALTER trade_count TYPE numeric,"
            " ALTER volume TYPE text, ALTER symbol TYPE varchar(20),"
            " ALTER bucket_ts TYPE timestamp USING bucket_ts AT TIME ZONE 'UTC'",
        )
    execute(
        url,
        "ALTER TABLE market_data.binance_futures_metrics_5m ALTER sum_open_interest TYPE double precision,"
        " ALTER create_time TYPE timestamp(0), ALTER symbol TYPE varchar(20)",
    )
    assert dump(url, "other.db", TZ="Australia/Eucla", PGTZ="Pacific/Chatham") == plain


def test_a_source_without_the_optional_columns_gives_nulls(server: Server) -> None:
    url = server.database("narrow")
    execute(
        url,
        "CREATE SCHEMA market_data",
        "CREATE TABLE market_data.candles_5m (exchange text, symbol text, bucket_ts timestamptz, open float8,"
        " high float8, low float8, close float8, volume float8)",
        f"INSERT INTO market_data.candles_5m VALUES ('{EXCHANGE}', 'A', '2026-01-22 09:05+00', 1, 2, 0.5, 1.5, 10)",
    )
    source, _ = connected(url)
    moment = datetime(2026, 1, 22, 9, 5, tzinfo=UTC)
    assert bars_of(source, "5m", 5) == [("A", moment, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, None, None)]


# -- automatic choice of symbols

QUIET = {"quote_volume": 100.0, "close": 100.0, "spread": 1.0, "before": 100.0}


@pytest.fixture(scope="module", params=["5m", "1m"])
def market(server: Server, request: pytest.FixtureRequest) -> str:
    """Symbols each of which one rule must choose, and others that would be chosen if a rule were taken wrongly."""
    url = server.database("auto")
    init_db(url)
    table = f"market_data.candles_{request.param}"
    execute(url, *([] if request.param == "5m" else ["DROP TABLE market_data.candles_5m"]))

    def bar(symbol: str, ago: timedelta, exchange: str = EXCHANGE, **values: float | None) -> str:
        shape = QUIET | values
        moment = (AS_OF.replace(minute=5) - ago).isoformat()
        close, spread = shape["close"] or 0, shape["spread"] or 0
        volume = "NULL" if shape["quote_volume"] is None else shape["quote_volume"]
        return (
            f"INSERT INTO {table} (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume) VALUES "
            f"('{exchange}', '{symbol}', '{moment}', {close}, {close + spread}, {close}, {close}, 1, {volume})"
        )

    def metrics(symbol: str, ago: timedelta, value: float | None, taker: float | None, account: float | None) -> str:
        moment = (AS_OF - ago).replace(tzinfo=None)
        numbers = ", ".join("NULL" if number is None else str(number) for number in (value, taker, account))
        return (
            "INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, sum_open_interest_value,"
            f" sum_taker_long_short_vol_ratio, count_long_short_ratio) VALUES ('{symbol}', '{moment}', {numbers})"
        )

    minute, hour, day, now = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(0)
    execute(
        url,
        *(bar(name, ago) for name in ("DULL", "TURNOVER", "RANGE", "MOVE") for ago in (24 * hour, 5 * hour)),
        # Its newest bars of the last hour and of a day ago say the same; those before them do not count.
        bar("DULL", 24 * hour + 50 * minute, close=500.0),
        bar("DULL", 50 * minute, close=500.0),
        bar("DULL", now),
        bar("TURNOVER", now, quote_volume=450.0),
        bar("RANGE", 3 * hour, spread=60.0),
        bar("RANGE", now),
        bar("MOVE", now, close=70.0, spread=0.7),
        *(bar("NULLS", ago, quote_volume=None) for ago in (24 * hour, 5 * hour, now)),
        # A day and more ago, after as-of, on another exchange, and with a price a day ago but none of the last hour.
        bar("OLD", 24 * hour + 30 * minute, quote_volume=1e9, spread=1e6),
        bar("FUTURE", -5 * minute, quote_volume=1e9, spread=1e6),
        bar("ELSEWHERE", now, exchange="other", quote_volume=1e9, spread=1e6),
        bar("STALE", 2 * hour, close=1000.0, spread=10.0, quote_volume=50.0),
        bar("STALE", 24 * hour, close=100.0, spread=1.0),
        bar("NEW", now, close=1000.0, spread=10.0, quote_volume=50.0),
        metrics("INTEREST", day, 5e6, 1.0, 1.0),
        metrics("TAKERLOW", 2 * day, 1e6, 0.19, 1.0),
        metrics("TAKERHIGH", day, 1e6, 5.01, 1.0),
        metrics("ACCOUNTLOW", day, 1e6, 1.0, 0.49),
        metrics("ACCOUNTHIGH", day, 1e6, 1.0, 4.01),
        metrics("TWICE", day, 1e6, 9.0, 9.0),
        metrics("EDGES", day, 1e6, 5.0, 4.0),
        metrics("OTHEREDGES", day, 1e6, 0.2, 0.5),
        metrics("UNKNOWN", day, None, None, None),
        # What was is not what is; a week is the limit; the future is not known yet.
        metrics("CALMED", 2 * day, 9e9, 9.0, 9.0),
        metrics("CALMED", day, 1e6, 1.0, 1.0),
        metrics("FORGOTTEN", 7 * day, 9e9, 9.0, 9.0),
        metrics("DULL", -minute, 9e9, 9.0, 9.0),
    )
    return url


def test_auto_chooses_the_best_of_each_rule_and_all_that_cross_a_threshold(market: str) -> None:
    source, heard = connected(market)
    assert source.auto_symbols(EXCHANGE, AS_OF, top=1) == {
        "TURNOVER": ["turnover"],
        "RANGE": ["range"],
        "MOVE": ["move"],
        "INTEREST": ["open_interest"],
        "TAKERLOW": ["taker_ratio"],
        "TAKERHIGH": ["taker_ratio"],
        "ACCOUNTLOW": ["account_ratio"],
        "ACCOUNTHIGH": ["account_ratio"],
        "TWICE": ["taker_ratio", "account_ratio"],
    }
    assert heard.statements == 2


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        ("turnover", {"DULL", "TURNOVER", "RANGE", "MOVE", "STALE", "NEW"}),
        ("move", {"DULL", "TURNOVER", "RANGE", "MOVE", "NULLS"}),
        (
            "open_interest",
            {
                "INTEREST",
                "TAKERLOW",
                "TAKERHIGH",
                "ACCOUNTLOW",
                "ACCOUNTHIGH",
                "TWICE",
                "EDGES",
                "OTHEREDGES",
                "CALMED",
            },
        ),
    ],
)
def test_auto_ranks_unknown_values_last(rule: str, known: set[str], market: str) -> None:
    source, _ = connected(market)
    chosen = source.auto_symbols(EXCHANGE, AS_OF, top=len(known))
    assert {symbol for symbol, rules in chosen.items() if rule in rules} == known


# -- the schema of our own


def test_init_db_makes_the_schema_and_a_second_time_leaves_everything_as_it_is(
    server: Server, candlemill: Callable[..., Ran]
) -> None:
    url = server.database("fresh")
    first = candlemill("init-db", "--source", url)
    assert first.code == 0, first.err
    relations = [f"candles_{name}" for name in DEFAULT_INTERVALS]
    relations += ["binance_futures_metrics_5m"]
    relations += [f"binance_futures_metrics_{name}_last" for name in DEFAULT_INTERVALS if name not in ("1m", "5m")]
    assert first.out == f"created {', '.join(relations)}\n"
    execute(
        url,
        "INSERT INTO market_data.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume)"
        " VALUES ('x', 'A', '2026-01-22 09:00+00', 1, 2, 0.123456789012, 1, 1)",
    )
    again = candlemill("init-db", "--quiet", env={"DATABASE_URL": url})
    assert (again.code, again.out, again.err) == (0, "the schema is there already\n", "")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT low::text FROM market_data.candles_1m").fetchall() == [("0.123456789012",)]


# -- names of symbols

STRANGE = (
    "O'Brien", '"quoted"', "two words", "100%", "%s%(x)s", "back\\slash", "end\\", "🚀USDT", "Ünïcödé", "new\nline",
    "tab\there", "$1", "{exchange}", "?", "--", "/* */", "; DROP TABLE market_data.candles_5m; --", "')) OR TRUE --",
    "x' UNION SELECT 1 --", "NULL", "null", "[\"a\"]", "交易对",
)  # fmt: skip
STRANGER = ("with, comma", " blanks around ", "", "auto", "all")


def test_symbols_of_any_form_come_through_unharmed(
    server: Server, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    url = server.database("names")
    init_db(url)
    names = (*STRANGE, *STRANGER, "PLAINUSDT")
    numbered = [(name, number) for number, name in enumerate(names)]
    bar = (
        "INSERT INTO market_data.candles_5m (exchange, symbol, bucket_ts, open, high, low, close, volume)"
        f" VALUES ('{EXCHANGE}', %s, '2026-01-22 09:05+00', 1, 1, 1, 1, %s)"
    )
    metrics = (
        "INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, sum_open_interest)"
        " VALUES (%s, '2026-01-22 09:05', %s)"
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(bar.encode(), numbered)
        cursor.executemany(metrics.encode(), numbered)
    words = ("run", "--source", url, "--intervals", "5m", "--as-of", AS_OF.isoformat())
    few = ("--indicators", "base_data,futures_sentiment,macd", *FILES)
    asked = candlemill(*words, *few, "--symbols", ",".join(STRANGE))
    assert asked.code == 0, asked.err
    query = f'SELECT 交易对, 成交量, 持仓张数 FROM "{BASE}" JOIN "{SENTIMENT}" USING (交易对) ORDER BY 成交量'
    expected = [(name, float(number), float(number)) for number, name in enumerate(names)]
    found = [tuple(row.values()) for row in rows_of(tmp_path / "result.db", query)]
    assert found == expected[: len(STRANGE)]
    # This run has to find the rows of the one before by their keys.
    everything = candlemill(*words, *few, "--symbols", "all")
    assert everything.code == 0, everything.err
    assert [tuple(row.values()) for row in rows_of(tmp_path / "result.db", query)] == expected
