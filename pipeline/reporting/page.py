"""The page: its data, its style and its scripts in one file, which asks nothing of any network.

No text of the data can become a part of the page: those of the table are JSON in which ``<`` is written as a code, and
become text nodes; charts are packed. Should one get through all the same, the page's policy runs no script but those
that were put into it, and lets nothing out.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...indicators.roles import tone
from ..base.intervals import INTERVALS, MICROSECOND
from ..base.shown import as_json, visible
from ..plotting.interactive import script
from ..plotting.palette import PALETTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ...indicators.contract import Floats
    from ..plotting.palette import Palette
    from .signals import Bar, Signal

Words: TypeAlias = Literal["en", "zh"]
#: The signals that the table shows at first, as of the view ``latest_signals``; the page has a choice of all.
SHOWN = (
    "macd.signal", "kdj.signal", "smart_rsi.signal", "supertrend.direction", "ema_gc.trend", "ichimoku.direction",
    "smart_money_structure.bias", "candle_patterns.patterns", "atr_bands.regime", "volume_ratio.signal",
    "liquidity_score.grade",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What the page says of its data.

    Attributes:
        as_of: the moment that the run looked from.
        demo: whether the prices are invented.
        changes: whether it is known what changed since the bar before.
        words: en: in English; zh: as the result database has them.
    """

    as_of: datetime
    demo: bool
    changes: bool
    words: Words


def table(facts: Facts, bars: Sequence[Bar], signals: Sequence[Signal]) -> dict[str, Any]:
    """The data of the table, as the page's script reads them: words as places in the lists of their columns."""
    coded = [_Coded(signal, facts.words) for signal in signals]
    there = {bar.interval for bar in bars}
    intervals = [interval for interval in INTERVALS.values() if interval.name in there]
    places = {interval.name: place for place, interval in enumerate(intervals)}
    rows = []
    for bar in bars:
        series = bar.symbol, bar.interval
        rows.append(
            (
                visible(bar.symbol),
                places[bar.interval],
                _milliseconds(bar.start),
                bar.close,
                100 * (bar.close / bar.before - 1) if bar.before else None,
                [column.now(series) for column in coded],
                [
                    (place, column.before(series))
                    for place, column in enumerate(coded)
                    if series in column.signal.before
                ],
            )
        )
    return {
        "asOf": _milliseconds(facts.as_of),
        "demo": facts.demo,
        "changes": facts.changes,
        "intervals": [
            {"name": interval.name, "length": interval.length // (1000 * MICROSECOND)} for interval in intervals
        ],
        # After the rows, which find the words.
        "columns": [column.as_json() for column in coded],
        "rows": rows,
    }


class _Coded:
    """A signal whose words are places in a list: first those that it declares, then what else occurs."""

    def __init__(self, signal: Signal, words: Words) -> None:
        self.signal = signal
        self._words = words
        self._places: defaultdict[str, int] = defaultdict(lambda: len(self._places))
        for word in signal.column.words:
            self._places[word]

    def _code(self, text: str | None) -> int | list[int] | None:
        if text is None:
            return None
        if self.signal.column.listed:
            return [self._places[word] for word in text.split(",")]
        return self._places[text]

    def now(self, series: tuple[str, str]) -> int | list[int] | None:
        """The word of a series, or a list of them; None: it has none."""
        found = self.signal.now.get(series)
        return self._code(found[1]) if found else None

    def before(self, series: tuple[str, str]) -> int | list[int] | None:
        """That of the bar before, of a series whose word changed."""
        return self._code(self.signal.before[series])

    def as_json(self) -> dict[str, Any]:
        column, words = self.signal.column, []
        for word in self._places:
            english = column.words.get(word, word)
            words.append({"text": visible(word if self._words == "zh" else english), "side": tone(english)})
        return {
            "key": self.signal.key,
            "title": self.signal.indicator.title,
            "name": column.name.replace("_", " "),
            "meaning": column.meaning,
            "shown": self.signal.key in SHOWN,
            "words": words,
        }


def in_single(values: Floats, digits: int) -> dict[str, str]:  # noqa: ARG001 - as ``interactive.listed`` has it
    """The values of a trace with the seven digits of single precision, as the page's script reads them."""
    return {"f4": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def packed(figure: Mapping[str, Any]) -> str:
    """A figure as the page's script unpacks it: deflated JSON in base64."""
    # At the fastest level: most of it are numbers, which no level packs much better.
    return base64.b64encode(zlib.compress(json.dumps(figure, separators=(",", ":")).encode(), 1)).decode()


def page(title: str, data: Mapping[str, Any], charts: Sequence[str], theme: str | None) -> str:
    """The whole file.

    Args:
        title: of the page.
        data: see ``table``.
        charts: by row, see ``packed``.
        theme: light or dark; None: what the reader prefers.
    """
    scripts = [script(), _part("page.js")]
    hashes = " ".join(f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    plain = as_json({**data, "theme": theme}).replace("<", "\\u003c")
    blocks = [f'<script type="application/json" id="report">{plain}</script>']
    blocks += [f'<script type="text/plain" id="chart-{row}">{chart}</script>' for row, chart in enumerate(charts)]
    return Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:",
        scheme=theme or "light dark",
        title=escape(visible(title)),
        style=_colours(theme) + _part("page.css"),
        data="\n".join(blocks),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _colours(theme: str | None) -> str:
    """The colours of pictures as variables of the page's style."""
    light, dark = (_variables(PALETTES[theme or name]) for name in ("light", "dark"))
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _variables(palette: Palette) -> str:
    named = {
        "background": palette.background,
        "text": palette.text,
        "muted": palette.muted,
        "grid": palette.grid,
        "long": palette.long,
        "short": palette.short,
        "accent": palette.lines[0],
    }
    return "; ".join(f"--{name}: {colour}" for name, colour in named.items())


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
