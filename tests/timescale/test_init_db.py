"""``init-db`` on TimescaleDB: what it creates is complete, and what is there stays as it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from candlemill.pipeline.base.errors import SourceError, UsageError
from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS
from candlemill.pipeline.source.schema import init_db
from tests.timescale.conftest import serving
from tests.timescale.market import add_metrics, add_minutes, execute, refresh, rows, run_jobs, state, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Ran

COARSER = [name for name in DEFAULT_INTERVALS if name != "1m"]
AGGREGATES = [f"candles_{name}" for name in COARSER]
AGGREGATES += [f"binance_futures_metrics_{name}_last" for name in COARSER if name != "5m"]
BASES = ["candles_1m", "binance_futures_metrics_5m"]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def policies(url: str) -> dict[tuple[str, str], dict[str, str]]:
    found = rows(
        url, "SELECT hypertable_name, proc_name, config FROM timescaledb_information.jobs WHERE job_id >= 1000"
    )
    return {(name, procedure): config for name, procedure, config in found}


def test_on_an_empty_database_it_makes_hypertables_and_aggregates_and_drops_nothing(
    url: str, candlemill: Callable[..., Ran]
) -> None:
    ran = candlemill("init-db", "--source", url)
    assert ran.code == 0, ran.err
    [line] = ran.out.splitlines()
    assert set(line.removeprefix("created ").split(", ")) == {*BASES, *AGGREGATES}
    found = policies(url)
    assert {name for name, procedure in found if procedure == "policy_refresh_continuous_aggregate"} == set(AGGREGATES)
    assert ("candles_1m", "policy_compression") in found
    assert not any(procedure == "policy_retention" for _, procedure in found)
    assert {
        name for (name,) in rows(url, "SELECT view_name FROM timescaledb_information.continuous_aggregates")
    } == set(AGGREGATES)


def test_a_second_time_nothing_changes(url: str, candlemill: Callable[..., Ran], now: datetime) -> None:
    init_db(url)
    add_minutes(url, ["AUSDT"], now - timedelta(hours=30), now)
    refresh(url)
    before = state(url)
    again = candlemill("init-db", "--source", url)
    assert (again.code, again.out) == (0, "the schema is there already\n"), again.err
    assert state(url) == before


#: What somebody has made: no compression, a retention, an aggregate with settings of its own, a plain table, a trigger.
SOMEBODYS = (
    "CREATE SCHEMA market_data",
    """CREATE TABLE market_data.candles_1m (
        exchange TEXT NOT NULL, symbol TEXT NOT NULL, bucket_ts TIMESTAMPTZ NOT NULL, open NUMERIC NOT NULL,
        high NUMERIC NOT NULL, low NUMERIC NOT NULL, close NUMERIC NOT NULL, volume NUMERIC NOT NULL,
        quote_volume NUMERIC, trade_count BIGINT, is_closed BOOLEAN, source TEXT, ingested_at TIMESTAMPTZ,
        updated_at TIMESTAMPTZ, taker_buy_volume NUMERIC, taker_buy_quote_volume NUMERIC, note TEXT,
        PRIMARY KEY (exchange, symbol, bucket_ts))""",
    "SELECT create_hypertable('market_data.candles_1m', 'bucket_ts', chunk_time_interval => INTERVAL '2 days')",
    "SELECT add_retention_policy('market_data.candles_1m', INTERVAL '90 days')",
    """CREATE MATERIALIZED VIEW market_data.candles_1h
       WITH (timescaledb.continuous, timescaledb.materialized_only = TRUE) AS
       SELECT exchange, symbol, time_bucket('1 hour', bucket_ts) AS bucket_ts, first(open, bucket_ts) AS open,
       max(high) AS high, min(low) AS low, last(close, bucket_ts) AS close, sum(volume) AS volume
       FROM market_data.candles_1m GROUP BY 1, 2, 3 WITH NO DATA""",
    "SELECT add_continuous_aggregate_policy('market_data.candles_1h', INTERVAL '5 h', INTERVAL '1 h', INTERVAL '3 h')",
    "CREATE TABLE market_data.candles_1w (bucket_ts TIMESTAMPTZ, symbol TEXT, mine TEXT)",
    "INSERT INTO market_data.candles_1w VALUES (now(), 'AUSDT', 'mine')",
    "GRANT USAGE ON SCHEMA market_data TO nurse",
    "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO nurse",
)


def test_what_somebody_has_made_stays_with_its_rows_settings_and_policies(
    url: str, candlemill: Callable[..., Ran], now: datetime
) -> None:
    execute(url, *SOMEBODYS)
    # Older than any retention that this program ever had.
    for start in (now - timedelta(days=400), now - timedelta(days=1)):
        add_minutes(url, ["AUSDT"], start, start + timedelta(hours=20))
    execute(url, "CALL refresh_continuous_aggregate('market_data.candles_1h', NULL, NULL)")
    before = state(url)
    ran = candlemill("init-db", "--source", url)
    assert ran.code == 0, ran.err
    assert "left as they were candles_1m, candles_1h, candles_1w\n" in ran.out
    after = state(url)
    for what, there in before.items():
        assert [row for row in after[what] if row in there] == there, what
    made = set(AGGREGATES) - {"candles_1h", "candles_1w"} | {"binance_futures_metrics_5m"}
    assert set(after) - set(before) == made
    assert {row[-3] for row in after["jobs"] if row not in before["jobs"]} <= made | {"candles_1m"}
    assert {name for name, procedure in policies(url) if procedure != "policy_refresh_continuous_aggregate"} == {
        "candles_1m"
    }
    # The jobs of a day take nothing that was there.
    run_jobs(url, "policy_refresh_continuous_aggregate")
    assert len(table(url, "candles_1m")) == len(before["candles_1m"])
    [(buckets,)] = rows(url, "SELECT count(DISTINCT time_bucket('5 minutes', bucket_ts)) FROM market_data.candles_1m")
    assert len(table(url, "candles_5m")) == buckets


def test_new_aggregates_show_all_history_before_and_after_their_policies_run(url: str, now: datetime) -> None:
    init_db(url)
    execute(url, *(f"DROP MATERIALIZED VIEW market_data.{name}" for name in AGGREGATES))
    start = now - timedelta(days=40)
    add_minutes(url, ["AUSDT", "BUSDT"], start, start + timedelta(days=1))
    add_minutes(url, ["AUSDT"], now - timedelta(days=2), now)
    add_metrics(url, ["AUSDT"], start, start + timedelta(days=2))
    add_metrics(url, ["AUSDT"], now - timedelta(days=1), now)
    done = init_db(url)
    assert (set(done.created), set(done.left), done.remarks) == (set(AGGREGATES), set(BASES), [])
    first = {name: table(url, name) for name in AGGREGATES}
    run_jobs(url, "policy_refresh_continuous_aggregate")
    for name in AGGREGATES:
        raw = "candles_1m" if name.startswith("candles") else "binance_futures_metrics_5m"
        time = "bucket_ts" if name.startswith("candles") else "create_time"
        width = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
        [(count, unit)] = re.findall(r"_(\d+)([mhdw])", name)
        [(buckets,)] = rows(
            url,
            f"SELECT count(DISTINCT (symbol, time_bucket('{count} {width[unit]}', {time}))) FROM market_data.{raw}",
        )
        assert len(table(url, name)) == buckets == len(first[name]), name
    # Which bucket was forming may have changed in between.
    assert [row[:8] for row in table(url, "candles_1d")[:-1]] == [row[:8] for row in first["candles_1d"][:-1]]


def test_policies_look_back_far_enough_and_never_behind_a_retention(url: str) -> None:
    init_db(url)
    found = policies(url)
    for name in AGGREGATES:
        offset = found[(name, "policy_refresh_continuous_aggregate")]["start_offset"]
        assert offset == ("60 days" if "1w" in name else "7 days"), name
    execute(url, "DROP SCHEMA market_data CASCADE", *SOMEBODYS[:3])
    execute(url, "SELECT add_retention_policy('market_data.candles_1m', INTERVAL '6 days')")
    done = init_db(url)
    found = policies(url)
    for name in AGGREGATES:
        short = name.startswith("candles")
        config = found.get((name, "policy_refresh_continuous_aggregate"))
        if short and "1w" in name:
            assert config is None
        else:
            assert config is not None
            assert config["start_offset"] == ("6 days" if short else "60 days" if "1w" in name else "7 days"), name
    [remark] = done.remarks
    assert remark.startswith(
        "candles_1w has no refresh policy: candles_1m keeps its rows for 6 days, too short for one"
    )


def test_a_retention_is_set_on_new_tables_only_and_said_before(url: str, candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("init-db", "--source", url, "--retain", "180d")
    assert ran.code == 0, ran.err
    for name in BASES:
        said = ran.err.index(f"market_data.{name}: rows older than 180 days will be dropped")
        assert said < ran.err.index(f"created market_data.{name}")
        assert policies(url)[(name, "policy_retention")]["drop_after"] == "180 days"
    execute(url, *(f"SELECT remove_retention_policy('market_data.{name}')" for name in BASES))
    before = state(url)
    refused = candlemill("init-db", "--source", url, "--retain", "200d")
    assert refused.code == 2
    assert state(url) == before
    statement = refused.last.partition("for good: ")[2]
    execute(url, *statement.split("; "))
    for name in BASES:
        assert policies(url)[(name, "policy_retention")]["drop_after"] == "200 days"
    for text in ("180", "14d", "180 days", "-20d"):
        assert candlemill("init-db", "--source", url, f"--retain={text}").code == 2


def test_what_existing_aggregates_lack_is_named_and_the_statements_mend_it(url: str, now: datetime) -> None:
    init_db(url)
    for name in ("candles_1h", "candles_4h"):
        execute(url, f"SELECT remove_continuous_aggregate_policy('market_data.{name}')")
    start = now - timedelta(days=30)
    add_minutes(url, ["AUSDT"], start, start + timedelta(days=1))
    add_minutes(url, ["AUSDT"], now - timedelta(days=1), now)
    # This one is refreshed by its policy only, which raises the watermark over what it does not look back to.
    run_jobs(url, "policy_refresh_continuous_aggregate", "candles_5m")
    assert len(table(url, "candles_5m")) < 300
    before = state(url)
    remarks = init_db(url).remarks
    assert state(url) == before
    # All others are real-time and show all they have.
    found = [remark.partition(": ") for remark in remarks]
    assert [what.split()[0] for what, _, _ in found if "no refresh policy" in what] == ["candles_1h", "candles_4h"]
    [(what, _, _)] = [one for one in found if "candles_5m" in one[0]]
    assert what.startswith(
        f"candles_5m shows nothing of candles_1m from {start - timedelta(minutes=start.minute % 5):%Y-%m-%d %H:%M} to"
    )
    assert {what.split()[0] for what, _, _ in found if "never refreshed" in what} == {
        name for name in AGGREGATES if name.startswith("candles") and name != "candles_5m"
    }
    execute(url, *(statement for _, _, statement in found))
    assert len(table(url, "candles_5m")) > 570
    assert init_db(url).remarks == []


def test_a_policy_that_looks_behind_the_retention_is_named_and_the_statements_mend_it(url: str) -> None:
    init_db(url, timedelta(days=30))
    execute(
        url,
        "SELECT remove_continuous_aggregate_policy('market_data.candles_1h')",
        "SELECT remove_continuous_aggregate_policy('market_data.candles_4h')",
        "SELECT add_continuous_aggregate_policy("
        "'market_data.candles_1h', INTERVAL '31 days', INTERVAL '1 h', INTERVAL '1 h')",
        "SELECT add_continuous_aggregate_policy('market_data.candles_4h', NULL, INTERVAL '1 h', INTERVAL '1 h')",
    )
    first, second = init_db(url).remarks
    assert first.startswith(
        "the refresh policy of candles_1h looks back 31 days, but candles_1m keeps its rows for 30 days"
    )
    assert second.startswith("the refresh policy of candles_4h looks back without end, but")
    for remark in (first, second):
        execute(url, *remark.partition("still has: ")[2].split("; "))
    assert init_db(url).remarks == []
    assert policies(url)[("candles_4h", "policy_refresh_continuous_aggregate")]["start_offset"] == "7 days"


# -- roles


def test_a_role_without_rights_is_told_the_statement_that_fails_and_the_grant_that_helps(
    url: str, candlemill: Callable[..., Ran]
) -> None:
    nurse = url.replace("postgres@", "nurse@")
    execute(url, "CREATE SCHEMA market_data")
    refused = candlemill("init-db", "--source", nurse)
    assert refused.code == 3
    execute(url, *re.findall(r"GRANT USAGE, CREATE ON SCHEMA market_data TO \"nurse\"", refused.last))
    assert candlemill("init-db", "--source", nurse).code == 0
    owner = url.replace("postgres@", "collector@")
    execute(
        url,
        "DROP MATERIALIZED VIEW market_data.candles_4h",
        "GRANT USAGE, CREATE ON SCHEMA market_data TO collector",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO collector",
    )
    refused = candlemill("init-db", "--source", owner)
    assert refused.code == 3
    assert 'refused `CREATE MATERIALIZED VIEW market_data."candles_4h"' in refused.last
    execute(url, *re.findall(r"GRANT \"nurse\" TO \"collector\"", refused.last))
    assert candlemill("init-db", "--source", owner).out.startswith("created candles_4h\n")


# -- other forms of the extension


def test_a_trigger_that_notifies_is_made_once(url: str) -> None:
    assert init_db(url, notify=True).created[-1] == "candlemill_notify"
    add_minutes(url, ["AUSDT"], datetime.now(UTC) - timedelta(minutes=3), datetime.now(UTC))
    done = init_db(url, notify=True)
    assert done.created == []
    assert "candles_1m notifies already, by the trigger candlemill_notify, which stays" in done.remarks


@pytest.fixture
def alone() -> Iterator[str]:
    """A server of the test's own, without the extension."""
    with serving() as url:
        yield url


