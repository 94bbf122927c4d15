"""``report``: one page over the newest results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import SinkError, UsageError
from ..options import Options
from . import completion, files, options
from .console import say

if TYPE_CHECKING:
    from ..results.changes import Change

#: Bytes of a page that every browser opens at once, and a mail can take along.
MOST_BYTES = 30_000_000


@options.takes("report")
def report(
    asked: Options,
    indicators: Annotated[
        str,
        typer.Option(
            "--indicators",
            help="What the charts have beside the candles: ids or table names, as a comma list.",
            autocompletion=completion.indicator,
        ),
    ] = "bollinger,macd",
    bars: Annotated[
        int | None,
        typer.Option(
            "--bars",
            min=1,
            max=options.MOST_SHOWN,
            help="Bars of a chart, the newest. Default: 120, and fewer where there are more than 1,400 charts.",
        ),
    ] = None,
    words: options.WordsOption = "en",
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, an .html file.")] = Path("data/report.html"),
    theme: options.ThemeOption = None,
    demo: files.Demo = False,
) -> None:
    """Make a page of the newest signals: a table to sort and filter, whose rows open charts.

    It is one file, which any browser opens, without a network too. One of more than 30 MB is made, and said to be.

    Example: candlemill report --indicators supertrend,kdj --output signals.html
    """
    from ..base.outputs import output as checked
    from ..base.outputs import replacing
    from ..reporting.report import report as rendered
    from ..settings import parse_indicators
    from ..workfile.reader import is_of_demo, published

    chosen = parse_indicators(indicators)
    for given, known in ((words, ("en", "zh")), (theme, (None, "light", "dark"))):
        if given not in known:
            raise UsageError(f"{given!r} is none of {', '.join(filter(None, known))}")
    if output.suffix.lower() != ".html":
        raise UsageError(f"{output} does not end in .html: the report is a page")
    try:
        file = checked(output, ".html")
    except OSError as error:
        raise SinkError(f"{output} cannot be written: {error.strerror}") from error
    work = files.work_file(asked, demo)
    with published(work) as connection:
        changes = _changes(files.result_database(asked, demo), is_of_demo(work))
        content, rows = rendered(connection, changes, chosen, bars, "zh" if words == "zh" else "en", theme)
    try:
        with replacing(file) as stream:
            written = stream.write(content.encode())
    except OSError as error:
        raise SinkError(f"{output} cannot be written: {error.strerror}") from error
    say(f"{rows} rows in {output}", err=True)
    if written > MOST_BYTES:
        size, most = (f"{count / 1e6:.0f} MB" for count in (written, MOST_BYTES))
        say(f"{output} has {size}, more than the {most} that open at once: give fewer --indicators or --bars", err=True)


def _changes(database: Path, of_demo: bool) -> list[Change] | None:
    """What changed at the newest bars; None, with a line on standard error, where no result database says so."""
    from ...indicators.registry import INDICATORS
    from ..results import reader

    why = ""
    if not database.is_file():
        why = f"there is no result database {database}"
    elif reader.is_of_demo(database) != of_demo:
        why = f"of {database} and the work file one alone is the demo's"
    if why:
        say(f"what changed at the newest bars is not known, as {why}: give another with --sqlite", err=True)
        return None
    with reader.result_database(database) as connection:
        return reader.changes(connection, list(INDICATORS.values()))
