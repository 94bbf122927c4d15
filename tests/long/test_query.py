"""``query``: what it prints in each form, and that a query can read the work file and do nothing else."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.workfile.query import answers
from tests.conftest import CANDLEMILL, Ran

if TYPE_CHECKING:
    from collections.abc import Callable

    Asked = Callable[..., Ran]

#: A value of each kind that an analyst meets.
KINDS = """
    SELECT 'AAAUSDT' AS symbol, 'a"b,c' AS symbol, 0.1::DOUBLE + 0.2 AS double, 1.50::DECIMAL(9, 2) AS price,
        sum(4611686018427387904) AS count, TRUE AS yes, NULL AS nothing, '' AS empty, 'nan'::DOUBLE AS nan,
        TIMESTAMPTZ '2026-01-22 17:05:00+08' AS moment, DATE '2026-01-22' AS day, INTERVAL '26 hours 1 second' AS span,
        '多头排列，放量' AS words, [1, NULL] AS list, {'a': [DATE '2026-01-22']} AS struct, MAP {'flat': 2} AS map,
        MAP {} AS bare, '\\xAB'::BLOB AS bytes
    FROM range(4)
"""
MOMENT = datetime(2026, 1, 22, 9, 5, tzinfo=UTC)


@pytest.fixture
def asked(candlemill: Callable[..., Ran], work_file: Path) -> Asked:
    return lambda *words: candlemill("query", *words, "--duckdb", work_file)


def test_json_is_an_array_of_objects_with_values_as_json_has_them(asked: Asked) -> None:
    ran = asked(KINDS, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == [
        {
            "symbol": "AAAUSDT",
            "symbol_1": 'a"b,c',
            "double": 0.1 + 0.2,
            "price": 1.5,
            "count": 4 * 2**62,
            "yes": True,
            "nothing": None,
            "empty": "",
            "nan": None,
            "moment": "2026-01-22T09:05:00+00:00",
            "day": "2026-01-22",
            "span": "26:00:01",
            "words": "多头排列，放量",
            "list": [1, None],
            "struct": {"a": ["2026-01-22"]},
            "map": {"flat": 2},
            "bare": {},
            "bytes": "ab",
        }
    ]
    assert asked("FROM candles WHERE FALSE", "--json").out.split() == ["[", "]"]


def test_of_several_queries_each_has_its_table_and_the_other_forms_take_one(asked: Asked) -> None:
    several = "CREATE TEMP TABLE t AS SELECT 7 AS seven; FROM t; SELECT 8 AS eight;"
    ran = asked(several)
    assert ran.code == 0, ran.err
    assert [line.strip() for line in ran.out.splitlines()] == ["seven", "7", "", "eight", "8"]
    ran = asked(several, "--csv")
    assert (ran.code, ran.out) == (2, "")
    assert "there are 2 queries" in ran.last
    assert asked("CREATE TEMP TABLE t AS SELECT 7 AS seven; FROM t", "--csv").out == "seven\n7\n"
    assert asked("PIVOT (SELECT 'a' AS k, 1 AS v) ON k USING sum(v); SELECT 1 AS one").code == 0


def test_csv_has_the_same_values_as_text(asked: Asked) -> None:
    names, values = csv.reader(io.StringIO(asked(KINDS, "--csv").out))
    found = dict(zip(names, values, strict=True))
    assert found["symbol_1"] == 'a"b,c'
    assert found["double"] == "0.30000000000000004"
    assert found["price"] == "1.50"
    assert (found["yes"], found["nothing"], found["empty"], found["nan"]) == ("true", "", "", "nan")
    assert (found["moment"], found["words"]) == ("2026-01-22T09:05:00+00:00", "多头排列，放量")
    assert json.loads(found["struct"]) == {"a": ["2026-01-22"]}


def test_parquet_has_the_types_of_the_query(asked: Asked, tmp_path: Path) -> None:
    query = "SELECT * EXCLUDE (span, nan) FROM (" + KINDS.replace("AS symbol, 'a", "AS id, 'a") + ")"
    ran = asked(query, "--parquet", "deep/er/rows.parquet")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert "1 rows in deep/er/rows.parquet" in ran.err
    [row] = pq.read_table(tmp_path / "deep" / "er" / "rows.parquet").to_pylist(maps_as_pydicts="strict")
    assert (row["price"], row["moment"], row["map"]) == (Decimal("1.50"), MOMENT, {"flat": 2})
    assert (row["list"], row["nothing"], row["bytes"]) == ([1, None], None, b"\xab")


def test_a_parquet_file_is_readable_for_all_and_writable_for_its_owner(asked: Asked, tmp_path: Path) -> None:
    assert asked("SELECT 1", "--parquet", "rows.parquet").code == 0
    assert (tmp_path / "rows.parquet").stat().st_mode & 0o777 == 0o644


def test_a_parquet_file_is_whole_or_as_it_was(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("PAR1 earlier")
    late = "SELECT CAST(CASE WHEN range < 90000 THEN '1' ELSE 'x' END AS INTEGER) FROM range(100000)"
    for query, says in (
        (late, "Could not convert string 'x'"),
        ("SELECT INTERVAL 1 DAY AS span", "cast it to VARCHAR"),
    ):
        ran = asked(query, "--parquet", "rows.parquet")
        assert ran.code == 2
        assert says in ran.last
        assert len(ran.err.splitlines()) == 1
    assert "cannot be written" in asked("SELECT 1", "--parquet", "/proc/x/y.parquet").last
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("rows.parquet", "PAR1 earlier")]


def test_a_table_for_people(asked: Asked) -> None:
    ran = asked(
        "SELECT symbol, bucket_ts, 1 / 3 AS third, NULL AS n, '延续' AS 信号 FROM base_data ORDER BY ALL LIMIT 1"
    )
    names, values = ran.out.splitlines()
    assert names.split() == ["symbol", "bucket_ts", "third", "n", "信号"]
    assert values.split()[2:] == ["0.333333333333", "NULL", "延续"]
    # Chinese signs are two places wide: the columns stand where they stand.
    assert len(ran.out.splitlines()[0].rstrip()) == len(values.rstrip())


def test_a_table_says_how_many_more_rows_there_are(asked: Asked) -> None:
    ran = asked("FROM range(12345)")
    assert len(ran.out.splitlines()) == 51
    assert "12295 more rows" in ran.err
    ran = asked("FROM range(12345)", "--rows", "2")
    assert ran.out.split() == ["range", "0", "1"]


def test_a_row_wider_than_the_terminal_becomes_a_block(work_file: Path) -> None:
    words = [str(CANDLEMILL), "query", "FROM overview LIMIT 2", "--duckdb", str(work_file)]
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "COLUMNS": "80", "TERM": "dumb"}
    subprocess.run(words, stdout=theirs, env=env, check=True)
    os.close(theirs)
    text = ""
    try:
        while piece := os.read(ours, 65536):
            text += piece.decode()
    except OSError:  # the end of a terminal
        pass
    os.close(ours)
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines if "row " in line] == [["row", "1"], ["row", "2"]]
    assert sum(line.startswith("bucket_ts ") for line in lines) == 2
    assert max(map(len, lines)) <= 80


def test_sql_from_a_file_and_from_standard_input(asked: Asked, work_file: Path, tmp_path: Path) -> None:
    query = "-- how many\nSELECT count(*) AS n FROM catalog;\n"
    (tmp_path / "how many.sql").write_text(query)
    there = json.loads(asked("SELECT count(*) AS n FROM catalog", "--json").out)
    assert there[0]["n"] > 100
    assert json.loads(asked("@how many.sql", "--json").out) == there
    words = [str(CANDLEMILL), "query", "-", "--json", "--duckdb", str(work_file)]
    assert json.loads(subprocess.run(words, input=query, capture_output=True, text=True, check=True).stdout) == there


def test_statements_and_descriptions_work(asked: Asked) -> None:
    steps = "CREATE TEMP TABLE t AS FROM range(3); SET VARIABLE least = 1; FROM t WHERE range > getvariable('least')"
    assert json.loads(asked(steps, "--json").out) == [{"range": 2}]
    for query, column in (("DESCRIBE runs", "column_name"), ("SHOW TABLES", "name"), ("SUMMARIZE macd", "column_name")):
        rows = json.loads(asked(query, "--json").out)
        assert len(rows) > 5, query
        assert column in rows[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("FROM overvew",), ("does not exist", 'Did you mean "overview"?', "(line 1)")),
        (("SELECT *\nFRM runs",), ("syntax error", "(line 2)")),
        (("SELECT CAST(symbol AS INTEGER) FROM candles",), ("Could not convert",)),
        (("  ",), ("empty", "@FILE")),
        (("@nix.sql",), ("@nix.sql", "No such file")),
        (("FROM runs", "--csv", "--json"), ("--csv", "give one")),
        (("SELECT TIMESTAMP_NS '2026-01-01 00:00:00.123456789' AS fine",), ("fine", "cast it to VARCHAR")),
    ],
    ids=lambda part: part[0][:20],
)
def test_what_is_wrong_is_said_in_one_line(words: tuple[str, ...], says: tuple[str, ...], asked: Asked) -> None:
    ran = asked(*words)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    for part in says:
        assert part in ran.err


def test_a_work_file_that_is_none_is_said(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("query", "FROM runs")
    assert ran.code == 2
    assert "data/candlemill.duckdb" in ran.last
    assert "candlemill run" in ran.last
    (tmp_path / "notes.txt").write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    assert "not a valid DuckDB database" in candlemill("query", "FROM runs", "--duckdb", "notes.txt").last
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM runs",
        "CREATE TABLE mine AS SELECT 1",
        "DROP VIEW overview",
        "FROM read_csv('{other}')",
        "FROM '{other}'",
        "FROM read_text('{work}')",
        "FROM glob('/etc/*')",
        "FROM sniff_csv('{other}')",
        "COPY (SELECT 1) TO '{other}'",
        "COPY (SELECT 1) TO '{work}'",
        "ATTACH '{work}' AS again",
        "USE memory; DETACH work; ATTACH '{work}' AS again; DELETE FROM again.runs",
        "EXPORT DATABASE '{folder}/all'",
        "INSTALL httpfs",
        "FROM 'https://candles.example/x.csv'",
        "SET disabled_filesystems = ''",
        "SET enable_external_access = true",
        "FROM connection",
    ],
)
def test_a_query_writes_nothing_and_reads_the_work_file_alone(query: str, work_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    before = work_file.read_bytes()
    text = query.format(work=work_file, other=other, folder=tmp_path)
    with pytest.raises(UsageError), answers(work_file, text) as found:
        list(found)
    assert work_file.read_bytes() == before
    assert other.read_text() == "a,b\n1,2\n"
    assert list(tmp_path.iterdir()) == [other]


def test_what_is_not_allowed_is_said(asked: Asked) -> None:
    ran = asked("FROM read_csv('/etc/passwd')")
    assert (ran.code, ran.out) == (2, "")
    assert "--allow-files" in ran.last


def test_allow_files_lets_a_query_read_and_write_other_files_but_not_the_work_file(
    asked: Asked, tmp_path: Path
) -> None:
    (tmp_path / "holdings.csv").write_text("symbol,amount\nBTCUSDT,2\n")
    joined = "SELECT symbol, amount * price AS worth FROM 'holdings.csv' JOIN base_data USING (symbol)"
    assert json.loads(asked(joined, "--allow-files", "--json").out)[0]["worth"] > 0
    assert asked(f"COPY ({joined}) TO 'worth.csv'", "--allow-files").code == 0
    assert (tmp_path / "worth.csv").read_text().startswith("symbol,worth\n")
    assert "read-only" in asked("DELETE FROM runs", "--allow-files").last


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
        "FROM range(100000000000) WHERE range % 7 = 8",
    ],
)
def test_an_interrupt_ends_a_query(query: str, work_file: Path) -> None:
    words = [str(CANDLEMILL), "query", query, "--duckdb", str(work_file), "--csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        # Once the work file is open, the query runs.
        while work_file not in opened(child.pid):
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err == "candlemill: interrupted, nothing was written\n"


def test_an_interrupt_leaves_no_part_of_a_parquet_file(work_file: Path, tmp_path: Path) -> None:
    words = [str(CANDLEMILL), "query", "FROM range(100000000000)", "--duckdb", str(work_file), "--parquet", "x.parquet"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        while not any(file.stat().st_size for file in tmp_path.iterdir()):
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (143, "candlemill: terminated, nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def opened(pid: int) -> set[Path]:
    """Files that a process has open."""
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(handle.readlink())
    return found


def test_a_reader_that_has_enough_is_no_error(work_file: Path) -> None:
    words = [str(CANDLEMILL), "query", "FROM range(1000000)", "--duckdb", str(work_file), "--csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "range\n"
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 0
