"""``run`` and ``demo``: a pass over the market."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError
from ..settings import (
    DEFAULT_EXCHANGE,
    DEFAULT_LOCK_TIMEOUT,
    DEFAULT_LOOKBACK,
    Settings,
    parse_as_of,
    parse_indicators,
    parse_intervals,
    parse_retention,
)
from . import options

if TYPE_CHECKING:
    from ..record import Record
    from .memory import Capture

log = logging.getLogger("candlemill")


def run(
    source: options.SourceUrl = None,
    sqlite: options.SqlitePath = options.DEFAULT_SQLITE,
    duckdb: options.DuckdbPath = options.DEFAULT_DUCKDB,
    symbols: options.Symbols = None,
    intervals: options.Intervals = None,
    indicators: options.Indicators = None,
    without: options.Disabled = None,
    mode: options.ModeOption = "all",
    lookback: options.Lookback = DEFAULT_LOOKBACK,
    as_of: options.AsOf = None,
    workers: options.Workers = None,
    exchange: options.Exchange = DEFAULT_EXCHANGE,
    closed_only: options.ClosedOnly = False,
    retention: options.Retention = None,
    lock_timeout: options.LockTimeout = DEFAULT_LOCK_TIMEOUT,
    once: options.Once = True,  # noqa: ARG001 - the only behaviour there is
    as_json: options.AsJson = False,
    memray: options.Memray = None,
    log_level: options.LogLevel = "info",
    log_json: options.LogJson = False,
    quiet: options.Quiet = False,
) -> None:
    """One pass: read, compute, write. The default job.

    Example: candlemill run --symbols BTCUSDT,ETHUSDT --intervals 5m,1h
    """
    options.set_up_log(log_level, log_json, quiet)
    if not source:
        raise UsageError("no source: give --source URL, set DATABASE_URL, or try `candlemill demo`")
    asked, rules = options.symbol_choice(symbols)
    settings = Settings(
        source=source,
        sqlite=sqlite,
        duckdb=duckdb,
        symbols=asked,
        intervals=parse_intervals(intervals),
        indicators=parse_indicators(indicators, without, mode),
        as_of=parse_as_of(as_of),
        lookback=lookback,
        workers=workers or options.cpus(),
        exchange=exchange,
        closed_only=closed_only,
        lock_timeout=lock_timeout,
        retention=parse_retention(retention),
        symbol_rules=rules,
    )
    _perform(settings, memray, as_json, quiet)


def demo(
    sqlite: options.SqlitePath = options.DEFAULT_SQLITE,
    duckdb: options.DuckdbPath = options.DEFAULT_DUCKDB,
    symbols: options.Symbols = None,
    intervals: options.Intervals = None,
    indicators: options.Indicators = None,
    without: options.Disabled = None,
    mode: options.ModeOption = "all",
    lookback: options.Lookback = DEFAULT_LOOKBACK,
    workers: options.Workers = None,
    data: Annotated[Path, typer.Option("--data", help="Folder of the embedded server.")] = Path("data/demo-postgres"),
    as_json: options.AsJson = False,
    memray: options.Memray = None,
    log_level: options.LogLevel = "info",
    log_json: options.LogJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Example: candlemill demo --intervals 1h,1d
    """
    from ..demo.market import COINS, current_minute, load_market
    from ..demo.server import embedded_postgres
    from ..source.schema import init_db

    options.set_up_log(log_level, log_json, quiet)
    asked, rules = options.symbol_choice(symbols)
    log.info("starting the embedded PostgreSQL in %s", data)
    with embedded_postgres(data) as url:
        now = current_minute()
        settings = Settings(
            source=url,
            sqlite=sqlite,
            duckdb=duckdb,
            symbols=asked,
            intervals=parse_intervals(intervals),
            indicators=parse_indicators(indicators, without, mode),
            as_of=now,
            lookback=lookback,
            workers=workers or options.cpus(),
            symbol_rules=rules,
        )
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        log.info("loaded %d rows", load_market(url, now))
        _perform(settings, memray, as_json, quiet)


def _perform(settings: Settings, memray: Path | None, as_json: bool, quiet: bool) -> Record:
    from ..engine import run as run_engine
    from .progress import stage_bar

    stages = [*(interval.name for interval in settings.intervals), "write", "publish"]
    capture = _capture(memray)
    with capture or nullcontext(), stage_bar(stages, quiet) as progress:
        record = run_engine(settings, capture.marking(progress) if capture else progress)
    if capture:
        log.info("memory captured in %s", memray)
        for what, file in capture.report():
            log.info("%s: %s", what, file)
    log.info("%s", record.summary())
    if as_json:
        typer.echo(json.dumps(record.as_json(), ensure_ascii=False))
    return record


def _capture(file: Path | None) -> Capture | None:
    if file is None:
        return None
    from .memory import Capture

    return Capture(file)
