"""Comparing two result databases, through the installed command, on real files."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.parity.compare import Question
from candlemill.pipeline.parity.exceptions import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Ran

    Row = tuple[Any, ...]

MACD = INDICATORS["macd"].table
BASE = INDICATORS["base_data"].table
TIME = "2026-01-18T14:00:00+00:00"
DECLARED = '"交易对" TEXT, "周期" TEXT, "数据时间" TEXT, "MACD" REAL, "信号概述" TEXT'


def fill(path: Path, rows: Sequence[Row], columns: str = DECLARED, table: str = MACD) -> Path:
    """Put a table with rows into a database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f'CREATE TABLE "{table}" ({columns})')
        if rows:
            connection.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(rows[0]))})', rows)
        connection.commit()
    return path


def row(symbol: str = "AAAUSDT", interval: str = "5m", time: str = TIME, macd: Any = 1.5, signal: Any = "多头") -> Row:
    return symbol, interval, time, macd, signal


@pytest.fixture
def compare(candlemill: Callable[..., Ran], tmp_path: Path) -> Callable[..., Ran]:
    """Compares two lists of rows of the table of MACD."""

    def command(a: Sequence[Row], b: Sequence[Row], *words: str, columns_b: str = DECLARED) -> Ran:
        for name in ("a.db", "b.db"):
            (tmp_path / name).unlink(missing_ok=True)
        fill(tmp_path / "a.db", a)
        fill(tmp_path / "b.db", b, columns_b)
        return candlemill("parity", "a.db", "b.db", *words)

    return command


def found(ran: Ran) -> list[tuple[str, str | None, str | None, int]]:
    """Departures as (kind, interval, column, how many)."""
    return [(f["kind"], f["interval"], f["column"], f["departures"]) for f in ran.record["findings"]]


# -- the same


def test_a_database_agrees_with_its_copy_and_with_itself(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran]
) -> None:
    rows = [row(), row("BBBUSDT"), row(interval="1h", macd=None, signal=None)]
    ran = compare(rows, rows)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == "no difference, 6 values compared"
    assert ran.err == ""
    assert candlemill("parity", "a.db", "a.db").code == 0


SAME: tuple[tuple[Any, Any], ...] = (
    (1.5, "1.5"),
    (2, 2.0),
    (2, "2.0"),
    (0.1 + 0.2, "0.30000000000000004"),
    (0.0, -0.0),
    (1.0, 1.0 + 9e-10),
    (float("inf"), float("inf")),
    (float("nan"), None),  # SQLite stores NaN as NULL
    ("nan", "NaN"),
    (b"\xff\x00", b"\xff\x00"),
    ("2026-01-18T14:00:00+00:00", "2026-01-18 14:00:00"),
)
DIFFERENT: tuple[tuple[Any, Any], ...] = (
    (1.0, 1.0 + 2e-9),
    (1.5, None),
    (0, None),
    (0.0, ""),
    (float("inf"), 1e308),
    (float("inf"), -float("inf")),
    (float("inf"), None),
    (1e-12, 0),
    ("多头", "空头"),
    ("Abc", "abc"),
    ("多头", 1),
    ("nan", 1),
    (b"abc", "abc"),
    ("2026-01-18T14:00:00+00:00", "2026-01-18T14:00:01+00:00"),
    ("2026-01-18T14:00:00+00:00", "2026"),
)
UNTYPED = DECLARED.replace('"MACD" REAL', '"MACD"')


def test_values_that_say_the_same(compare: Callable[..., Ran]) -> None:
    a, b = ([row(f"S{n:02}", macd=pair[side]) for n, pair in enumerate(SAME)] for side in (0, 1))
    ran = compare(a, b, columns_b=UNTYPED)
    assert ran.code == 0, ran.out
    assert f"no difference, {2 * len(SAME)} values compared" in ran.out


@pytest.mark.parametrize("sides", [(0, 1), (1, 0)])
def test_values_that_differ(sides: tuple[int, int], compare: Callable[..., Ran]) -> None:
    # An interval each, so that each is a finding of its own.
    a, b = ([row(interval=str(n), macd=pair[side]) for n, pair in enumerate(DIFFERENT)] for side in sides)
    ran = compare(a, b, "--json", columns_b=UNTYPED)
    assert ran.code == 1
    assert sorted(found(ran)) == sorted(("value", str(n), "MACD", 1) for n in range(len(DIFFERENT)))


