"""The commands as typer has them, and the list of them that ``--help`` shows."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from . import (
    backfill,
    changes,
    explain,
    history,
    indicators,
    ingest,
    parity,
    plot,
    query,
    report,
    run,
    runs,
    setup,
    stability,
    symbols,
    watch,
)

app = typer.Typer(
    name="candlemill",
    help="Candles into technical indicators: TimescaleDB in, SQLite out, in one pass and one transaction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        import duckdb

        typer.echo(f"candlemill {__version__} (duckdb {duckdb.__version__}, python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the versions and stop.")
    ] = False,
) -> None: ...


# Short enough that the list of commands shows each whole.
app.command()(run.run)
app.command(short_help="A run over a sample market on an embedded server.")(run.demo)
app.command(short_help="Stay up, and recompute what has changed.")(watch.watch)
app.command(short_help="Print indicators at the newest bars.")(history.history)
app.command(short_help="Show the words that changed at the newest bars.")(changes.changes)
app.command(short_help="Show how a value came about.")(explain.explain)
app.command(short_help="Show how firm the newest values are.")(stability.stability)
app.command(cls=backfill.Command, short_help="Write the history of a range of time.")(backfill.backfill)
app.command(short_help="Run SQL over the work file.")(query.query)
app.command(short_help="Draw candles and indicators, or a run.")(plot.plot)
app.command(short_help="Make a page of the newest signals, with charts.")(report.report)
app.command(short_help="List the runs so far.")(runs.runs)
app.command("indicators", short_help="List the indicators and their columns.")(indicators.indicators)
app.command(short_help="Show the chosen symbols, and why each.")(symbols.symbols)
app.add_typer(ingest.app, name="ingest")
app.command("init-db", short_help="Create the source schema.")(setup.init_db)
app.command(short_help="Compare two result databases.")(parity.parity)
app.command(short_help="Check all that a run needs, and say how to mend it.")(setup.doctor)
