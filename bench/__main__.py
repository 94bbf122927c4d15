"""``python -m bench``: medians of whole runs on a market made for the purpose, as ratios to the floor.

The floor is the same rows read by ``COPY … (FORMAT binary)`` and thrown away, plus the same rows written into a fresh
SQLite file by ``executemany`` in one transaction. Every figure of one report comes from one go on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.market import NOW, make_market
from pipeline.embedded import embedded_postgres
from pipeline.intervals import DEFAULT_INTERVALS, INTERVALS
from pipeline.record import Record
from pipeline.settings import DEFAULT_EXCHANGE, DEFAULT_LOOKBACK
from pipeline.source import Source

if TYPE_CHECKING:
    from pipeline.statements import Sql

FIGURES = ("wall", "total", "t_read", "t_compute", "t_write", "floor", "total / floor", "peak_rss_mb", "pg_queries")
SCALES = {"4x2": (4, 2), "30x7": (30, 7), "200x7": (200, 7), "600x7": (600, 7)}


def main() -> None:
    """Measure some scales, or compare two reports."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scales", nargs="*", default=["30x7"], help=f"of {', '.join(SCALES)}")
    parser.add_argument("--runs", type=int, default=5, help="counted runs, after a warm-up")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="compare two reports")
    words = parser.parse_args()
    if words.compare:
        _compare(*(json.loads(path.read_text()) for path in words.compare))
        return
    report: dict[str, Any] = {"machine": _machine(), "runs": words.runs, "scales": {}}
    with tempfile.TemporaryDirectory(prefix="candlemill-bench-") as folder:
        place = Path(folder)
        # The server runs as another user where this process is root's.
        place.chmod(0o755)
        with embedded_postgres(place / "postgres") as url:
            for scale in words.scales:
                symbols, count = SCALES[scale]
                report["scales"][scale] = _measure(url, scale, symbols, _intervals(count), words.runs, place)
    _print(report)
    if words.json:
        words.json.write_text(json.dumps(report, indent=2))


def _intervals(count: int) -> list[str]:
    return list(DEFAULT_INTERVALS) if count == len(DEFAULT_INTERVALS) else ["5m", "1h"][:count]


def _measure(url: str, scale: str, symbols: int, intervals: list[str], runs: int, place: Path) -> dict[str, Any]:
    database = _new_database(url, f"bench_{scale}")
    make_market(database, symbols, intervals)
    queries = _queries(database, intervals)
    counted: list[dict[str, float]] = []
    for number in range(runs + 1):
        result, work = place / "result.db", place / "work.duckdb"
        for file in (result, work):
            file.unlink(missing_ok=True)
        figures = _run(database, intervals, result, work)
        figures["floor"] = _read_floor(database, queries) + _write_floor(result, place / "floor.db")
        figures["total / floor"] = figures["total"] / figures["floor"]
        if number:
            counted.append(figures)
    return {
        name: {
            "median": statistics.median(run[name] for run in counted),
            "min": min(run[name] for run in counted),
            "max": max(run[name] for run in counted),
        }
        for name in counted[0]
    }


def _new_database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as door:
        door.execute(f'CREATE DATABASE "{name}"'.encode())
    return url.replace("/postgres?", f"/{name}?") if "?" in url else f"{url.rsplit('/', 1)[0]}/{name}"


def _run(database: str, intervals: list[str], result: Path, work: Path) -> dict[str, float]:
    """One run of the whole program as a child process."""
    words = [
        sys.executable, "-m", "pipeline", "run", "--source", database, "--symbols", "all", "--json", "--quiet",
        "--intervals", ",".join(intervals), "--as-of", NOW.isoformat(), "--sqlite", str(result), "--duckdb", str(work),
    ]  # fmt: skip
    begun = perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    wall = perf_counter() - begun
    record = json.loads(done.stdout)
    names = ("total", "t_read", "t_compute", "t_write", "peak_rss_mb", "pg_queries", "rows", "sqlite_commits")
    return {"wall": wall, **{name: float(record[name]) for name in names}}


class _Noted(Exception):  # noqa: N818 - a signal, not an error
    """The statement was noted instead of being sent."""


def _queries(database: str, intervals: list[str]) -> list[Sql]:
    """The reading statements that a run sends, as the source builds them."""
    noted: list[Sql] = []

    class Noting(Source):
        def _connectorx(self, query: Sql, relation: str, **how: Any) -> Any:  # noqa: ARG002
            noted.append(query)
            raise _Noted

    source = Noting.connect(database, Record(NOW, "", [], 0))
    for interval in (INTERVALS[name] for name in intervals):
        with suppress(_Noted):
            source.candles(interval, DEFAULT_EXCHANGE, None, NOW, DEFAULT_LOOKBACK)
        with suppress(_Noted):
            source.metrics(interval, NOW)
    return noted


def _read_floor(database: str, queries: list[Sql]) -> float:
    begun = perf_counter()
    with psycopg.connect(database, options="-c timezone=UTC") as door:
        for query in queries:
            with door.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()) as copy:
                for _ in copy:
                    pass
    return perf_counter() - begun


def _write_floor(result: Path, floor: Path) -> float:
    with closing(sqlite3.connect(f"file:{result}?mode=ro", uri=True)) as door:
        tables = door.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = {name: door.execute(f'SELECT * FROM "{name}"').fetchall() for name, _ in tables}
    floor.unlink(missing_ok=True)
    begun = perf_counter()
    with closing(sqlite3.connect(floor)) as door, door:
        for name, sql in tables:
            door.execute(f"{sql.split(', PRIMARY KEY')[0]})")
            places = ",".join("?" * len(rows[name][0]))
            door.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows[name])
    return perf_counter() - begun


def _machine() -> dict[str, str]:
    packages = ("duckdb", "connectorx", "pyarrow", "numpy")
    return {
        "cpus": str(os.cpu_count()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _print(report: dict[str, Any]) -> None:
    title = f"medians of {report['runs']} runs (smallest to largest); {report['machine']['cpus']} CPUs"
    table = Table("", *report["scales"], title=title, title_justify="left")
    for figure in FIGURES:
        cells = []
        for measured in report["scales"].values():
            of = measured[figure]
            cells.append(f"{of['median']:.2f} ({of['min']:.2f} to {of['max']:.2f})")
        table.add_row(figure, *cells)
    Console(width=140).print(table)


def _compare(before: dict[str, Any], after: dict[str, Any]) -> None:
    table = Table("", "before", "after", "after / before")
    for scale in before["scales"].keys() & after["scales"].keys():
        for figure in FIGURES:
            old, new = (report["scales"][scale][figure]["median"] for report in (before, after))
            table.add_row(f"{scale} {figure}", f"{old:.2f}", f"{new:.2f}", f"{new / old:.2f}" if old else "")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
