"""``ingest`` on TimescaleDB: what is loaded shows in every aggregate, and what only an aggregate still has stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.pipeline.base.ranges import Range
from candlemill.pipeline.ingest.archives import find
from candlemill.pipeline.ingest.load import ingest
from candlemill.pipeline.ingest.refresh import Loaded, Refresher
from candlemill.pipeline.source.schema import init_db
from tests.long.test_ingest import HEADER, METRICS_HEADER, kline, metric, write
from tests.timescale.market import EXCHANGE, add_minutes, execute, rows, run_jobs, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from candlemill.pipeline.ingest.report import Hidden
    from tests.conftest import Ran

DAY = timedelta(days=1)
VALUES = "exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count"
WIDTHS = {"5m": "5 min", "15m": "15 min", "1h": "1 h", "4h": "4 h", "1d": "1 day", "1w": "7 days"}
LAST = ("15m", "1h", "4h", "1d", "1w")


@pytest.fixture
def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


class Archives:
    """Daily archives that are loaded, and a copy of all that was ever loaded, which nothing drops."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        execute(
            url,
            "CREATE SCHEMA IF NOT EXISTS research",
            "CREATE TABLE research.minutes (LIKE market_data.candles_1m)",
            "CREATE TABLE research.metrics (LIKE market_data.binance_futures_metrics_5m)",
        )

    def days(self, symbol: str, first: datetime, count: int, what: str = "1m", price: int = 100) -> None:
        """Put archives of some days into the folder."""
        for day in (first + number * DAY for number in range(count)):
            name = self.folder / f"{symbol}-{what}-{day:%Y-%m-%d}.csv"
            if what == "metrics":
                times = [day + timedelta(minutes=5 * number) for number in range(288)]
                lines = [metric(time, f"{n},1050,1.1,1.2,1.3,1.{n}", symbol) for n, time in enumerate(times, 1)]
                write(name, [METRICS_HEADER, *lines])
            else:
                times = [day + timedelta(minutes=number) for number in range(1440)]
                numbers = [(n * 37 + len(symbol) * 11 + day.day) % 61 for n in range(1440)]
                prices = [f"{price + n},{price + 70 + n % 7},{price - n % 5},{price + n % 60},{1 + n}" for n in numbers]
                write(name, [HEADER, *(kline(time, text) for time, text in zip(times, prices, strict=True))])

    def load(self, url: str | None = None) -> list[Hidden]:
        """Load what is in the folder, empty it, and return what aggregates do not show."""
        report = ingest(url or self.url, find([self.folder]), EXCHANGE)
        assert {file.state for file in report.files} == {"loaded"}
        for file in self.folder.iterdir():
            file.unlink()
        execute(
            self.url,
            "INSERT INTO research.minutes SELECT * FROM market_data.candles_1m AS m WHERE NOT EXISTS (SELECT FROM"
            " research.minutes AS n WHERE (n.symbol, n.bucket_ts) = (m.symbol, m.bucket_ts))",
            "INSERT INTO research.metrics SELECT * FROM market_data.binance_futures_metrics_5m AS m WHERE NOT EXISTS ("
            "SELECT FROM research.metrics AS n WHERE (n.symbol, n.create_time) = (m.symbol, m.create_time))",
        )
        return report.hidden

    def truth(self, interval: str, symbols: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        """The candles of an interval out of everything that was ever loaded."""
        return rows(
            self.url,
            f"""SELECT exchange, symbol, time_bucket('{WIDTHS[interval]}', bucket_ts), first(open, bucket_ts),
                max(high), min(low), last(close, bucket_ts), sum(volume), sum(quote_volume), sum(trade_count)
                FROM research.minutes WHERE symbol = ANY(%(symbols)s) OR %(symbols)s IS NULL
                GROUP BY 1, 2, 3 ORDER BY 2, 3""",
            symbols=list(symbols) if symbols else None,
        )

    def last(self, interval: str) -> list[tuple[Any, ...]]:
        """The metrics of an interval out of everything that was ever loaded."""
        return rows(
            self.url,
            f"""SELECT symbol, time_bucket('{WIDTHS[interval]}', create_time), last(sum_open_interest, create_time),
                count(*) FROM research.metrics GROUP BY 1, 2 ORDER BY 1, 2""",
        )

    def shown(self, interval: str, symbols: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        found = table(self.url, f"candles_{interval}", VALUES)
        return [row for row in found if symbols is None or row[1] in symbols]

    def shown_last(self, interval: str) -> list[tuple[Any, ...]]:
        columns = "symbol, bucket, sum_open_interest, points"
        return table(self.url, f"binance_futures_metrics_{interval}_last", columns)

    def all_right(self, symbols: Sequence[str] | None = None) -> None:
        """Every aggregate shows all that was ever loaded, of some symbols at least."""
        for interval in WIDTHS:
            assert self.shown(interval, symbols) == self.truth(interval, symbols), interval
        for interval in LAST:
            assert self.shown_last(interval) == self.last(interval), interval


@pytest.fixture
def archives(url: str, tmp_path: Path) -> Archives:
    init_db(url, timedelta(days=20))
    (tmp_path / "in").mkdir()
    return Archives(tmp_path / "in", url)


def test_what_only_aggregates_still_have_survives_all_later_loads(archives: Archives, today: datetime) -> None:
    url = archives.url
    monday = today - 42 * DAY - timedelta(days=today.weekday())
    for symbol in ("AUSDT", "BUSDT"):
        archives.days(symbol, monday + 3 * DAY, 2)
        archives.days(symbol, today - 3 * DAY, 1)
        archives.days(symbol, monday + 3 * DAY, 2, "metrics")
    assert archives.load() == []
    archives.all_right()
    for procedure in ("policy_refresh_continuous_aggregate", "policy_compression", "policy_retention"):
        run_jobs(url, procedure)
    assert rows(url, "SELECT min(bucket_ts) FROM market_data.candles_1m") == [(today - 3 * DAY,)]
    archives.all_right()
    run_jobs(url, "policy_refresh_continuous_aggregate")
    archives.all_right()

    # Another symbol, on the same days: its buckets cannot be had without those of the others.
    archives.days("CUSDT", monday + 3 * DAY, 2)
    archives.days("CUSDT", monday + 3 * DAY, 1, "metrics")
    hidden = archives.load()
    archives_of = {one.aggregate: one for one in hidden}
    assert set(archives_of) == {
        *(f"candles_{name}" for name in WIDTHS),
        *(f"binance_futures_metrics_{name}_last" for name in LAST),
    }
    assert {one.symbol for one in hidden} == {"CUSDT"}
    assert archives_of["candles_1h"].buckets == 48
    assert "it holds rows of AUSDT, BUSDT there that candles_1m does not give" in archives_of["candles_1h"].reason
    for interval in WIDTHS:
        assert archives.shown(interval) == archives.truth(interval, ["AUSDT", "BUSDT"])
    # Loading it once more changes nothing, and says the same.
    archives.days("CUSDT", monday + 3 * DAY, 2)
    archives.days("CUSDT", monday + 3 * DAY, 1, "metrics")
    assert archives.load() == hidden

    # Another time, which begins in the same week: the bucket of that week has to stay, all others are there.
    archives.days("AUSDT", monday - DAY, 3)
    hidden = archives.load()
    assert [(one.aggregate, one.symbol, one.buckets) for one in hidden] == [("candles_1w", "AUSDT", 1)]
    week = [row for row in archives.truth("1w", ["AUSDT"]) if row[2] == monday]
    for interval in WIDTHS:
        expected = archives.truth(interval, ["AUSDT", "BUSDT"])
        if interval == "1w":
            [kept] = [row for row in archives.shown("1w", ["AUSDT"]) if row[2] == monday]
            assert kept[7] < week[0][7]
            expected = [kept if row[1:3] == ("AUSDT", monday) else row for row in expected]
        assert archives.shown(interval) == expected

    # The next days, for all.
    for symbol in ("AUSDT", "BUSDT", "CUSDT"):
        archives.days(symbol, today - 2 * DAY, 2)
    assert archives.load() == []

    # What the report advises: the other symbols' archives of those days bring everything together.
    for symbol in ("AUSDT", "BUSDT"):
        archives.days(symbol, monday + 3 * DAY, 2)
        archives.days(symbol, monday + 3 * DAY, 2, "metrics")
    hidden = archives.load()
    assert {one.aggregate for one in hidden} <= {"candles_1w", "binance_futures_metrics_1w_last"}
    for interval in WIDTHS:
        if interval != "1w":
            assert archives.shown(interval) == archives.truth(interval)
    for interval in LAST:
        if interval != "1w":
            assert archives.shown_last(interval) == archives.last(interval)


def test_day_by_day_with_gaps_and_corrections_everything_shows(archives: Archives, today: datetime) -> None:
    monday = today - 21 * DAY - timedelta(days=today.weekday())
    for number in range(3):
        archives.days("AUSDT", monday + number * DAY, 1)
        [file] = archives.folder.iterdir()
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[:400] + lines[500:]))
        assert archives.load() == []
        archives.all_right()
    archives.days("AUSDT", monday + DAY, 1, price=90)
    execute(
        archives.url,
        f"DELETE FROM research.minutes WHERE bucket_ts >= '{monday + DAY}' AND bucket_ts < '{monday + 2 * DAY}'",
    )
    assert archives.load() == []
    archives.all_right()


