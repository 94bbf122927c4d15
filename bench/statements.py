"""``python -m bench.statements``: what each statement of a run or a watch costs on a source in chunks.

Beside each stands the simplest statement that returns the same rows: ranges of time and nothing else. What counts is
the ratio, and that it does not grow with the symbols that are late. Where Linux tells it, the times are those that the
server's process had the processor for, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import psycopg

from bench.market import new_database, sql
from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.fields import METRICS_ROWS
from candlemill.pipeline.base.intervals import INTERVALS, Interval
from candlemill.pipeline.base.statements import Sql, identifier, join, literal, render, statement
from candlemill.pipeline.demo.server import embedded_postgres
from candlemill.pipeline.record import Record
from candlemill.pipeline.settings import DEFAULT_EXCHANGE, DEFAULT_LOOKBACK
from candlemill.pipeline.source.clauses import chosen, moment, plain_moment, values_of
from candlemill.pipeline.source.packed import packed
from candlemill.pipeline.source.reader import METRIC_COLUMNS, Newer, Source
from candlemill.pipeline.source.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from candlemill.pipeline.source.bulk import Bulk
    from candlemill.pipeline.source.session import Session

log = logging.getLogger("bench")

#: A Tuesday: of the week that forms there are 38 hours.
NOW = datetime(2026, 1, 20, 14, 7, tzinfo=UTC)
_REPEATS = 3
#: Bars that a watch reads again.
_AGAIN = 5


@dataclass
class Kept:
    """A way to read that keeps the statements."""

    way: Bulk
    said: list[Sql] = field(default_factory=list)

    def read(self, query: Sql, schema: pa.Schema) -> pa.Table:
        """Rows of a query."""
        self.said.append(query)
        return self.way.read(query, schema)


@dataclass(frozen=True)
class Pair:
    """A statement, and the simplest one that returns the same rows."""

    label: str
    ours: Sql
    simplest: Sql


def main() -> None:
    """Make the source, and print a line for each statement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=200)
    words = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="candlemill-bench-") as place:
        # The server runs as another user where this process is root's.
        Path(place).chmod(0o755)
        with embedded_postgres(Path(place) / "postgres") as server:
            log.info("making %d symbols in chunks", words.symbols)
            url = new_database(server, "chunks")
            make_chunks(url, words.symbols)
            print(f"{'':36} {'rows':>8} {'simplest':>10} {'ours':>10} {'ratio':>6}")
            for pair in pairs(url, words.symbols):
                print(compared(url, pair), flush=True)


def make_chunks(url: str, symbols: int) -> None:
    """Fill an empty database."""
    newest = Sql(f"timestamptz {literal(NOW)}")
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC -c synchronous_commit=off") as door:
        door.execute(render(sql("chunks"), newest=newest, symbols=literal(symbols)).encode())
        door.execute("VACUUM ANALYZE")
        door.execute("CHECKPOINT")


def pairs(url: str, symbols: int) -> Iterator[Pair]:
    """The statements of a run, then those of a watch, with none, two and all of the symbols late."""
    source = Source.connect(url, Record(NOW, "", [], 0))
    kept = Kept(source._bulk)
    source._bulk = kept
    names = [f"S{number:04}USDT" for number in range(1, symbols + 1)]
    for name in ("1m", "5m", "1h", "1w"):
        interval = INTERVALS[name]
        source.candles(interval, DEFAULT_EXCHANGE, None, NOW, DEFAULT_LOOKBACK)
        # Of a view the bar before the window is read too.
        back = DEFAULT_LOOKBACK + (not source.relations[interval.candles].stored)
        yield Pair(f"run {name}", kept.said[-1], _candles(source, interval, back, {}))
    for name in ("5m", "1h"):
        interval = INTERVALS[name]
        source.metrics(interval, NOW)
        yield Pair(f"run {name} metrics", kept.said[-1], _metrics(source, interval, METRICS_ROWS, {}))
    for name in ("1m", "5m", "1h", "1w"):
        interval = INTERVALS[name]
        for label, late in _lateness(names, DEFAULT_LOOKBACK):
            source.newer_candles(interval, DEFAULT_EXCHANGE, None, NOW, _newer(interval, late))
            yield Pair(f"watch {name}, {label}", kept.said[-1], _candles(source, interval, _AGAIN, late))
    for name in ("5m", "1h"):
        interval = INTERVALS[name]
        for label, late in _lateness(names, METRICS_ROWS):
            source.metrics(interval, NOW, _newer(interval, late))
            yield Pair(f"watch {name} metrics, {label}", kept.said[-1], _metrics(source, interval, _AGAIN, late))


