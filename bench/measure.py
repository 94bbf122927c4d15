"""What is measured at a scale, and over growing scales. Results are plain objects, as they stand in the JSON."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sqlite3
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg

from bench import floor
from bench.delay import delayed
from bench.filled import fill
from bench.indicators import indicator_seconds
from bench.market import Scale, make_market, new_database
from bench.program import Ran, has_peer, run_peer, run_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from candlemill.pipeline.base.statements import Sql

log = logging.getLogger(__name__)

#: The result database before a run: not there; at its retention, a bar behind; at its retention, with the bar in it.
STATES = ("fresh", "new bar", "same bar")
#: The growing series.
SCALING = tuple(Scale.parse(f"{symbols}x7") for symbols in (25, 50, 100, 200, 400, 600))
_PACKAGES = ("candlemill", "connectorx", "duckdb", "numpy", "psycopg", "pyarrow", "ta-lib")


class Bench:
    """A server and a folder, in which scales are measured.

    Args:
        server: URL of a database of the server.
        folder: for the files of the runs; on the disk that is to be measured.
        bars: per series of the market.
        runs: to be counted, after one to warm up.
        delay: milliseconds of a round trip to the server, added to what there is.
    """

    def __init__(self, server: str, folder: Path, bars: int, runs: int, delay: float = 0) -> None:
        self._server = server
        self._folder = folder
        self._bars = bars
        self._runs = runs
        self._result, self._work = folder / "result.db", folder / "work.duckdb"
        self._filled = folder / "filled.db"
        self._delay = delay
        self._peer = has_peer()
        if not self._peer:
            log.warning("no peer: its packages come with the extra `peers`")

    def machine(self) -> dict[str, str]:
        """The machine and the versions."""
        with psycopg.connect(self._server) as connection:
            postgres = str(connection.execute("SHOW server_version").fetchall()[0][0])
        return {
            "processor": _processor(),
            "cpus": str(os.cpu_count()),
            "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
            "load": f"{os.getloadavg()[0]:.1f} before the bench",
            "platform": platform.platform(),
            "python": platform.python_version(),
            "postgresql": postgres,
            "sqlite of the floor": sqlite3.sqlite_version,
            **{name: version(name) for name in _PACKAGES},
        }

    def scale(self, scale: Scale, filled: bool) -> dict[str, Any]:
        """Whole runs at one scale, each beside its own floor; also on a filled result database, if wanted."""
        log.info("%s: making the market", scale)
        database = new_database(self._server, f"bench_{scale}")
        make_market(database, scale, self._bars)
        if not self._delay:
            return self._measured(database, scale, filled)
        with delayed(database, self._folder, self._delay) as url:
            return self._measured(url, scale, filled)

    def _measured(self, database: str, scale: Scale, filled: bool) -> dict[str, Any]:
        log.info("%s: warming up", scale)
        self._run(database, scale)
        if self._peer:
            run_peer(database, scale, self._folder / "peer.db")
        written = floor.written_rows(self._result)
        filled_rows = fill(self._result, self._filled) if filled else 0
        measured: dict[str, list[Ran]] = {state: [] for state in STATES[: 3 if filled else 1]}
        beside = _Floor(database, scale, written, self._folder / "floor.db")
        for number in range(self._runs):
            log.info("%s: run %d of %d", scale, number + 1, self._runs)
            runs = {"fresh": self._run(database, scale)}
            if filled:
                runs |= self._filled_runs(database, scale, runs["fresh"])
            if self._peer:
                self._beside_peer(database, scale, runs["fresh"])
            beside.measure(runs.values())
            for state, ran in runs.items():
                measured[state].append(ran)
        log.info("%s: indicators, one by one", scale)
        return {
            "symbols": scale.symbols,
            "intervals": list(scale.intervals),
            "bars_per_series": self._bars,
            "floor_rows_read": beside.rows_read,
            "floor_rows_written": beside.rows_written,
            "filled_rows": filled_rows,
            "states": {
                state: {"figures": _spreads([ran.figures for ran in runs]), "stages": _stage_spreads(runs)}
                for state, runs in measured.items()
            },
            "indicators": indicator_seconds(database, scale, self._folder, self._runs),
        }

    def scaling(self, scales: Sequence[Scale] = SCALING) -> dict[str, Any]:
        """Fresh runs while one market grows, and how seconds and memory grow: as symbols^exponent, by least squares."""
        database = new_database(self._server, "bench_scaling")
        points, present = [], 0
        for scale in scales:
            log.info("scaling: %s", scale)
            make_market(database, scale, self._bars, present)
            present = scale.symbols
            self._run(database, scale)
            figures = _spreads([self._run(database, scale).figures for _ in range(self._runs)])
            points.append({"symbols": scale.symbols, "total": figures["total"], "max_rss_mb": figures["max_rss_mb"]})
        return {
            "points": points,
            "exponents": {name: exponent(points, name) for name in ("total", "max_rss_mb")},
        }

    def _run(self, database: str, scale: Scale, onto_result: bool = False) -> Ran:
        """A run without a work file from before, and without a result database unless it shall go onto that."""
        self._work.unlink(missing_ok=True)
        if not onto_result:
            self._result.unlink(missing_ok=True)
        return run_program(database, scale, self._result, self._work)

    def _beside_peer(self, database: str, scale: Scale, fresh: Ran) -> None:
        """Run the peer, and add its figures to those of the run just before."""
        peer = run_peer(database, scale, self._folder / "peer.db")
        for name in ("wall", "cpu", "max_rss_mb"):
            fresh.figures[f"peer {name}"] = peer[name]
            fresh.figures[f"{name} / peer"] = fresh.figures[name] / peer[name]

    def _filled_runs(self, database: str, scale: Scale, fresh: Ran) -> dict[str, Ran]:
        """A run on a copy of the filled database, and the same run again."""
        shutil.copyfile(self._filled, self._result)
        os.sync()
        runs = {state: self._run(database, scale, onto_result=True) for state in STATES[1:]}
        for ran in runs.values():
            ran.figures["t_write / fresh"] = ran.figures["t_write"] / fresh.figures["t_write"]
        return runs


class _Floor:
    """The floor of one scale, measured anew beside every run."""

    def __init__(self, database: str, scale: Scale, written: Mapping[str, floor.Rows], fresh: Path) -> None:
        self._cast = floor.floor_statements(scale, floor.CAST)
        self._uncast = floor.floor_statements(scale, floor.UNCAST)
        self._database, self._written, self._fresh = database, written, fresh
        self.rows_read = self.rows_written = 0

    def measure(self, runs: Iterable[Ran]) -> None:
        """Measure the floor now, and add it to the figures of the runs just done, with their ratios to it."""
        read, self.rows_read = self._read(self._cast)
        uncast, _ = self._read(self._uncast)
        write, self.rows_written = floor.write_floor(self._written, self._fresh)
        for ran in runs:
            ran.figures.update(
                {
                    "floor_read": read,
                    "floor_read_uncast": uncast,
                    "floor_write": write,
                    "floor": read + write,
                    "total / floor": ran.figures["total"] / (read + write),
                    "total / floor uncast": ran.figures["total"] / (uncast + write),
                }
            )

    def _read(self, statements: Sequence[Sql]) -> tuple[float, int]:
        return floor.read_floor(self._database, statements)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and the values themselves, in the order of the runs."""
    rounded = [round(value, 6) for value in values]
    return {
        "median": round(statistics.median(values), 6),
        "min": min(rounded),
        "max": max(rounded),
        "values": rounded,
    }


def _spreads(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    return {name: spread([run[name] for run in runs]) for name in runs[0]}


def _stage_spreads(runs: Sequence[Ran]) -> dict[str, dict[str, dict[str, Any]]]:
    return {interval: _spreads([ran.stages[interval] for ran in runs]) for interval in runs[0].stages}


def exponent(points: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of a figure's medians ~ symbols^exponent, by least squares over the logarithms."""
    symbols = [point["symbols"] for point in points]
    medians = [point[name]["median"] for point in points]
    return round(float(np.polyfit(np.log(symbols), np.log(medians), 1)[0]), 3)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
