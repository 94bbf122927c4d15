"""``doctor`` on TimescaleDB: what aggregates lack is found, and what it says to do mends it and deletes nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.doctor.source import source
from candlemill.pipeline.source.schema import init_db
from tests.timescale.market import add_metrics, add_minutes, execute, refresh, rows, state, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ran

SYMBOLS = ("AUSDT", "BUSDT")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture
def market(url: str, now: datetime) -> str:
    """A database that is as it should be, with three days up to now."""
    init_db(url)
    add_minutes(url, SYMBOLS, now - timedelta(days=3), now + timedelta(minutes=1))
    add_metrics(url, SYMBOLS, now - timedelta(days=3, minutes=now.minute % 5), now)
    refresh(url)
    return url


def faults(url: str) -> dict[str, str]:
    return {check.name: check.seen for check in source(url) if check.ok is False}


def mend(url: str, seen: str) -> None:
    """Run the statements that a finding names."""
    statements = re.findall(r"(?:CALL|SELECT|ALTER) [^`]*?(?=; (?:CALL|SELECT|ALTER)|\. |, and run|$)", seen)
    assert statements, seen
    execute(url, *statements)


def test_nothing_is_wrong_with_what_init_db_makes_also_for_a_role_that_may_only_read(
    market: str, candlemill: Callable[..., Ran]
) -> None:
    execute(
        market,
        "GRANT USAGE ON SCHEMA market_data TO nurse",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO nurse",
    )
    for url in (market, market.replace("postgres@", "nurse@")):
        ran = candlemill("doctor", "--source", url)
        assert ran.code == 0, ran.out
        assert len(re.findall(r"ok    aggregate \w+: shows what \w+ gives, refreshed by job \d+", ran.out)) == 11


def test_history_that_a_watermark_hides_is_found_and_brought_back(market: str, now: datetime) -> None:
    add_minutes(market, SYMBOLS, now - timedelta(days=15), now - timedelta(days=14))
    found = faults(market)
    hidden = {f"aggregate candles_{name}" for name in ("5m", "15m", "1h", "4h", "1d", "1w")}
    assert set(found) <= hidden
    # Where the bucket is the one that holds what came later, there is nothing before it.
    assert set(found) >= hidden - {"aggregate candles_1w"}
    assert "shows nothing of candles_1m from" in found["aggregate candles_5m"]
    for seen in found.values():
        mend(market, seen)
    assert faults(market) == {}
    [(buckets,)] = rows(market, "SELECT count(DISTINCT time_bucket('5 min', bucket_ts)) FROM market_data.candles_1m")
    assert len(table(market, "candles_5m")) == 2 * buckets


def test_holes_and_buckets_that_lack_later_rows_are_found_and_mended(market: str, now: datetime) -> None:
    hour = now - timedelta(hours=30)
    # Within a bucket of 4h, and so within a day.
    hour = hour.replace(hour=hour.hour // 4 * 4, minute=0)
    execute(
        market,
        f"DELETE FROM market_data.candles_1m WHERE bucket_ts >= '{hour}' AND bucket_ts < '{hour + timedelta(hours=3)}'",
    )
    refresh(market)
    add_minutes(market, SYMBOLS, hour, hour + timedelta(hours=3))
    found = faults(market)
    assert set(found) == {f"aggregate candles_{name}" for name in ("5m", "15m", "1h", "4h", "1d")} | (
        {"aggregate candles_1w"} if "aggregate candles_1w" in found else set()
    )
    assert "of its newest buckets of AUSDT, BUSDT 6 are missing, " in found["aggregate candles_1h"]
    assert "2 are out of date" in found["aggregate candles_1d"]
    for seen in found.values():
        mend(market, seen)
    assert faults(market) == {}


def test_what_only_an_aggregate_has_is_not_put_at_risk(market: str, now: datetime) -> None:
    day = now - timedelta(days=2)
    start, until = (f"'{time}'" for time in (day, day + timedelta(hours=12)))
    execute(
        market,
        f"DELETE FROM market_data.candles_1m WHERE symbol = 'AUSDT' AND bucket_ts >= {start} AND bucket_ts < {until}",
    )
    add_minutes(market, ["CUSDT"], now - timedelta(days=3), now + timedelta(minutes=1))
    before = {name: table(market, name) for name in ("candles_1h", "candles_4h", "candles_1d")}
    found = faults(market)
    assert "of AUSDT it holds rows that candles_1m lacks: load the archives" in found["aggregate candles_1h"]
    for seen in found.values():
        # A week that is over has nothing that could be refreshed.
        if "CALL" in seen:
            mend(market, seen)
    for name, there in before.items():
        after = {row[1:3]: row for row in table(market, name)}
        newest = max(row[2] for row in there)
        assert all(after[row[1:3]] == row for row in there if row[2] < newest and row[1] == "AUSDT"), name
    # What could be had without it is there.
    assert len([row for row in table(market, "candles_1h") if row[1] == "CUSDT"]) > 24


def test_an_aggregate_without_its_forming_bar_is_found_and_a_run_warns(
    market: str, candlemill: Callable[..., Ran]
) -> None:
    execute(market, "ALTER MATERIALIZED VIEW market_data.candles_1h SET (timescaledb.materialized_only = TRUE)")
    words = ("run", "--source", market, "--intervals", "15m,1h", "--symbols", "all", "--indicators", "base_data")
    ran = candlemill(*words, "--sqlite", "a.db", "--duckdb", "a.duckdb")
    assert ran.code == 0, ran.err
    warnings = [line for line in ran.err.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "1h: market_data.candles_1h is materialized_only and has no bar that is forming" in warnings[0]
    found = faults(market)
    assert "no bar that is forming" in found["aggregate candles_1h"]
    mend(market, found["aggregate candles_1h"])
    assert faults(market) == {}
    assert "WARNING" not in candlemill(*words, "--sqlite", "b.db", "--duckdb", "b.duckdb").err


def test_policies_that_are_missing_paused_or_have_failed_are_found(market: str) -> None:
    jobs = dict(
        rows(
            market,
            "SELECT hypertable_name, job_id FROM timescaledb_information.jobs WHERE proc_name LIKE '%%refresh%%'",
        )
    )
    execute(
        market,
        "SELECT remove_continuous_aggregate_policy('market_data.candles_5m')",
        f"SELECT alter_job({jobs['candles_15m']}, scheduled => FALSE)",
        # What the background worker of a real server writes down.
        "INSERT INTO _timescaledb_internal.bgw_job_stat VALUES"
        f" ({jobs['candles_1h']}, now(), now(), now(), now(), FALSE, 2, '1 s', '1 s', 1, 1, 0, 1, 0, 0)",
    )
    found = faults(market)
    assert set(found) == {f"aggregate candles_{name}" for name in ("5m", "15m", "1h")}
    assert f"job {jobs['candles_1h']}, has failed" in found["aggregate candles_1h"]
    for name in ("candles_5m", "candles_15m"):
        mend(market, found[f"aggregate {name}"])
    assert set(faults(market)) == {"aggregate candles_1h"}


SUMMED = """
    CREATE MATERIALIZED VIEW market_data.binance_futures_metrics_1h_last
    WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
    SELECT symbol, time_bucket('1 hour', create_time) AS bucket,
        last(sum_open_interest, create_time) AS sum_open_interest,
        last(sum_open_interest_value, create_time) AS sum_open_interest_value,
        sum(count_toptrader_long_short_ratio) AS count_toptrader_long_short_ratio,
        sum(sum_toptrader_long_short_ratio) AS sum_toptrader_long_short_ratio,
        sum(count_long_short_ratio) AS count_long_short_ratio,
        sum(sum_taker_long_short_vol_ratio) AS sum_taker_long_short_vol_ratio, count(*) AS points,
        bool_and(is_closed) AS complete
    FROM market_data.binance_futures_metrics_5m GROUP BY 1, 2 WITH NO DATA
