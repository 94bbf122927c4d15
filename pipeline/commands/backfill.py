"""``backfill``: the history of a range of time, as files or up to the retention in the result database."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
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


class Command(TyperCommand):
    """Lets ``--sqlite`` stand alone: it then means the result database that a run writes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it the path that it lacks."""
        [setting] = [setting for setting in OPTIONS if setting.name == "sqlite"]
        words: list[str] = []
        for word, following in zip(args, [*args[1:], "-"], strict=True):
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
    output: options.OutputFolder = None,
    sqlite: options.FilledDatabase = None,
    verify: Annotated[
        int,
        typer.Option(
            "--verify", min=0, max=_MOST_WINDOWS, help="Compute so many windows of each task by the definition, too."
        ),
    ] = 0,
) -> None:
    """Write what runs as of the end of each bar of a range would have written, into Parquet files.

    The same command again goes on where it was ended, and computes nothing twice. Exits with 4 where a task fails.

    Example: candlemill backfill --from 2025-01-01 --to 2026-01-01 --output history
    """
    set_up_log(asked)
    if not asked.source:
        raise UsageError("no source: give --source URL or set DATABASE_URL")
    settings = settings_of(asked, os.environ)
    if sqlite is not None:
        if output or begin or end or verify:
            raise UsageError("--sqlite has no range and no folder: leave --from, --to, --output and --verify out")
        # Of the demo's server the demo's, where no file was named.
        file = settings.sqlite if sqlite == Options.sqlite else sqlite
        _fill(replace(settings, sqlite=file), asked.shows_no_bar)
        return
    if output is None or begin is None or end is None:
        raise UsageError("no range or folder: give --from TIME --to TIME --output FOLDER, or --sqlite")
    from ..backfill.ranges import backfill as backfill_range
    from .progress import share_bar

    ending.leaves("what is done stays: give the same command again to go on")
    with share_bar(asked.shows_no_bar) as (total, move):

        def begins(size: Size) -> None:
            log.info(
                "%d tasks, at most %d rows of %d bars, about %s",
                *(size.tasks, size.rows, size.bars, _bytes(size.size)),
            )
            total(size.tasks, size.bars)

        outcome = backfill_range(
            settings, parse_moment(begin, "--from"), parse_moment(end, "--to"), output,
            verify=verify, begins=begins, progress=move,
        )  # fmt: skip
    say(f"{sum(outcome.rows.values())} rows of {len(outcome.rows)} indicators in {output}")


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
