"""``changes``: the words that changed at the newest bars."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Options
from ..results.changes import Words
from . import completion, files, options
from .console import say

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from ...indicators.contract import Indicator
    from ..results.changes import Change, Texts


@options.takes("changes")
def changes(
    asked: Options,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval", help="Only this, or these: 1h,4h. Default: all.", autocompletion=completion.interval
        ),
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", help="Only these, BTCUSDT,ETHUSDT. Default: all.", autocompletion=completion.symbol),
    ] = None,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    demo: files.Demo = False,
) -> None:
    """Show which words differ between the two newest rows of each series in the result database.

    Where none does, a line on standard error says why.

    Example: candlemill changes --interval 1h --indicators macd,supertrend
    """
    from ..base.intervals import INTERVALS
    from ..results import reader
    from ..results.changes import in_order
    from ..settings import items, parse_indicators, parse_interval, parse_profile
    from . import tabular

    form = tabular.Form(as_csv, as_json, rows=options.MOST_SHOWN)
    indicators = parse_indicators(asked.indicators, asked.without)
    intervals = [parse_interval(name).name for name in items(interval)]
    profile = parse_profile(asked.profile) if asked.profile else None
    file = files.result_database(asked, demo)
    words = _Counted()
    with reader.result_database(file) as connection:
        marker = reader.marker_in(connection)
        marker.check_asked(profile, file)
        found = reader.changes(connection, indicators, intervals, items(symbols), words)
    tabular.put_out(tabular.answer_of(_table(in_order(found, list(INTERVALS), indicators))), form)
    if not found:
        say(_why_none(words, marker.demo), err=True)


class _Counted(Words):
    """Counts the rows that it sees of each series, by indicator, symbol and interval."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Counter[tuple[str, str, str]] = Counter()

    def see(self, indicator: Indicator, symbol: str, interval: str, start: datetime, words: Texts) -> list[Change]:
        """Take in a row, as ``Words`` does."""
        self.rows[indicator.id, symbol, interval] += 1
        return super().see(indicator, symbol, interval, start, words)


def _why_none(words: _Counted, of_demo: bool) -> str:
    """Why no word has changed, in a line."""
    several = {(symbol, interval) for (_, symbol, interval), rows in words.rows.items() if rows > 1}
    if several:
        return f"no word differs between the two newest bars of the {len(several)} series that have two"
    if not words.rows:
        return "there are no rows of what was asked for: ask for other intervals or indicators, or run them first"
    again = "run `candlemill demo`" if of_demo else "fill in those before with `candlemill backfill --sqlite`, or run"
    return f"there is one bar of each series, and nothing to compare it with: {again} again after the next bar"


def _table(changes: list[Change]) -> pa.Table:
    import pyarrow as pa

    names = ("symbol", "interval", "bucket_ts", "indicator", "column", "before", "now")
    kinds = {"bucket_ts": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist([vars(change) for change in changes], schema=schema)
