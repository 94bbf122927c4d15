"""``init-db`` on plain PostgreSQL: rights, retention, and the trigger that notifies. On TimescaleDB: ``timescale``."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.statements import statement
from candlemill.pipeline.live.listen import CHANNEL
from candlemill.pipeline.source.schema import init_db, parse_retention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Ran, Server


@pytest.fixture
def url(server: Server) -> str:
    return server.database("schema")


def execute(url: str, *queries: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for query in queries:
            connection.execute(query.encode())


# -- what it takes on


@pytest.mark.parametrize(("text", "days"), [("180d", 180), (" 15d ", 15), ("99999d", 99999)])
def test_a_retention_is_a_number_of_days(text: str, days: int) -> None:
    assert parse_retention(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "180", "d", "14d", "0d", "-20d", "1.5d", "180 days", "6w", "100000d"])
def test_another_retention_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--retain '.*' is no number of days from 15d to 99999d, such as 180d"):
        parse_retention(text)


def test_what_only_timescaledb_can_do_is_refused_and_nothing_is_done(url: str, candlemill: Callable[..., Ran]) -> None:
    refused = candlemill("init-db", "--source", url, "--retain", "180d")
    assert refused.code == 2
    assert "--retain is refused, and nothing was done: only TimescaleDB drops old rows by itself" in refused.last
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regnamespace('market_data')").fetchone() == (None,)
    init_db(url)
    # The statement that does it runs.
    refused = candlemill("init-db", "--source", url, "--retain", "180d")
    assert "candles_1m and binance_futures_metrics_5m keep their rows" in refused.last
    execute(url, *refused.last.partition("for good: ")[2].split("; "))


def test_what_there_is_and_what_is_created_is_said(url: str, candlemill: Callable[..., Ran]) -> None:
    init_db(url)
    execute(url, "DROP TABLE market_data.candles_4h", "DROP VIEW market_data.binance_futures_metrics_1d_last")
    lines = candlemill("init-db", "--source", url).out.splitlines()
    assert lines[0] == "created candles_4h, binance_futures_metrics_1d_last"
    assert lines[1].startswith("left as they were candles_1m, candles_5m, candles_15m, candles_1h, candles_1d")
    assert len(lines) == 2


def test_nothing_is_added_to_a_table_that_is_there(url: str) -> None:
    execute(url, "CREATE SCHEMA market_data", "CREATE TABLE market_data.candles_1m (bucket_ts TIMESTAMPTZ, mine TEXT)")
    init_db(url)
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_index WHERE indrelid = 'market_data.candles_1m'::regclass"
        assert connection.execute(query).fetchone() == (0,)


# -- rights


@pytest.fixture
def stranger(server: Server, url: str) -> Iterator[str]:
    """URL for a role, with a name that has to be quoted, that may do nothing in the database."""
    role = "Night Nurse"
    execute(server.url, f'CREATE ROLE "{role}" LOGIN')
    yield server.url_of(url.rpartition("/")[2], role)
    execute(url, f'DROP OWNED BY "{role}"')
    execute(server.url, f'DROP ROLE "{role}"')


def test_a_role_without_rights_is_told_the_statement_that_fails_and_the_grants_that_help(
    url: str, stranger: str, candlemill: Callable[..., Ran]
) -> None:
    refused = candlemill("init-db", "--source", stranger)
    assert refused.code == 3
    assert "refused `CREATE SCHEMA IF NOT EXISTS market_data`: permission denied for database" in refused.last
    [grant] = re.findall(r'GRANT CREATE ON DATABASE "\w+" TO "Night Nurse"', refused.last)
    execute(url, grant)
    assert candlemill("init-db", "--source", stranger).code == 0
    execute(url, "DROP SCHEMA market_data CASCADE", "CREATE SCHEMA market_data")
    refused = candlemill("init-db", "--source", stranger)
    assert refused.code == 3
    assert "the role may not use the schema market_data" in refused.last
    execute(url, 'GRANT USAGE ON SCHEMA market_data TO "Night Nurse"')
    refused = candlemill("init-db", "--source", stranger)
    assert refused.code == 3
    assert 'refused `CREATE TABLE IF NOT EXISTS market_data."candles_1m"' in refused.last
    [grant] = re.findall(r'GRANT USAGE, CREATE ON SCHEMA market_data TO "Night Nurse"', refused.last)
    execute(url, grant)
    assert candlemill("init-db", "--source", stranger).code == 0


def test_a_role_that_may_not_read_is_told_grants_that_can_be_pasted(
    url: str, stranger: str, candlemill: Callable[..., Ran]
) -> None:
    init_db(url)
    words = ("run", "--source", stranger, "--intervals", "5m", "--symbols", "all")
    files = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
    refused = candlemill(*words, *files)
    assert refused.code == 3
    grants = re.findall(r'GRANT [^;]* TO "Night Nurse"', refused.last)
    assert len(grants) == 2
    execute(url, *grants)
    assert candlemill(*words, *files).code == 5  # There are no candles.


# -- the trigger


BAR = (
    "INSERT INTO market_data.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, is_closed) VALUES"
)


def notices(listener: psycopg.Connection) -> list[dict[str, object]]:
    """What came since the last time."""
    listener.execute("SELECT 1")
    return [json.loads(notice.payload) for notice in listener.notifies(timeout=0)]


def test_the_trigger_tells_of_new_bars_and_of_no_old_ones(url: str, candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("init-db", "--source", url, "--notify")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("created candles_1m, ")
    assert ran.out.endswith(", candlemill_notify\n")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with psycopg.connect(url, autocommit=True) as listener, psycopg.connect(url, options="-c timezone=UTC") as writer:
        listener.execute(f"LISTEN {CHANNEL}".encode())
        writer.execute(f"{BAR} ('x', 'A', '{now}', 1, 1, 1, 1, 1, FALSE)".encode())
        writer.execute(f"{BAR} ('x', 'A', '{now - timedelta(days=2)}', 1, 1, 1, 1, 1, TRUE)".encode())
        assert notices(listener) == []
        writer.commit()
        expected = {"symbol": "A", "bucket_ts": now.isoformat(), "is_closed": False, "exchange": "x"}
        assert notices(listener) == [expected]
        writer.execute("UPDATE market_data.candles_1m SET is_closed = TRUE")
        writer.commit()
        assert notices(listener) == [expected | {"is_closed": True}]
        # A notice has room for less than 8000 bytes; no name makes the collector's transaction fail.
        writer.execute(f"{BAR} ('x', %s, '{now}', 1, 1, 1, 1, 1, FALSE)".encode(), ["Ü" * 5000])
        writer.commit()
        assert notices(listener) == [{}]


def test_a_trigger_of_somebody_else_stays_alone(url: str) -> None:
    init_db(url)
    execute(
        url,
        "CREATE FUNCTION tell() RETURNS TRIGGER LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_notify('candle_1m_update', '{}'); RETURN NULL; END $$",
        "CREATE TRIGGER mine AFTER INSERT ON market_data.candles_1m EXECUTE FUNCTION tell()",
    )
    done = init_db(url, notify=True)
    assert (done.created, done.remarks) == ([], ["candles_1m notifies already, by the trigger mine, which stays"])
    execute(url, "DROP TABLE market_data.candles_1m", "CREATE VIEW market_data.candles_1m AS SELECT 1 AS one")
    assert init_db(url, notify=True).remarks == [
        "candles_1m is a view, which can have no trigger: --notify did nothing"
    ]


def test_the_page_on_live_operation_has_the_trigger(root: Path) -> None:
    assert f"```sql\n{statement('schema/notify')};\n```" in (root / "docs" / "live.md").read_text()


@pytest.fixture
def root(request: pytest.FixtureRequest) -> Path:
    return request.config.rootpath
