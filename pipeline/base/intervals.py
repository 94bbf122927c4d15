"""The candle intervals: their lengths, tables and buckets; and moments as microseconds, as arrays have them."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return (moment - _EPOCH) // MICROSECOND


def moment(since_epoch: int) -> datetime:
    """The moment so many microseconds after the epoch."""
    return _EPOCH + since_epoch * MICROSECOND


@dataclass(frozen=True)
class Interval:
    """One candle interval.

    Attributes:
        name: as in table names and in the results, such as ``5m``.
        length: duration of a bar; of 1M, whose bars are calendar months, the longest one.
        bucket: the same as an SQL interval, for bucketing.
    """

    name: str
    length: timedelta
    bucket: str

    @property
    def candles(self) -> str:
        """Name of the candle table."""
        return f"candles_{self.name}"

    @property
    def monthly(self) -> bool:
        """Whether a bar is a calendar month, which has no length of its own."""
        return self.name == "1M"

    def back(self, moment: datetime, bars: int) -> datetime:
        """The moment so many bars earlier, at the earliest the first one that there is; later where it is negative.

        A month earlier it is the same day and time, or the last day of a month that has no such day.
        """
        return _months_before(moment, bars) if self.monthly else before(moment, self.length, bars)


_UNITS = {"m": ("minutes", "minutes"), "h": ("hours", "hours"), "d": ("days", "days"), "w": ("weeks", "weeks")}


def _interval(name: str) -> Interval:
    if name == "1M":
        return Interval(name, timedelta(days=31), "1 month")
    count, (unit, argument) = int(name[:-1]), _UNITS[name[-1]]
    return Interval(name, timedelta(**{argument: count}), f"{count} {unit}")


INTERVALS = {
    name: _interval(name)
    for name in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
}
DEFAULT_INTERVALS = ("1m", "5m", "15m", "1h", "4h", "1d", "1w")
_EPOCH_MONDAY = datetime(2000, 1, 3, tzinfo=UTC)


def bucket_start(moment: datetime, interval: Interval) -> datetime:
    """Start of the bar that holds a moment; weeks start on Monday, all in UTC. Before 2000 the moment itself."""
    if interval.monthly:
        return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if moment < _EPOCH_MONDAY:
        return moment
    return moment - (moment - _EPOCH_MONDAY) % interval.length


def before(moment: datetime, length: timedelta, times: int) -> datetime:
    """A moment some lengths earlier, at the earliest the first one that there is."""
    try:
        return moment - times * length
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _months_before(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    if year < MINYEAR:
        return datetime.min.replace(tzinfo=UTC)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
