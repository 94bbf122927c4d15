"""A warm start: the bars that the last work file has, so that a watch need not read everything at its start.

Bars only, no metrics: a work file has those of its own symbols, and the totals of the market need all. A file is taken
where a watch that had never ended would hold the same bars; all others are left, and everything is read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from ...indicators.contract import BAR_FIELDS
from ..base.errors import UsageError, one_line
from ..base.statements import Sql, identifier, join, render, statement
from ..source.symbols import every_symbol
from ..source.urls import redacted
from ..workfile.provenance import Provenance
from ..workfile.reader import published

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from ..settings import Settings

log = logging.getLogger(__name__)

_FORM = pa.schema(
    [
        ("symbol", pa.string()),
        ("bucket_ts", pa.timestamp("us", "UTC")),
        *((field, pa.float64()) for field in BAR_FIELDS),
    ]
)


@dataclass(frozen=True)
class Kept:
    """The bars of a work file by interval, and the moment that its pass looked from."""

    as_of: datetime
    candles: Mapping[str, pa.Table]


def kept_bars(settings: Settings, now: datetime, most: timedelta) -> Kept | None:
    """The bars of the work file, if they can stand for what the source would give; says so in the log, or why not.

    Args:
        settings: of the watch that begins.
        now: its first moment.
        most: age of a work file beyond which all would have been read anew by now.
    """
    if not settings.duckdb.is_file():
        return None
    try:
        kept = _read(settings, now, most)
    except (duckdb.Error, UsageError, ValueError) as error:
        log.info("a cold start: no bars are taken from the work file %s: %s", settings.duckdb, one_line(error))
        return None
    log.info(
        "a warm start: %d bars from the work file %s, which is %.0f s old",
        sum(rows.num_rows for rows in kept.candles.values()),
        settings.duckdb,
        (now - kept.as_of).total_seconds(),
    )
    return kept


def _read(settings: Settings, now: datetime, most: timedelta) -> Kept:
    with published(settings.duckdb) as connection:
        [(comment,)] = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'candles' AND database_name = current_database()"
        ).fetchall()
        provenance = Provenance.from_text(comment)
        _check(provenance, settings, now, most)
        doubles = join([Sql(f"{identifier(field)}::DOUBLE AS {identifier(field)}") for field in BAR_FIELDS])
        query = render(statement("workfile/held_candles"), fields=doubles)
        found = {
            interval.name: connection.execute(query, {"exchange": settings.exchange, "interval": interval.name})
            .to_arrow_table()
            .cast(_FORM)
            for interval in settings.intervals
        }
    return Kept(provenance.as_of, {name: rows for name, rows in found.items() if rows.num_rows})


def _check(provenance: Provenance, settings: Settings, now: datetime, most: timedelta) -> None:
    """Raise ValueError where the bars are others than those that would be read."""
    reasons = {
        "it is of another source": provenance.source != redacted(settings.source),
        "it is of another exchange": provenance.exchange != settings.exchange,
        "it has fewer bars of a series than --lookback": provenance.lookback < settings.lookback,
        "forming bars are handled differently there": provenance.closed_only != settings.closed_only,
        "it is from the future": provenance.as_of > now,
        "it is older than --reload": now - provenance.as_of >= most,
        # Of a symbol that has ended there is nothing newer that would tell of it.
        "it has some symbols only": every_symbol(settings) and not provenance.every_symbol,
        # They count for the window of a pass all the same.
        "rows that cannot be were left out of it": provenance.left_out > 0,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(reason)
