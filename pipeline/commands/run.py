"""``run`` and ``demo``: a pass over the market."""

from __future__ import annotations

import logging
import os
import shlex
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.marker import DEMO
from ..options import OPTIONS, Options, settings_of
from . import options
from .console import say_json

if TYPE_CHECKING:
    from ..record import Record
    from ..settings import Settings
    from .memory import Capture

log = logging.getLogger("candlemill")


@options.takes("run")
def run(
    asked: Options,
    once: options.Once = True,  # noqa: ARG001 - the only behaviour there is
    as_json: options.AsJson = False,
    memray: options.Memray = None,
) -> None:
    """One pass: read, compute, write. The default job.

    Example: candlemill run --symbols BTCUSDT,ETHUSDT --intervals 5m,1h
    """
    options.set_up_log(asked)
    if asked.full_async or asked.event:
        option = "--event" if asked.event else "--full-async"
        raise UsageError(f"{option} stayed up, which a run does not: run `{_watching(asked)}`")
    if not asked.source:
        raise UsageError("no source: give --source URL, set DATABASE_URL, or try `candlemill demo`")
    settings = settings_of(asked, os.environ)
    if asked.metrics_file:
        from ..live.metrics import check_metrics_file

        check_metrics_file(asked.metrics_file)
    record = _perform(settings, memray, as_json, asked.quiet)
    if asked.metrics_file:
        _write_metrics(asked.metrics_file, settings, record)


@options.takes("demo")
def demo(asked: Options, as_json: options.AsJson = False, memray: options.Memray = None) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Its prices are invented: it writes into files of its own, and into no others.

    Example: candlemill demo --intervals 1h,1d
    """
    from ..demo.market import COINS, current_minute, load_market
    from ..demo.server import demo_server
    from ..engine import check_results
    from ..source.schema import init_db

    options.set_up_log(asked)
    settings = replace(settings_of(asked, os.environ), marker=DEMO)
    # Before the server is started: it takes seconds.
    check_results(settings)
    log.info("starting the embedded PostgreSQL in %s", asked.data)
    with demo_server(asked.data) as url:
        now = current_minute()
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        log.info("loaded %d rows", load_market(url, now))
        _perform(replace(settings, source=url, as_of=now), memray, as_json, asked.quiet)


def _watching(asked: Options) -> str:
    """The command line of a watch over what a run was asked for. The source stays out of it: it may have a password."""
    words = ["candlemill", "watch"]
    for setting in OPTIONS:
        value = getattr(asked, setting.name)
        if "watch" in setting.commands and value != setting.default and setting.name != "source":
            words += [setting.option, *([] if value is True else [str(value)])]
    source = [] if os.environ.get("DATABASE_URL") else ["--source", "URL"]
    return shlex.join([*words, *source, *(["--listen"] if asked.event else [])])


def _perform(settings: Settings, memray: Path | None, as_json: bool, quiet: bool) -> Record:
    from ..engine import run as run_engine
    from ..live.health import watch_of
    from .progress import stage_bar

    keeper = watch_of(settings.duckdb, datetime.now(UTC))
    if keeper is not None:
        log.warning(
            "a watch, process %d, keeps the work file %s: each replaces what the other leaves; "
            "give this run a file of its own with --duckdb",
            *(keeper, settings.duckdb),
        )
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
        say_json(record.as_json())
    return record


def _write_metrics(file: Path, settings: Settings, record: Record) -> None:
    """Tell Prometheus of a run. Where that fails, its results are written all the same."""
    from ..live.health import Health
    from ..live.metrics import write_metrics

    health, now = Health.begun(settings, record.started_at), datetime.now(UTC)
    health.passed(record, now)
    try:
        write_metrics(file, health, now)
    except OSError as error:
        log.error("the results are written, but the metrics file %s is not: %s", file, error.strerror)


def _capture(file: Path | None) -> Capture | None:
    if file is None:
        return None
    from .memory import Capture

    return Capture(file)
