"""``symbols``: which symbols a run would choose, and why each."""

from __future__ import annotations

import json

import typer

from ..base.errors import UsageError
from ..settings import DEFAULT_EXCHANGE, Settings, parse_as_of, parse_intervals
from . import options


def symbols(
    source: options.SourceUrl = None,
    symbols: options.Symbols = None,
    intervals: options.Intervals = None,
    as_of: options.AsOf = None,
    exchange: options.Exchange = DEFAULT_EXCHANGE,
    as_json: options.AsJson = False,
    log_level: options.LogLevel = "warning",
) -> None:
    """Show the symbols that a run would choose, and by which rule each.

    Groups come from SYMBOLS_GROUP_<name>=SYMBOL,SYMBOL; SYMBOLS_EXTRA joins groups, auto and all; SYMBOLS_EXCLUDE wins
    over everything; HIGH_PRIORITY_TOP_N is the top N of each rule of auto.

    Example: candlemill symbols --symbols auto
    """
    from ..source.reader import Source
    from ..source.symbols import choose

    options.set_up_log(log_level, False, False)
    if not source:
        raise UsageError("no source: give --source URL or set DATABASE_URL")
    asked, rules = options.symbol_choice(symbols)
    settings = Settings(
        source=source,
        sqlite=options.DEFAULT_SQLITE,
        duckdb=options.DEFAULT_DUCKDB,
        symbols=asked,
        intervals=parse_intervals(intervals),
        indicators=(),
        as_of=parse_as_of(as_of),
        exchange=exchange,
        symbol_rules=rules,
    )
    chosen = choose(settings, Source.connect(source))
    if as_json:
        typer.echo(json.dumps([{"symbol": symbol, "rules": found} for symbol, found in chosen.items()]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("symbol", "rules", box=None, header_style="bold")
    for symbol, found in chosen.items():
        table.add_row(Text(symbol), ", ".join(found))
    Console().print(table)
