"""Options that several commands share, and what they have in common to set up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError

if TYPE_CHECKING:
    from ..settings import SymbolRules

SourceUrl = Annotated[
    str | None, typer.Option("--source", envvar="DATABASE_URL", show_envvar=True, help="PostgreSQL or TimescaleDB URL.")
]
SqlitePath = Annotated[
    Path, typer.Option("--sqlite", envvar="INDICATOR_SQLITE_PATH", help="Result database.", show_default=True)
]
DuckdbPath = Annotated[Path, typer.Option("--duckdb", envvar="CANDLEMILL_DUCKDB", help="Work file for analysts.")]
Symbols = Annotated[
    str | None,
    typer.Option(
        "--symbols",
        envvar="TEST_SYMBOLS",
        help="Symbols, groups, auto, all, or @FILE. Default: SYMBOLS_GROUPS, else auto.",
    ),
]
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
ArchivePaths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, .zip or .csv, or folders of them.")]
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
PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Draw times and memory over the runs: a .png, .svg or .html file.")
]
ThemeOption = Annotated[
    str | None, typer.Option("--theme", help="light or dark. Default: light; in .html what the reader prefers.")
]
LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Log as JSON objects.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Log errors only, and show no progress.")]

DEFAULT_SQLITE = Path("data/market_data.db")
DEFAULT_DUCKDB = Path("data/candlemill.duckdb")


def set_up_log(level: str, as_json: bool, quiet: bool) -> None:
    """Send the log to standard error. Raises UsageError for an unknown level."""
    from ..base import logs

    if level not in logs.LEVELS:
        raise UsageError(f"--log-level {level!r} is not one of {', '.join(logs.LEVELS)}")
    logs.set_up(level, as_json, quiet)


def symbol_choice(asked: str | None) -> tuple[str, SymbolRules]:
    """What ``--symbols`` asks for, with files read, and the rules of the environment. Raises UsageError."""
    from ..settings import asked_symbols, parse_symbol_rules

    rules = parse_symbol_rules(os.environ)
    return asked_symbols(asked, rules), rules


def cpus() -> int:
    """Processors of this machine."""
    return os.cpu_count() or 1