"""


def test_summed_metrics_are_moved_out_of_the_way_and_lost_by_nobody(market: str) -> None:
    execute(market, "DROP MATERIALIZED VIEW market_data.binance_futures_metrics_1h_last", SUMMED)
    execute(market, "CALL refresh_continuous_aggregate('market_data.binance_futures_metrics_1h_last', NULL, NULL)")
    summed = table(market, "binance_futures_metrics_1h_last")
    seen = faults(market)["metrics 1h"]
    assert "they are summed" in seen
    mend(market, seen)
    assert init_db(market).created == ["binance_futures_metrics_1h_last"]
    assert "metrics 1h" not in faults(market)
    assert table(market, "binance_futures_metrics_1h_last_wrong") == summed


def test_it_changes_nothing(market: str) -> None:
    before = state(market)
    faults(market)
    assert state(market) == before


def test_what_a_role_may_not_read_is_named_with_the_grants(market: str) -> None:
    execute(market, "GRANT USAGE ON SCHEMA market_data TO nurse", "GRANT SELECT ON market_data.candles_1m TO nurse")
    for url in (market, market.replace("postgres@", "nurse@")):
        if url != market:
            found = faults(url)
            assert len([name for name in found if name.startswith("aggregate ")]) == 11
            for seen in found.values():
                grants = re.findall(r"GRANT .*? TO \"nurse\"", seen)
                assert len(grants) == 2
                execute(market, *grants)
        assert faults(url) == {}
    collector = market.replace("postgres@", "collector@")
    assert faults(collector)["aggregates"].endswith('GRANT USAGE ON SCHEMA market_data TO "collector"')
    with pytest.raises(SourceError, match='GRANT USAGE, CREATE ON SCHEMA market_data TO "collector"'):
        init_db(collector)
    execute(market, "GRANT USAGE ON SCHEMA market_data TO collector")
    remarks = init_db(collector).remarks
    assert len([remark for remark in remarks if "may not be read: GRANT USAGE ON SCHEMA" in remark]) == 11