def test_a_load_that_broke_off_before_the_aggregates_is_made_good_by_the_next(
    archives: Archives, today: datetime
) -> None:
    url = archives.url
    monday = today - 14 * DAY - timedelta(days=today.weekday())
    archives.days("AUSDT", monday, 2)
    archives.days("AUSDT", monday + 4 * DAY, 3)
    archives.load()
    # As it is when the rows of the days between were committed, and nothing after that happened.
    archives.days("AUSDT", monday + 2 * DAY, 2)
    kept = {file.name: file.read_text() for file in archives.folder.iterdir()}
    archives.load()
    before = {name: archives.shown(name) for name in WIDTHS}
    between = f"bucket_ts >= '{monday + 2 * DAY}' AND bucket_ts < '{monday + 4 * DAY}'"
    execute(url, f"DELETE FROM market_data.candles_1m WHERE {between}")
    execute(url, *(f"CALL refresh_continuous_aggregate('market_data.candles_{name}', NULL, NULL)" for name in WIDTHS))
    execute(url, "INSERT INTO market_data.candles_1m SELECT m.* FROM research.minutes AS m ON CONFLICT DO NOTHING")
    assert archives.shown("1h") != before["1h"]
    for name, text in kept.items():
        (archives.folder / name).write_text(text)
    assert archives.load() == []
    assert {name: archives.shown(name) for name in WIDTHS} == before
    archives.all_right()


