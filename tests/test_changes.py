"""Changes of words: each is found once, and `changes` shows those of the two newest rows of each series."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from candlemill.indicators.kinds import TEXT
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.marker import DEMO, DESK, Marker
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.results import reader
from candlemill.pipeline.results.changes import Change, Words, categories
from candlemill.pipeline.results.sink import Sink
from tests.conftest import dump_of
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from candlemill.indicators.contract import Indicator

KDJ, STATE = INDICATORS["kdj"], INDICATORS["zero_lag_trend_state"]
BEGIN = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
Row = tuple[str, str, datetime, dict[str, str | None]]


def table(declared: Indicator, rows: list[Row]) -> pa.Table:
    """Finished rows with some texts; numbers have a value where any text has one."""
    columns: dict[str, Any] = {
        "symbol": [symbol for symbol, *_ in rows],
        "interval": [interval for _, interval, *_ in rows],
        "bucket_ts": pa.array([start for *_, start, _ in rows], pa.timestamp("us", "UTC")),
    }
    for column in declared.columns:
        if column.kind is TEXT:
            columns[column.name] = pa.array([words.get(column.name) for *_, words in rows], pa.string())
        else:
            valued = [any(words.values()) for *_, words in rows]
            numbers: Any = np.ones(len(rows), dtype=column.kind.dtype)
            columns[column.name] = pa.array(numbers, mask=~np.array(valued, dtype=np.bool_))
    return pa.table(columns)


def write(path: Path, marker: Marker = DESK, **rows: list[Row]) -> None:
    with Sink(path, 1, marker) as sink:
        put(sink, {INDICATORS[name]: table(INDICATORS[name], given) for name, given in rows.items()}, lambda _: 100)


def kdj(word: str | None, symbol: str = "AAA", hours: int = 0, interval: str = "1h") -> Row:
    return symbol, interval, BEGIN + hours * HOUR, {"signal": word}


# -- what is found


#: A pass: which bar it sees (0: that of the pass before, 1: the next one), and the words of two columns.
PASSES = st.lists(
    st.tuples(st.integers(0, 2), st.tuples(*[st.sampled_from([None, "买入", "卖出", "观望"])] * 2)), max_size=30
)


@given(PASSES)
@settings(deadline=None)
def test_each_change_is_found_once_however_often_a_bar_comes(passes: list[tuple[int, tuple[str | None, ...]]]) -> None:
    words = Words()
    hour = 0
    found: list[Change] = []
    #: The last words of each bar, and every state that a bar was in.
    last: dict[int, tuple[str | None, ...]] = {}
    wanted: set[tuple[int, str, str | None, str | None]] = set()
    for ahead, texts in passes:
        hour += ahead
        found += words.see(STATE, "AAA", "1h", BEGIN + hour * HOUR, texts)
        if any(texts):
            last[hour] = texts
            earlier = [other for other in last if other < hour]
            if earlier:
                before = last[max(earlier)]
                for column, one, other in zip(("signal", "direction"), before, texts, strict=True):
                    if one != other:
                        wanted.add((hour, column, one, other))
    told = [((c.bucket_ts - BEGIN) // HOUR, c.column, c.before, c.now) for c in found]
    assert len(told) == len(set(told))
    assert set(told) == wanted


def test_categories_are_the_columns_with_a_vocabulary() -> None:
    assert [column.name for column in categories(STATE)] == ["signal", "direction"]
    assert [column.name for column in categories(INDICATORS["vpvr_profile"])] == ["position"]
    assert categories(INDICATORS["vwap"]) == []


# -- the command


def called(*words: object) -> tuple[Exception | None, str, str]:
    ran = CliRunner().invoke(app, ["changes", *map(str, words)], standalone_mode=False)
    return ran.exception if isinstance(ran.exception, Exception) else None, ran.stdout, ran.stderr


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result database of some runs: the newest bar, that before it, and others."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "result.db"
    write(path, kdj=[kdj("死叉"), kdj("死叉", "BBB"), kdj("延续", "ONE", 3), kdj("金叉", interval="4h")])
    write(path, kdj=[kdj("延续", hours=1), kdj("延续", "BBB", 1)])
    write(path, kdj=[kdj("金叉", hours=2), kdj("延续", "BBB", 2), kdj("延续", hours=4, interval="4h")])
    quiet: dict[str, str | None] = {"signal": "观望", "direction": "多头"}
    write(path, zero_lag_trend_state=[("AAA", "1h", BEGIN, quiet)])
    write(path, zero_lag_trend_state=[("AAA", "1h", BEGIN + HOUR, quiet | {"direction": "空头", "signal": "卖出"})])
    return path


def changed(**more: str) -> Mapping[str, Any]:
    there = {"symbol": "AAA", "interval": "1h", "bucket_ts": "2026-03-02T11:00:00+00:00"}
    return there | {"indicator": "zero_lag_trend_state"} | more


CHANGES = [
    {"symbol": "AAA", "interval": "1h", "bucket_ts": "2026-03-02T12:00:00+00:00", "indicator": "kdj",
     "column": "signal", "before": "延续", "now": "金叉"},
    {"symbol": "AAA", "interval": "4h", "bucket_ts": "2026-03-02T14:00:00+00:00", "indicator": "kdj",
     "column": "signal", "before": "金叉", "now": "延续"},
]  # fmt: skip


def test_changes_are_those_of_the_two_newest_rows(results: Path) -> None:
    before = dump_of(results)
    error, out, err = called("--sqlite", results, "--json")
    assert (error, err) == (None, "")
    rows = json.loads(out)
    assert sorted(rows, key=lambda row: (row["interval"], row["indicator"])) == [
        CHANGES[0],
        changed(column="signal", before="观望", now="卖出"),
        changed(column="direction", before="多头", now="空头"),
        CHANGES[1],
    ]
    assert dump_of(results) == before
    assert json.loads(called("--sqlite", results, "--json", "--interval", "4h")[1]) == CHANGES[1:]
    assert json.loads(called("--sqlite", results, "--json", "--indicators", "kdj")[1]) == CHANGES
    assert json.loads(called("--sqlite", results, "--json", "--symbols", "BBB,ONE")[1]) == []
    assert called("--sqlite", results, "--csv", "--interval", "4h")[1].splitlines() == [
        ",".join(CHANGES[1]),
        ",".join(CHANGES[1].values()),
    ]


def test_a_series_that_is_late_has_its_changes_too(tmp_path: Path) -> None:
    path = tmp_path / "result.db"
    for hours in range(12):
        rows = [kdj("延续", hours=hours)]
        # Both end early, one of them long before the newest times.
        rows += [kdj("金叉" if hours == 1 else "延续", "LATE", hours)] if hours < 2 else []
        rows += [kdj("死叉" if hours == 9 else "延续", "OLDER", hours)] if hours < 10 else []
        write(path, kdj=rows)
    with reader.result_database(path) as connection:
        found = reader.changes(connection, [KDJ])
    assert sorted((change.symbol, change.now, change.bucket_ts) for change in found) == [
        ("LATE", "金叉", BEGIN + HOUR), ("OLDER", "死叉", BEGIN + 9 * HOUR)
    ]  # fmt: skip


def test_what_cannot_be_shown_is_said(results: Path) -> None:
    for words, says in (
        (("--symbols", "AAB"), "unknown symbol 'AAB': did you mean 'AAA'?"),
        (("--interval", "7m"), "unknown interval"),
        (("--indicators", "kdk"), "did you mean 'kdj'?"),
        (("--csv", "--json"), "give one of them"),
        (("--sqlite", "none.db"), "there is no result database none.db: run `candlemill run` first"),
    ):
        error, out, _ = called("--sqlite", results, *words)
        assert isinstance(error, UsageError)
        assert says in str(error)
        assert out == ""
    (results.parent / "notes.txt").write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    error, _, _ = called("--sqlite", "notes.txt")
    assert "not an SQLite database" in str(error)


def test_the_demo_is_read_where_there_is_no_run_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = tmp_path / "data" / "demo" / "market_data.db"
    for hours, word in enumerate(("死叉", "延续")):
        write(demo, DEMO, kdj=[kdj(word, hours=hours)])
    error, out, err = called("--json")
    assert error is None
    assert [row["now"] for row in json.loads(out)] == ["延续"]
    assert (
        err
        == "there is no data/market_data.db of a run: data/demo/market_data.db is read, the demo's invented prices\n"
    )
    for hours, word in enumerate(("死叉", "金叉")):
        write(tmp_path / "data" / "market_data.db", kdj=[kdj(word, hours=hours)])
    assert [row["now"] for row in json.loads(called("--json")[1])] == ["金叉"]
    error, out, err = called("--json", "--demo")
    assert (error, err) == (None, "")
    assert [row["now"] for row in json.loads(out)] == ["延续"]
    assert "holds the demo's invented prices" in called("--sqlite", demo)[2]


def test_a_database_of_an_older_program_lacks_columns(tmp_path: Path) -> None:
    path = tmp_path / "result.db"
    for hours, word in enumerate(("买入", "卖出")):
        write(path, zero_lag_trend_state=[("AAA", "1h", BEGIN + hours * HOUR, {"signal": word, "direction": word})])
    label = STATE.label(categories(STATE)[1])
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"
    drop = f'ALTER TABLE "{STATE.table}" DROP COLUMN "{label}"'
    subprocess.run([sys.executable, "-c", program, str(path), drop], check=True)
    with reader.result_database(path) as connection:
        found = reader.changes(connection, [STATE, KDJ])
    assert [(change.column, change.before, change.now) for change in found] == [("signal", "买入", "卖出")]


def test_why_nothing_has_changed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, demo = tmp_path / "first.db", tmp_path / "data" / "demo" / "market_data.db"
    for path, marker, advice in (
        (first, DESK, "fill in those before with `candlemill backfill --sqlite`, or run again after the next bar"),
        (demo, DEMO, "run `candlemill demo` again after the next bar"),
    ):
        write(path, marker, kdj=[kdj("延续"), kdj("延续", "BBB")], zero_lag_trend_state=[("AAA", "1h", BEGIN, {})])
        error, out, err = called("--sqlite", path, "--json")
        assert (error, json.loads(out)) == (None, [])
        assert err.splitlines()[-1] == f"there is one bar of each series, and nothing to compare it with: {advice}"
    write(first, kdj=[kdj("延续", hours=1)])
    error, out, err = called("--sqlite", first)
    assert (error, out.split()) == (None, list(changed(column="", before="", now="")))
    assert err == "no word differs between the two newest bars of the 1 series that have two\n"
    _, _, err = called("--sqlite", first, "--interval", "4h", "--csv")
    assert err == "there are no rows of what was asked for: ask for other intervals or indicators, or run them first\n"
