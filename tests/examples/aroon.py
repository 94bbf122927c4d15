"""Aroon: how long ago the extremes of a range were."""

from __future__ import annotations

import numpy as np

from .contract import Panel, Parameters, Values, indicator, number, text


@indicator(
    id="aroon",
    title="Aroon",
    family="trend",
    inputs=("high", "low"),
    columns=(
        number("up", "how new the highest high is, 0 to 100", unit="percent"),
        number("down", "how new the lowest low is, 0 to 100", unit="percent"),
        number("oscillator", "up less down", unit="percent"),
        text("trend", "which of the two is newer", ("up", "down", "sideways")),
    ),
    formula="up = 100 (period - bars since the highest high of period + 1 bars) / period; down with the lowest low",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 25},
)
def aroon(bars: Panel, p: Parameters) -> Values:
    """Age of the extremes of the last bars; of equal ones the newest counts. Source: Chande (1995)."""
    newest_first = slice(None, -p.period - 2, -1)
    high, low = bars.high[newest_first], bars.low[newest_first]
    up = 100 * (p.period - high.argmax(axis=0)) / p.period
    down = 100 * (p.period - low.argmin(axis=0)) / p.period
    return Values(up, down, up - down, np.select([up > down, up < down], ["up", "down"], "sideways"))