def test_the_bar_that_is_forming_goes_on_to_grow(archives: Archives) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    times = [now - timedelta(minutes=number) for number in range(3000, 0, -1)]
    write(archives.folder / f"AUSDT-1m-{now:%Y-%m-%d}.csv", [HEADER, *(kline(time, "1,2,0.5,1,1") for time in times)])
    assert archives.load() == []
    add_minutes(archives.url, ["AUSDT"], now, now + timedelta(minutes=1))
    [(newest,)] = rows(archives.url, "SELECT volume FROM market_data.candles_1w ORDER BY bucket_ts DESC LIMIT 1")
    [(minutes,)] = rows(
        archives.url,
        "SELECT sum(volume) FROM market_data.candles_1m"
        " WHERE bucket_ts >= (SELECT max(bucket_ts) FROM market_data.candles_1w)",
    )
    assert newest == minutes
    assert all(row[2] <= now for name in WIDTHS for row in archives.shown(name))


#: Names, buckets and makes that this program never makes: over an aggregate, in another schema, without symbols.
OTHERS = {
    "market_data.candles_3m": ("candles_1m", "time_bucket('3 minutes', bucket_ts)", "FALSE"),
    "market_data.candles_2h": ("candles_1h", "time_bucket('2 hours', bucket_ts)", "FALSE"),
    "market_data.candles_12h": ("candles_2h", "time_bucket('12 hours', bucket_ts)", "TRUE"),
    'market_data."candles_1M"': ("candles_1m", "time_bucket('1 month', bucket_ts)", "FALSE"),
    "research.shanghai_days": ("candles_1m", "time_bucket('1 day', bucket_ts, 'Asia/Shanghai')", "FALSE"),
    "research.shifted": ("candles_1m", "time_bucket('4 hours', bucket_ts, \"offset\" => INTERVAL '1 hour')", "TRUE"),
    "research.from_origin": (
        "candles_1m",
        "time_bucket('3 days', bucket_ts, TIMESTAMPTZ '2020-01-02 05:00+00')",
        "FALSE",
    ),
}
OTHER = """
    CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = {only}) AS
    SELECT exchange, symbol, {bucket} AS bucket_ts, first(open, bucket_ts) AS open, max(high) AS high, min(low) AS low,
        last(close, bucket_ts) AS close, sum(volume) AS volume
    FROM market_data.{parent} GROUP BY 1, 2, 3 WITH NO DATA
"""
TOTALS = """
    CREATE MATERIALIZED VIEW research.totals WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
    SELECT time_bucket('1 hour', bucket_ts) AS hour, sum(volume) AS volume
    FROM market_data.candles_1m GROUP BY 1 WITH NO DATA
"""
METRICS_1H = """
    CREATE MATERIALIZED VIEW market_data.metrics_1h
    WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
    SELECT symbol, time_bucket('1 hour', create_time) AS create_time,
        last(sum_open_interest, create_time) AS sum_open_interest, bool_and(is_closed) AS is_closed
    FROM market_data.binance_futures_metrics_5m GROUP BY 1, 2 WITH NO DATA
"""


