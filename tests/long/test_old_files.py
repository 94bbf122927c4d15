"""Result databases that others have made or left: what a run does to their rows, or why it leaves them alone."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SinkError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.doctor.files import result_database
from candlemill.pipeline.results.sink import Sink, wal_mb
from tests.conftest import dump_of, rows_of
from tests.writing import elsewhere, holding, put

if TYPE_CHECKING:
    from collections.abc import Sequence

DECLARED = INDICATORS["williams_r"]
TABLE = DECLARED.table
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=8))
COLUMNS = '"交易对" TEXT, "周期" TEXT, "数据时间" TEXT, "WilliamsR" REAL'
KEYS = '"交易对", "周期", "数据时间"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "result.db"


def made(file: Path, *statements: str, rows: Sequence[tuple[Any, ...]] = ()) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        for row in rows:
            connection.execute(f'INSERT INTO "{TABLE}" ({KEYS}, "WilliamsR") VALUES (?, ?, ?, ?)', row)


def results(*bars: tuple[str, str, datetime], value: float = -50.0) -> dict[Any, pa.Table]:
    rows = [
        {"symbol": symbol, "interval": interval, "bucket_ts": start, "run_id": "x", "williams_r": value}
        for symbol, interval, start in bars
    ]
    return {DECLARED: pa.Table.from_pylist(rows)}


def write(file: Path, *bars: tuple[str, str, datetime], keep: int = 120, lock_timeout: float = 5) -> None:
    with Sink(file, lock_timeout) as sink:
        sink.check([DECLARED])
        put(sink, results(*bars), lambda _: keep)


def times(file: Path) -> list[str]:
    """Times in rowid order."""
    return [row["t"] for row in rows_of(file, f'SELECT "数据时间" AS t FROM "{TABLE}" ORDER BY rowid')]


def eastern(bars: int, interval: str = "1m") -> list[tuple[Any, ...]]:
    """The last bars before noon UTC, spelled at +08:00."""
    moments = [INTERVALS[interval].back(NOON, bars - bar) for bar in range(bars)]
    return [("AUSDT", interval, moment.astimezone(EAST).isoformat(), -1.0) for moment in moments]


# -- times


@pytest.mark.parametrize(("interval", "bars"), [("1m", 3), ("1m", 120), ("1h", 120), ("1d", 120)])
@pytest.mark.parametrize("ahead", [False, True])
def test_times_with_another_offset_are_in_the_order_of_their_moments(
    file: Path, interval: str, bars: int, ahead: bool
) -> None:
    old = eastern(bars, interval)
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', rows=old)
    with Sink(file, 5) as sink:
        if ahead:
            sink.prepare([DECLARED], {interval: NOON}, lambda _: 120)
        put(sink, results(("AUSDT", interval, NOON)), lambda _: 120)
    assert times(file) == [*[row[2] for row in old][-119:], NOON.isoformat()]


@pytest.mark.parametrize("text", ["2026-01-05T20:00:00+08:00", "2026-01-05 12:00:00", "2026-01-05T12:00:00Z"])
def test_the_same_moment_is_the_same_key_however_it_is_spelled(file: Path, text: str) -> None:
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', rows=[("AUSDT", "1m", text, -1.0), ("BUSDT", "1m", text, -1.0)])
    write(file, ("AUSDT", "1m", NOON))
    found = rows_of(file, f'SELECT "交易对" AS s, "数据时间" AS t, "WilliamsR" AS w FROM "{TABLE}" ORDER BY rowid')
    assert [tuple(row.values()) for row in found] == [("BUSDT", text, -1.0), ("AUSDT", NOON.isoformat(), -50.0)]


def test_a_newer_row_with_another_offset_keeps_the_largest_rowid(file: Path) -> None:
    later = (NOON + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-5))).isoformat()
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', rows=[("AUSDT", "1m", later, -1.0)])
    write(file, ("AUSDT", "1m", NOON))
    assert times(file) == [NOON.isoformat(), later]


def test_of_months_exactly_the_retention_stays(file: Path) -> None:
    month = INTERVALS["1M"]
    starts = [month.back(datetime(2026, 1, 1, tzinfo=UTC), bars) for bars in range(62, 0, -1)]
    for start in (*starts, datetime(2026, 1, 1, tzinfo=UTC))[-3:]:
        if not file.exists():
            rows = [("AUSDT", "1M", each.isoformat(), -1.0) for each in starts[:-2]]
            made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', rows=rows)
        write(file, ("AUSDT", "1M", start), keep=60)
        assert times(file) == [month.back(start, bars).isoformat() for bars in range(59, -1, -1)]


# -- keys


def test_keys_of_any_kind_and_collation_are_no_obstacle(file: Path) -> None:
    columns = COLUMNS.replace("TEXT", "TEXT COLLATE NOCASE")
    odd = [
        (b"\x00\xff", "1m", NOON.isoformat(), 1.0),
        ("AUSDT", b"1m", NOON.isoformat(), 2.0),
        ("AUSDT", "1m", b"\xff", 3.0),
        (None, None, None, 4.0),
        (5, "1m", 17, 5.0),
        ("AUSDT", "1m", "zzz", 6.0),
        ("AUSDT", "1m", "2026-02-30T00:00:00+00:00", 7.0),
        ("ausdt", "1m", NOON.isoformat(), 8.0),
        ("AUSDT", "1M", NOON.isoformat(), 9.0),
    ]
    made(file, f'CREATE TABLE "{TABLE}" ({columns})', rows=odd)
    for minutes in range(3):
        write(file, ("AUSDT", "1m", NOON + timedelta(minutes=minutes)), keep=2)
    found = [row["w"] for row in rows_of(file, f'SELECT "WilliamsR" AS w FROM "{TABLE}" ORDER BY rowid')]
    assert found == [*map(float, range(1, 10)), -50.0, -50.0]


def test_a_key_that_is_no_text_is_told_in_a_line(file: Path) -> None:
    made(
        file,
        f'CREATE TABLE "{TABLE}" ({COLUMNS})',
        f"INSERT INTO \"{TABLE}\" VALUES (CAST(x'ff41' AS TEXT), '1m', '{NOON.isoformat()}', 1)",
    )
    with pytest.raises(SinkError, match="no text in UTF-8"):
        write(file, ("AUSDT", "1m", NOON))


# -- tables that do not keep what they are given

IGNORING = f'CREATE TRIGGER g BEFORE INSERT ON "{TABLE}" BEGIN SELECT RAISE(IGNORE); END'
DELETING = f'CREATE TRIGGER g AFTER INSERT ON "{TABLE}" BEGIN DELETE FROM "{TABLE}" WHERE "交易对" = \'BUSDT\'; END'
CHANGING = f'CREATE TRIGGER g AFTER INSERT ON "{TABLE}" BEGIN UPDATE "{TABLE}" SET "WilliamsR" = 0; END'
ADDING = f'CREATE TRIGGER g AFTER INSERT ON "{TABLE}" BEGIN INSERT INTO "{TABLE}" ("交易对") VALUES (\'X\'); END'


OLDER = f"INSERT INTO \"{TABLE}\" ({KEYS}) VALUES ('AUSDT', '1h', '{NOON.isoformat()}')"


def table(rules: str = "", columns: str = COLUMNS, options: str = "") -> str:
    return f'CREATE TABLE "{TABLE}" ({columns}{rules and ", " + rules}) {options}'


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        ([table(), IGNORING], "does not keep"),
        ([table(), DELETING], "does not keep"),
        ([table(), CHANGING], "does not keep"),
        ([table(), ADDING], "does not keep"),
        ([table('UNIQUE ("交易对") ON CONFLICT REPLACE'), OLDER], "does not keep"),
        ([table('UNIQUE ("数据时间") ON /**/ CONFLICT IGNORE')], "does not keep"),
        ([table(columns=COLUMNS.replace('"交易对" TEXT', '"交易对" INTEGER'))], "does not keep"),
        ([table('UNIQUE ("数据时间")')], "cannot be written"),
        ([table('CHECK ("WilliamsR" > 0)')], "cannot be written"),
        ([table(columns=COLUMNS.replace("REAL", "GENERATED ALWAYS AS (5)"))], "is generated"),
        ([table(f"PRIMARY KEY ({KEYS})", options="WITHOUT ROWID")], "it has no rowids"),
        ([table(columns=f"rowid TEXT, {COLUMNS}")], "its column rowid"),
    ],
)
def test_a_table_that_would_not_keep_the_rows_is_refused(file: Path, statements: list[str], told: str) -> None:
    made(file, *statements, "PRAGMA journal_mode = WAL")
    before, image = dump_or_schema(file), file.read_bytes()
    bars = [(symbol, "1m", NOON) for symbol in ("AUSDT", "BUSDT", "1000")]
    with pytest.raises(SinkError, match=told):
        write(file, *bars)
    assert dump_or_schema(file) == before
    assert file.read_bytes() == image


def dump_or_schema(file: Path) -> Any:
    try:
        return dump_of(file)
    except sqlite3.Error:
        return rows_of(file, "SELECT * FROM sqlite_master")


def test_rows_that_have_used_up_the_numbers_are_told(file: Path) -> None:
    made(
        file,
        f'CREATE TABLE "{TABLE}" ({COLUMNS})',
        f"INSERT INTO \"{TABLE}\" (rowid, {KEYS}) VALUES (9223372036854775807, 'AUSDT', '1m', '{NOON.isoformat()}')",
    )
    with pytest.raises(SinkError, match="no row numbers left"):
        write(file, ("AUSDT", "1m", NOON + timedelta(minutes=1)))


def test_a_trigger_that_takes_note_is_no_obstacle(file: Path) -> None:
    made(
        file,
        f'CREATE TABLE "{TABLE}" ({COLUMNS})',
        "CREATE TABLE notes (note TEXT)",
        f'CREATE TRIGGER g AFTER INSERT ON "{TABLE}" BEGIN INSERT INTO notes VALUES (NEW."数据时间"); END',
    )
    for minutes in (0, 0, 1, 2):
        write(file, ("AUSDT", "1m", NOON + timedelta(minutes=minutes)), keep=2)
    assert times(file) == [(NOON + timedelta(minutes=minutes)).isoformat() for minutes in (1, 2)]
    assert len(rows_of(file, "SELECT * FROM notes")) == 4
    assert {row["name"] for row in rows_of(file, "SELECT name FROM sqlite_master WHERE type = 'table'")} == {
        TABLE,
        "notes",
    }


# -- files that a newer or a killed program has left


def test_the_journal_of_a_killed_writer_is_rolled_back(file: Path) -> None:
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', rows=eastern(3))
    killed = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1])\n"
        "c.execute('PRAGMA cache_size = 1')\n"
        "c.execute('CREATE TABLE half (x)')\n"
        "c.executemany('INSERT INTO half VALUES (?)', [('x' * 900,)] * 900)\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(file)], check=False)
    assert Path(f"{file}-journal").stat().st_size
    assert all(check.ok for check in result_database(file, 256))
    write(file, ("AUSDT", "1m", NOON))
    assert times(file)[-1] == NOON.isoformat()
    assert rows_of(file, "SELECT * FROM half") == []


def unreadable(file: Path, kind: str, words: str) -> None:
    """Give an object of the schema words that no SQLite understands."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = ?", [words, kind])


