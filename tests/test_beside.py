"""What a query reads beside the work file: the result database and the history, what it names, and no way out."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.marker import DEMO
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.results.extension import extension_path
from candlemill.pipeline.workfile.beside import Beside, attached, beside
from candlemill.pipeline.workfile.query import answers
from tests.test_changes import BEGIN, KDJ, kdj, table, write

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "result.db"
    for hours, word in enumerate(("死叉", "延续", "金叉")):
        write(path, kdj=[kdj(word, hours=hours), kdj(None, "BBB", hours)], macd=[kdj("延续", hours=hours)])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backfill of one indicator: two intervals, several files."""
    folder = tmp_path_factory.mktemp("past")
    for interval, symbols in (("1h", ("AAA", "BBB")), ("4h", ("AAA",))):
        for number, symbol in enumerate(symbols):
            file = folder / "kdj" / f"interval={interval}" / f"{number}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = table(KDJ, [kdj("延续", symbol, hours, interval) for hours in range(50)])
            pq.write_table(rows.drop_columns("interval"), file)
    (folder / "_manifest.json").write_text("{}")
    # What a backfill is about to write.
    (folder / "kdj" / "interval=1h" / ".draft.parquet").write_text("PAR1")
    return folder


def rows_of(sql: str, work: Path, results: Path, folder: Path | None = None) -> list[dict[str, Any]]:
    with answers(work, sql, beside=beside(sql, lambda: results, folder)) as all_of_them:
        found = next(all_of_them)
        return pa.Table.from_batches(list(found), found.schema).to_pylist()


def test_history_has_the_rows_of_the_result_database_in_english(work_file: Path, results: Path) -> None:
    rows = rows_of("FROM history.kdj ORDER BY ALL", work_file, results)
    assert list(rows[0]) == ["symbol", "interval", "bucket_ts", *(column.name for column in KDJ.columns)]
    assert [(row["symbol"], row["bucket_ts"], row["signal"], row["j"]) for row in rows] == [
        *(("AAA", BEGIN + hours * HOUR, word, 1.0) for hours, word in enumerate(("死叉", "延续", "金叉"))),
        *(("BBB", BEGIN + hours * HOUR, None, None) for hours in range(3)),
    ]
    [described] = [rows_of(f"DESCRIBE {name}", work_file, results) for name in ("history.kdj",)]
    kinds = {row["column_name"]: row["column_type"] for row in described}
    inside = {row["column_name"]: row["column_type"] for row in rows_of("DESCRIBE kdj", work_file, results)}
    assert kinds == {name: kind for name, kind in inside.items() if name != "run_id"}


def test_results_has_the_tables_as_they_are(work_file: Path, results: Path) -> None:
    query = f'SELECT count(*) AS n, max("数据时间") AS newest FROM results."{KDJ.table}"'
    assert rows_of(query, work_file, results) == [{"n": 6, "newest": "2026-03-02T12:00:00+00:00"}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT signal FROM history.kdj WHERE symbol = 'AAA' AND \"interval\" = '4h' LIMIT 1",
        "from HISTORY.Kdj select signal where symbol = 'AAA' limit 1",
        'SELECT h.signal FROM "history"."kdj" AS h JOIN "history" . kdj AS other USING (symbol) LIMIT 1',
        "WITH k AS (FROM history.kdj) SELECT signal FROM k LIMIT 1",
        "CREATE TEMP TABLE mine AS FROM history.kdj; SELECT any_value(signal) AS signal FROM mine",
        "SELECT signal FROM query('FROM history.kdj') LIMIT 1",
        "PIVOT (SELECT symbol, signal FROM history.kdj) ON symbol USING any_value(signal) AS signal",
        "SET VARIABLE word = (SELECT any_value(signal) FROM history.kdj); SELECT getvariable('word') AS signal",
    ],
)
def test_a_name_is_found_in_every_kind_of_query(query: str, work_file: Path, results: Path, folder: Path) -> None:
    [row] = rows_of(query, work_file, results, folder)
    assert "延续" in row.values()


def test_only_what_is_named_is_read(results: Path, folder: Path) -> None:
    def named(sql: str, of: Path | None = None) -> list[tuple[str, str]]:
        return [(found.schema, found.name) for found in beside(sql, lambda: results, of).relations]

    assert named("FROM history.kdj") == [("history", "kdj")]
    assert named("FROM history.kdj", folder) == [("history", "kdj")]
    assert named(f'FROM results."{KDJ.table}"') == [("results", KDJ.table)]
    assert named("FROM history.macd", folder) == []
    # The work file's own tables need nothing else: the result database is not even looked for.
    for sql in ("FROM kdj JOIN macd USING (symbol)", "SELECT 1 AS results -- the history of kdj"):
        assert not beside(sql, lambda: pytest.fail("asked for")).schemas


