"""``symbols``: which symbols a run would choose, and why each."""

from __future__ import annotations

import os

from ..base.errors import UsageError
from ..options import Options, settings_of
from . import options
from .console import say_json, set_up_log
from .fitting import Column, print_table


@options.takes("symbols")
def symbols(asked: Options, as_json: options.AsJson = False) -> None:
    """Show the symbols that a run would choose, and by which rule each.

    Groups come from SYMBOLS_GROUP_<name>=SYMBOL,SYMBOL; SYMBOLS_EXTRA joins groups, auto and all; SYMBOLS_EXCLUDE wins
    over everything; HIGH_PRIORITY_TOP_N is the top N of each rule of auto.

    Example: candlemill symbols --symbols auto
    """
    from ..source.reader import Source
    from ..source.symbols import choose

    set_up_log(asked)
    if not asked.source:
        raise UsageError("no source: give --source URL or set DATABASE_URL")
    settings = settings_of(asked, os.environ)
    chosen = choose(settings, Source.connect(settings.source))
    if as_json:
        say_json([{"symbol": symbol, "rules": found} for symbol, found in chosen.items()])
        return
    rows = [(symbol, ", ".join(found)) for symbol, found in chosen.items()]
    print_table([Column("symbol"), Column("rules", folds=True)], rows)
