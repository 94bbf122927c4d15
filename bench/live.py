"""What a watch costs from pass to pass: reading everything and leaving a work file, or only what is new."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from bench.market import NOW, make_market, new_database
from bench.measure import spread
from candlemill.pipeline.base.statements import identifier
from candlemill.pipeline.live.passes import Passes
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import Settings, parse_indicators, parse_intervals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.market import Scale
    from candlemill.pipeline.record import Record

log = logging.getLogger("bench")

#: Figures of a pass, under their names in its record; times in seconds.
_FIGURES = ("total", "t_read", "t_compute", "t_write", "pg_queries", "pg_rows", "sqlite_rows_written")
_OVERLAP = 3


def watch_passes(server: str, folder: Path, scale: Scale, bars: int, runs: int) -> dict[str, dict[str, Any]]:
    """Figures of the kinds of passes over one market, in this process; before each all forming bars have grown.

    The kinds are ``everything`` (memory is empty, and a work file is left), ``all`` (what is new of all intervals) and
    ``short`` (of the intervals up to five minutes, which are due most often).
    """
    log.info("%s: making the market", scale)
    database = new_database(server, f"bench_watch_{scale}")
    make_market(database, scale, bars)
    settings = Settings(
        source=database,
        sqlite=folder / "watch.db",
        duckdb=folder / "watch.duckdb",
        symbols="all",
        intervals=parse_intervals(",".join(scale.intervals)),
        indicators=parse_indicators(None),
        as_of=NOW,
        workers=2,
    )
    short = [interval for interval in settings.intervals if interval.length <= timedelta(minutes=5)]
    measured: dict[str, list[Record]] = {"everything": [], "all": [], "short": []}
    with Sink(settings.sqlite, 30) as sink, closing(Passes(settings, sink, _OVERLAP)) as passes:
        for number in range(runs + 1):
            log.info("%s: passes %d of %d", scale, number, runs)
            now = NOW + number * timedelta(seconds=3)
            passes.forget()
            _grow(database, scale.intervals)
            everything = passes.publish(now)
            _grow(database, scale.intervals)
            every = passes.update(now + timedelta(seconds=1), settings.intervals)
            _grow(database, scale.intervals)
            few = passes.update(now + timedelta(seconds=2), short)
            # The first round warms up.
            if number:
                for kind, record in zip(measured, (everything, every, few), strict=True):
                    measured[kind].append(record)
    return {
        kind: {figure: spread([getattr(record, figure) for record in records]) for figure in _FIGURES}
        for kind, records in measured.items()
    }


def _grow(database: str, intervals: Sequence[str]) -> None:
    """Let the forming bars of all symbols grow."""
    with psycopg.connect(database) as connection:
        for name in intervals:
            relation = f"market_data.{identifier(f'candles_{name}')}"
            connection.execute(
                f"UPDATE {relation} SET close = close * 1.0001, volume = volume * 1.01"
                f" WHERE bucket_ts = (SELECT max(bucket_ts) FROM {relation})".encode()
            )
