"""The command line. Thin: options become settings, errors become one line and an exit code."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from dotenv import load_dotenv

from .. import __version__
from ..base import ending, logs
from ..base.errors import CandlemillError, Exit, one_line
from ..base.shown import keep_secret, looks_secret
from . import indicators, ingest, parity, plot, query, run, runs, setup, symbols, watch

app = typer.Typer(
    name="candlemill",
    help="Candles into technical indicators: TimescaleDB in, SQLite out, in one pass and one transaction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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
app.command(short_help="Run SQL over the work file.")(query.query)
app.command(short_help="Draw candles and indicators, or a run.")(plot.plot)
app.command(short_help="List the runs so far.")(runs.runs)
app.command("indicators", short_help="List the indicators and their columns.")(indicators.indicators)
app.command(short_help="Show the chosen symbols, and why each.")(symbols.symbols)
app.add_typer(ingest.app, name="ingest")
app.command("init-db", short_help="Create the source schema.")(setup.init_db)
app.command(short_help="Compare two result databases.")(parity.parity)
app.command(short_help="Check all that a run needs, and say how to mend it.")(setup.doctor)


def main(arguments: list[str] | None = None) -> None:
    """What ``pipeline.__main__`` runs. A command line that begins with an option means run."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    own = ("--help", "--version", "--install-completion", "--show-completion")
    if words and words[0].startswith("-") and words[0] not in own:
        words = ["run", *words]
    load_dotenv(Path(".env"))
    for word in words:
        # An error may repeat a word that was given where something else is expected.
        if looks_secret(word):
            keep_secret(word)
    try:
        # Not standalone: usage errors, too, are one line here.
        code = app(words, prog_name="candlemill", standalone_mode=False)
    except CandlemillError as error:
        _end(str(error), error.exit_code, error)
    except Exception as error:
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        _end(f"{describe().rstrip('.')}; see `candlemill --help`", Exit.USAGE)
    sys.exit(code if isinstance(code, int) else Exit.DONE)


def _end(message: str, code: Exit, error: Exception | None = None) -> NoReturn:
    ending.finish()
    debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    logs.say_last(one_line(message))
    if error is not None and debugging:
        sys.stderr.write(f"{logs.traceback_of(error)}\n")
    sys.exit(code)
