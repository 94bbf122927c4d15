"""The pictures of the documents, of the sample market at a fixed time: ``make pictures`` writes docs/pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from ...indicators.contract import METRIC_FIELDS
from ...indicators.registry import INDICATORS
from ..base.intervals import INTERVALS, Interval
from ..demo.market import candles, metrics
from ..plotting.arrange import arranged
from ..plotting.candles import Chart
from ..plotting.canvas import draw
from ..plotting.history import Series, tracks

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path("docs/pictures")
#: As many as a chart needs; a file of so few is a third as large.
_COLOURS = 96
_NOW = datetime(2026, 3, 2, 11, 59, 30, tzinfo=UTC)
#: What the sample calls the fields of metrics rows, in their order.
_CALLED = (
    "sum_open_interest", "sum_open_interest_value", "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio", "count_long_short_ratio", "sum_taker_long_short_vol_ratio", "is_closed",
)  # fmt: skip
#: Name of the picture, interval, bars, indicators, theme.
_PICTURES = (
    ("bollinger-macd", "1h", 120, ("bollinger", "macd"), "light"),
    ("supertrend-adx", "4h", 150, ("supertrend", "adx"), "dark"),
    ("ichimoku", "1d", 150, ("ichimoku",), "light"),
    ("volume-profile", "1h", 150, ("vpvr_profile",), "light"),
    ("candle-patterns", "1d", 60, ("candle_patterns",), "light"),
    ("futures", "5m", 150, ("futures_sentiment",), "dark"),
)


def series_of(symbol: str, interval: Interval, bars: int, window: int = 400, now: datetime = _NOW) -> Series:
    """A series of the sample market as a run at a moment would have read it."""
    rows = candles(interval, now)
    own = rows.filter(pc.equal(rows["symbol"], symbol))[-window:]
    measured = metrics(now)
    measured = measured.filter(pc.equal(measured["symbol"], symbol))
    table = pa.table({
        "symbol": measured["symbol"],
        "bucket_ts": measured["create_time"].cast(pa.timestamp("us", "UTC")),
        **{name: measured[called] for name, called in zip(METRIC_FIELDS, _CALLED, strict=True)},
    })  # fmt: skip
    if interval.name != "5m":
        table = table.slice(0, 0)
    return Series(symbol, interval, now, own, table[-240:], min(bars, own.num_rows), own.num_rows)


def _draw(name: str, interval: str, bars: int, ids: Sequence[str], theme: str) -> None:
    series = series_of("BTCUSDT", INTERVALS[interval], bars)
    arrangement = arranged(series, tracks(series, [INDICATORS[one] for one in ids]), displaced=True)
    file = _FOLDER / f"{name}.png"
    draw(file, theme, name, lambda palette: Chart(series, arrangement, palette).figure())
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(_COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    for drawn in _PICTURES:
        _draw(*drawn)