def test_aggregates_of_every_name_and_kind_are_refreshed_and_kept(archives: Archives, today: datetime) -> None:
    url = archives.url
    for name, (parent, bucket, only) in OTHERS.items():
        execute(url, OTHER.format(name=name, parent=parent, bucket=bucket, only=only))
    execute(url, TOTALS, METRICS_1H)
    truths = {
        name: f"SELECT exchange, symbol, {bucket}, first(open, bucket_ts), max(high), min(low), last(close, bucket_ts),"
        " sum(volume) FROM research.minutes GROUP BY 1, 2, 3"
        for name, (_, bucket, _) in OTHERS.items()
    }
    truths["research.totals"] = "SELECT time_bucket('1 hour', bucket_ts), sum(volume) FROM research.minutes GROUP BY 1"
    truths["market_data.metrics_1h"] = (
        "SELECT symbol, time_bucket('1 hour', create_time), last(sum_open_interest, create_time), bool_and(is_closed)"
        " FROM research.metrics GROUP BY 1, 2"
    )

    def held() -> dict[str, list[tuple[Any, ...]]]:
        return {name: sorted(rows(url, f"SELECT * FROM {name}")) for name in truths}

    def true() -> dict[str, list[tuple[Any, ...]]]:
        return {name: sorted(rows(url, truth)) for name, truth in truths.items()}

    # The buckets are long over.
    month = (today - 70 * DAY).replace(day=1)
    for first in (month, month + 5 * DAY):
        archives.days("AUSDT", first, 3)
        archives.days("AUSDT", first, 3, "metrics")
        assert archives.load() == []
        assert held() == true()
    run_jobs(url, "policy_retention")
    before = held()
    assert before == true()
    archives.days("BUSDT", month + DAY, 1)
    archives.days("BUSDT", month + DAY, 1, "metrics")
    hidden = archives.load()
    assert held() == before
    assert {name.partition(".")[2].strip('"') for name in truths} <= {one.aggregate for one in hidden}
    # A time at which nothing is held, but for the month and the days of three.
    archives.days("BUSDT", month + 16 * DAY, 2)
    hidden = archives.load()
    after, expected = held(), true()
    assert {one.aggregate for one in hidden} == {"candles_1M"}
    for name in set(truths) - {'market_data."candles_1M"', "research.totals", "market_data.metrics_1h"}:
        new = [row for row in expected[name] if "BUSDT" in row and row[2] >= month + 12 * DAY]
        assert sorted([*before[name], *new]) == after[name], name
    assert len(after["research.totals"]) == len(before["research.totals"]) + 48


