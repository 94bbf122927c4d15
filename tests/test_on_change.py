"""`watch --on-change`: a command is told of each change once, and nobody waits for it."""

from __future__ import annotations

import json
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.live.on_change import OnChange
from tests.test_changes import kdj, table, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KDJ, VWAP = INDICATORS["kdj"], INDICATORS["vwap"]


class Bench:
    """A command that notes its start and what it is told, and ends when it is let."""

    def __init__(self, folder: Path) -> None:
        self.starts, self.told, self.gate = folder / "starts", folder / "told", folder / "gate"
        os.mkfifo(self.gate)
        self.command = f"echo >> '{self.starts}'; cat >> '{self.told}'; cat '{self.gate}'"

    def let_end(self) -> None:
        """Wait for the command that runs, or comes, and let it end."""
        with self.gate.open("w"):
            pass

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.told.read_text().splitlines()] if self.told.exists() else []

    def words(self) -> list[tuple[str, str]]:
        return [(row["symbol"], row["now"]) for row in self.rows()]

    def until_told(self, count: int) -> None:
        until(lambda: len(self.rows()) >= count)


def until(happened: Callable[[], object]) -> None:
    for _ in range(6000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def a_pass(on_change: OnChange, hours: int, **words: str) -> None:
    rows = [kdj(word, symbol, hours) for symbol, word in words.items()]
    on_change.see({KDJ: table(KDJ, rows), VWAP: table(VWAP, rows)})


def test_one_command_at_a_time_is_told_of_each_change_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with OnChange(bench.command, tmp_path / "none.db", [KDJ, VWAP]) as on_change:
        a_pass(on_change, 0, AAA="延续", BBB="延续")
        a_pass(on_change, 1, AAA="金叉", BBB="延续")
        bench.until_told(1)
        # While it runs, passes go on: a bar forms, changes its mind, and another begins.
        a_pass(on_change, 1, AAA="金叉", BBB="死叉")
        a_pass(on_change, 1, AAA="延续", BBB="延续")
        a_pass(on_change, 1, AAA="金叉", BBB="死叉")
        a_pass(on_change, 2, AAA="延续", BBB="死叉")
        assert bench.starts.read_text() == "\n"
        bench.let_end()
        bench.until_told(3)
        assert bench.starts.read_text() == "\n\n"
        bench.let_end()
    # The end waits for it, and there is nothing left to tell.
    assert bench.starts.read_text() == "\n\n"
    assert bench.words() == [("AAA", "金叉"), ("BBB", "死叉"), ("AAA", "延续")]
    assert bench.rows()[1] == {
        "symbol": "BBB", "interval": "1h", "bucket_ts": "2026-03-02T11:00:00+00:00", "indicator": "kdj",
        "column": "signal", "before": "延续", "now": "死叉",
    }  # fmt: skip


def let_both_end(bench: Bench) -> None:
    bench.let_end()
    bench.until_told(2)
    bench.let_end()


def test_the_end_waits_until_all_was_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with OnChange(bench.command, tmp_path / "none.db", [KDJ]) as on_change:
        for hours, word in enumerate(("延续", "金叉")):
            a_pass(on_change, hours, AAA=word)
        bench.until_told(1)
        a_pass(on_change, 2, AAA="死叉")
        letting = threading.Thread(target=let_both_end, args=(bench,))
        letting.start()
    letting.join()
    assert bench.words() == [("AAA", "金叉"), ("AAA", "死叉")]


def test_what_the_result_database_has_is_no_change_any_more(tmp_path: Path) -> None:
    database, told = tmp_path / "result.db", tmp_path / "told"
    for hours, word in enumerate(("延续", "金叉")):
        write(database, kdj=[kdj(word, hours=hours)])
    with OnChange(f"cat >> '{told}'", database, [KDJ]) as on_change:
        # The bar that formed when the watch before ended, and the next one.
        a_pass(on_change, 1, AAA="金叉")
        a_pass(on_change, 1, AAA="死叉")
        a_pass(on_change, 2, AAA="延续")
    rows = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(row["before"], row["now"]) for row in rows] == [("延续", "死叉"), ("死叉", "延续")]
    (tmp_path / "notes.txt").write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    with pytest.raises(UsageError, match="not an SQLite database"):
        OnChange("true", tmp_path / "notes.txt", [KDJ])


def started(starts: Path, times: int) -> bool:
    return starts.exists() and starts.read_text() == "\n" * times


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("exit 3", "ended with 3, told of 1 changes"),
        ("kill -9 $$", "was killed by signal 9, told of 1 changes"),
        ("/nowhere/secret-word", "ended with 127, told of 1 changes"),
    ],
)
def test_a_command_that_fails_is_told_in_the_log_and_started_again(
    command: str, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    starts = tmp_path / "starts"
    with OnChange(f"echo >> '{starts}'; {command}", tmp_path / "none.db", [KDJ]) as on_change:
        a_pass(on_change, 0, AAA="延续")
        for hours, word in ((1, "金叉"), (2, "死叉")):
            a_pass(on_change, hours, AAA=word)
            until(partial(started, starts, hours))
    # Once a minute.
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert says in line
    assert "secret-word" not in line


def test_a_command_that_does_not_read_costs_nothing(tmp_path: Path) -> None:
    # More than a pipe holds.
    symbols = [f"S{number:05}" for number in range(3000)]
    with OnChange("true", tmp_path / "none.db", [KDJ]) as on_change:
        for hours, word in enumerate(("延续", "金叉")):
            a_pass(on_change, hours, **dict.fromkeys(symbols, word))
