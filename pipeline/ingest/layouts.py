"""The lines of klines and metrics archives: checked, and turned into rows for COPY.

Numbers stay the text that they are in the file: they are looked at as decimals, and never become floats. Columns go by
the names of the header; a file without one has them in the order in which they are published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
#: What the exchange's own documents call columns.
_OTHER_NAMES = {
    "quoteassetvolume": "quote_volume",
    "numberoftrades": "count",
    "takerbuybaseassetvolume": "taker_buy_volume",
    "takerbuyquoteassetvolume": "taker_buy_quote_volume",
}
#: What is in the archives, and in none of the tables.
_UNUSED = {"close_time", "ignore"}
#: With what a number or a time begins.
_FIGURE = re.compile(r"[-+.]?\d")
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
#: Milliseconds, and since 2025 in spot archives microseconds.
_EPOCH = re.compile(r"\d{13}|\d{16}", re.ASCII)
#: The candle tables are NUMERIC(38, 12).
_WHOLE_DIGITS = 26
#: Times from here up to there can be told by everything that reads the tables: nanoseconds in 64 bits end later.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
#: Metrics are taken at the full five minutes, and sometimes up to so much later.
_LATE = timedelta(minutes=1)
#: A Monday, from which bars of all lengths but months are counted.
_ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
_METRICS_STEP = timedelta(minutes=5)
#: No line of an archive is a tenth as long; one that is gets cut, and then rejected, instead of filling the memory.
_LONGEST_LINE = 4096


@dataclass(frozen=True)
class Row:
    """A line that is good: its number, its time (UTC), and the values of the table's columns after the time.

    ``late`` is how long after that time metrics were taken.
    """

    line: int
    moment: datetime
    values: tuple[str | None, ...]
    late: timedelta = timedelta(0)


@dataclass(frozen=True)
class Reject:
    """A line that is not: its number, and why."""

    line: int
    reason: str


class HeaderError(Exception):
    """The header of a file does not have the columns that are needed; the text says which."""


class _BadLineError(Exception):
    pass


_Cells: TypeAlias = "dict[str, str]"


def rows(text: IO[str], content: Content) -> Iterator[Row | Reject]:
    """The lines of an archive in their order, without a header and empty lines. Raises HeaderError."""
    for number, cells in _lines(text, content):
        try:
            if isinstance(cells, str):
                raise _BadLineError(cells)
            yield _metrics(number, cells, content) if content.metrics else _kline(number, cells, content.interval)
        except _BadLineError as error:
            yield Reject(number, str(error))


def times(text: IO[str], content: Content) -> Iterator[datetime]:
    """The times of at least the good lines of an archive. Raises HeaderError."""
    for _, cells in _lines(text, content):
        if isinstance(cells, str):
            continue
        try:
            moment = _taken(cells["create_time"])[0] if content.metrics else _epoch("open_time", cells["open_time"])
        except _BadLineError:
            continue
        yield moment


def _lines(text: IO[str], content: Content) -> Iterator[tuple[int, _Cells | str]]:
    """Each line, by its number: its cells by the names of their columns, or what is wrong with it."""
    layout = _METRICS if content.metrics else _KLINE
    names: Sequence[str] = ()
    # readline with a limit counts a cut line twice, which then no longer matters: its pieces are all rejected.
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST_LINE), ""), start=1):
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if cells == [""]:
            continue
        if not names:
            header = _columns(cells, layout)
            names = header or layout
            if header:
                continue
        if len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        else:
            yield number, f"it has {len(cells)} columns, not {len(names)}"


def _columns(cells: Sequence[str], layout: Sequence[str]) -> list[str]:
    """The names of the columns, if this is a header: it names one that is known, or holds no figure.

    What is not known keeps its own name. Raises HeaderError.
    """
    known = {name.replace("_", ""): name for name in layout} | _OTHER_NAMES
    names = [known.get(re.sub(r"[^a-z]", "", cell.lower()), cell) for cell in cells]
    if not set(names) & set(layout) and (len(cells) == 1 or any(map(_FIGURE.match, cells))):
        return []
    wrong = [name for name in layout if name not in _UNUSED and names.count(name) != 1]
    if wrong:
        header = ",".join(cells)
        raise HeaderError(f"its header {header[:200]!r} does not have each of {', '.join(wrong)} once")
    return names


def _kline(line: int, cells: _Cells, interval: Interval) -> Row:
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


def _metrics(line: int, cells: _Cells, content: Content) -> Row:
    if cells["symbol"] != content.symbol:
        raise _BadLineError(f"symbol {cells['symbol'][:40]!r} is not {content.symbol}, which the file is named after")
    moment, late = _taken(cells["create_time"])
    return Row(line, moment, tuple(_number_or_null(cells, name) for name in _METRICS[2:]), late)


def _taken(text: str) -> tuple[datetime, timedelta]:
    """The time that metrics are for, and how much later they were taken."""
    if _EPOCH.fullmatch(text):
        moment = _epoch("create_time", text)
    else:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            raise _BadLineError(f"create_time {text[:40]!r} is not a time such as 2026-01-18 00:05:00") from None
    late = (moment - _ORIGIN) % _METRICS_STEP
    if late >= _LATE:
        raise _BadLineError(f"{moment:%Y-%m-%d %H:%M:%S.%f} does not begin a 5m bar")
    return _possible(moment - late), late


def _epoch(name: str, text: str) -> datetime:
    if not _EPOCH.fullmatch(text):
        raise _BadLineError(f"{name} {text[:40]!r} is not a time in milliseconds or microseconds")
    microseconds = int(text) * (1000 if len(text) == 13 else 1)
    return _possible(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds))


def _possible(moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise _BadLineError(f"{moment.isoformat()} is not between {_EARLIEST.year} and {_LATEST.year}")
    return moment


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


def _number(cells: _Cells, name: str) -> str:
    text = cells[name]
    if not _NUMBER.fullmatch(text):
        raise _BadLineError(f"{name} {text[:40]!r} is not a number")
    value = Decimal(text)
    if value < 0:
        raise _BadLineError(f"{name} {text[:40]} is negative")
    if value.adjusted() >= _WHOLE_DIGITS:
        raise _BadLineError(f"{name} {text[:40]} is too large for the table")
    return text


def _number_or_null(cells: _Cells, name: str) -> str | None:
    return _number(cells, name) if cells[name] else None
