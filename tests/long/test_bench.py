"""The bench measures what it says: the floor's rows, the filled state, the account of a child. Never how fast."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from bench import document, history
from bench.floor import CAST, UNCAST, floor_statements
from bench.market import Scale
from bench.measure import STATES, Bench, exponent
from bench.report import shown
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.settings import DEFAULT_LOOKBACK, RETENTION
from tests.conftest import rows_of

if TYPE_CHECKING:
    from tests.conftest import Server

ROOT = Path(__file__).parents[2]
SCALE = Scale.parse("2x3")
BARS = 450


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def result(server: Server, place: Path) -> dict[str, Any]:
    """One small scale in all states, as it comes back from a file."""
    bench = Bench(server.url, place, BARS, runs=1)
    measured = {"machine": bench.machine(), "runs": 1, "scales": {"2x3": bench.scale(SCALE, filled=True)}}
    reread: dict[str, Any] = json.loads(json.dumps(measured))
    return reread


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_result_says_what_was_measured_on_what(result: dict[str, Any]) -> None:
    assert {"processor", "cpus", "load", "python", "postgresql", "duckdb", "numpy", "connectorx"} <= set(
        result["machine"]
    )
    scale = result["scales"]["2x3"]
    assert (scale["symbols"], scale["intervals"], scale["bars_per_series"]) == (2, list(SCALE.intervals), BARS)
    assert set(scale["indicators"]) == set(INDICATORS)
    assert min(scale["indicators"].values()) > 0
    assert tuple(scale["states"]) == STATES
    for state in scale["states"].values():
        assert tuple(state["stages"]) == SCALE.intervals
        figures = {name: spread["median"] for name, spread in state["figures"].items()}
        assert figures["wall"] > figures["total"] > figures["t_write"] > 0
        assert figures["cpu"] == pytest.approx(figures["cpu_user"] + figures["cpu_system"], abs=1e-5)
        # The record is closed a little before the process ends.
        assert figures["max_rss_mb"] > figures["peak_rss_mb"] - 1 > 50
        assert figures["total / floor"] == pytest.approx(figures["total"] / figures["floor"], rel=1e-3)
        assert figures["sqlite_commits"] == 1


@pytest.mark.parametrize("cast", [CAST, UNCAST])
def test_the_floor_reads_the_rows_that_a_run_keeps(
    result: dict[str, Any], server: Server, place: Path, cast: Any
) -> None:
    database = server.url.replace("/postgres?", "/bench_2x3?")
    read: list[tuple[str, datetime]] = []
    with psycopg.connect(database, options="-c timezone=UTC") as connection:
        for statement in floor_statements(SCALE, cast):
            for symbol, moment, *values in connection.execute(statement.encode()):
                read.append((symbol, moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
                assert all(value is not None for value in values)
    with duckdb.connect(str(place / "work.duckdb"), read_only=True) as work:
        work.execute("SET TimeZone = 'UTC'")
        kept = work.execute("""
            SELECT symbol, strftime(bucket_ts, '%Y-%m-%dT%H:%M:%S+00:00') FROM candles
            UNION ALL SELECT symbol, strftime(bucket_ts, '%Y-%m-%dT%H:%M:%S+00:00') FROM futures_metrics
        """).fetchall()
    assert sorted((symbol, moment.isoformat()) for symbol, moment in read) == sorted(kept)
    assert result["scales"]["2x3"]["floor_rows_read"] == len(kept) > 2 * 3 * DEFAULT_LOOKBACK


def test_the_floor_writes_the_rows_that_a_run_writes(result: dict[str, Any], place: Path) -> None:
    scale = result["scales"]["2x3"]
    written = {state["figures"]["sqlite_rows_written"]["median"] for state in scale["states"].values()}
    assert written == {scale["floor_rows_written"]}
    counts = [
        rows_of(place / "floor.db", f'SELECT count(*) AS n FROM "{i.table}"')[0]["n"] for i in INDICATORS.values()
    ]
    assert sum(counts) == scale["floor_rows_written"]


def test_a_filled_database_is_at_its_retention_and_a_bar_behind(result: dict[str, Any], place: Path) -> None:
    states = {name: state["figures"] for name, state in result["scales"]["2x3"]["states"].items()}
    pruned = {name: figures["sqlite_rows_pruned"]["median"] for name, figures in states.items()}
    assert pruned == {"fresh": 0, "new bar": states["fresh"]["sqlite_rows_written"]["median"], "same bar": 0}
    total = 0
    for declared in INDICATORS.values():
        query = f"""
            SELECT 交易对 AS symbol, 周期 AS interval, count(*) AS n, max(数据时间) AS newest, min(数据时间) AS oldest
            FROM "{declared.table}" GROUP BY 1, 2 ORDER BY 1, 2
        """
        behind, after = rows_of(place / "filled.db", query), rows_of(place / "result.db", query)
        assert len(behind) == len(after) > 0
        for old, new in zip(behind, after, strict=True):
            assert old["n"] == new["n"] == RETENTION[old["interval"]]
            bar = INTERVALS[old["interval"]].length
            assert moment(new["newest"]) - moment(old["newest"]) == bar == moment(new["oldest"]) - moment(old["oldest"])
            assert moment(old["newest"]) - moment(old["oldest"]) == bar * (old["n"] - 1)
            total += old["n"]
    assert result["scales"]["2x3"]["filled_rows"] == total


def moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    assert parsed.utcoffset() == timedelta(0)
    return parsed


def test_growth_is_measured_on_one_market_that_grows(server: Server, tmp_path: Path) -> None:
    scaling = Bench(server.url, tmp_path, BARS, runs=1).scaling([Scale.parse("1x1"), Scale.parse("2x1")])
    assert [point["symbols"] for point in scaling["points"]] == [1, 2]
    assert set(scaling["exponents"]) == {"total", "max_rss_mb"}
    with psycopg.connect(server.url.replace("/postgres?", "/bench_scaling?")) as connection:
        query = b"SELECT symbol, count(*) FROM market_data.candles_5m GROUP BY 1 ORDER BY 1"
        assert connection.execute(query).fetchall() == [("S0001USDT", BARS), ("S0002USDT", BARS)]


def test_the_exponent_of_a_power_is_found() -> None:
    points = [{"symbols": n, "total": {"median": 0.3 * n**0.8}} for n in (25, 100, 600)]
    assert exponent(points, "total") == 0.8


def test_comparison_gives_ratios_and_says_whether_spreads_overlap(result: dict[str, Any], tmp_path: Path) -> None:
    before, after = copy.deepcopy(result), copy.deepcopy(result)
    old, new = (which["scales"]["2x3"]["states"]["fresh"]["figures"] for which in (before, after))
    old["wall"], new["wall"] = ({"median": m, "min": m - 0.5, "max": m + 0.5} for m in (4.0, 2.0))
    old["cpu"], new["cpu"] = ({"median": m, "min": m - 0.5, "max": m + 0.5} for m in (4.0, 5.0))
    for name, which in (("before.json", before), ("after.json", after)):
        (tmp_path / name).write_text(json.dumps(which))
    done = bench("--compare", tmp_path / "before.json", tmp_path / "after.json")
    assert done.returncode == 0, done.stderr
    lines = {tuple(cells[1:4]): cells[4:8] for cells in map(split, done.stdout.splitlines()) if len(cells) > 8}
    assert lines["2x3", "fresh", "wall"] == ["4 (3.50 to 4.50)", "2 (1.50 to 2.50)", "0.50", "apart"]
    assert lines["2x3", "fresh", "cpu"] == ["4 (3.50 to 4.50)", "5 (4.50 to 5.50)", "1.25", "overlap"]
    assert lines["2x3", "same bar", "total"][2:] == ["1.00", "overlap"]


def split(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")]


def test_a_report_replaces_what_stands_between_the_marks(result: dict[str, Any], tmp_path: Path) -> None:
    point = {"min": 1.0, "median": 2.0, "max": 3.0}
    points = [{"symbols": symbols, "total": point, "max_rss_mb": point} for symbols in (25, 50)]
    scaling = {"points": points, "exponents": {"total": 0.9, "max_rss_mb": 0.4}}
    (tmp_path / "result.json").write_text(json.dumps(result | {"scaling": scaling}))
    target = tmp_path / "performance.md"
    target.write_text(f"# Before\n\n{document.BEGIN}\nold\n{document.END}\n\nAfter\n")
    texts = []
    for _ in range(2):
        done = bench("--report", target, tmp_path / "result.json")
        assert done.returncode == 0, done.stderr
        texts.append(target.read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith(f"# Before\n\n{document.BEGIN}\n")
    assert texts[0].endswith(f"{document.END}\n\nAfter\n")
    assert "old\n" not in texts[0]
    total = result["scales"]["2x3"]["states"]["fresh"]["figures"]["total"]
    assert f"| `total`, s | {shown(total)} |\n" in texts[0]
    assert "symbols^0.9" in texts[0]
    assert (tmp_path / document.PICTURE).read_text().startswith("<?xml")


def test_a_report_into_a_document_without_marks_fails_and_leaves_it(tmp_path: Path) -> None:
    target, empty = tmp_path / "performance.md", tmp_path / "result.json"
    target.write_text("# Nothing to replace\n")
    empty.write_text("{}")
    done = bench("--report", target, empty)
    assert done.returncode != 0
    assert done.stderr.startswith("bench: ")
    assert target.read_text() == "# Nothing to replace\n"


@pytest.mark.parametrize("scale", ["30", "0x7", "30x8", "axb"])
def test_a_scale_that_is_none_is_refused(scale: str) -> None:
    done = bench(scale)
    assert done.returncode == 2
    assert f"'{scale}' is not SYMBOLSxINTERVALS" in done.stderr


def test_scales_name_the_usual_intervals() -> None:
    assert Scale.parse("4x2") == Scale(4, ("5m", "1h"))
    assert Scale.parse("600x7") == Scale(600, DEFAULT_INTERVALS)
    assert str(Scale.parse("30x5")) == "30x5"


def test_a_child_is_accounted_for_without_the_memory_of_the_bench(tmp_path: Path) -> None:
    """A process of 300 MB starts the launcher, that a program that needs little and fails."""
    launch, usage = ROOT / "bench" / "launch.py", tmp_path / "usage.json"
    words = [sys.executable, "-I", str(launch), str(usage), sys.executable, "-I", "-c", "raise SystemExit(7)"]
    code = f"import subprocess; held = bytearray(300_000_000); raise SystemExit(subprocess.run({words!r}).returncode)"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 7
    used = json.loads(usage.read_text())
    assert set(used) == {"wall", "cpu_user", "cpu_system", "max_rss_mb"}
    assert 3 < used["max_rss_mb"] < 100
    assert used["wall"] > 0


@pytest.mark.usefixtures("lanes")
def test_the_cost_of_history_is_that_of_both_ways_over_the_same_windows() -> None:
    found = history.measure(windows=300, as_series=20, bars=300, rounds=1)
    assert found.keys() == {"candles", "metrics", "task"}
    for cost in (found["candles"], found["metrics"]):
        assert cost["times"] == pytest.approx(cost["series"] / cost["lanes"])
        assert cost["lanes"] > 0
    assert found["task"]["bytes"] > 500
    assert "A year of 50 symbols x 7 intervals is 33.9 million bars" in history.table_of(found, 1)