def test_a_plain_schema_from_before_the_extension_stays_and_the_migration_works(
    alone: str, candlemill: Callable[..., Ran], now: datetime
) -> None:
    ran = candlemill("init-db", "--source", alone)
    assert ran.code == 0, ran.err
    [created, remark] = ran.out.splitlines()
    assert created.startswith("created candles_1m, candles_5m")
    assert "is on this server but not in the database" in remark
    assert "CREATE EXTENSION timescaledb" in remark
    start = now - timedelta(days=10)
    add_minutes(alone, ["AUSDT"], start, start + timedelta(days=1))
    add_metrics(alone, ["AUSDT"], start, start + timedelta(days=1))
    execute(
        alone,
        "INSERT INTO market_data.candles_1w SELECT exchange, symbol, bucket_ts, open, high, low, close, volume"
        " FROM market_data.candles_1m LIMIT 1",
    )
    execute(alone, "CREATE EXTENSION timescaledb", "DROP TABLE market_data.candles_4h")
    before = state(alone)
    ran = candlemill("init-db", "--source", alone)
    assert ran.code == 0, ran.err
    after = state(alone)
    assert all(after[what] == there for what, there in before.items() if what != "relations")
    # What is missing is made in the form of the rest.
    lines = ran.out.splitlines()
    assert lines[0] == "created candles_4h"
    for line, base in zip(lines[2:], BASES, strict=True):
        assert line.startswith(f"{base} is a plain table and stays one")
        execute(alone, *line.partition("which locks it: ")[2].removesuffix("; and init-db again").split("; "))
    ran = candlemill("init-db", "--source", alone)
    assert ran.code == 0, ran.err
    assert set(ran.out.splitlines()[0].removeprefix("created ").split(", ")) == set(AGGREGATES)
    assert len(ran.out.splitlines()) == 2
    for name in ("candles_1m", "binance_futures_metrics_5m"):
        assert table(alone, name) == before[name]
    assert len(table(alone, "plain_candles_1w")) == 1
    assert 24 <= len(table(alone, "candles_1h")) <= 25
    assert len(table(alone, "binance_futures_metrics_1h_last")) >= 24


