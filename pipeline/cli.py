"""The command line. Thin: options become settings, errors become one line and an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from dotenv import load_dotenv

from pipeline import __version__
from pipeline.errors import CandlemillError, Exit, UsageError, one_line
from pipeline.settings import (
    DEFAULT_EXCHANGE,
    DEFAULT_LOCK_TIMEOUT,
    DEFAULT_LOOKBACK,
    Settings,
    parse_as_of,
    parse_indicators,
    parse_intervals,
    parse_retention,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipeline.record import Record

log = logging.getLogger("candlemill")

app = typer.Typer(
    name="candlemill",
    help="Candles into technical indicators: TimescaleDB in, SQLite out, in one pass and one transaction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SourceUrl = Annotated[
    str | None, typer.Option("--source", envvar="DATABASE_URL", show_envvar=True, help="PostgreSQL or TimescaleDB URL.")
]
SqlitePath = Annotated[
    Path, typer.Option("--sqlite", envvar="INDICATOR_SQLITE_PATH", help="Result database.", show_default=True)
]
DuckdbPath = Annotated[Path, typer.Option("--duckdb", envvar="CANDLEMILL_DUCKDB", help="Work file for analysts.")]
Symbols = Annotated[str, typer.Option("--symbols", envvar="TEST_SYMBOLS", help="SYMBOL,SYMBOL, or auto, or all.")]
Intervals = Annotated[
    str | None, typer.Option("--intervals", envvar="INTERVALS", help="Such as 5m,1h. Default: 1m to 1w, seven of them.")
]
Indicators = Annotated[
    str | None, typer.Option("--indicators", envvar="INDICATORS_ENABLED", help="Ids or table names. Default: all.")
]
Disabled = Annotated[
    str | None, typer.Option("--without", envvar="INDICATORS_DISABLED", help="Ids or table names to leave out.")
]
ModeOption = Annotated[str, typer.Option("--mode", help="all, batch or incremental.")]
Lookback = Annotated[int, typer.Option("--lookback", min=1, help="Bars per series that the indicators see.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Look from this moment, ISO 8601. Default: now.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", envvar="MAX_WORKERS", min=1, help="Threads of the computation. Default: the CPUs."),
]
Exchange = Annotated[str, typer.Option("--exchange", help="Exchange of the candles.")]
ClosedOnly = Annotated[bool, typer.Option("--closed-only", help="Leave forming bars out.")]
Retention = Annotated[
    str | None,
    typer.Option("--retention", envvar="INDICATOR_RETENTION", help="Rows kept per symbol, such as 1m=120,5m=120."),
]
LockTimeout = Annotated[
    float,
    typer.Option("--lock-timeout", min=0, help="Seconds to retry while another process holds the result database."),
]
Once = Annotated[bool, typer.Option("--once", help="One pass; accepted so that old command lines keep working.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on standard output, nothing else there.")
]
Memray = Annotated[Path | None, typer.Option("--memray", help="Capture allocations and memory into this file.")]
LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Log as JSON objects.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Log errors only, and show no progress.")]

_SQLITE = Path("data/market_data.db")
_DUCKDB = Path("data/candlemill.duckdb")


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


@app.command()
def run(
    source: SourceUrl = None,
    sqlite: SqlitePath = _SQLITE,
    duckdb: DuckdbPath = _DUCKDB,
    symbols: Symbols = "auto",
    intervals: Intervals = None,
    indicators: Indicators = None,
    without: Disabled = None,
    mode: ModeOption = "all",
    lookback: Lookback = DEFAULT_LOOKBACK,
    as_of: AsOf = None,
    workers: Workers = None,
    exchange: Exchange = DEFAULT_EXCHANGE,
    closed_only: ClosedOnly = False,
    retention: Retention = None,
    lock_timeout: LockTimeout = DEFAULT_LOCK_TIMEOUT,
    once: Once = True,  # noqa: ARG001 - the only behaviour there is
    as_json: AsJson = False,
    memray: Memray = None,
    log_level: LogLevel = "info",
    log_json: LogJson = False,
    quiet: Quiet = False,
) -> None:
    """One pass: read, compute, write. The default job.

    Example: candlemill run --symbols BTCUSDT,ETHUSDT --intervals 5m,1h
    """
    _set_up_log(log_level, log_json, quiet)
    if not source:
        raise UsageError("no source: give --source URL, set DATABASE_URL, or try `candlemill demo`")
    settings = Settings(
        source=source,
        sqlite=sqlite,
        duckdb=duckdb,
        symbols=symbols,
        intervals=parse_intervals(intervals),
        indicators=parse_indicators(indicators, without, mode),
        as_of=parse_as_of(as_of),
        lookback=lookback,
        workers=workers or _cpus(),
        exchange=exchange,
        closed_only=closed_only,
        lock_timeout=lock_timeout,
        retention=parse_retention(retention),
    )
    _perform(settings, memray, as_json, quiet)


@app.command()
def demo(
    sqlite: SqlitePath = _SQLITE,
    duckdb: DuckdbPath = _DUCKDB,
    symbols: Symbols = "auto",
    intervals: Intervals = None,
    indicators: Indicators = None,
    without: Disabled = None,
    mode: ModeOption = "all",
    lookback: Lookback = DEFAULT_LOOKBACK,
    workers: Workers = None,
    data: Annotated[Path, typer.Option("--data", help="Folder of the embedded server.")] = Path("data/demo-postgres"),
    as_json: AsJson = False,
    memray: Memray = None,
    log_level: LogLevel = "info",
    log_json: LogJson = False,
    quiet: Quiet = False,
) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Example: candlemill demo --intervals 1h,1d
    """
    from pipeline.embedded import embedded_postgres
    from pipeline.market import COINS, current_minute, load_market
    from pipeline.schema import init_db

    _set_up_log(log_level, log_json, quiet)
    log.info("starting the embedded PostgreSQL in %s", data)
    with embedded_postgres(data) as url:
        now = current_minute()
        settings = Settings(
            source=url,
            sqlite=sqlite,
            duckdb=duckdb,
            symbols=symbols,
            intervals=parse_intervals(intervals),
            indicators=parse_indicators(indicators, without, mode),
            as_of=now,
            lookback=lookback,
            workers=workers or _cpus(),
        )
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        log.info("loaded %d rows", load_market(url, now))
        _perform(settings, memray, as_json, quiet)


