"""What the page for analysts says works: each of its queries, its Python, and the notebook."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import duckdb
import nbformat
import pytest
from nbclient import NotebookClient

from candlemill.pipeline.workfile.query import answer

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "analysts.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_query_of_the_page_is_shown_with_its_result() -> None:
    assert len(QUERIES) == PAGE.count("```sql\n") >= 12


@pytest.mark.parametrize(("query", "shown"), QUERIES, ids=lambda text: text.splitlines()[0][:40])
def test_a_query_of_the_page_returns_rows_with_the_columns_shown(query: str, shown: str, work_file: Path) -> None:
    names, *rows = shown.splitlines()
    assert rows
    with answer(work_file, query) as found:
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
