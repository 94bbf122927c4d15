"""What a run was asked to do, checked: the options of the command line as values."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from indicators.registry import INDICATORS
from pipeline.errors import UsageError
from pipeline.intervals import DEFAULT_INTERVALS, INTERVALS, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from indicators.contract import Indicator

DEFAULT_EXCHANGE = "binance_futures_um"
DEFAULT_LOOKBACK = 400
DEFAULT_LOCK_TIMEOUT = 30.0
#: Rows kept per (symbol, interval); intervals that are not listed keep OTHER_RETENTION.
RETENTION = {"1m": 120, "5m": 120, "15m": 96, "1h": 144, "4h": 120, "1d": 180, "1w": 104}
OTHER_RETENTION = 60
#: Names that an error lists.
_LISTED = 40


@dataclass(frozen=True)
class Settings:
    """One run, as asked for. Raises UsageError where its parts do not go together."""

    source: str
    sqlite: Path
    duckdb: Path
    symbols: str
    intervals: tuple[Interval, ...]
    indicators: tuple[Indicator, ...]
    as_of: datetime
    lookback: int = DEFAULT_LOOKBACK
    workers: int = 1
    exchange: str = DEFAULT_EXCHANGE
    closed_only: bool = False
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    retention: Mapping[str, int] = field(default_factory=lambda: RETENTION)

    def __post_init__(self) -> None:
        symbols_of(self.symbols)
        if self.sqlite.resolve() == self.duckdb.resolve():
            raise UsageError(f"--sqlite and --duckdb are the same file, {self.sqlite}: give two")

    def keep(self, interval: str) -> int:
        """Rows to keep per symbol at an interval."""
        return self.retention.get(interval, OTHER_RETENTION)


def items(text: str | None) -> list[str]:
    """The entries of a comma list, without blanks and repetitions, in their order."""
    return list(dict.fromkeys(item.strip() for item in (text or "").split(",") if item.strip()))


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not among the known ones, with the one that was probably meant."""
    names = list(known)
    lower = {candidate.lower(): candidate for candidate in reversed(names)}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    if close:
        return UsageError(f"unknown {what} {name!r}: did you mean {lower[close[0]]!r}?")
    more = ", …" if len(names) > _LISTED else ""
    return UsageError(f"unknown {what} {name!r}: known are {', '.join(names[:_LISTED])}{more}")


def parse_interval(name: str) -> Interval:
    """The interval of a name such as ``5m``."""
    if name not in INTERVALS:
        raise unknown("interval", name, INTERVALS)
    return INTERVALS[name]


def parse_intervals(text: str | None) -> tuple[Interval, ...]:
    """Intervals of a comma list; empty: the seven usual ones."""
    return tuple(parse_interval(name) for name in items(text) or DEFAULT_INTERVALS)


def _by_name(name: str, known: Mapping[str, Indicator]) -> Indicator:
    for declared in known.values():
        if name in (declared.id, declared.table, declared.table.removesuffix(".py")):
            return declared
    raise unknown("indicator", name, known)


def parse_indicators(
    enabled: str | None,
    disabled: str | None = None,
    mode: str = "all",
    known: Mapping[str, Indicator] = INDICATORS,
) -> tuple[Indicator, ...]:
    """Indicators of comma lists of ids or table names, in catalogue order, of one mode or of all."""
    if mode not in ("all", "batch", "incremental"):
        raise unknown("mode", mode, ("all", "batch", "incremental"))
    wanted = {_by_name(name, known).id for name in items(enabled)} or set(known)
    wanted -= {_by_name(name, known).id for name in items(disabled)}
    chosen = tuple(i for i in known.values() if i.id in wanted and mode in ("all", i.mode))
    if not chosen:
        raise UsageError("no indicator is left: widen --indicators and --mode, or shorten INDICATORS_DISABLED")
    return chosen


def parse_retention(text: str | None) -> dict[str, int]:
    """Retention of ``1m=120,5m=120``, over the defaults."""
    kept = dict(RETENTION)
    for item in items(text):
        match = re.fullmatch(r"(\w+)=(\d{1,9})", item)
        if not match or match[1] not in INTERVALS or int(match[2]) < 1:
            raise UsageError(f"retention {item!r} is not INTERVAL=ROWS with a known interval and at least 1 row")
        kept[match[1]] = int(match[2])
    return kept


def parse_as_of(text: str | None) -> datetime:
    """The moment a run looks from: ISO 8601, UTC where it has no offset; now where it is not given."""
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--as-of {text!r} is not an ISO 8601 time such as 2026-01-18T14:00:00+00:00") from error


def symbols_of(text: str) -> Sequence[str] | None:
    """The symbols of a comma list; None for the words ``auto`` and ``all``. Raises UsageError for a broken list."""
    names = items(text)
    if names in (["auto"], ["all"]):
        return None
    if {"auto", "all"} & set(names):
        raise UsageError(f"--symbols {text!r} mixes symbols with a word for many: give SYMBOL,SYMBOL, auto or all")
    if not names or any("\0" in name for name in names):
        raise UsageError(f"--symbols {text!r} names no symbol: give SYMBOL,SYMBOL, auto or all")
    return names
