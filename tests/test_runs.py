"""The history of runs: what the command lists, what it draws, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from candlemill.pipeline.record import Record, Stage
from tests import goldens
from tests.conftest import CANDLEMILL, Ran
from tests.pictures import size_of_png, svgs_of_page, texts_of_svg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED = ("--symbols", "AAAUSDT,NOUSDT", "--intervals", "5m,1w", "--as-of", "2026-01-22T09:07:00+00:00")
WORDS = ("run", *ASKED, "--indicators", "base_data,macd", "--sqlite", "result.db", "--duckdb", "work.duckdb", "--json")


@pytest.fixture(scope="module")
def past(
    golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]]]:
    """A work file with two runs, and what each of them printed."""
    folder = tmp_path_factory.mktemp("past")
    url = golden_url(goldens.HERE / "synth_lengths")
    printed = []
    for _ in range(2):
        command = [str(CANDLEMILL), *WORDS, "--source", url]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        printed.append(Ran(0, done.stdout, done.stderr).record)
    return folder / "work.duckdb", printed


def test_the_records_are_those_that_the_runs_printed(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran]
) -> None:
    file, printed = past
    ran = candlemill("runs", "--duckdb", file, "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == printed
    assert [record["skipped"] for record in printed] == [{"symbol without candles": 1}] * 2
    assert json.loads(candlemill("runs", "--duckdb", file, "--json", "--last", 1).out) == printed[1:]


def test_what_older_versions_did_not_record_is_null(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    file, printed = past
    older = tmp_path / "older.duckdb"
    copyfile(file, older)
    with closing(duckdb.connect(str(older))) as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN t_start")
    ran = candlemill("runs", "--duckdb", older, "--json")
    assert json.loads(ran.out) == [{**record, "t_start": None} for record in printed]


def test_the_time_of_writing_is_shared_out_by_rows() -> None:
    record = Record(datetime(2026, 1, 22, tzinfo=UTC), "", ["5m", "1h", "1d"], 1)
    record.stages = [Stage("5m", rows=6), Stage("1h", rows=2), Stage("1d", rows=0)]
    record.rows, record.t_write = 8, 4.0
    record.close()
    assert [stage.t_write for stage in record.stages] == [3.0, 1.0, 0.0]
    # Without any rows there is nothing to share out.
    record.rows = 0
    record.close()
    assert [stage.t_write for stage in record.stages] == [0.0, 0.0, 0.0]


def test_the_table_has_a_line_for_each_run_the_newest_last(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran]
) -> None:
    file, printed = past
    heading, *lines = candlemill("runs", "--duckdb", file).out.splitlines()
    assert len(lines) == 2
    for line, record in zip(lines, printed, strict=True):
        shown = dict(zip(heading.split(), line.split(), strict=True))
        assert shown["run"] == record["run_id"][:8]
        assert shown["started"] == record["started_at"][:19]
        assert shown["intervals"] == "5m,1w"
        assert float(shown["t_compute"]) == pytest.approx(record["t_compute"], abs=0.005)
        assert (shown["peak_rss_mb"], shown["rows"]) == (str(record["peak_rss_mb"]), str(record["rows"]))
        assert (shown["skipped"], shown["errors"]) == ("1", "0")


def test_the_trend_is_drawn_in_every_format(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    file, printed = past
    for name in ("trend.png", "new/trend.svg", "trend.html"):
        ran = candlemill("runs", "--duckdb", file, "--json", "--plot", name)
        assert (ran.code, ran.err) == (0, f"drawn in {name}\n")
        assert json.loads(ran.out) == printed
    assert size_of_png(tmp_path / "trend.png") == (1440, 792)
    alone = (tmp_path / "new" / "trend.svg").read_bytes()
    light, dark = sorted(svgs_of_page(tmp_path / "trend.html"), key=lambda svg: svg != alone)
    assert light == alone != dark
    assert candlemill("runs", "--duckdb", file, "--plot", "trend.html", "--theme", "dark").code == 0
    assert svgs_of_page(tmp_path / "trend.html") == [dark]
    starts = {record["started_at"][5:10] + record["started_at"][11:16] for record in printed}
    for svg in (light, dark):
        texts = texts_of_svg(svg)
        assert {"total", "t_read", "t_compute", "t_write", "Peak resident memory, MiB"} <= set(texts)
        together = "".join(texts)
        assert all(start in together for start in starts)


def test_one_run_makes_a_trend(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = candlemill("runs", "--duckdb", past[0], "--last", 1, "--plot", "one.png")
    assert (ran.code, ran.err) == (0, "drawn in one.png\n")
    assert size_of_png(tmp_path / "one.png") == (1440, 792)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--plot", "trend.gif"), 2, "trend.gif ends in none of .png, .svg, .html"),
        (("--plot", "trend.png", "--theme", "sepia"), 2, "--theme 'sepia' is not one of light, dark"),
        (("--plot", "occupied/trend.png"), 4, "occupied/trend.png cannot be written"),
        (("--last", "0"), 2, "Invalid value for '--last': "),
    ],
)
def test_what_cannot_be_drawn_is_said(
    past: tuple[Path, list[dict[str, Any]]],
    candlemill: Callable[..., Ran],
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    (tmp_path / "occupied").write_text("")
    ran = candlemill("runs", "--duckdb", past[0], *words)
    assert (ran.code, ran.out) == (code, "")
    assert complaint in ran.last
    assert len(ran.err.splitlines()) == 1


def test_without_matplotlib_drawing_says_what_to_install_and_the_list_works(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    missing = 'raise ModuleNotFoundError("No module named \'matplotlib\'", name="matplotlib")'
    (tmp_path / "matplotlib.py").write_text(missing)
    env = {"PYTHONPATH": str(tmp_path)}
    ran = candlemill("runs", "--duckdb", past[0], "--plot", "trend.png", env=env)
    assert (ran.code, ran.out) == (2, "")
    assert ran.last == ("candlemill: drawing needs matplotlib, the extra candlemill[plot]: pip install matplotlib")
    assert candlemill("runs", "--duckdb", past[0], env=env).code == 0


def test_no_file_is_said(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("runs")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "candlemill: there is no work file data/candlemill.duckdb: run `candlemill run` first, "
        "or give another with --duckdb\n"
    )


def test_a_file_of_another_kind_is_said(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 1000)
    with duckdb.connect(str(tmp_path / "foreign.duckdb")) as connection:
        connection.execute("CREATE TABLE runs (run_id VARCHAR)")
    for name in ("notes.txt", "foreign.duckdb"):
        ran = candlemill("runs", "--duckdb", name)
        assert (ran.code, ran.out) == (2, "")
        assert ran.last.startswith(f"candlemill: {name} is not a work file of candlemill: ")


def test_a_file_that_another_program_writes_is_said(
    past: tuple[Path, list[dict[str, Any]]], candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    file = tmp_path / "held.duckdb"
    file.write_bytes(past[0].read_bytes())
    holder = f"import duckdb; connection = duckdb.connect({str(file)!r}); print('held', flush=True); input()"
    words = [sys.executable, "-c", holder]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        ran = candlemill("runs", "--duckdb", file)
        child.communicate("\n")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"candlemill: {file} is open for writing in another program: close it there\n"
