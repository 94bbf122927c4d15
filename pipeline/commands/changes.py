"""``changes``: the words that changed at the newest bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Options
from . import completion, files, options

if TYPE_CHECKING:
    import pyarrow as pa

    from ..results.changes import Change


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
    with reader.result_database(file) as connection:
        reader.marker_in(connection).check_asked(profile, file)
        found = reader.changes(connection, indicators, intervals, items(symbols))
    tabular.put_out(tabular.answer_of(_table(in_order(found, list(INTERVALS), indicators))), form)


def _table(changes: list[Change]) -> pa.Table:
    import pyarrow as pa

    names = ("symbol", "interval", "bucket_ts", "indicator", "column", "before", "now")
    kinds = {"bucket_ts": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist([vars(change) for change in changes], schema=schema)
