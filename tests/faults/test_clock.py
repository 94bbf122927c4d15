"""A watch under a clock that is set back and forth, beside fresh runs as of the same times."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from candlemill.pipeline import engine
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.live.clock import Clock, Reading
from candlemill.pipeline.live.health import Health, health_file
from candlemill.pipeline.live.passes import Passes
from candlemill.pipeline.live.watch import Plan, watch
from candlemill.pipeline.results.rows import telling
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import Settings, parse_indicators, parse_intervals
from candlemill.pipeline.source.schema import init_db
from tests.conftest import dump_of
from tests.long.test_live import newest_rows
from tests.moving import LOOKBACK, NAMES, START, Coin, Market

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server

PASSES = int(os.environ.get("CANDLEMILL_PASSES", "40"))
EVERY = {"1m": 20.0, "5m": 20.0, "1h": 60.0}
#: Steps of the clock in seconds: corrections, and somebody who sets it.
STEPS = (-0.3, 0.2, -4, 7, -45, 50, -200, 190, -1500, 1600)


class WanderingClock(Clock):
    """A clock that is set now and then while it is waited for; time passes only then, and the market with it."""

    def __init__(self, market: Market, after_each: Callable[[], None]) -> None:
        self._market, self._after_each = market, after_each
        self._dice = random.Random(7)
        self._elapsed = 0.0
        self.ahead = 0.0

    @property
    def real(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    def read(self) -> Reading:
        return Reading(self.real + timedelta(seconds=self.ahead), self._elapsed)

    def wait(self, wake: threading.Event, seconds: float) -> None:
        self._after_each()
        assert not wake.is_set()
        assert 0 < seconds <= max(EVERY.values())
        self._elapsed += seconds
        if self._dice.random() < 0.2:
            step = self._dice.choice(STEPS)
            # What is far behind comes back, as somebody notices it.
            self.ahead += step if -2400 < self.ahead + step < 900 else -self.ahead
        self._market.play(self.real)


def test_a_watch_under_a_clock_that_wanders_leaves_what_fresh_runs_leave(server: Server, tmp_path: Path) -> None:
    url = server.database("clock")
    init_db(url)
    coins = [Coin("AAA"), Coin("LAGS", lag=timedelta(minutes=4)), Coin("GAPS", leaves_out=3)]
    market = Market(url, coins)
    market.play(START)
    settings = Settings(
        source=url,
        sqlite=tmp_path / "result.db",
        duckdb=tmp_path / "work.duckdb",
        symbols="all",
        intervals=parse_intervals(",".join(NAMES)),
        indicators=parse_indicators("macd,kdj,vwap,volume_ratio,base_data,donchian"),
        as_of=START,
        lookback=LOOKBACK,
        workers=2,
    )
    seen: dict[str, Any] = {"passes": 0, "real": START, "back": 0, "compared": 0}

    def compare() -> None:
        """What the last pass left at each interval that it looked at is what a run at its time leaves."""
        health = Health.read(health_file(settings.duckdb))
        assert not health.errors
        if health.passes == seen["passes"]:
            return
        # One at a time, none before its time by more than a set clock brings about, and none later than that.
        assert health.passes == seen["passes"] + 1
        assert clock.real - seen["real"] <= timedelta(seconds=EVERY["1m"])
        looked = max(watched.looked_at for watched in health.intervals if watched.looked_at is not None)
        at = clock.read().now
        names = [watched.interval for watched in health.intervals if watched.looked_at == at]
        assert names, (looked, at)
        seen["back"] += at < seen.get("at", at)
        seen.update(passes=health.passes, real=clock.real, at=at)
        anew = replace(
            settings,
            as_of=at,
            intervals=tuple(INTERVALS[name] for name in names),
            sqlite=tmp_path / "anew" / f"{health.passes}.db",
            duckdb=tmp_path / "anew" / "work.duckdb",
        )
        if health.passes % 10:
            # The first pass of another watch reads everything, too, and leaves no work file, which takes longest.
            with Sink(anew.sqlite, 1) as sink, closing(Passes(anew, sink, overlap=0)) as passes:
                passes.update(at, anew.intervals)
        else:
            engine.run(anew)
        wanted, found = newest_rows(anew.sqlite, tmp_path / "copies"), rows_by_key(settings.sqlite, tmp_path / "copies")
        for table, newest in wanted.items():
            assert newest
            for row in newest.values():
                if all(row[place] is None for place in told[table]):
                    # Such a row replaces none that has values.
                    continue
                assert found[table].get(row[:3]) == row, (table, at, seen)
                seen["compared"] += 1
        anew.sqlite.unlink()

    #: Places of the columns that tell whether a row has values, behind those of its key.
    told = {
        declared.table: [3 + declared.columns.index(column) for column in telling(declared)]
        for declared in settings.indicators
    }
    clock = WanderingClock(market, compare)
    watch(settings, Plan(every=EVERY, delay=0, publish=3600, runs=PASSES), clock)
    assert seen["passes"] >= PASSES - 1
    # The walk was one: in many passes the clock was behind the pass before.
    assert seen["back"] > PASSES // 20
    assert seen["compared"] > 6 * PASSES


def rows_by_key(database: Path, copies: Path) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """All rows by table and key, out of a copy: no other library may open the file in this process."""
    copies.mkdir(exist_ok=True)
    for file in copies.glob(f"{database.name}*"):
        file.unlink()
    for file in database.parent.glob(f"{database.name}*"):
        shutil.copy(file, copies / file.name)
    dumped = dump_of(copies / database.name)
    del dumped["schema"]
    return {table: {row[1:4]: row[1:] for row in found} for table, found in dumped.items()}