def test_numbers_are_compared_to_their_last_bit(compare: Callable[..., Ran]) -> None:
    a, b = [row(macd=123456789012.12345)], [row(macd=123456789012.12346)]
    assert compare(a, b).code == 0
    assert compare(a, b, "--rtol", "0").code == 1


@pytest.mark.parametrize(
    ("words", "departing"),
    [
        (("--rtol", "0.01"), ["101.2"]),
        (("--rtol", "0", "--atol", "1"), ["101.2"]),
        (("--rtol", "0.005", "--atol", "0.495"), ["101.2"]),
        (("--rtol", "0", "--atol", "0.99"), ["101", "101.2"]),
    ],
)
def test_tolerances_are_for_numbers(words: tuple[str, ...], departing: list[str], compare: Callable[..., Ran]) -> None:
    # An interval each, so that each is a finding of its own.
    b = [row(interval=str(macd), macd=macd, signal="b") for macd in (100, 101, 101.2)]
    a = [row(interval=interval, macd=100, signal="a") for _, interval, *_ in b]
    ran = compare(a, b, "--json", *words)
    assert sorted(str(interval) for _, interval, column, _ in found(ran) if column == "MACD") == departing
    assert sum(column == "信号概述" for *_, column, _ in found(ran)) == len(b)


SPELLINGS = (
    "2026-01-18T14:00:00Z",
    "2026-01-18 14:00:00+00:00",
    "2026-01-18T14:00:00",
    "2026-01-18 14:00",
    "2026-01-18T14:00Z",
    "2026-01-18T14:00+00:00",
    "2026-01-18T14:00:00.000000+0000",
    "2026-01-18T22:00:00+08:00",
)


def test_a_key_is_a_moment_however_it_is_spelled(compare: Callable[..., Ran]) -> None:
    symbols = [f"S{n}USDT" for n in range(len(SPELLINGS))]
    a = [row(symbol) for symbol in symbols]
    b = [row(symbol, time=spelling) for symbol, spelling in zip(symbols, SPELLINGS, strict=True)]
    ran = compare(a, b, "--json")
    assert (ran.code, found(ran)) == (0, [])
    assert ran.record["rows"][0]["rows_compared"] == len(SPELLINGS)


def test_a_number_in_a_text_column_and_another_order_of_columns(compare: Callable[..., Ran]) -> None:
    b = [("多头", "1.5", TIME, "5m", "AAAUSDT")]
    ran = compare([row()], b, columns_b='"信号概述", "MACD" TEXT, "数据时间", "周期" TEXT, "交易对" TEXT')
    assert ran.code == 0, ran.out
    assert "2 values compared" in ran.out


# -- rows


def test_rows_of_one_side_are_told_by_interval_and_symbol(compare: Callable[..., Ran]) -> None:
    both = [row(), row("BBBUSDT")]
    late = [row(time=f"2026-01-18T15:0{minute}:00+00:00") for minute in range(3)]
    ran = compare([*both, *late, row("BBBUSDT", time="2026-01-18T15:00:00Z")], [*both, row("CCCUSDT", "1h")], "--json")
    assert ran.code == 1
    assert found(ran) == [("only in A", "5m", None, 4), ("only in B", "1h", None, 1)]
    in_a, in_b = ran.record["findings"]
    assert in_a["foremost"] == [{"symbol": "AAAUSDT", "departures": 3}, {"symbol": "BBBUSDT", "departures": 1}]
    assert in_b["example"] == {"symbol": "CCCUSDT", "time": TIME, "a": None, "b": None}
    counts = {
        rows["interval"]: (rows["rows_a"], rows["rows_b"], rows["only_a"], rows["only_b"])
        for rows in ran.record["rows"]
    }
    assert counts == {"5m": (6, 2, 4, 0), "1h": (0, 1, 0, 1)}
    assert ran.record["differences"] == 5


