"""The lines of klines and metrics archives: checked, and turned into rows for COPY.

Numbers stay the text that they are in the file: they are looked at as decimals, and never become floats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.intervals import Interval
    from .archives import Content

_KLINE = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_METRICS = (
    "create_time",
    "symbol",
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
#: Milliseconds, and since 2025 in spot archives microseconds.
_EPOCH = re.compile(r"\d{13}|\d{16}", re.ASCII)
#: The candle tables are NUMERIC(38, 12).
_WHOLE_DIGITS = 26
#: A Monday, from which bars of all lengths but months are counted.
_ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
#: No line of an archive is a tenth as long; one that is gets cut, and then rejected, instead of filling the memory.
_LONGEST_LINE = 4096


@dataclass(frozen=True)
class Row:
    """A line that is good: its number, its time (UTC), and the values of the table's columns after the time."""

    line: int
    moment: datetime
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Reject:
    """A line that is not: its number, and why."""

    line: int
    reason: str


class _BadLineError(Exception):
    pass


def rows(text: IO[str], content: Content) -> Iterator[Row | Reject]:
    """The lines of an archive in their order, without a header and empty lines."""
    layout = _METRICS if content.metrics else _KLINE
    # readline with a limit counts a cut line twice, which then no longer matters: its pieces are all rejected.
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST_LINE), ""), start=1):
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if cells == [""] or (number == 1 and _same_name(cells[0], layout[0])):
            continue
        try:
            if len(cells) != len(layout):
                raise _BadLineError(f"it has {len(cells)} columns, not {len(layout)}")
            values = dict(zip(layout, cells, strict=True))
            yield _metrics(number, values, content) if content.metrics else _kline(number, values, content.interval)
        except _BadLineError as error:
            yield Reject(number, str(error))


def _kline(line: int, cells: dict[str, str], interval: Interval) -> Row:
    moment = _on_grid(_epoch("open_time", cells["open_time"]), interval)
    open_, high, low, close, volume = (_number(cells, name) for name in ("open", "high", "low", "close", "volume"))
    if Decimal(high) < Decimal(low):
        raise _BadLineError(f"high {high} is below low {low}")
    if cells["count"] and not _COUNT.fullmatch(cells["count"]):
        raise _BadLineError(f"count {cells['count'][:40]!r} is not a whole number")
    quote, taker, taker_quote = (
        _number_or_null(cells, name) for name in ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
    )
    return Row(line, moment, (open_, high, low, close, volume, quote, cells["count"] or None, taker, taker_quote))


def _metrics(line: int, cells: dict[str, str], content: Content) -> Row:
    if cells["symbol"] != content.symbol:
        raise _BadLineError(f"symbol {cells['symbol'][:40]!r} is not {content.symbol}, which the file is named after")
    time = cells["create_time"]
    if _EPOCH.fullmatch(time):
        moment = _epoch("create_time", time)
    else:
        try:
            moment = datetime.strptime(time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            raise _BadLineError(f"create_time {time[:40]!r} is not a time such as 2026-01-18 00:05:00") from None
    return Row(line, _on_grid(moment, content.interval), tuple(_number_or_null(cells, name) for name in _METRICS[2:]))


def _epoch(name: str, text: str) -> datetime:
    if not _EPOCH.fullmatch(text):
        raise _BadLineError(f"{name} {text[:40]!r} is not a time in milliseconds or microseconds")
    microseconds = int(text) * (1000 if len(text) == 13 else 1)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _on_grid(moment: datetime, interval: Interval) -> datetime:
    if interval.name == "1M":
        whole = moment == moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    else:
        # Bars of three days may be counted from any day.
        step = timedelta(days=1) if interval.name == "3d" else interval.length
        whole = not (moment - _ORIGIN) % step
    if not whole:
        raise _BadLineError(f"{moment:%Y-%m-%d %H:%M:%S.%f} does not begin a {interval.name} bar")
    return moment


def _number(cells: dict[str, str], name: str) -> str:
    text = cells[name]
    if not _NUMBER.fullmatch(text):
        raise _BadLineError(f"{name} {text[:40]!r} is not a number")
    value = Decimal(text)
    if value < 0:
        raise _BadLineError(f"{name} {text[:40]} is negative")
    if value.adjusted() >= _WHOLE_DIGITS:
        raise _BadLineError(f"{name} {text[:40]} is too large for the table")
    return text


def _number_or_null(cells: dict[str, str], name: str) -> str | None:
    return _number(cells, name) if cells[name] else None


def _same_name(cell: str, name: str) -> bool:
    return re.sub(r"[^a-z]", "", cell.lower()) == name.replace("_", "")