def test_a_backfill_is_read_as_far_as_it_is_needed(
    work_file: Path, results: Path, folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(folder, tmp_path / "past")
    query = """SELECT "interval", symbol, count(*) AS n, max(j) AS j, min(bucket_ts) AS oldest
        FROM history.kdj GROUP BY ALL ORDER BY ALL"""
    rows = rows_of(query, work_file, results, folder)
    assert [(row["interval"], row["symbol"], row["n"], row["j"], row["oldest"]) for row in rows] == [
        ("1h", "AAA", 50, 1.0, BEGIN), ("1h", "BBB", 50, 1.0, BEGIN), ("4h", "AAA", 50, 1.0, BEGIN)
    ]  # fmt: skip
    # A file of an interval that is not asked for may be damaged.
    (folder / "kdj" / "interval=4h" / "0.parquet").write_bytes(b"PAR1 damaged")
    query = "SELECT count(*) AS n FROM history.kdj WHERE \"interval\" = '1h'"
    assert rows_of(query, work_file, results, folder) == [{"n": 100}]
    with pytest.raises(UsageError, match=r"the query failed: .*0.parquet"):
        rows_of("SELECT sum(j) FROM history.kdj", work_file, results, folder)


def test_cells_of_other_types_than_declared_are_read(work_file: Path, results: Path, tmp_path: Path) -> None:
    results = Path(shutil.copy(results, tmp_path / "result.db"))
    label = KDJ.label(next(column for column in KDJ.columns if column.name == "j"))
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); [c.execute(q) for q in sys.argv[2:]]; c.commit()"
    where = "WHERE 交易对 = 'AAA' AND 数据时间 LIKE"
    changes = [
        f'UPDATE "{KDJ.table}" SET "{label}" = 0.1 + 0.2 {where} \'%T11%\'',
        f"UPDATE \"{KDJ.table}\" SET \"{label}\" = 'none' {where} '%T12%'",
        f"UPDATE \"{KDJ.table}\" SET 数据时间 = 'soon' WHERE 交易对 = 'BBB' AND 数据时间 LIKE '%T12%'",
    ]
    subprocess.run([sys.executable, "-c", program, str(results), *changes], check=True)
    rows = rows_of("SELECT j FROM history.kdj ORDER BY symbol, bucket_ts", work_file, results)
    assert [row["j"] for row in rows] == [1.0, 0.1 + 0.2, None, None, None]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("FROM history.kdk", ("kdk does not exist", "the result database is ")),
        ("FROM results.nothing", ("nothing does not exist", "the result database is ")),
        ("FROM history.vwap", ("vwap does not exist", "the result database is ")),
    ],
)
def test_what_is_not_there_is_said(query: str, says: tuple[str, ...], work_file: Path, results: Path) -> None:
    with pytest.raises(UsageError) as said:
        rows_of(query, work_file, results)
    for part in says:
        assert part in str(said.value)
    with pytest.raises(UsageError, match=r"there is no result database .*none.db: run `candlemill run`"):
        rows_of(query, work_file, results.with_name("none.db"))
    with pytest.raises(UsageError, match=r"--history .*none is not a folder"):
        beside(query, lambda: results, results.with_name("none"))


ATTACKS = [
    "ATTACH '{results}' AS again",
    "ATTACH '{results}' AS again (TYPE sqlite)",
    "ATTACH '{folder}/new.db' AS again (TYPE sqlite)",
    "LOAD sqlite_scanner",
    "LOAD '{extension}'",
    "INSTALL sqlite",
    "FROM sqlite_scan('{results}', '表')",
    "FROM sqlite_query('results', 'SELECT 1')",
    "CALL sqlite_attach('{results}')",
    "USE memory; DETACH results; ATTACH '{results}' AS results",
    "USE memory; DETACH history; ATTACH '{folder}/new.duckdb' AS history",
    "DELETE FROM history.kdj",
    "INSERT INTO history.kdj SELECT * FROM history.kdj",
    "DROP TABLE history.kdj",
    "COPY history.kdj TO '{folder}/out.parquet' (FORMAT parquet)",
    "COPY history.kdj TO '{file}' (FORMAT parquet)",
    "COPY (FROM history.kdj) TO '{results}'",
    "EXPORT DATABASE '{folder}/all'",
    "COPY FROM DATABASE work TO history",
    "FROM parquet_scan('{file}')",
    "FROM read_parquet('{folder}/kdj/*/*.parquet')",
    "FROM '{file}'",
    "FROM parquet_metadata('{file}')",
    "FROM glob('{folder}/*')",
    "FROM read_blob('{results}')",
    "CREATE OR REPLACE VIEW history.kdj AS FROM read_blob('{results}'); FROM history.kdj",
    "SET allowed_directories = ['{folder}']",
    "SET allowed_paths = ['{results}']",
    "SET disabled_filesystems = ''",
    "SET python_enable_replacements = true",
    "FROM relation",
    "FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM history.kdj, read_csv('/etc/passwd')",
]


