"""``backfill``: the history of a range of time, as files or up to the retention in the result database."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ..base import ending
from ..base.errors import UsageError
from ..options import OPTIONS, Options, settings_of
from ..settings import parse_moment
from . import options
from .console import say, set_up_log

if TYPE_CHECKING:
    from ..backfill.plan import Size
    from ..settings import Settings

log = logging.getLogger("candlemill")

#: Random windows of a task that somebody waits for.
_MOST_WINDOWS = 1_000_000


class EngineName(StrEnum):
    """What computes."""

    LOCAL = "local"
    RAY = "ray"


class Command(TyperCommand):
    """Lets ``--sqlite`` stand alone: it then means the result database that a run writes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it the path that it lacks."""
        [setting] = [setting for setting in OPTIONS if setting.name == "sqlite"]
        words: list[str] = []
        for word, following in zip(args, [*args, "-"][1:], strict=True):
            words.append(word)
            if word == setting.option and following.startswith("-"):
                words.append(next((os.environ[name] for name in setting.set_in(os.environ)), str(setting.default)))
        return super().parse_args(ctx, words)


@options.takes("backfill")
def backfill(
    asked: Options,
    begin: Annotated[
        str | None, typer.Option("--from", help="Start with the bar that starts at this moment or next, ISO 8601.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End with the last closed bar that starts before this moment.")
    ] = None,
    output: options.OutputStore = None,
    sqlite: options.FilledDatabase = None,
    verify: Annotated[
        int,
        typer.Option(
            "--verify", min=0, max=_MOST_WINDOWS, help="Compute so many windows of each task by the definition, too."
        ),
    ] = 0,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="What computes: processes of this machine, or Ray.")
    ] = EngineName.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="<HOST:PORT>", help="Ray cluster, or auto. Default: a Ray of this machine is started."
        ),
    ] = None,
    export_only: Annotated[bool, typer.Option("--export-only", help="Read the source, and compute nothing.")] = False,
    from_export: Annotated[
        bool, typer.Option("--from-export", help="Compute from what --export-only has read, without a source.")
    ] = False,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="<OUTPUT>", help="Say how far the backfill in a folder or s3://… is."),
    ] = None,
) -> None:
    """Write what runs as of the end of each bar of a range would have written, into Parquet files.

    The same command again goes on where it was ended, and computes nothing twice. Exits with 4 where a task fails.

    Example: candlemill backfill --from 2025-01-01 --to 2026-01-01 --output history
    """
    set_up_log(asked)
    if status is not None:
        _say_status(status)
        return
    if not asked.source and not from_export:
        raise UsageError("no source: give --source URL or set DATABASE_URL")
    settings = settings_of(asked, os.environ)
    if sqlite is not None:
        if output or begin or end or verify or address or export_only or from_export or engine != EngineName.LOCAL:
            raise UsageError(
                "--sqlite has no range and no folder: leave --from, --to, --output, --verify, --engine, --address, "
                "--export-only and --from-export out"
            )
        # Of the demo's server the demo's, where no file was named.
        file = settings.sqlite if sqlite == Options.sqlite else sqlite
        _fill(replace(settings, sqlite=file), asked.shows_no_bar)
        return
    if output is None or begin is None or end is None:
        raise UsageError("no range or folder: give --from TIME --to TIME --output FOLDER, or --sqlite")
    if export_only and (from_export or verify):
        raise UsageError("--export-only computes nothing: leave --from-export and --verify out")
    if address and engine != EngineName.RAY:
        raise UsageError("--address is of a Ray cluster: give --engine ray, too")
    from ..backfill import cluster, local
    from ..backfill.ranges import backfill as backfill_range
    from ..backfill.store import opened
    from .progress import share_bar

    store = opened(output)
    ending.leaves("what is done stays: give the same command again to go on")
    with share_bar(asked.shows_no_bar) as (total, move):

        def begins(size: Size) -> None:
            log.info(
                "%d tasks, at most %d rows of %d bars, about %s",
                *(size.tasks, size.rows, size.bars, _bytes(size.size)),
            )
            total(size.tasks, size.bars)

        outcome = backfill_range(
            settings, parse_moment(begin, "--from"), parse_moment(end, "--to"), store,
            engine=partial(cluster.perform_all, address=address) if engine == EngineName.RAY else local.perform_all,
            export_only=export_only, from_export=from_export, verify=verify, begins=begins, progress=move,
        )  # fmt: skip
    if export_only:
        say(f"all bars are exported into {store}: give the command with --from-export instead, where it is to compute")
    else:
        say(f"{sum(outcome.rows.values())} rows of {len(outcome.rows)} indicators in {store}")


def _say_status(output: str) -> None:
    from ..backfill.status import RECENT, status_of
    from ..backfill.store import opened
    from .progress import duration

    status = status_of(opened(output), time.time())
    for name, interval in status.intervals.items():
        say(f"{name}: {interval.done} of {interval.tasks} tasks")
    line = f"{status.done} of {status.tasks} tasks are done, {status.exported} files exported"
    if not status.left:
        say(line)
    elif status.rate:
        say(f"{line}; {status.rate:.0f} bars/s of late, {duration(status.left / status.rate)} left")
    else:
        say(f"{line}; none within {RECENT / 60:.0f} minutes")


def _fill(settings: Settings, quiet: bool) -> None:
    from ..backfill.fill import fill
    from .progress import stage_bar

    with stage_bar([*(interval.name for interval in settings.intervals), "write"], quiet) as progress:
        record = fill(settings, progress)
    say(f"{record.sqlite_rows_written} rows written into {settings.sqlite}")


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
