"""``run`` and ``demo``: a pass over the market."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..options import Options, settings_of
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
    if not asked.source:
        raise UsageError("no source: give --source URL, set DATABASE_URL, or try `candlemill demo`")
    _perform(settings_of(asked, os.environ), memray, as_json, asked.quiet)


@options.takes("demo")
def demo(asked: Options, as_json: options.AsJson = False, memray: options.Memray = None) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Example: candlemill demo --intervals 1h,1d
    """
    from ..demo.market import COINS, current_minute, load_market
    from ..demo.server import embedded_postgres
    from ..source.schema import init_db

    options.set_up_log(asked)
    settings = settings_of(asked, os.environ)
    log.info("starting the embedded PostgreSQL in %s", asked.data)
    with embedded_postgres(asked.data) as url:
        now = current_minute()
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        log.info("loaded %d rows", load_market(url, now))
        _perform(replace(settings, source=url, as_of=now), memray, as_json, asked.quiet)


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
        say_json(record.as_json())
    return record


def _capture(file: Path | None) -> Capture | None:
    if file is None:
        return None
    from .memory import Capture

    return Capture(file)