def test_no_more_than_ten_symbols_are_named(compare: Callable[..., Ran]) -> None:
    ran = compare([row(f"S{n:02}USDT") for n in range(25)], [row("ZZZUSDT")], "--json")
    in_a = ran.record["findings"][0]
    assert (in_a["symbols"], len(in_a["foremost"])) == (25, 10)
    assert (
        "S00USDT 1, S01USDT 1, S02USDT 1, 22 more"
        in compare([row(f"S{n:02}USDT") for n in range(25)], [row("ZZZUSDT")]).out
    )


def test_of_a_repeated_key_the_last_row_counts(compare: Callable[..., Ran]) -> None:
    old = [row(macd=7.0), row(macd=8.0, time=TIME.replace("T", " ")), row(macd=1.5)]
    ran = compare(old, [row()], "--json")
    assert (ran.code, found(ran)) == (0, [])
    [rows] = ran.record["rows"]
    assert [rows[name] for name in ("rows_a", "rows_b", "repeated_a", "repeated_b")] == [1, 1, 2, 0]
    assert compare([*old, row(macd=9.0)], [row()]).code == 1


def test_rows_without_interval_and_time_are_keys_too(compare: Callable[..., Ran]) -> None:
    bare = ("AAAUSDT", None, None, 1.5, "多头")
    assert compare([bare], [bare]).code == 0
    ran = compare([bare], [row()], "--json")
    assert found(ran) == [("only in B", "5m", None, 1), ("only in A", None, None, 1)]
    ran = compare([bare], [("AAAUSDT", 1.5, "多头")], columns_b='"交易对" TEXT, "MACD" REAL, "信号概述" TEXT')
    assert ran.code == 0, ran.out


# -- tables and columns


def test_a_column_of_one_side_is_named_and_is_no_difference(compare: Callable[..., Ran]) -> None:
    ran = compare([row()], [(*row(), None, 3)], "--json", columns_b=f'{DECLARED}, "指标", "新列" REAL')
    assert ran.code == 0
    assert ran.record["columns"] == [{"table": MACD, "column": name, "only_in": "B"} for name in ("指标", "新列")]
    assert (
        "not compared, only in B: column 新列 of"
        in compare([row()], [(*row(), 3)], columns_b=f'{DECLARED}, "新列"').out
    )


def test_a_missing_table_is_a_difference_and_so_are_its_rows(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row()], [row()])
    fill(tmp_path / "b.db", [row(), row("BBBUSDT")], table=BASE)
    ran = candlemill("parity", "a.db", "b.db", "--json")
    assert (ran.code, found(ran)) == (1, [("no table in A", None, None, 1), ("only in B", "5m", None, 2)])
    assert candlemill("parity", "b.db", "a.db", "--tables", "macd").code == 0
    fill(tmp_path / "a.db", [], table=BASE)
    assert found(candlemill("parity", "a.db", "b.db", "--json")) == [("only in B", "5m", None, 2)]


def test_a_table_nobody_declared_is_compared_and_one_without_symbols_is_named(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row()], [row()])
    for name, value in (("a.db", 1.0), ("b.db", 2.0)):
        fill(tmp_path / name, [("AAAUSDT", "7h", TIME, value)], '"交易对", "周期", "数据时间", "值"', table="其他.py")
        fill(tmp_path / name, [(value,)], "version", table="meta")
    ran = candlemill("parity", "a.db", "b.db", "--json")
    assert found(ran) == [("value", "7h", "值", 1)]
    assert ran.record["left_out"] == ["meta"]
    assert "not compared, no results: meta" in candlemill("parity", "a.db", "b.db").out


def test_only_what_is_asked_for_is_compared(compare: Callable[..., Ran]) -> None:
    a = [row(), row("BBBUSDT", "1h", macd=1), row("CCCUSDT", "1h", macd=5)]
    b = [row(), row("BBBUSDT", "1h", macd=2), row("CCCUSDT", "1h", macd=5)]
    for words, code in (
        (("--intervals", "5m"), 0),
        (("--symbols", "AAAUSDT,CCCUSDT"), 0),
        (("--symbols", "BBBUSDT", "--intervals", "5m,1h", "--tables", MACD.removesuffix(".py")), 1),
    ):
        assert compare(a, b, *words).code == code, words