def held(*folders: Path) -> dict[Path, bytes]:
    """What files hold, save those that SQLite has beside a database that is read."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file: file.read_bytes() for file in files if not file.name.endswith(("-shm", "-wal"))}


@pytest.fixture(scope="module")
def handed_in(results: Path, folder: Path) -> Beside:
    """The history of a backfill, and a table of the result database."""
    return beside(f'history.kdj results."{KDJ.table}"', lambda: results, folder)


@pytest.mark.parametrize("query", ATTACKS)
def test_what_is_handed_in_is_no_way_out(
    query: str, handed_in: Beside, work_file: Path, results: Path, folder: Path
) -> None:
    file = folder / "kdj" / "interval=1h" / "0.parquet"
    given = query.format(results=results, folder=folder, file=file, extension=extension_path())
    before = held(results.parent, folder, work_file.parent)
    with pytest.raises(UsageError), answers(work_file, given, beside=handed_in) as found:
        list(next(found))
    assert held(results.parent, folder, work_file.parent) == before


# -- the command


@pytest.fixture
def called(work_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    monkeypatch.chdir(tmp_path)

    def command(*words: object) -> tuple[str, str]:
        line = ["query", *map(str, words), "--duckdb", str(work_file), "--json"]
        ran = CliRunner().invoke(app, line, standalone_mode=False)
        assert ran.exception is None, ran.exception
        return ran.stdout, ran.stderr

    return command


def test_the_command_reads_both(called: Callable[..., tuple[str, str]], results: Path, folder: Path) -> None:
    query = "SELECT count(*) AS n FROM history.kdj"
    assert json.loads(called(query, "--sqlite", results)[0]) == [{"n": 6}]
    assert json.loads(called(query, "--sqlite", results, "--history", folder)[0]) == [{"n": 150}]


def test_the_demos_results_are_read_where_there_are_no_others(
    called: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    write(tmp_path / "data" / "demo" / "market_data.db", DEMO, kdj=[kdj("延续")])
    out, err = called("SELECT count(*) AS n FROM history.kdj")
    assert json.loads(out) == [{"n": 1}]
    assert "data/demo/market_data.db is read, the demo's invented prices" in err
    # Where a query does not read them, nothing is said of them.
    assert called("SELECT count(*) AS n FROM kdj")[1] == ""


def test_tables_of_other_files_are_handed_in_and_nothing_else_of_them(work_file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "trades.db")) as connection, connection:
        connection.execute("CREATE TABLE fills (symbol TEXT, price REAL)")
        connection.execute("INSERT INTO fills VALUES ('AAAUSDT', 1.5)")
    with closing(duckdb.connect(str(tmp_path / "own.duckdb"))) as own:
        own.execute("CREATE TABLE \"my table\" AS SELECT 7 AS seven; CREATE VIEW spy AS FROM glob('/*')")
    both = [tmp_path / "trades.db", tmp_path / "own.duckdb"]

    def asked(sql: str) -> list[dict[str, Any]]:
        with answers(work_file, sql, beside=attached(sql, both)) as found:
            answer = next(found)
            return pa.Table.from_batches(list(answer), answer.schema).to_pylist()

    joined = asked('SELECT f.price, o.seven FROM trades.fills AS f, own."my table" AS o')
    assert joined == [{"price": 1.5, "seven": 7}]
    for refused in (
        "FROM own.spy",
        f"FROM '{both[0]}'",
        f"ATTACH '{both[1]}'",
        "INSERT INTO trades.fills VALUES ('x', 1)",
    ):
        with pytest.raises(UsageError):
            asked(refused)
    (tmp_path / "candles.csv").write_text("a,b\n1,2\n")
    (tmp_path / "results.db").write_bytes(both[0].read_bytes())
    for path, why in (("candles.csv", "no database"), ("none.db", "cannot be read"), ("results.db", "already")):
        with pytest.raises(UsageError, match=why):
            attached("FROM x", [tmp_path / path])
