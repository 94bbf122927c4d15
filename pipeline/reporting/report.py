"""The whole report: reads the work file, computes what the charts draw, and puts the page together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.statements import statement
from ..plotting.arrange import arranged
from ..plotting.interactive import figure
from ..workfile.provenance import marker_of
from .charts import read_charts
from .page import Facts, in_single, packed, page, table
from .signals import add_changes, read_bars, read_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from ...indicators.contract import Indicator
    from ..results.changes import Change
    from .page import Words

#: Bars of a chart, and of all charts together: with the usual indicators these make a page of 21 MB.
_BARS, _ALL_BARS = 120, 168_000


def usual_bars(series: int) -> int:
    """Bars of a chart where nobody says how many; with more than 1,400 series fewer, so that the page can be sent."""
    return max(1, min(_BARS, _ALL_BARS // max(1, series)))


def report(
    connection: duckdb.DuckDBPyConnection,
    changes: Sequence[Change] | None,
    indicators: Sequence[Indicator],
    bars: int | None,
    words: Words,
    theme: str | None,
) -> tuple[str, int]:
    """The page over a work file, and the number of its rows.

    Args:
        connection: to the work file.
        changes: of the newest rows of the result database; None: they are not known.
        indicators: what the charts have beside the candles.
        bars: of a chart; None: as many as are usual, and as fit.
        words: en: in English; zh: as the result database has them.
        theme: the colours, light or dark; None: what the reader prefers.
    """
    newest, signals = read_bars(connection), read_signals(connection)
    add_changes(signals, changes or ())
    [(comment,)] = connection.execute(statement("workfile/comment")).fetchall()
    as_of = (
        connection.execute("SELECT max_by(as_of, started_at) AS as_of FROM runs").to_arrow_table()["as_of"][0].as_py()
    )
    marker = marker_of(comment)
    drawn = bars or usual_bars(len(newest))
    charts = {
        (series.symbol, series.interval.name): packed(
            figure(series, arranged(series, tracks, words=words), numbers=in_single)
        )
        for series, tracks in read_charts(connection, indicators, drawn, as_of, marker.profile)
    }
    data = table(Facts(as_of, marker.demo, changes is not None, words), newest, signals)
    return page("Signals", data, [charts[bar.symbol, bar.interval] for bar in newest], theme), len(newest)
