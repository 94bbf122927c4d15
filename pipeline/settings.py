"""What a run was asked to do, checked: the options of the command line as values."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..indicators.registry import INDICATORS
from .base.errors import UsageError
from .base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..indicators.contract import Indicator

DEFAULT_EXCHANGE = "binance_futures_um"
DEFAULT_LOOKBACK = 400
DEFAULT_LOCK_TIMEOUT = 30.0
#: Megabytes of the result database's write-ahead log.
DEFAULT_WAL_LIMIT = 256
#: Rows kept per (symbol, interval); intervals that are not listed keep OTHER_RETENTION.
RETENTION = {"1m": 120, "5m": 120, "15m": 96, "1h": 144, "4h": 120, "1d": 180, "1w": 104}
OTHER_RETENTION = 60
_GROUP = "SYMBOLS_GROUP_"


@dataclass(frozen=True)
class SymbolRules:
    """What the environment says about symbols.

    Attributes:
        usual: what is chosen where nobody says otherwise, as in ``--symbols``.
        groups: the symbols of each named group.
        extra: symbols that join whatever a group, ``auto`` or ``all`` chooses.
        exclude: symbols that are never chosen, whoever names them.
        top: top N of each rule of ``auto``.
    """

    usual: str = "auto"
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extra: Sequence[str] = ()
    exclude: Sequence[str] = ()
    top: int = 50

    def group(self, word: str) -> str | None:
        """Name of the group that a word means: the name itself, or a name in capitals written small."""
        return next((name for name in self.groups if word in (name, name.lower())), None)


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
    wal_limit: int = DEFAULT_WAL_LIMIT
    retention: Mapping[str, int] = field(default_factory=lambda: RETENTION)
    symbol_rules: SymbolRules = field(default_factory=SymbolRules)

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


def symbols_of(text: str) -> list[str]:
    """The symbols, groups and words of a comma list. Raises UsageError where there is none, or one has a NUL."""
    names = items(text)
    if not names or any("\0" in name for name in names):
        raise UsageError(f"--symbols {text!r} names no symbol: give SYMBOL,SYMBOL, auto, all, a group, or @FILE")
    return names


def asked_symbols(text: str | None, rules: SymbolRules) -> str:
    """The comma list that ``--symbols`` asks for, or else the environment; what a file lists stands for ``@FILE``.

    A file has a symbol in each line, or several with commas; a ``#`` begins a comment.

    Raises:
        UsageError: a file cannot be read or names nothing, or the environment asks for a group that is not known.
    """
    if text is None:
        for word in items(rules.usual):
            if word not in ("auto", "all") and not rules.group(word):
                raise unknown("group in SYMBOLS_GROUPS", word, ["auto", "all", *rules.groups])
        return rules.usual
    names: list[str] = []
    for name in items(text):
        names += _listed(Path(name[1:])) if name.startswith("@") else [name]
    return ",".join(names)


def _listed(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(
            f"--symbols @{file} cannot be read: {reason}; give a text file of symbols, one a line"
        ) from error
    names = items(",".join(line.partition("#")[0] for line in lines))
    if not names:
        raise UsageError(f"--symbols @{file} names no symbol: give a text file of symbols, one a line")
    return names


def parse_symbol_rules(environment: Mapping[str, str]) -> SymbolRules:
    """The rules that environment variables give: SYMBOLS_GROUPS, SYMBOLS_GROUP_<name>, and so on.

    Raises:
        UsageError: a group is called ``auto`` or ``all``, or HIGH_PRIORITY_TOP_N is not a number of symbols.
    """
    groups = {name.removeprefix(_GROUP): items(value) for name, value in environment.items() if name.startswith(_GROUP)}
    if reserved := {"auto", "all"} & {name.lower() for name in groups}:
        raise UsageError(f"a group cannot be called {reserved.pop()}: give {_GROUP}<name> another name")
    top = environment.get("HIGH_PRIORITY_TOP_N") or str(SymbolRules.top)
    if not re.fullmatch(r"[0-9]{1,6}", top) or not int(top):
        raise UsageError(f"HIGH_PRIORITY_TOP_N {top!r} is not a number of symbols, at least 1")
    return SymbolRules(
        usual=environment.get("SYMBOLS_GROUPS") or SymbolRules.usual,
        groups=groups,
        extra=items(environment.get("SYMBOLS_EXTRA")),
        exclude=items(environment.get("SYMBOLS_EXCLUDE")),
        top=int(top),
    )
