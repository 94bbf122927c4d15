"""What the page for analysts says works: each of its queries, its Python, and the notebook."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import nbformat
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.history import read_history
from candlemill.pipeline.options import Options, settings_of
from candlemill.pipeline.workfile.beside import beside
from candlemill.pipeline.workfile.query import answers
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "analysts.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_query_of_the_page_is_shown_with_its_result() -> None:
    assert len(QUERIES) == PAGE.count("```sql\n") >= 22


def test_the_ten_questions_about_the_history_are_there() -> None:
    _, page = PAGE.split("## The history")
    assert re.findall(r"^(\d+)\\\. (?:.|\n)+?```sql\n", page, re.MULTILINE) == [str(number) for number in range(1, 11)]


@pytest.fixture(scope="session")
def backfilled(golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a backfill leaves it, over the golden market: the indicators that the page names."""
    case, folder = goldens.HERE / "synth_core", tmp_path_factory.mktemp("backfilled")
    names = ",".join(sorted(set(re.findall(r"history\.(\w+)", PAGE))))
    as_of = goldens.description(case)["as_of"]
    asked = Options(source=golden_url(case), symbols="all", as_of=as_of, lookback=60, indicators=names)
    for interval, bars in (("15m", 20), ("1h", 180), ("4h", 20), ("1d", 60)):
        settings = replace(settings_of(asked, {}), intervals=(INTERVALS[interval],))
        rows = read_history(settings, bars)
        for declared in settings.indicators:
            columns = {f"{declared.id}_{column.name}": column.name for column in declared.columns}
            own = rows.select(["symbol", "bucket_ts", *columns])
            file = folder / declared.id / f"interval={interval}" / "0.parquet"
            file.parent.mkdir(parents=True)
            pq.write_table(own.rename_columns(["symbol", "bucket_ts", *columns.values()]), file)
    return folder


@pytest.mark.parametrize(("query", "shown"), QUERIES, ids=lambda text: text.splitlines()[0][:40])
def test_a_query_of_the_page_returns_rows_with_the_columns_shown(
    query: str, shown: str, work_file: Path, backfilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, *rows = shown.splitlines()
    assert rows
    monkeypatch.chdir(tmp_path)
    trades = "'trades.csv'" in query
    if trades:
        Path("trades.csv").write_text("symbol,time,price\nBTCUSDT,2026-01-22T05:12:09Z,50000\n")
    read = beside(query, lambda: work_file.with_name("result.db"), backfilled)
    with answers(work_file, query, trades, read) as all_of_them:
        found = next(all_of_them)
        assert found.schema.names == names.split()
        assert sum(batch.num_rows for batch in found) > 0


def test_the_page_names_every_relation_of_the_work_file_that_is_no_indicator(work_file: Path) -> None:
    with closing(duckdb.connect(str(work_file), read_only=True)) as connection:
        relations = {
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_name NOT IN (SELECT indicator FROM catalog)"
            ).fetchall()
        }
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == relations


def test_the_python_of_the_page_works(work_file: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "data/candlemill.duckdb" in program
    names: dict[str, object] = {}
    exec(program.replace("data/candlemill.duckdb", str(work_file)), names)
    assert isinstance(names["rows"], list)
    assert names["rows"][0]["bucket_ts"].isoformat().endswith("+00:00")


def test_bars_and_metrics_has_every_bar_once_and_the_metrics_of_its_time(work_file: Path) -> None:
    query = """
        SELECT (SELECT count(*) FROM candles), count(*), count(open_interest),
            (SELECT count(open_interest) FROM futures_metrics SEMI JOIN candles USING (symbol, "interval", bucket_ts))
        FROM bars_and_metrics
    """
    with closing(duckdb.connect(str(work_file), read_only=True)) as connection:
        [(bars, rows, with_metrics, metrics)] = connection.execute(query).fetchall()
    assert bars == rows
    assert metrics == with_metrics > 100


def test_the_notebook_runs_from_top_to_bottom_and_is_stored_without_outputs(
    work_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.read(DOCS / "analysts.ipynb", as_version=4)
    programs = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in programs)
    monkeypatch.setenv("CANDLEMILL_DUCKDB", str(work_file))
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    # Every cell shows something, and no table is empty.
    shown = ["".join(str(output) for output in cell.outputs) for cell in programs]
    assert all(shown)
    assert not any("0 rows" in text for text in shown)


def test_every_word_of_the_signals_stands_in_english_beside_it(work_file: Path) -> None:
    with closing(duckdb.connect(str(work_file), read_only=True)) as connection:
        rows = connection.execute("FROM latest_signals").to_arrow_table().to_pylist()
        words = connection.execute("SELECT words FROM catalog").to_arrow_table()["words"].to_pylist()
    named = [name for name in rows[0] if name not in ("symbol", "interval", "bucket_ts", "price")]
    texts = [name for name in named if not name.endswith("_en")]
    assert {f"{name}_en" for name in texts} == set(named) - set(texts)
    seen = 0
    for row in rows:
        for name in texts:
            if row[name] is None:
                assert row[f"{name}_en"] is None
                continue
            seen += 1
            for word, meant in zip(row[name].split(","), row[f"{name}_en"].split(", "), strict=True):
                assert meant in {some[word] for some in map(dict, words) if word in some}
    assert seen > 100
