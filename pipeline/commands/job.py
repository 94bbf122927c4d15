"""The work of a run, apart from its command line: what ``run`` and ``demo`` do with their options.

Nothing here needs typer, so that a plain ``run`` starts without it.
"""

from __future__ import annotations

import logging
import os
import shlex
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..base.errors import FailingError, NoCandlesError, UsageError
from ..base.shortage import expect_room
from ..base.threads import in_thread
from ..options import OPTIONS, Options, settings_of
from .console import say_json, set_up_log

if TYPE_CHECKING:
    from pathlib import Path

    from ..record import Record
    from ..settings import Settings
    from .memory import Capture

log = logging.getLogger("candlemill")


def run(asked: Options, as_json: bool = False, memray: Path | None = None) -> None:
    """One pass, as asked for."""
    set_up_log(asked)
    if asked.full_async or asked.event:
        option = "--event" if asked.event else "--full-async"
        raise UsageError(f"{option} stayed up, which a run does not: run `{_watching(asked)}`")
    if not asked.source:
        raise UsageError("no source: give --source URL, set DATABASE_URL, or try `candlemill demo`")
    perform_all(asked, settings_of(asked, os.environ), memray, as_json)


def perform_all(asked: Options, settings: Settings, memray: Path | None, as_json: bool) -> None:
    """A run, and what was asked for beside it. Raises as ``be_strict`` does where that was asked for."""
    if asked.metrics_file:
        from ..live.metrics import check_metrics_file

        check_metrics_file(asked.metrics_file)
    record = perform(settings, memray, as_json, asked.shows_no_bar)
    if asked.metrics_file:
        _write_metrics(asked.metrics_file, settings, record)
    if asked.strict:
        be_strict(settings, record)


def be_strict(settings: Settings, record: Record) -> None:
    """Raise NoCandlesError where a symbol has no candles, FailingError where an indicator fails for all its series."""
    if record.unseen:
        raise NoCandlesError(f"the results are written, but there are no candles for {', '.join(record.unseen)}")
    read = [name for name, basis in record.bases.items() if basis.newest is not None]
    failing = []
    for declared in settings.indicators:
        errors = [error for error in record.errors if error["table"] == declared.table and not error["symbol"]]
        failed = {name for error in errors for name in error["interval"].split(",")}
        if failed and failed.issuperset(name for name in read if declared.covers(name)):
            failing.append(declared.id)
    if failing:
        raise FailingError(f"the results are written, but these indicators fail on all symbols: {', '.join(failing)}")


def _watching(asked: Options) -> str:
    """The command line of a watch over what a run was asked for. The source stays out of it: it may have a password."""
    words = ["candlemill", "watch"]
    for setting in OPTIONS:
        value = getattr(asked, setting.name)
        if "watch" in setting.commands and value != setting.default and setting.name != "source":
            words += [setting.option, *([] if value is True else [str(value)])]
    source = [] if os.environ.get("DATABASE_URL") else ["--source", "URL"]
    return shlex.join([*words, *source, *(["--listen"] if asked.event else [])])


def perform(settings: Settings, memray: Path | None, as_json: bool, quiet: bool) -> Record:
    """A run, with its progress on a terminal, its last lines, and a capture of its memory where one is asked for."""
    expect_room()
    from ..reading import begin

    capture = _capture(memray)
    # A capture shall have all of the reading.
    begun = None if capture else begin(settings)
    # Imported while the source works.
    from ..results.extension import opened

    # Opened while Python imports the rest, which needs another processor.
    opening = in_thread(opened, "sink")
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
    with capture or nullcontext(), stage_bar(stages, quiet) as progress:
        marked = capture.marking(progress) if capture else progress
        record = run_engine(settings, marked, begun or begin(settings), opening)
    if capture:
        log.info("memory captured in %s", memray)
        for what, file in capture.report():
            log.info("%s: %s", what, file)
    option = " --demo" if settings.marker.demo else ""
    log.info("results in %s", settings.sqlite)
    log.info("for analysts in %s: candlemill query%s 'FROM latest_signals'", settings.duckdb, option)
    log.info("%s", record.summary(), extra={"run": record})
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
    try:
        from .memory import Capture
    except ImportError as error:
        raise UsageError("--memray needs memray, the extra candlemill[memray]: pip install memray") from error

    return Capture(file)
