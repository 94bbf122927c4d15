"""``query``: SQL over the work file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..base import folders
from ..base.errors import UsageError
from ..options import Options
from . import files, options
from .console import say


@options.takes("query")
def query(
    asked: Options,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query; @FILE reads it from a file, - from the input.")],
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    parquet: options.Parquet = None,
    rows: options.Rows = options.TABLE_ROWS,
    allow_files: Annotated[
        bool, typer.Option("--allow-files", help="Let the query read and write other files, as you may yourself.")
    ] = False,
    history: Annotated[
        Path | None, typer.Option("--history", help="Read the history from this folder of a backfill.")
    ] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option(
            "--attach",
            help="Let the query read the tables of this SQLite or DuckDB file, as NAME.TABLE; also repeated.",
        ),
    ] = None,
    demo: files.Demo = False,
) -> None:
    """Run SQL over the work file, which it cannot change, and print the rows. Times are in UTC.

    Of several queries, with semicolons between them, each has its table.

    The schema results has the tables of the result database, history a view of each indicator over them, in English.

    Example: candlemill query 'SELECT symbol, price FROM overview LIMIT 5'
    """
    from . import tabular

    form = tabular.Form(as_csv, as_json, parquet, rows)
    text = _read(sql)
    from ..workfile.beside import attached, beside
    from ..workfile.query import answers

    read = beside(text, lambda: files.result_database(asked, demo), history) + attached(text, attach or [])
    with answers(files.work_file(asked, demo), text, allow_files, read, one=not form.is_table) as found:
        for number, answer in enumerate(found):
            if number:
                say("")
            tabular.put_out(answer, form)


def _read(sql: str) -> str:
    """The text of the query itself, of a file, or of standard input."""
    if sql != "-" and not sql.startswith("@"):
        return sql
    try:
        return (
            sys.stdin.buffer.read().decode() if sql == "-" else folders.given(Path(sql[1:])).read_text(encoding="utf-8")
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"the query {sql} cannot be read: {reason}") from error
