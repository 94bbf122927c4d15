"""What stands above a picture of a market: the newest bar in words, in the time zone of the reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np

from ..base.intervals import moment
from ..base.shown import visible
from ..settings import unknown
from .numbers import plain, price, short

if TYPE_CHECKING:
    from ...indicators.contract import Array
    from .history import Series


@dataclass(frozen=True)
class Zone:
    """How far the clocks of a picture are ahead of UTC, all over it, and what they are called."""

    offset: timedelta
    name: str

    def times(self, since_epoch: Array) -> Array:
        """Microseconds since the epoch as the clock shows them, datetime64[us]."""
        return since_epoch.astype("datetime64[us]") + np.timedelta64(self.offset)


IN_UTC = Zone(timedelta(0), "UTC")


def zone_of(name: str, since_epoch: int) -> Zone:
    """The zone of a name such as ``Europe/Berlin``, with the offset that it has at a moment.

    A picture has one offset from its first bar to its last: where clocks are set back, an hour would lie over another.
    Raises UsageError for a zone that is not known.
    """
    if name == "UTC":
        return IN_UTC
    try:
        local = moment(since_epoch).astimezone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise unknown("time zone", name, sorted(available_timezones())) from None
    hours = f"{local:%z}"
    return Zone(local.utcoffset() or timedelta(0), f"{name} (UTC{hours[:3]}:{hours[3:5]})")


@dataclass(frozen=True)
class Headline:
    """The newest bar: its close, the change since the bar before, and the bar itself.

    Attributes:
        name: symbol and interval.
        close: the last price, as it is written.
        change: since the close before, as a difference and in percent.
        rising: whether it is no fall.
        bar: open, high, low, close and volume.
        time: when it began, and in which zone.
    """

    name: str
    close: str
    change: str
    rising: bool
    bar: str
    time: str

    @property
    def line(self) -> str:
        """All of it."""
        return f"{self.name}   {self.close}   {self.change}   {self.bar}   {self.time}"


def headline(series: Series, zone: Zone) -> Headline:
    """The newest bar in words."""
    opened, high, low, close = (series.field(name) for name in ("open", "high", "low", "close"))
    before = close[-2] if len(close) > 1 else opened[-1]
    change = close[-1] - before
    percent = f" ({_signed(100 * change / before, 2)}%)" if before else ""
    decimals = _decimals(price(close[-1]))
    bar = "  ".join(
        f"{letter} {price(values[-1])}" for letter, values in zip("OHLC", (opened, high, low, close), strict=True)
    )
    started = str(zone.times(series.times)[-1].astype("datetime64[m]")).replace("T", " ")
    return Headline(
        name=f"{visible(series.symbol)} {series.interval.name}",
        close=price(close[-1]),
        change=f"{_signed(change, decimals)}{percent}",
        rising=bool(change >= 0),
        bar=f"{bar}  V {short(series.field('volume')[-1])}",
        time=f"{started} {zone.name}",
    )


def _signed(value: float, decimals: int) -> str:
    return f"{'+' if value >= 0 else ''}{plain(value, decimals)}"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
