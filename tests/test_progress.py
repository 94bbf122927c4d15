"""Progress on a terminal: the log stands above the bar, whole, and the bar counts what is done."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.base import logs
from candlemill.pipeline.commands.progress import count_bar, share_bar, stage_bar
from candlemill.pipeline.demo.market import TABLES, load_market
from candlemill.pipeline.source.schema import init_db
from tests.terminal import Terminal, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

log = logging.getLogger("candlemill")
STAGES = ["1m", "5m", "1h", "write", "publish"]
DOING = ["computing 1m", "computing 5m", "computing 1h", "writing", "publishing"]


WIDTHS = pytest.mark.parametrize("columns", [60, 80, 120])


@contextmanager
def shown(columns: int) -> Iterator[Terminal]:
    """A terminal that is standard error, with the log on it.

    No fixture: pytest sets standard error itself between fixtures and test.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch, terminal(columns) as opened:
        patch.setenv("TERM", "xterm-256color")
        # The descriptors 0 to 2, by which a terminal is measured, are pytest's.
        patch.setenv("COLUMNS", str(columns))
        patch.delenv("NO_COLOR", raising=False)
        with os.fdopen(os.dup(opened.writing), "w", buffering=1) as stream:
            patch.setattr(sys, "stderr", stream)
            logs.set_up("info", as_json=False, quiet=False)
            try:
                yield opened
            finally:
                root.handlers[:] = handlers
                root.setLevel(level)


def wait_for(screen: Terminal, text: str) -> None:
    """Until it was written: the bar is drawn anew ten times a second."""
    while text not in screen.written:
        time.sleep(0.001)


def seen(screen: Terminal) -> str:
    """All lines of the screen as one text; what was broken at blanks or edges is put together again."""
    sys.stderr.flush()
    marker = "the end of it"
    log.info(marker)
    wait_for(screen, marker)
    return re.sub(r"\s+", " ", " ".join(screen.screen()))


@WIDTHS
def test_the_log_stands_above_the_bar_and_nothing_of_the_bar_is_left(columns: int) -> None:
    lines = [f"{word} " * 12 for word in ("bars", "metrics", "symbols", "rows", "files")]
    with shown(columns) as screen:
        with stage_bar(STAGES, quiet=False) as progress:
            for stage, line in zip(STAGES, lines, strict=True):
                progress(stage)
                log.info("%s", line)
        text = seen(screen)
        assert all(line.strip() in text for line in lines)
        assert len(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z INFO", text)) == len(STAGES) + 1
        assert "━" not in text
        assert "intervals" not in text


@WIDTHS
def test_intervals_are_counted_when_they_are_computed(columns: int) -> None:
    with shown(columns) as screen:
        with stage_bar(STAGES, quiet=False) as progress:
            for stage, doing in zip(STAGES, DOING, strict=True):
                progress(stage)
                wait_for(screen, doing)
        seen(screen)
        drawn = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", screen.written)
    found = re.findall(r"(reading|computing \w+|writing|publishing)\s+[━╺╸ ]+(\d) of 3 intervals", drawn)
    assert list(dict.fromkeys(found)) == list(zip(["reading", *DOING], "001233", strict=True))


@WIDTHS
def test_the_share_of_a_backfill_is_said_once(columns: int) -> None:
    with shown(columns) as screen:
        with share_bar(quiet=False) as (begin, move):
            begin(300, 300_000)
            for _ in range(12):
                move(1000, True)
            wait_for(screen, "12 of 300 tasks, 4%")
        seen(screen)
        assert "of 100" not in screen.written


def test_no_bar_where_none_is_wanted() -> None:
    with shown(80) as screen:
        with stage_bar(STAGES, quiet=True) as progress, count_bar(3, quiet=True) as count:
            progress("1m")
            count("a file")
        seen(screen)
        assert "\x1b" not in screen.written


def test_loading_the_sample_tells_of_each_table(server: Server) -> None:
    url, told = server.database("sample"), list[str]()
    init_db(url)
    rows = load_market(url, datetime(2026, 1, 31, 23, 59, tzinfo=UTC), told.append)
    assert told == list(TABLES)
    assert rows > 100_000