# -- samples


def test_a_sample_is_of_about_the_size_and_the_same_each_time(compare: Callable[..., Ran]) -> None:
    a = [row(f"S{n}USDT", macd=1) for n in range(2000)]
    b = [row(f"S{n}USDT", time=TIME.replace("+00:00", "Z"), macd=2) for n in reversed(range(2000))]

    def sampled(*words: str) -> list[Any]:
        record = compare(a, b, "--json", *words).record
        [finding] = record["findings"]
        [rows] = record["rows"]
        assert rows["rows_compared"] == finding["departures"]
        assert rows["rows_a"] == rows["rows_b"] == 2000
        return [finding["departures"], finding["foremost"]]

    some = sampled("--sample", "5%")
    assert 60 <= some[0] <= 140
    assert sampled("--sample", "5%") == some
    assert sampled("--sample", "5%", "--seed", "1") != some


# -- allowed departures


@pytest.mark.parametrize(
    ("rules", "allowed", "differences"),
    [
        (("macd",), [4], 0),
        (("*:macd",), [2], 2),
        ((f"{MACD}:MACD@1h",), [1], 3),
        (("macd@5m", "*:MACD"), [2, 1], 1),
        (("*:信号概述,macd@1h", "*:MACD"), [1, 2, 1], 0),
        (("base_data",), [0], 4),
    ],
)
def test_departures_are_allowed_by_name_and_counted_by_rule(
    rules: tuple[str, ...], allowed: list[int], differences: int, compare: Callable[..., Ran]
) -> None:
    a = [row(macd=1, signal="a"), row(interval="1h", macd=1)]
    b = [row(macd=2, signal="b"), row(interval="1h", macd=2), row("BBBUSDT", "1h")]
    words = [word for rule in rules for word in ("--allow", rule)]
    ran = compare(a, b, "--json", *words)
    assert list(ran.record["allowed"].values()) == allowed
    assert (ran.record["differences"], ran.record["equal"]) == (differences, differences == 0)
    assert ran.code == (1 if differences else 0)


def test_a_missing_table_is_allowed_by_its_name_and_not_by_an_interval(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row()], [row()])
    fill(tmp_path / "b.db", [row()], table=BASE)
    assert candlemill("parity", "a.db", "b.db", "--allow", "base_data").code == 0
    ran = candlemill("parity", "a.db", "b.db", "--allow", "base_data@5m", "--json")
    assert (ran.code, ran.record["differences"]) == (1, 1)


@pytest.mark.parametrize("rule", [":MACD", "@5m", "macd:", "macd@", "macd:@5m"])
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="is not TABLE, TABLE:COLUMN"):
        Allowance.parse(rule)


@pytest.mark.parametrize(
    "numbers", [{"share": 0.0}, {"share": 1.01}, {"rtol": -1e-9}, {"rtol": float("nan")}, {"atol": float("nan")}]
)
def test_numbers_that_make_no_sense_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"a sample of|--rtol and --atol"):
        Question(**numbers)  # type: ignore[arg-type]


# -- what is printed


def test_the_json_is_one_object_with_everything(compare: Callable[..., Ran]) -> None:
    ran = compare([row(macd=2.0)], [row(macd=1.0)], "--json", "--allow", "macd:信号概述", "--sample", "100%")
    assert ran.record == {
        "a": "a.db",
        "b": "b.db",
        "equal": False,
        "differences": 1,
        "allowed": {"macd:信号概述": 0},
        "rtol": 1e-9,
        "atol": 0.0,
        "sample": 1.0,
        "seed": 0,
        "rows": [
            {
                "table": MACD,
                "interval": "5m",
                "rows_a": 1,
                "rows_b": 1,
                "repeated_a": 0,
                "repeated_b": 0,
                "only_a": 0,
                "only_b": 0,
                "rows_compared": 1,
                "values_compared": 2,
            }
        ],
        "findings": [
            {
                "table": MACD,
                "interval": "5m",
                "column": "MACD",
                "name": "macd",
                "kind": "value",
                "departures": 1,
                "symbols": 1,
                "foremost": [{"symbol": "AAAUSDT", "departures": 1}],
                "largest": 0.5,
                "example": {"symbol": "AAAUSDT", "time": TIME, "a": "2.0", "b": "1.0"},
                "allowed_by": None,
            }
        ],
        "columns": [],
        "left_out": [],
    }
    assert ran.out.count("\n") == 1