def test_the_extension_may_be_in_any_schema(alone: str, now: datetime) -> None:
    execute(alone, 'CREATE SCHEMA "Time Scale"', 'CREATE EXTENSION timescaledb SCHEMA "Time Scale"')
    init_db(alone, timedelta(days=180))
    execute(alone, *(f"DROP MATERIALIZED VIEW market_data.{name}" for name in AGGREGATES))
    add_minutes(alone, ["AUSDT"], now - timedelta(days=2), now)
    add_metrics(alone, ["AUSDT"], now - timedelta(days=2), now)
    assert set(init_db(alone).created) == set(AGGREGATES)
    assert len(table(alone, "candles_1h")) >= 48
    execute(alone, "DROP MATERIALIZED VIEW market_data.candles_1h")
    with pytest.raises(UsageError, match=r'SELECT "Time Scale"\.add_retention_policy'):
        init_db(alone, timedelta(days=180))


def test_without_aggregates_in_the_extension_the_schema_is_plain(
    tmp_path: Path, candlemill: Callable[..., Ran]
) -> None:
    folder = tmp_path / "server"
    with serving(folder) as url:
        execute(url, "CREATE EXTENSION timescaledb")
    # The setting counts until the library is loaded, in the first session; a real server has it from its configuration.
    with serving(folder, "timescaledb.license=apache") as url:
        ran = candlemill("init-db", "--source", url)
    assert ran.code == 0, ran.err
    assert "Apache edition" in ran.out
    with serving(folder) as url:
        stored = rows(
            url, "SELECT relname FROM pg_class WHERE relnamespace = 'market_data'::regnamespace AND relkind = 'r'"
        )
        assert {name for (name,) in stored} == {*(f"candles_{name}" for name in DEFAULT_INTERVALS), BASES[1]}
        assert rows(url, "SELECT count(*) FROM timescaledb_information.hypertables") == [(0,)]


def test_a_server_that_is_not_there_is_no_matter_of_rights() -> None:
    with pytest.raises(SourceError, match="check the URL, and that the server runs"):
        init_db("postgresql://me@127.0.0.1:1/market")
    assert issubclass(psycopg.OperationalError, psycopg.Error)