@app.command("init-db")
def init_db_command(
    source: SourceUrl = None,
    log_level: LogLevel = "info",
    log_json: LogJson = False,
    quiet: Quiet = False,
) -> None:
    """Create the source schema: hypertables and continuous aggregates on TimescaleDB, else tables and views.

    Example: candlemill init-db --source postgresql://me@localhost/market
    """
    from pipeline.schema import init_db

    _set_up_log(log_level, log_json, quiet)
    if not source:
        raise UsageError("no database: give --source URL or set DATABASE_URL")
    made = init_db(source)
    typer.echo(f"created {', '.join(made)}" if made else "the schema is there already")


@app.command("indicators")
def indicators_command(as_json: AsJson = False) -> None:
    """List the indicators: id, table, family, minimum bars, columns.

    Example: candlemill indicators --json
    """
    from indicators.registry import INDICATORS

    if as_json:
        catalogue = [
            {
                "id": declared.id,
                "table": declared.table,
                "title": declared.title,
                "family": declared.family,
                "mode": declared.mode,
                "min_bars": declared.bars_needed(),
                "formula": declared.formula,
                "columns": [
                    {"label": c.label, "name": c.name, "unit": c.unit, "meaning": c.meaning} for c in declared.columns
                ],
            }
            for declared in INDICATORS.values()
        ]
        typer.echo(json.dumps(catalogue, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "table", "family", "mode", "min bars", "columns", box=None, header_style="bold")
    for declared in INDICATORS.values():
        labels = ", ".join(column.label for column in declared.columns)
        table.add_row(declared.id, declared.table, declared.family, declared.mode, str(declared.bars_needed()), labels)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def doctor(
    source: SourceUrl = None,
    sqlite: SqlitePath = _SQLITE,
    duckdb: DuckdbPath = _DUCKDB,
    as_json: AsJson = False,
) -> None:
    """Check versions, the sqlite extension, the source, the result database, the work file and free disk.

    Exits with 2 where something is not well; each line says how to mend it.
    """
    from pipeline.doctor import examine

    checks = examine(source, sqlite, duckdb)
    if as_json:
        typer.echo(json.dumps([vars(check) for check in checks], ensure_ascii=False, indent=2))
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.seen}")
    if not all(check.ok for check in checks):
        raise typer.Exit(Exit.USAGE)


def _set_up_log(level: str, as_json: bool, quiet: bool) -> None:
    from pipeline import logs

    if level not in logs.LEVELS:
        raise UsageError(f"--log-level {level!r} is not one of {', '.join(logs.LEVELS)}")
    logs.set_up(level, as_json, quiet)


def _cpus() -> int:
    return os.cpu_count() or 1


def _perform(settings: Settings, memray: Path | None, as_json: bool, quiet: bool) -> Record:
    from pipeline.engine import run as run_engine
    from pipeline.progress import stage_bar

    stages = [*(interval.name for interval in settings.intervals), "write", "publish"]
    with _captured(memray), stage_bar(stages, quiet) as progress:
        record = run_engine(settings, progress)
    if memray:
        log.info("memory captured in %s: read it with `python -m memray flamegraph %s`", memray, memray)
    log.info("%s", record.summary())
    if as_json:
        typer.echo(json.dumps(record.as_json(), ensure_ascii=False))
    return record


def _captured(memray: Path | None) -> AbstractContextManager[object]:
    if memray is None:
        return nullcontext()
    from memray import FileDestination, Tracker

    try:
        memray.parent.mkdir(parents=True, exist_ok=True)
        return Tracker(destination=FileDestination(memray, overwrite=True))
    except OSError as error:
        raise UsageError(f"--memray {memray} cannot be written: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``candlemill`` and ``python -m pipeline``. A command line that begins with an option means run."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    own = ("--help", "--version", "--install-completion", "--show-completion")
    if words and words[0].startswith("-") and words[0] not in own:
        words = ["run", *words]
    load_dotenv(Path(".env"))
    # Unwinds the stack, so that nothing is left half done: no lock, no temporary file, no embedded server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.TERMINATED))
    try:
        # Not standalone: usage errors, too, are one line here.
        code = app(words, prog_name="candlemill", standalone_mode=False)
    except CandlemillError as error:
        _end(str(error), error.exit_code, error)
    except SystemExit as error:
        if error.code != Exit.TERMINATED:
            raise
        _end("terminated, nothing was written", Exit.TERMINATED)
    except Exception as error:
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        _end(f"{describe().rstrip('.')}; see `candlemill --help`", Exit.USAGE)
    if code == Exit.INTERRUPTED:
        # typer turns an interrupt into this code, without a word.
        _end("interrupted, nothing was written", Exit.INTERRUPTED)
    sys.exit(code if isinstance(code, int) else Exit.DONE)


def _end(message: str, code: Exit, error: Exception | None = None) -> NoReturn:
    sys.stderr.write(f"candlemill: {one_line(message)}\n")
    if error is not None and logging.getLogger().isEnabledFor(logging.DEBUG):
        sys.stderr.write("".join(traceback.format_exception(error)))
    sys.exit(code)