def test_the_table_shows_the_worst_row(compare: Callable[..., Ran]) -> None:
    a = [row(macd=1.0), row("BBBUSDT", macd=1.0), row("CCCUSDT", macd=None)]
    b = [row(macd=1.1), row("BBBUSDT", macd=4.0), row("CCCUSDT", macd=3.0)]
    ran = compare(a, b, "--allow", "macd:信号概述")
    assert ran.code == 1
    assert "allowed by macd:信号概述: 0\n" in ran.out
    assert "7.5e-01" in ran.out
    assert f"BBBUSDT {TIME}: 1.0 | 4.0" in ran.out
    assert ran.out.splitlines()[0] == "3 differences, 6 values compared"


def test_help(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("parity", "--help")
    assert ran.code == 0
    assert "Example: candlemill parity old.db new.db" in ran.out


# -- files


def test_wrong_usage_is_one_line_and_exit_code_2(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row()], [row()])
    (tmp_path / "text.db").write_text("no database at all, but long enough to have a header of a hundred bytes" * 4)
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE meta (k)")
    for words, said in (
        (("a.db", "none.db"), "none.db is not there"),
        (("a.db", "."), ". is a directory"),
        (("a.db", "text.db"), "text.db is not an SQLite database"),
        (("empty.db", "empty.db"), "neither empty.db nor empty.db has a table of results"),
        (("a.db", "b.db", "--tables", "kdjj"), "--tables 'kdjj' is in neither database"),
        (("a.db", "b.db", "--allow", "maacd"), "--allow 'maacd' is in neither database"),
        (("a.db", "b.db", "--intervals", "7m"), "unknown interval '7m'"),
        (("a.db", "b.db", "--symbols", "AAAUSDT,AAAUSD"), "--symbols AAAUSD: neither database has a row of it"),
        (("a.db", "b.db", "--sample", "5"), "'5' is not a percentage such as 5%"),
    ):
        ran = candlemill("parity", *words)
        assert (ran.code, ran.out) == (2, ""), words
        assert said in ran.err
        assert ran.err.count("\n") == 1
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_database_is_wrong_usage_and_no_difference(
    compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row(f"S{n}USDT") for n in range(500)], [row()])
    content = bytearray((tmp_path / "a.db").read_bytes())
    content[8192:12288] = b"\x55" * 4096
    (tmp_path / "a.db").write_bytes(content)
    ran = candlemill("parity", "a.db", "b.db")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot be compared" in ran.err
    assert "malformed" in ran.err


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_files_stay_as_they_were(
    mode: str, compare: Callable[..., Ran], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    compare([row()], [row(macd=3)])
    for name in ("a.db", "b.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)

    def state() -> dict[str, tuple[str, int]]:
        return {
            path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in tmp_path.iterdir()
        }

    before = state()
    assert set(before) == {"a.db", "b.db"}
    assert candlemill("parity", "a.db", "b.db").code == 1
    assert candlemill("parity", "a.db", "b.db", "--symbols", "NONE").code == 2
    assert state() == before


@pytest.fixture
def written(compare: Callable[..., Ran], tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of another process's that is in the middle of writing b.db in WAL mode."""
    compare([row()], [row()])
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute(f'UPDATE "{MACD}" SET MACD = 2')
        connection.commit()
        connection.execute(f'UPDATE "{MACD}" SET MACD = 3')
        yield connection


def test_a_database_that_is_being_written_is_read_as_it_was_committed(
    written: sqlite3.Connection, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith("-shm")}
    ran = candlemill("parity", "a.db", "b.db", "--json")
    assert ran.record["findings"][0]["example"]["b"] == "2.0"
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith("-shm")}
    assert set(before) == {"a.db", "b.db", "b.db-wal"}
    written.rollback()
