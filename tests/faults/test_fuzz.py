"""Random damage to random bars: a run goes on, its tables are sound, and the series that are whole stay as they are.

CANDLEMILL_FUZZ_SECONDS says for how long to look (`make fuzz`: ten minutes). Rows go through the real filter, pivot,
indicators and SQLite; only PostgreSQL is left out, for speed.
"""

from __future__ import annotations

import itertools
import math
import os
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.engine import _work
from candlemill.pipeline.reading import Loaded, arranged, new_record
from candlemill.pipeline.record import Stage
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import Settings
from candlemill.pipeline.workfile.writer import WorkFile
from tests.faults.damages import DAMAGES, OTHERS, VICTIMS, Damage, as_table, market, shuffled
from tests.goldens import KEY
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from candlemill.indicators.contract import Indicator
    from candlemill.pipeline.record import Record

SECONDS = float(os.environ.get("CANDLEMILL_FUZZ_SECONDS", "15"))
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
#: Runs that share a work file, which only grows.
SHARED = 40


class Mill:
    """The parts of a run behind its source."""

    def __init__(self, folder: Path) -> None:
        self._names = itertools.count()
        self._folder = folder
        self._open = ExitStack()
        self._work: WorkFile | None = None

    def rows_of(self, candles: pa.Table) -> tuple[dict[Indicator, pa.Table], Record]:
        """Finished rows of all indicators, and the record."""
        if self._work is None or next(self._names) % SHARED == 0:
            self._open.close()
            self._work = self._open.enter_context(WorkFile(self._folder / "work.duckdb", 2, "exchange"))
        asked = Settings(
            "",
            self._folder / "r.db",
            self._folder / "w.db",
            "all",
            (INTERVALS["5m"],),
            tuple(INDICATORS.values()),
            AS_OF,
        )
        record = new_record(asked)
        loaded = Loaded(INTERVALS["5m"], Stage("5m"), candles, None)
        return dict(_work([arranged(loaded, asked)], asked, self._work, record, set())), record

    def stored(self, rows: dict[Indicator, pa.Table]) -> dict[str, list[tuple[Any, ...]]]:
        """The rows as SQLite holds them in a new database, whose soundness is checked."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            database = Path(folder) / "result.db"
            with Sink(database, 5) as sink:
                put(sink, rows, lambda _: 120)
            with closing(sqlite3.connect(database)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                return {
                    i.table: connection.execute(f'SELECT * FROM "{i.table}"').fetchall()
                    for i in rows
                    if rows[i].num_rows
                }

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    made = Mill(tmp_path_factory.mktemp("mill"))
    yield made
    made.close()


@dataclass
class Clock:
    """Until when to look; a failure is looked into for as long as it takes."""

    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.end

    @contextmanager
    def stopped_by_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.end = math.inf
            raise


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@cache
def reference(mill: Mill) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of the undamaged market without those that get damaged."""
    rows, record = mill.rows_of(as_table([row for row in market() if row["symbol"] in OTHERS]))
    assert record.errors == []
    return by_symbol(rows)


def by_symbol(rows: dict[Indicator, pa.Table]) -> dict[str, dict[str, dict[str, Any]]]:
    return {i.id: {r["symbol"]: r for r in t.drop_columns("run_id").to_pylist()} for i, t in rows.items()}


@settings(
    max_examples=max(20, int(SECONDS * 5)),
    deadline=None,
    database=DirectoryBasedExampleDatabase(Path(__file__).parent / "examples"),
    suppress_health_check=list(HealthCheck),
)
@given(damages=DAMAGES, seed=st.integers(0, 3))
@example(damages=[Damage("set", "AAAUSDT", 0, 500, "trade_count", 1e300)], seed=0)
@example(damages=[Damage("scale", "AAAUSDT", 0, 500, "open", 1e300)], seed=0)
@example(damages=[Damage("set prices", "AAAUSDT", 0, 500, "open", 5e-324)], seed=0)
@example(damages=[Damage("set prices", "AAAUSDT", 0, 0, "open", 1e-12)], seed=0)
def test_damage_to_some_series_is_survived_and_touches_no_other(
    damages: list[Damage], seed: int, mill: Mill, clock: Clock
) -> None:
    if not clock.over:
        with clock.stopped_by_failure():
            check(damages, seed, mill)


def check(damages: list[Damage], seed: int, mill: Mill) -> None:
    """What must hold of the market with these damages, its rows in some order."""
    rows = list(market())
    for damage in damages:
        rows = damage.apply(rows)
    made, record = mill.rows_of(as_table(shuffled(rows, seed)))
    assert {error["symbol"] for error in record.errors} <= set(VICTIMS), record.errors
    found = by_symbol(made)
    for name, expected in reference(mill).items():
        for symbol in expected:
            assert found[name][symbol] == expected[symbol], (name, symbol)
    kinds = {"real": float, "integer": int, "text": str, "time": str}
    tables = mill.stored(made)
    for declared in made:
        stored = tables[declared.table]
        assert len({row[: len(KEY)] for row in stored}) == len(stored)
        for row in stored:
            for column, value in zip(declared.columns, row[len(KEY) :], strict=True):
                assert value is None or type(value) is kinds[column.kind.name], (declared.table, column.name, value)
                assert not isinstance(value, float) or math.isfinite(value)
