"""``run`` and ``demo``: a pass over the market."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

from ..base.marker import DEMO
from ..options import Options, settings_of
from . import options
from .console import set_up_log

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
    from . import job

    job.run(asked, as_json, memray)


@options.takes("demo")
def demo(asked: Options, as_json: options.AsJson = False, memray: options.Memray = None) -> None:
    """Start an embedded PostgreSQL, load the sample market, then run against it.

    Its prices are invented: it writes into files of its own, and into no others.

    Example: candlemill demo --intervals 1h,1d
    """
    from ..demo.market import COINS, TABLES, current_minute, load_market
    from ..demo.server import demo_server
    from ..engine import check_results
    from ..source.schema import init_db
    from . import job
    from .progress import count_bar

    set_up_log(asked)
    settings = replace(settings_of(asked, os.environ), marker=DEMO)
    # Before the server is started: it takes seconds.
    check_results(settings)
    log.info("starting the embedded PostgreSQL in %s", asked.data)
    with demo_server(asked.data) as url:
        now = current_minute()
        init_db(url)
        log.info("loading the sample market: %d symbols up to %s", len(COINS), now.isoformat())
        with count_bar(len(TABLES), asked.shows_no_bar, "tables") as progress:
            log.info("loaded %d rows", load_market(url, now, progress))
        settings = replace(settings, source=url, as_of=now)
        record = job.perform(settings, memray, as_json, asked.shows_no_bar)
        if asked.strict:
            job.be_strict(settings, record)
