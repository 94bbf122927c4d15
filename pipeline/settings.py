"""What a run was asked to do, checked: the options of the command line as values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ..indicators.profiles import PARITY, PROFILES
from .base import folders
from .base.errors import UsageError
from .base.files import read_text
from .base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval
from .base.marker import DESK, Marker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..indicators.contract import Indicator

DEFAULT_EXCHANGE = "binance_futures_um"
DEFAULT_LOOKBACK = 400
DEFAULT_LOCK_TIMEOUT = 30.0
#: Megabytes of the result database's write-ahead log.
DEFAULT_WAL_LIMIT = 256
#: Rows kept per (symbol, interval); intervals that are not listed keep OTHER_RETENTION.
RETENTION = {"1m": 120, "5m": 120, "15m": 96, "1h": 144, "4h": 120, "1d": 180, "1w": 104}
OTHER_RETENTION = 60
#: The greatest top N of the rules of ``auto``.
MOST_TOP = 999_999
_GROUP = "SYMBOLS_GROUP_"
#: A number of rows, at least 1.
_ROWS = "0*[1-9][0-9]{0,8}"
_RETENTION_OF = "INDICATOR_RETENTION_"


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


#: Minutes of the units that an interval can be written in.
_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}
#: Names that an error lists.
_LISTED = 40
#: Bytes of a file of symbols, at most.
_LIST_BYTES = 10_000_000


@dataclass(frozen=True)
class Settings:
    """One run, as asked for. Raises UsageError where its parts do not go together."""

    source: str
    sqlite: Path
    duckdb: Path
    symbols: str
    intervals: tuple[Interval, ...]
    indicators: Sequence[Indicator]
    as_of: datetime
    lookback: int = DEFAULT_LOOKBACK
    workers: int = 1
    exchange: str = DEFAULT_EXCHANGE
    closed_only: bool = False
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    wal_limit: int = DEFAULT_WAL_LIMIT
    retention: Mapping[str, int] = field(default_factory=lambda: RETENTION)
    symbol_rules: SymbolRules = field(default_factory=SymbolRules)
    marker: Marker = DESK
    adopt: bool = False

    def __post_init__(self) -> None:
        symbols_of(self.symbols)
        work = self.duckdb.resolve()
        if self.sqlite.resolve() == work:
            raise UsageError(f"--sqlite and --duckdb are the same file, {self.sqlite}: give two")
        if work in sqlite_files(self.sqlite):
            raise UsageError(f"--duckdb {self.duckdb} is where SQLite keeps a part of {self.sqlite}: give another file")

    @property
    def profile(self) -> str:
        """Whose values the indicators have: that of the files they go to."""
        return self.marker.profile

    @property
    def reads_metrics(self) -> bool:
        """Whether an indicator is computed from futures metrics."""
        every = isinstance(self.indicators, EveryIndicator)
        return every or any(declared.source == "metrics" for declared in self.indicators)

    def keep(self, interval: str) -> int:
        """Rows to keep per symbol at an interval."""
        return self.retention.get(interval, OTHER_RETENTION)


def sqlite_files(database: Path) -> set[Path]:
    """The files that SQLite has for a database, or may have: its own, the logs and the log's index."""
    file = database.resolve()
    return {file.with_name(file.name + end) for end in ("", "-wal", "-shm", "-journal")}


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
    """The interval of a name such as ``5m``; ``60m`` is 1h and ``4H`` is 4h, but ``1M`` is a month."""
    found = INTERVALS.get(name) or _of_length(name)
    if found is None:
        raise unknown("interval", name, INTERVALS)
    return found


def _of_length(name: str) -> Interval | None:
    """The interval as long as what a name in other units or capitals says."""
    match = re.fullmatch("0*([1-9][0-9]{0,5})(m|h|d|w|H|D|W)", name)
    if not match:
        return None
    length = int(match[1]) * timedelta(minutes=_MINUTES[match[2].lower()])
    return next((each for each in INTERVALS.values() if each.length == length and not each.monthly), None)


def parse_intervals(text: str | None) -> tuple[Interval, ...]:
    """Intervals of a comma list; empty: the seven usual ones."""
    return tuple(parse_interval(name) for name in items(text) or DEFAULT_INTERVALS)


class PartsOfNames(str):
    """A comma list whose entries may be parts of names, in any case: the service that candlemill replaces had them."""

    __slots__ = ()


def _named(text: str | None, known: Mapping[str, Indicator]) -> set[str]:
    """Ids of the indicators of a comma list."""
    parts = isinstance(text, PartsOfNames)
    return {found for name in items(text) for found in _by_name(name, parts, known)}


