"""``run`` and ``demo``: a pass over the market."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import replace
from typing import Annotated

import typer

from ..base import ending
from ..base.errors import UsageError
from ..base.marker import DEMO
from ..options import Options, settings_of
from . import options
from .console import say, set_up_log

log = logging.getLogger("candlemill")

#: What can be tried while the demo's server is up, in another terminal.
_TO_TRY = """The demo's server is up until Ctrl-C. In another terminal, in the same folder:
  export DATABASE_URL='{url}'
  candlemill run --symbols BTCUSDT,ETHUSDT --intervals 5m,1h
  candlemill symbols
  candlemill history BTCUSDT --indicators kdj,macd --bars 20
  candlemill query --demo 'FROM latest_signals LIMIT 5'
  candlemill plot BTCUSDT --demo --output btc.png
  candlemill doctor
  candlemill watch --for 60"""


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
    from . import job

    job.run(asked, as_json, memray)


@options.takes("demo")
def demo(
    asked: Options,
    as_json: options.AsJson = False,
    memray: options.Memray = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the server up until Ctrl-C, and say what to try on it.")
    ] = False,
) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Its prices are invented: it writes into files of its own, and into no others.

    Example: candlemill demo --intervals 1h,1d
    """
    if serve and as_json:
        raise UsageError("--serve prints what can be tried, and --json nothing but the record: give one of them")
    from ..demo.market import COINS, TABLES, current_minute, load_market
    from ..demo.server import demo_server
    from ..engine import check_results
    from ..source.schema import init_db
    from . import job
    from .progress import count_bar

    set_up_log(asked)
    settings = settings_of(asked, os.environ)
    settings = replace(settings, marker=replace(DEMO, profile=settings.profile))
    # Before the server is started: it takes seconds.
    check_results(settings)
    log.info("starting the embedded PostgreSQL in %s", asked.data)
    with demo_server(asked.data) as url:
        now = current_minute()
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        with count_bar(len(TABLES), asked.shows_no_bar, "tables") as progress:
            log.info("loaded %d rows", load_market(url, now, progress))
        settings = replace(settings, source=url, as_of=settings.as_of if asked.as_of else now)
        job.perform_all(asked, settings, memray, as_json)
        if serve:
            _serve(url)


def _serve(url: str) -> None:
    """Keep the demo's server up, and say what can be tried on it, until somebody ends it."""
    ending.leaves("the demo's server has stopped; its files stay")
    for line in _TO_TRY.format(url=url).splitlines():
        say(line)
    threading.Event().wait()