def test_who_does_not_own_an_aggregate_is_told_what_its_owner_has_to_run(archives: Archives, today: datetime) -> None:
    url = archives.url
    execute(
        url,
        "GRANT USAGE ON SCHEMA market_data TO collector",
        "GRANT SELECT, INSERT, UPDATE ON market_data.candles_1m TO collector",
    )
    # Of two weeks: of one that is loaded in part, a second load could not tell its own rows from those of others.
    monday = today - 14 * DAY - timedelta(days=today.weekday())
    archives.days("AUSDT", monday + 8 * DAY, 1)
    archives.load()
    collector = url.replace("postgres@", "collector@")
    archives.days("AUSDT", monday + 2 * DAY, 1)
    hidden = archives.load(collector)
    assert {one.aggregate for one in hidden} == {f"candles_{name}" for name in WIDTHS}
    for one in hidden:
        assert 'GRANT SELECT ON "market_data"."candles_' in one.reason
        execute(url, *one.reason.partition("into it: ")[2].removesuffix("; and load again").split("; "))
    archives.days("AUSDT", monday + 2 * DAY, 1)
    hidden = archives.load(collector)
    assert {one.aggregate for one in hidden} == {f"candles_{name}" for name in WIDTHS}
    for one in hidden:
        said, _, statements = one.reason.partition(" run ")
        assert said == 'only its owner may refresh it: as "postgres"'
        execute(url, *statements.split("; "))
    archives.all_right()


def test_what_a_retention_drops_while_files_are_loaded_stays_in_the_aggregates(
    archives: Archives, today: datetime
) -> None:
    url = archives.url
    start = today - 50 * DAY
    archives.days("AUSDT", start, 1)
    archives.load()
    before = {name: archives.shown(name) for name in WIDTHS}
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        refresher = Refresher(connection, EXCHANGE)
        day = Range(start, start + DAY)
        refresher.compare(refresher.unseen("candles_1m", day))
        connection.execute("SELECT drop_chunks('market_data.candles_1m', now() - INTERVAL '20 days')")
        connection.execute(
            "INSERT INTO market_data.candles_1m SELECT exchange, 'BUSDT', bucket_ts, open, high, low, close, volume"
            " FROM research.minutes WHERE symbol = 'AUSDT'"
        )
        hidden = refresher.refresh("candles_1m", [Loaded("BUSDT", day, True)])
    assert {one.aggregate for one in hidden} == {f"candles_{name}" for name in WIDTHS}
    assert {name: archives.shown(name) for name in WIDTHS} == before


def test_the_command_says_what_stays_hidden_and_why(
    archives: Archives, candlemill: Callable[..., Ran], today: datetime
) -> None:
    archives.days("AUSDT", today - 30 * DAY, 1)
    archives.load()
    run_jobs(archives.url, "policy_retention")
    archives.days("BUSDT", today - 30 * DAY, 1)
    words = ("ingest", "binance-vision", archives.folder, "--source", archives.url)
    ran = candlemill(*words)
    assert ran.code == 0, ran.err
    hidden = [line for line in ran.out.splitlines() if line.startswith("hidden in ")]
    assert len(hidden) == len(WIDTHS)
    assert f"hidden in candles_1h: 24 buckets of BUSDT from {today - 30 * DAY:%Y-%m-%d %H:%M} to " in ran.out
    again = candlemill(*words, "--json")
    assert [one["aggregate"] for one in json.loads(again.out)["hidden"]] == [f"candles_{name}" for name in WIDTHS]


def test_a_load_that_raises_the_watermark_hides_nothing_that_others_wrote_before(
    archives: Archives, today: datetime
) -> None:
    # Three weeks, one after the other: what others write into the second is later than all that the aggregates hold.
    monday = today - 21 * DAY - timedelta(days=today.weekday())
    add_minutes(archives.url, ["AUSDT"], monday + DAY, monday + 2 * DAY)
    archives.days("BUSDT", monday + 4 * DAY, 1)
    assert archives.load() == []
    archives.all_right()
    add_minutes(archives.url, ["AUSDT"], monday + 8 * DAY, monday + 9 * DAY)
    archives.days("BUSDT", monday + 15 * DAY, 1)
    assert archives.load() == []
    archives.all_right()
