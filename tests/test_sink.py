"""The SQLite result database: what a run leaves in it, as those see it who read it while it is written."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pyarrow as pa
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import parse_retention
from tests import goldens, test_retention
from tests.conftest import CANDLEMILL, Ran, dump_of, rows_of
from tests.goldens import KEY
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server

CASE = goldens.HERE / "synth_lengths"
AS_OF = "2026-01-22T09:07:00+00:00"
SYMBOLS = ("AAAUSDT", "N5USDT", "N60USDT")
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
FEW = ("--indicators", "macd,volume_ratio,base_data,data_monitor,futures_sentiment")
MACD, VOLUME_RATIO, BASE, MONITOR, FUTURES = (
    INDICATORS[name].table for name in ("macd", "volume_ratio", "base_data", "data_monitor", "futures_sentiment")
)
AFFINITY = {"DOUBLE": "REAL", "REAL": "REAL", "BIGINT": "INTEGER", "INTEGER": "INTEGER"}
AFFINITY |= {"VARCHAR": "TEXT", "TEXT": "TEXT"}
WANTED = {"real": "REAL", "integer": "INTEGER", "text": "TEXT", "time": "TEXT"}

Row = tuple[str, str, str]


class Run(Protocol):
    """Runs the command on three symbols at 5m, into result.db of the test's folder, and returns the record."""

    def __call__(self, *words: str, as_of: str = AS_OF) -> dict[str, Any]: ...


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture
def run(candlemill: Callable[..., Ran], url: str) -> Run:
    def command(*words: str, as_of: str = AS_OF) -> dict[str, Any]:
        ran = candlemill(*asked(url), "--as-of", as_of, *words, "--json")
        assert ran.code == 0, ran.err
        assert ran.record["errors"] == []
        return ran.record

    return command


def asked(url: str) -> tuple[str, ...]:
    return ("run", "--source", url, "--symbols", ",".join(SYMBOLS), "--intervals", "5m", *FEW, *FILES)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return tmp_path / "result.db"