def _lateness(names: list[str], most: int) -> list[tuple[str, dict[str, int]]]:
    """Which symbols are late by how many bars."""
    return [
        ("none late", {}),
        ("2 late", dict.fromkeys(names[:2], 2 * _AGAIN)),
        ("all late", dict.fromkeys(names, 2 * _AGAIN)),
        ("all late, one very", dict.fromkeys(names, 2 * _AGAIN) | {names[0]: most}),
    ]


def _newer(interval: Interval, late: Mapping[str, int]) -> Newer:
    return Newer(
        NOW - _AGAIN * interval.length, {symbol: NOW - bars * interval.length for symbol, bars in late.items()}
    )


def _ranges(back: int, late: Mapping[str, int]) -> Iterator[tuple[list[str] | None, int, int]]:
    """Symbols, and between how many bars before now: all, then those that are as late as each other."""
    yield None, back, 0
    for bars in sorted(set(late.values())):
        yield [symbol for symbol, count in late.items() if count == bars], bars, back


def _candles(source: Source, interval: Interval, back: int, late: Mapping[str, int]) -> Sql:
    """All bars of a number of intervals, and those of late symbols before."""
    relation = source.relations[interval.candles]
    rows = [
        render(
            statement("source/newer_candles"),
            values=values_of(relation, dict.fromkeys(BAR_FIELDS), table="bars"),
            relation=identifier(relation.name),
            exchange=literal(DEFAULT_EXCHANGE),
            after=moment(NOW - first * interval.length),
            until=moment(NOW - last * interval.length),
            chosen=chosen(symbols),
        )
        for symbols, first, last in _ranges(back, late)
    ]
    return packed(join(rows, "\nUNION ALL\n"), BAR_FIELDS)


def _metrics(source: Source, interval: Interval, back: int, late: Mapping[str, int]) -> Sql:
    """All metrics of a number of intervals, and those of late symbols before."""
    form = source.metrics_form(interval)
    assert form is not None
    rows = [
        join(
            [
                render(
                    statement("source/metrics"),
                    values=values_of(form.relation, METRIC_COLUMNS, table="m"),
                    relation=identifier(form.relation.name),
                    time=identifier(form.time),
                    closed=identifier(form.closed),
                    after=plain_moment(NOW - first * interval.length),
                    until=plain_moment(NOW - last * interval.length),
                ),
                chosen(symbols),
            ],
            " AND ",
        )
        for symbols, first, last in _ranges(back, late)
    ]
    return packed(join(rows, "\nUNION ALL\n"), [*METRIC_COLUMNS, "is_closed"])


def compared(url: str, pair: Pair) -> str:
    """A line of the table. Raises ValueError where the two do not return the same."""
    with session(url) as door:
        rows, simplest = _cost(door, pair.simplest)
        ours_rows, ours = _cost(door, pair.ours)
    if rows != ours_rows:
        raise ValueError(f"{pair.label}: {ours_rows} rows instead of {rows}")
    return f"{pair.label:36} {rows:8} {simplest * 1000:8.1f}ms {ours * 1000:8.1f}ms {ours / simplest:6.2f}"


def _cost(door: Session, query: Sql) -> tuple[int, float]:
    """Rows that a packed statement holds, and the seconds that it takes; the least of some times."""
    usage = Path(f"/proc/{door.info.backend_pid}/schedstat")

    def now() -> float:
        return int(usage.read_text().split()[0]) / 1e9 if usage.exists() else perf_counter()

    taken = []
    for _ in range(_REPEATS):
        begun = now()
        found = door.execute(query.encode()).fetchall()
        taken.append(now() - begun)
    return sum(count for _, count, _ in found), min(taken)


if __name__ == "__main__":
    main()
