"""``query``: SQL over the work file."""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

from ..base import folders, streams
from ..base.errors import UsageError
from ..options import Options
from . import files, options
from .console import say

TABLE_ROWS = 50


@options.takes("query")
def query(
    asked: Options,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query; @FILE reads it from a file, - from the input.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: options.AsJson = False,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write the rows into this Parquet file.")] = None,
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=1, max=options.MOST_SHOWN, help="Rows of the printed table at most; the other forms have all."
        ),
    ] = TABLE_ROWS,
    allow_files: Annotated[
        bool, typer.Option("--allow-files", help="Let the query read and write other files, as you may yourself.")
    ] = False,
    demo: files.Demo = False,
) -> None:
    """Run SQL over the work file, which it cannot change, and print the rows. Times are in UTC.

    Example: candlemill query 'SELECT symbol, price FROM overview LIMIT 5'
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise UsageError("--csv, --json and --parquet are three forms of one result: give one of them")
    text = _read(sql)
    from ..workfile.query import Answer, answer
    from . import tabular

    with answer(files.work_file(asked, demo), text, allow_files) as found:
        if parquet:
            written = tabular.write_parquet(found, parquet)
            say(f"{written} rows in {parquet}", err=True)
            return
        # Until whoever reads has had enough, as `head` has.
        wanted = Answer(found.schema, takewhile(lambda _: streams.lost() is None, found))
        if as_csv:
            tabular.write_csv(wanted, sys.stdout)
        elif as_json:
            tabular.write_json(wanted, sys.stdout)
        else:
            hidden = tabular.print_table(wanted, sys.stdout, rows)
            if hidden:
                say(f"and {hidden} more rows: see them with --rows N, --csv, --json or --parquet", err=True)


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