def keys_of(database: Path) -> dict[str, list[Row]]:
    """The keys of every table that has some, in rowid order."""
    tables = [row["name"] for row in rows_of(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    order = ", ".join(KEY)
    found = {table: rows_of(database, f'SELECT {order} FROM "{table}" ORDER BY rowid') for table in tables}
    return {table: [(row[KEY[0]], row[KEY[1]], row[KEY[2]]) for row in rows] for table, rows in found.items()}


def newest(keys: list[Row], count: int) -> set[Row]:
    """The newest rows of every pair, at most that many each."""
    pairs = {key[:2] for key in keys}
    return {key for pair in pairs for key in sorted({k for k in keys if k[:2] == pair})[-count:]}


def newest_is_last(keys: list[Row]) -> bool:
    """Whether the last row of every pair is its newest."""
    last = {key[:2]: key[2] for key in keys}
    return last == {pair: max(key[2] for key in keys if key[:2] == pair) for pair in last}


# -- a fresh file


@pytest.fixture(scope="module")
def earlier(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a run one bar ago, of some of the indicators."""
    folder = tmp_path_factory.mktemp("earlier")
    words = [str(CANDLEMILL), *asked(url), "--as-of", "2026-01-22T09:02:00+00:00", "--indicators", "base_data,macd"]
    subprocess.run(words, cwd=folder, capture_output=True, check=True)
    return folder


@pytest.fixture
def stored(earlier: Path, tmp_path: Path) -> Path:
    """The result database of that run, in the test's own folder and with its work file."""
    shutil.copy(earlier / "work.duckdb", tmp_path)
    return Path(shutil.copy(earlier / "result.db", tmp_path))


@dataclass
class Fresh:
    """A first run of all indicators."""

    database: Path
    record: dict[str, Any]


@pytest.fixture(scope="module")
def fresh(url: str, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    words = ["run", "--source", url, "--symbols", ",".join(SYMBOLS), "--intervals", "5m,1w", "--as-of", AS_OF]
    done = subprocess.run(
        [str(CANDLEMILL), *words, *FILES, "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    return Fresh(folder / "result.db", Ran(0, done.stdout, done.stderr).record)


def test_a_new_file_is_in_wal_mode(fresh: Fresh) -> None:
    # Bytes 18 and 19 of the header, the file format's write and read versions, are 2 for WAL.
    assert fresh.database.read_bytes()[18:20] == b"\x02\x02"


def test_a_new_file_has_the_declared_tables_columns_and_types(fresh: Fresh) -> None:
    tables = {row["name"] for row in rows_of(fresh.database, "SELECT name FROM sqlite_master WHERE type != 'index'")}
    assert tables == {declared.table for declared in INDICATORS.values()}
    for declared in INDICATORS.values():
        found = rows_of(fresh.database, f"SELECT name, type, pk FROM pragma_table_info('{declared.table}')")
        wanted = [(key, "TEXT") for key in KEY] + [(declared.label(c), WANTED[c.kind.name]) for c in declared.columns]
        assert [(row["name"], AFFINITY[row["type"]]) for row in found] == wanted
        assert [row["name"] for row in found if row["pk"]] == list(KEY)


def test_numbers_are_numbers_and_times_are_iso_in_utc(fresh: Fresh) -> None:
    kinds: dict[str, set[str]] = {"real": set(), "integer": set(), "text": set(), "time": set()}
    for declared in INDICATORS.values():
        for column in declared.columns:
            query = f'SELECT DISTINCT typeof("{declared.label(column)}") AS kind FROM "{declared.table}"'
            kinds[column.kind.name] |= {row["kind"] for row in rows_of(fresh.database, query)}
    assert kinds["real"] == {"real", "null"}
    assert kinds["integer"] == {"integer", "null"}
    assert kinds["text"] == kinds["time"] == {"text", "null"}
    times = {key[2] for keys in keys_of(fresh.database).values() for key in keys}
    times |= {row["最新时间"] for row in rows_of(fresh.database, f'SELECT 最新时间 FROM "{MONITOR}"')}
    assert len(times) >= 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", time) for time in times)


def test_rows_of_one_run_stand_in_key_order(fresh: Fresh) -> None:
    for table, keys in keys_of(fresh.database).items():
        assert keys == sorted(keys), table
    assert [key[:2] for key in keys_of(fresh.database)[BASE]] == [(s, i) for s in SYMBOLS for i in ("1w", "5m")]


def test_the_record_counts_the_rows_that_are_there(fresh: Fresh) -> None:
    rows = sum(len(keys) for keys in keys_of(fresh.database).values())
    assert fresh.record["sqlite_rows_written"] == fresh.record["rows"] == rows
    assert fresh.record["sqlite_rows_pruned"] == 0
    assert fresh.record["sqlite_commits"] == 1


# -- run after run


def test_the_row_of_a_forming_bar_is_replaced(server: Server, candlemill: Callable[..., Ran], result: Path) -> None:
    place = server.database("forming")
    goldens.load(CASE, place)
    words = (*asked(place), "--symbols", "AAAUSDT", "--as-of", AS_OF, "--indicators", "base_data,macd")
    assert candlemill(*words).code == 0
    before = dump_of(result)
    with psycopg.connect(place) as connection:
        done = connection.execute(
            "UPDATE market_data.candles_5m SET close = 7.5, high = 8.25, low = 7.25, volume = volume * 3 "
            "WHERE symbol = 'AAAUSDT' AND bucket_ts = '2026-01-22 09:05:00+00'"
        )
        assert done.rowcount == 1
    assert candlemill(*words).code == 0
    after = dump_of(result)
    query = f'SELECT 收盘价, 最高价, 数据时间 FROM "{BASE}"'
    assert rows_of(result, query) == [{"收盘价": 7.5, "最高价": 8.25, "数据时间": "2026-01-22T09:05:00+00:00"}]
    assert [len(after[table]) for table in (MACD, BASE)] == [1, 1]
    assert after[MACD][0][1:] != before[MACD][0][1:]


def test_of_each_pair_the_newest_rows_stay_and_the_newest_is_last_whatever_the_order_of_runs(
    run: Run, result: Path
) -> None:
    stored: dict[str, set[Row]] = {}
    for moment, bar in (("08:52", "08:50"), ("09:07", "09:05"), ("08:47", "08:45"), ("09:02", "09:00")):
        record = run("--retention", "5m=3", as_of=f"2026-01-22T{moment}:00+00:00")
        found = keys_of(result)
        assert set(found) == {MACD, VOLUME_RATIO, BASE, MONITOR, FUTURES}
        pruned = written = 0
        for table, keys in found.items():
            assert len(set(keys)) == len(keys)
            assert newest_is_last(keys), (moment, table, keys)
            added = {(symbol, "5m", f"2026-01-22T{bar}:00+00:00") for symbol in SYMBOLS}
            if table == FUTURES:
                added = {key for key in keys if key not in stored.get(table, set())}
            everything = stored.get(table, set()) | added
            assert set(keys) == newest(list(everything), 3)
            written += len(added)
            pruned += len(everything) - len(keys)
            stored[table] = set(keys)
        assert record["sqlite_rows_written"] >= written
        assert record["sqlite_rows_pruned"] == pruned
    assert sorted({key[2][11:16] for key in stored[BASE]}) == ["08:50", "09:00", "09:05"]


def test_a_row_without_values_never_replaces_one_with_values(run: Run, result: Path) -> None:
    run("--lookback", "20")
    few = dump_of(result)
    # Columns without any value in the first run have their types all the same.
    types = rows_of(result, f"SELECT name, type FROM pragma_table_info('{MACD}')")
    assert [AFFINITY[row["type"]] for row in types[3:]] == [WANTED[c.kind.name] for c in INDICATORS["macd"].columns]
    assert {value for row in few[MACD] for value in row[4:]} == {None}
    run()
    full = dump_of(result)
    run("--lookback", "20")
    again = dump_of(result)
    # Rows without values give way to rows with values, and not the reverse; N5USDT has none in either.
    for table in (MACD, VOLUME_RATIO):
        assert {row[1] for row in full[table] if any(row[4:])} == {"AAAUSDT", "N60USDT"}
        assert [row for row in again[table] if row[1] != "N5USDT"] == [r for r in full[table] if r[1] != "N5USDT"]
        assert {row[1] for row in few[table] if any(isinstance(value, float) for value in row[4:])} == set()
    # A table whose rows have values at any length is replaced as always.
    loaded = [{row[1]: row[4] for row in dump[MONITOR]} for dump in (few, full, again)]
    assert loaded[0] == loaded[2] == {"AAAUSDT": 20, "N5USDT": 5, "N60USDT": 20}
    assert loaded[1] == {"AAAUSDT": 400, "N5USDT": 5, "N60USDT": 60}
    assert all(len(rows) == 3 for dump in (few, full, again) for table, rows in dump.items() if table != "schema")


def test_runs_that_look_from_the_past_do_not_use_up_the_rowids(tmp_path: Path) -> None:
    """A replay of history moves the newer rows each time. If the rowids doubled with each, sixty would end them."""
    declared, steps = INDICATORS["williams_r"], 8
    sink = Sink(tmp_path / "replayed.db", lock_timeout=5)
    newest = datetime(2026, 1, 22, 12, tzinfo=UTC)
    for moment in (newest, *(newest - timedelta(minutes=5 * step) for step in range(steps, 0, -1))):
        row = {"symbol": "AAAUSDT", "interval": "5m", "bucket_ts": moment, "run_id": "x", "williams_r": -50.0}
        put(sink, {declared: pa.Table.from_pylist([row])}, lambda _: 120)
    assert newest_is_last(keys_of(tmp_path / "replayed.db")[declared.table])
    [found] = rows_of(tmp_path / "replayed.db", f'SELECT count(*) AS n, max(rowid) AS last FROM "{declared.table}"')
    assert found["n"] == 1 + steps
    assert found["last"] <= 1 + 4 * steps


def test_the_folders_of_a_new_file_are_made_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "of" / "a" / "desk" / "result.db"
    with Sink(path, lock_timeout=5) as sink:
        sink.check([INDICATORS["williams_r"]])
        assert list(tmp_path.iterdir()) == []
        test_retention.write(sink, {("AUSDT", "5m"): (0, -1.0)})
    assert test_retention.stored(path) == {("AUSDT", "5m", 0): -1.0}


def test_the_default_retention() -> None:
    kept = parse_retention(None)
    assert kept == {"1m": 120, "5m": 120, "15m": 96, "1h": 144, "4h": 120, "1d": 180, "1w": 104}
    assert parse_retention("1h=5") == kept | {"1h": 5}


# -- a database of the service that this replaces

LEGACY_COLUMNS = (
    '"指标" TEXT, "数据时间" TIMESTAMP, "收盘价" INTEGER, "开盘价" INTEGER, "交易对" TEXT, "周期" TEXT, '
    '"最高价" TEXT, "最低价" REAL, "成交笔数" REAL, "当前价格", "来源" TEXT'
)
OLD = [f"2026-01-{day:02d}T{hour:02d}:00:00+00:00" for day in range(1, 7) for hour in range(24)]
NOW = "2026-01-22T09:05:00+00:00"


@pytest.fixture
def legacy(result: Path) -> Path:
    """A table of base data with other columns in another order, rows that repeat, and rows without keys.

    Three more tables have one oddity each: a text or a number without a type, and types that SQLite does not know.
    """
    with closing(sqlite3.connect(result)) as connection, connection:
        connection.execute(f'CREATE TABLE "{BASE}" ({LEGACY_COLUMNS})')
        places = "INSERT INTO {} (交易对, 周期, 数据时间, 收盘价, 来源) VALUES (?, ?, ?, ?, ?)".format(f'"{BASE}"')
        for symbol in ("AAAUSDT", "OTHERUSDT"):
            connection.executemany(places, [(symbol, "5m", moment, 1.25, "old") for moment in OLD])
        connection.executemany(places, [("AAAUSDT", "5m", NOW, number, "repeated") for number in (1, 2, 3)])
        connection.execute(places, (None, None, None, 5, "no key"))
        connection.execute(places, ("N60USDT", None, NOW, 6, "no interval"))
        connection.execute(f'CREATE TABLE "{MACD}" (交易对 TEXT, 周期 TEXT, 数据时间 TEXT, 信号概述)')
        connection.execute(f'CREATE TABLE "{VOLUME_RATIO}" (交易对 TEXT, 周期 TEXT, 数据时间 TEXT, 量比)')
        connection.execute(f'CREATE TABLE "{MONITOR}" (交易对 TEXT, 周期 TEXT, 数据时间 TIMESTAMP, 最新时间 DATETIME)')
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)")
        connection.execute("INSERT INTO notes VALUES (1, 'keep me')")
    return result


def test_a_legacy_database_keeps_its_columns_and_rows_and_takes_the_new_ones_exactly(
    legacy: Path, run: Run, fresh: Fresh
) -> None:
    before = [row["name"] for row in rows_of(legacy, f"SELECT name FROM pragma_table_info('{BASE}')")]
    record = run("--indicators", "base_data,macd,volume_ratio,data_monitor")
    after = [row["name"] for row in rows_of(legacy, f"SELECT name FROM pragma_table_info('{BASE}')")]
    assert after[: len(before)] == before
    added = [label for label in INDICATORS["base_data"].stored.labels.values() if label not in before]
    assert after[len(before) :] == added

    kept = {row["来源"]: row["n"] for row in rows_of(legacy, f'SELECT 来源, count(*) AS n FROM "{BASE}" GROUP BY 1')}
    # Of AAAUSDT at 5m the newest 120 stay, the new row among them; nothing else is pruned.
    assert len(OLD) == 144
    assert kept == {"old": 119 + 144, "no key": 1, "no interval": 1, None: 3}
    assert record["sqlite_rows_pruned"] == 144 - 119
    assert record["sqlite_rows_written"] == 12
    assert rows_of(legacy, "SELECT * FROM notes") == [{"id": 1, "note": "keep me"}]

    query = f'SELECT * FROM "{BASE}" WHERE 数据时间 = ? AND 周期 = ? ORDER BY rowid'
    new, same = rows_of(legacy, query, NOW, "5m"), rows_of(fresh.database, query, NOW, "5m")
    assert [row["交易对"] for row in new] == list(SYMBOLS)
    for row, want in zip(new, same, strict=True):
        assert (row["指标"], row["来源"]) == (None, None)
        # A column that is declared as text holds text, whatever is written; it is the same number.
        row["最高价"] = float(row["最高价"])
        assert {label: row[label] for label in want} == want
    assert all(row["开盘价"] != int(row["开盘价"]) for row in new)
    assert legacy.read_bytes()[18:20] == b"\x02\x02"
    assert len(rows_of(legacy, f"SELECT name FROM pragma_index_list('{BASE}')")) == 1

    for table in (MACD, VOLUME_RATIO, MONITOR):
        query = f'SELECT * FROM "{table}" WHERE 周期 = ? ORDER BY rowid'
        assert rows_of(legacy, query, "5m") == rows_of(fresh.database, query, "5m")

    first = dump_of(legacy)
    run("--indicators", "base_data,macd,volume_ratio,data_monitor")
    second = dump_of(legacy)
    assert second["schema"] == first["schema"]
    for table in (BASE, MACD, VOLUME_RATIO, MONITOR):
        assert [row[1:] for row in second[table]] == [row[1:] for row in first[table]]


# -- readers and other writers


def commits_in(log: Path) -> int:
    """Commit frames in a write-ahead log: those that say how large the database is after them."""
    body = log.read_bytes()
    page = struct.unpack(">I", body[8:12])[0]
    salts, found = body[16:24], 0
    for frame in range(32, len(body) - 24 - page + 1, 24 + page):
        size = struct.unpack(">I", body[frame + 4 : frame + 8])[0]
        # A frame with other salts is left over from before the log began anew.
        found += body[frame + 8 : frame + 16] == salts and size != 0
    return found


def test_a_run_is_one_commit_and_an_open_reader_sees_all_of_it_or_nothing(run: Run, stored: Path) -> None:
    log = Path(f"{stored}-wal")
    assert not log.exists()
    count = f"SELECT (SELECT count(*) FROM \"{BASE}\"), (SELECT count(*) FROM sqlite_master WHERE type = 'table')"
    with closing(sqlite3.connect(f"file:{stored}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute(count).fetchone() == (3, 2)
        # This run makes tables, adds rows to others and prunes these: still one commit.
        record = run("--retention", "5m=1")
        assert (record["sqlite_commits"], record["sqlite_rows_pruned"]) == (1, 6)
        assert commits_in(log) == 1
        assert reader.execute(count).fetchone() == (3, 2)
        reader.execute("COMMIT")
        assert reader.execute(count).fetchone() == (3, 5)
        assert reader.execute(f'SELECT DISTINCT 数据时间 FROM "{BASE}"').fetchall() == [(NOW,)]
        assert run("--retention", "5m=1")["sqlite_commits"] == 1
        assert commits_in(log) == 2


@contextmanager
def lock_of(database: Path) -> Iterator[sqlite3.Connection]:
    """The write lock of a database, held in this process; the runs are processes of their own."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def waiting(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has met the lock, said so, and tries again."""
    words = [str(CANDLEMILL), *asked(url), "--as-of", AS_OF, "--lock-timeout", "30"]
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        met = next((line for line in iter(child.stderr.readline, "") if "locked by another process" in line), None)
        assert met, "the run ended without meeting the lock"
        yield child


def test_a_run_waits_for_another_writer(url: str, stored: Path, tmp_path: Path) -> None:
    with lock_of(stored) as holder, waiting(tmp_path, url) as child:
        holder.execute(f"INSERT INTO \"{BASE}\" (交易对) VALUES ('from the other writer')")
        holder.execute("COMMIT")
        assert child.wait(20) == 0
    keys = keys_of(stored)[BASE]
    assert [key[0] for key in keys] == [*SYMBOLS, "from the other writer", *SYMBOLS]


def test_a_run_that_is_interrupted_while_it_waits_leaves_everything_as_it_was(
    url: str, stored: Path, tmp_path: Path
) -> None:
    before, work = stored.read_bytes(), (tmp_path / "work.duckdb").read_bytes()
    with lock_of(stored), waiting(tmp_path, url) as child:
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.read() == "candlemill: interrupted, nothing was written\n"
        assert child.wait(20) == 130
    assert stored.read_bytes() == before
    assert (tmp_path / "work.duckdb").read_bytes() == work
    assert list(tmp_path.glob(".candlemill-*")) == []


def test_a_thread_that_reads_ahead_is_waited_for_before_its_connection_is_closed(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def read_slowly(*_: object) -> dict[str, Any]:
        time.sleep(0.2)
        steps.append("read")
        return {}

    monkeypatch.setattr(Sink, "_read_ahead", read_slowly)
    with Sink(stored, lock_timeout=1) as sink:
        sink.prepare([], {}, lambda _: 1)
    assert steps == ["read"]


def test_a_run_gives_up_when_the_other_writer_stays(
    candlemill: Callable[..., Ran], url: str, stored: Path, tmp_path: Path
) -> None:
    before, work = stored.read_bytes(), (tmp_path / "work.duckdb").read_bytes()
    with lock_of(stored):
        ran = candlemill(*asked(url), "--as-of", AS_OF, "--lock-timeout", "0.5")
    assert ran.code == 4
    assert ran.last.startswith("candlemill: the result database result.db stayed locked for 0.5 s")
    assert "--lock-timeout" in ran.last
    assert stored.read_bytes() == before
    assert (tmp_path / "work.duckdb").read_bytes() == work
    assert list(tmp_path.glob(".candlemill-*")) == []
