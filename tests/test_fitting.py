"""Tables for people: whatever the width of the terminal, no value is cut, and what is left out is named."""

from __future__ import annotations

import io
import re
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.commands import runs, watch
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.commands.fitting import Column, print_table
from candlemill.pipeline.live.health import Health, Watched
from candlemill.pipeline.record import Record, Stage
from tests.conftest import dump_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTHS = pytest.mark.parametrize("width", [60, 80, 120])


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def printed(width: int, what: Callable[[], object]) -> tuple[str, str]:
    """What something prints on a terminal, and what it says on standard error."""
    with pytest.MonkeyPatch.context() as patch:
        out, err = Terminal(), io.StringIO()
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        what()
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert all(cell_len(line) <= width for line in text.splitlines()), text
    assert "…" not in text
    return text, err.getvalue()


WORDS = st.text("abcdefgh12市场", min_size=1, max_size=9)
COLUMNS = st.lists(
    st.builds(Column, WORDS, right=st.booleans(), folds=st.booleans(), rank=st.integers(1, 3)), min_size=1, max_size=9
)


@given(columns=COLUMNS, data=st.data(), width=st.sampled_from([40, 60, 80, 120]))
def test_no_cell_of_a_column_that_is_there_is_cut(columns: list[Column], data: st.DataObject, width: int) -> None:
    texts = st.tuples(*(st.lists(WORDS, max_size=6).map(" ".join) if each.folds else WORDS for each in columns))
    rows = data.draw(st.lists(texts, max_size=4))
    out, err = printed(width, lambda: print_table(columns, rows))
    left_out = err.removeprefix("no room for ").partition(":")[0].split(", ") if err else []
    shown = "".join(out.split())
    for place, column in enumerate(columns):
        if column.title not in left_out:
            assert all(word in shown for row in rows for word in row[place].split())


def test_all_of_it_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column(f"column {number}", rank=number) for number in range(30)]
    print_table(columns, [["x" * 30] * 30])
    printed = capsys.readouterr()
    assert printed.out.count("x" * 30) == 30
    assert len(printed.out.splitlines()) == 2
    assert printed.err == ""


@WIDTHS
def test_indicators(width: int) -> None:
    out, err = printed(width, lambda: app(["indicators"], standalone_mode=False))
    for declared in INDICATORS.values():
        assert declared.id in out
        assert (declared.table in out) == (width > 60)
        assert all(word in out for word in declared.title.split())
    assert ("no room for" in err) == (width <= 120)


def record(number: int) -> Record:
    made = Record(datetime(2026, 1, 1, tzinfo=UTC), "postgresql://h/x", ["1m", "5m", "15m", "1h", "4h", "1d", "1w"], 38)
    made.started_at += timedelta(minutes=number)
    made.finished(Stage("1m", rows=123_456))
    made.pg_bytes, made.skipped["gap"] = 2**31, 12_345
    made.close()
    made.total = 1234.5
    return made


@WIDTHS
def test_runs(width: int) -> None:
    records = [record(number).as_json() for number in range(25)]
    out, err = printed(width, lambda: runs.show(records, None))
    lines = [line.split() for line in out.splitlines()[1:]]
    assert [line[1] for line in lines] == [each["run_id"][:8] for each in records[5:]]
    assert all("1234.50" in line for line in lines)
    assert "the newest 20 of 25 runs" in err
    assert ("no room for" in err) == (width < 200)
    assert len(printed(width, lambda: runs.show(records, 25))[0].splitlines()) == 26


@WIDTHS
def test_status_of_a_watch(width: int) -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    intervals = [Watched(name, 604_800.0, now, now, now) for name in ("1m", "1w")]
    health = Health(1, "0", "postgresql://h/x", now, intervals)
    health.fail("something that takes more than a line of sixty characters " * 2, now)
    out, err = printed(width, lambda: watch.show(health, ["the newest bar of 1w began 8 days, 0:00:00 ago"], now))
    assert out.count("2026-01-01T12:00:00") >= 3
    assert " ".join(out.split()).endswith("stale: the newest bar of 1w began 8 days, 0:00:00 ago")
    assert ("no room for" in err) == (width < 120)


@WIDTHS
def test_parity(width: int, work_file: Path, tmp_path: Path) -> None:
    database = work_file.with_name("result.db")
    table = INDICATORS["base_data"].table
    other = tmp_path / "other.db"
    other.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute(f'UPDATE "{table}" SET 当前价格 = 当前价格 + 1')
    words = ["parity", str(database), str(other), "--rtol", "0"]
    out, _ = printed(width, lambda: app(words, standalone_mode=False))
    first, *lines = out.splitlines()
    assert first.endswith(" values compared")
    assert "differences" in first
    for name in dump_of(database).keys() - {"schema"}:
        assert any(name in line for line in lines)