def test_a_view_that_sqlite_cannot_read_is_no_damage(file: Path) -> None:
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', "CREATE VIEW v AS SELECT 1 AS one", "PRAGMA journal_mode = WAL")
    unreadable(file, "view", "CREATE VIEW v AS SELECT 1 ANEW 2")
    assert all(check.ok for check in result_database(file, 256))
    for minutes in range(2):
        write(file, ("AUSDT", "1m", NOON + timedelta(minutes=minutes)))
    unreadable(file, "view", "CREATE VIEW v AS SELECT 1 AS one")
    assert len(times(file)) == 2
    assert rows_of(file, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


@pytest.mark.parametrize(
    ("kind", "statement", "words"),
    [
        ("trigger", f'CREATE TRIGGER g AFTER INSERT ON "{TABLE}" BEGIN SELECT 1; END', "CREATE TRIGGER g ANEW"),
        ("index", f'CREATE INDEX i ON "{TABLE}" ("交易对")', f'CREATE INDEX i ON "{TABLE}" ("交易对") WHERE ANEW 1'),
    ],
)
def test_what_sqlite_cannot_read_of_a_result_table_is_told(file: Path, kind: str, statement: str, words: str) -> None:
    made(file, f'CREATE TABLE "{TABLE}" ({COLUMNS})', statement, "PRAGMA journal_mode = WAL")
    unreadable(file, kind, words)
    image = file.read_bytes()
    with pytest.raises(SinkError, match="newer SQLite"):
        write(file, ("AUSDT", "1m", NOON))
    assert file.read_bytes() == image


# -- locks, commits and the log


def test_without_patience_only_a_lock_that_is_held_is_an_obstacle(file: Path) -> None:
    write(file, ("AUSDT", "1m", NOON))
    with Sink(file, 0) as sink:
        sink.prepare([DECLARED], {"1m": NOON}, lambda _: 120)
        assert sink._prepared is not None
        sink._prepared.result()
        # The transaction that reads ahead is overtaken: SQLite refuses to write in it.
        elsewhere(file, "CREATE TABLE notes (note TEXT)")
        put(sink, results(("AUSDT", "1m", NOON + timedelta(minutes=1))), lambda _: 120)
    assert len(times(file)) == 2
    with holding(file, "BEGIN IMMEDIATE"), pytest.raises(SinkError, match="stayed locked for 0 s"):
        write(file, ("AUSDT", "1m", NOON), lock_timeout=0)


def test_after_the_commit_nothing_fails(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise duckdb.IOException("the disk is gone")

    with Sink(file, 5) as sink:
        sink.insert(results(("AUSDT", "1m", NOON)), lambda _: 120)
        monkeypatch.setattr(Sink, "_detach", broken)
        sink.commit()
    assert "the results are written, but" in caplog.text
    assert len(times(file)) == 1


def test_a_log_that_a_reader_keeps_from_shrinking_is_told_and_shrinks_after_it(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bars = [(f"S{number}", "1m", NOON) for number in range(12_000)]
    write(file, ("AUSDT", "1m", NOON))
    with Sink(file, 5, wal_limit=1) as sink, caplog.at_level(logging.WARNING):
        with holding(file, "BEGIN", f'SELECT * FROM "{TABLE}"'):
            put(sink, results(*bars), lambda _: 120)
            size = wal_mb(file)
            assert size >= 1
            assert f"has {size} MB" in caplog.text
            [told] = [check for check in result_database(file, 1) if check.name == "write-ahead log"]
            assert not told.ok
            assert "while a reader keeps a transaction open" in told.seen
            # The next of about the same size says nothing: it is told again when the log has doubled.
            put(sink, results(("AUSDT", "1m", NOON)), lambda _: 120)
            assert caplog.text.count("while a reader keeps") == 1
        with holding(file, f'SELECT count(*) FROM "{TABLE}"'):
            put(sink, results(("AUSDT", "1m", NOON)), lambda _: 120)
            assert wal_mb(file) == 0
