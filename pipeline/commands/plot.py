"""``plot``: pictures of a market, or of a run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import NoCandlesError, SourceError, UsageError
from ..options import Options, settings_of
from . import completion, files, options
from .console import say

_FOLDER = Path("data/plots")


@options.takes("plot")
def plot(
    asked: Options,
    symbol: Annotated[
        str | None,
        typer.Argument(help="What to draw, such as BTCUSDT; not with --run.", autocompletion=completion.symbol),
    ] = None,
    interval: options.IntervalOption = "1h",
    indicators: Annotated[
        str,
        typer.Option(
            "--indicators",
            help="Ids or table names to draw, as a comma list.",
            autocompletion=completion.indicator,
        ),
    ] = "bollinger,macd",
    columns: Annotated[
        str | None,
        typer.Option("--columns", help="Draw these columns only, such as upper or bollinger.upper, as a comma list."),
    ] = None,
    bars: Annotated[int, typer.Option("--bars", min=1, max=options.MOST_SHOWN, help="Bars to draw, the newest.")] = 120,
    run: Annotated[bool, typer.Option("--run", help="Draw a run's time and memory instead, the newest run's.")] = False,
    run_id: Annotated[str | None, typer.Option("--run-id", help="That run; the first characters will do.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .png, .svg or .html file. Default: a .png in data/plots.")
    ] = None,
    theme: options.ThemeOption = None,
    words: options.WordsOption = "en",
    zone: Annotated[str, typer.Option("--tz", help="Time zone of the axis, such as Europe/Berlin.")] = "UTC",
    displaced: Annotated[
        bool, typer.Option("--displaced", help="Draw lines ahead and back as charts do, the cloud 26 bars ahead.")
    ] = False,
    demo: files.Demo = False,
) -> None:
    """Draw a symbol's candles with indicators, or a run's timing and memory, to PNG, SVG or HTML.

    Example: candlemill plot BTCUSDT --interval 1h --indicators bollinger,macd --output btc.html
    """
    if (symbol is not None) == (run or run_id is not None):
        raise UsageError("give a symbol to draw, or --run for a run: one of the two")
    file = files.work_file(asked, demo)
    if symbol is None:
        _draw_run(file, run_id, output or _FOLDER / "run.png", theme)
    else:
        name = re.sub(r"[^\w.-]", "_", f"{symbol}-{interval}.png")
        look = _Look(columns, words, zone, displaced, theme)
        _draw_market(asked, file, symbol, interval, indicators, bars, output or _FOLDER / name, look)


@dataclass(frozen=True)
class _Look:
    """How a market is drawn."""

    columns: str | None
    words: str
    zone: str
    displaced: bool
    theme: str | None


def _draw_market(
    asked: Options, duckdb: Path, symbol: str, interval: str, indicators: str, bars: int, output: Path, look: _Look
) -> None:
    from ..plotting.arrange import arranged, asked_columns
    from ..plotting.candles import Chart
    from ..plotting.canvas import draw, drawable
    from ..plotting.headline import zone_of
    from ..plotting.history import read_drawn, read_series, tracks
    from ..plotting.page import page
    from ..settings import items, parse_indicators, parse_interval, parse_profile, unknown
    from ..workfile.reader import is_of_demo, marker_in, published

    chosen, wanted = parse_indicators(indicators), parse_interval(interval)
    columns = asked_columns(items(look.columns), chosen)
    if look.words not in ("en", "zh"):
        raise unknown("--words", look.words, ("en", "zh"))
    with published(duckdb) as connection:
        marker = marker_in(connection)
        marker.check_asked(parse_profile(asked.profile) if asked.profile else None, duckdb)
        series = read_series(connection, symbol, wanted, bars)
    zone = zone_of(look.zone, int(series.times[-1]))
    drawn = None
    fewer = f"drawn are the {series.drawn} bars that the last run read: give --source for {bars}"
    if is_of_demo(duckdb):
        fewer = f"drawn are the {series.drawn} bars that the demo read"
    elif asked.source:
        given = replace(asked, symbols=symbol, as_of=series.as_of.isoformat(), profile=marker.profile)
        settings = replace(settings_of(given, os.environ), intervals=(wanted,), indicators=chosen)
        try:
            drawn = read_drawn(settings, bars)
            fewer = f"drawn are the {drawn[0].drawn} {interval} bars of {symbol} that the source has"
        except (SourceError, NoCandlesError) as error:
            say(f"drawn are the {series.drawn} bars that the last run read: {error}", err=True)
            fewer = ""
    series, found = drawn or (series, tracks(series, chosen, marker.profile))
    if fewer and series.drawn < bars:
        say(fewer, err=True)
    english = look.words == "en"
    if not english and output.suffix.lower() in (".png", ".svg") and not drawable("多空"):
        say(
            "no font here has Chinese letters: words are in English (a .html has them, or install Noto Sans CJK)",
            err=True,
        )
        english = True
    arrangement = arranged(
        series, found, columns=columns, words="en" if english else "zh", displaced=look.displaced
    )  # fmt: skip
    draw(
        output,
        look.theme,
        f"{symbol} {interval}",
        lambda palette: Chart(series, arrangement, palette, zone).figure(),
        lambda: page(series, arrangement, zone, look.theme),
    )
    for name in arrangement.empty:
        say(f"{name} has no value at the drawn bars", err=True)
    say(f"drawn in {output}", err=True)


def _draw_run(duckdb: Path, run_id: str | None, output: Path, theme: str | None) -> None:
    from ..plotting.canvas import draw
    from ..plotting.run import stages
    from ..workfile.reader import published, run_records

    with published(duckdb) as connection:
        records = run_records(connection)
    found = [place for place, record in enumerate(records) if record["run_id"].startswith(run_id or "")]
    if not found:
        raise UsageError(f"no run {run_id!r} in {duckdb}: `candlemill runs` lists them")
    # Up to the run that was asked for: it is seen against those before it.
    upto = records[: found[-1] + 1]
    draw(output, theme, f"Run {upto[-1]['run_id']}", lambda palette: stages(upto, palette))
    say(f"drawn in {output}", err=True)