def _by_name(name: str, parts: bool, known: Mapping[str, Indicator]) -> list[str]:
    def names(declared: Indicator) -> tuple[str, ...]:
        return declared.id, declared.table, declared.table.removesuffix(".py")

    for declared in known.values():
        if name in names(declared):
            return [declared.id]
    part = name.casefold()
    whole = [declared.id for declared in known.values() if part in [each.casefold() for each in names(declared)]]
    within = [d for d in known.values() if any(part in each.casefold() for each in (d.id, d.table.removesuffix(".py")))]
    if parts and (whole or within):
        return whole or [declared.id for declared in within]
    hints = []
    if within:
        candidates = ", ".join(f"{declared.id} ({declared.table})" for declared in within)
        hints.append(f"it is a part of {candidates}")
    if part and (having := [found for declared in known.values() if (found := _having(declared, part))]):
        hints.append(f"there are columns of that name in {', '.join(having)}")
    if hints:
        raise UsageError(f"unknown indicator {name!r}: {'; '.join(hints)}; give an id or a table name whole")
    raise unknown("indicator", name, known)


def _having(declared: Indicator, part: str) -> str:
    """The indicator with those of its columns that have a word in their names; nothing where there is none."""
    columns = [column.name for column in declared.columns if re.search(rf"(^|_){re.escape(part)}\d*(_|$)", column.name)]
    return f"{declared.id} ({', '.join(columns)})" if columns else ""


class EveryIndicator(Sequence["Indicator"]):
    """All indicators of the catalogue, which is loaded when they are looked at: it brings NumPy along.

    So a run reaches its source, and the source begins to work, before Python has NumPy.
    """

    @overload
    def __getitem__(self, place: int) -> Indicator: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Indicator]: ...
    def __getitem__(self, place: int | slice) -> Indicator | Sequence[Indicator]:
        return tuple(_catalogue().values())[place]

    def __iter__(self) -> Iterator[Indicator]:
        return iter(_catalogue().values())

    def __len__(self) -> int:
        return len(_catalogue())


def _catalogue() -> Mapping[str, Indicator]:
    from ..indicators.registry import INDICATORS

    return INDICATORS


def parse_indicators(
    enabled: str | None,
    disabled: str | None = None,
    mode: str = "all",
    known: Mapping[str, Indicator] | None = None,
) -> Sequence[Indicator]:
    """Indicators of comma lists of ids or table names, in catalogue order, of one mode or of all.

    Known are those of the catalogue, unless others are given. Entries of ``PartsOfNames`` stand for every indicator
    with them in its id or table, unless one has just that name.
    """
    if mode not in ("all", "batch", "incremental"):
        raise unknown("mode", mode, ("all", "batch", "incremental"))
    if known is None:
        if not items(enabled) and not items(disabled) and mode == "all":
            return EveryIndicator()
        known = _catalogue()
    wanted = (_named(enabled, known) or set(known)) - _named(disabled, known)
    chosen = tuple(i for i in known.values() if i.id in wanted and mode in ("all", i.mode))
    if not chosen:
        raise UsageError("no indicator is left: widen --indicators and --mode, or shorten INDICATORS_DISABLED")
    return chosen


def parse_profile(text: str | None) -> str:
    """The profile of that name; the usual one where none is given. Raises UsageError for an unknown one."""
    if text and text not in PROFILES:
        raise unknown("profile", text, PROFILES)
    return text or PARITY


def parse_retention(text: str | None, environment: Mapping[str, str] | None = None) -> dict[str, int]:
    """Retention of ``1m=120,5m=120``, over that of ``INDICATOR_RETENTION_1M`` and so on, over the defaults.

    There is no small m in these names: 1M is the minute. The month is 1MO, as in archives.
    """
    kept = dict(RETENTION)
    for variable, rows in sorted((environment or {}).items()):
        if variable.startswith(_RETENTION_OF) and rows:
            interval = variable.removeprefix(_RETENTION_OF).lower().replace("mo", "M")
            if interval not in INTERVALS or not re.fullmatch(_ROWS, rows):
                raise UsageError(f"{variable}={rows} is not a known interval with a number of rows, at least 1")
            kept[interval] = int(rows)
    for item in items(text):
        match = re.fullmatch(rf"(\w+)=({_ROWS})", item)
        if not match or match[1] not in INTERVALS:
            raise UsageError(
                f"retention {item!r} is not INTERVAL=ROWS with a known interval and at least 1 row, at most 999999999"
            )
        kept[match[1]] = int(match[2])
    return kept


def parse_as_of(text: str | None) -> datetime:
    """The moment a run looks from; now where it is not given. Raises as ``parse_moment`` does."""
    return parse_moment(text, "--as-of") if text else datetime.now(UTC)


def parse_moment(text: str, option: str) -> datetime:
    """A moment that an option was given: ISO 8601, UTC where it has no offset. Raises UsageError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text!r} is not an ISO 8601 time such as 2026-01-18T14:00:00+00:00") from error


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
        names += _listed(folders.given(Path(name[1:]))) if name.startswith("@") else [name]
    return ",".join(names)


def _listed(file: Path) -> list[str]:
    try:
        lines = read_text(file, _LIST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
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
        raise UsageError(f"HIGH_PRIORITY_TOP_N {top!r} is not a number of symbols, at least 1 and at most {MOST_TOP}")
    return SymbolRules(
        usual=environment.get("SYMBOLS_GROUPS") or SymbolRules.usual,
        groups=groups,
        extra=items(environment.get("SYMBOLS_EXTRA")),
        exclude=items(environment.get("SYMBOLS_EXCLUDE")),
        top=int(top),
    )
