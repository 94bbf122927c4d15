"""What an ingest did: of each file, and of each series that the files are pieces of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..base.ranges import Range, union
from ..source.aggregates import row_step
from .stretches import Stretches

if TYPE_CHECKING:
    from datetime import datetime

    from .layouts import Reject

#: Rejected lines of a file and gaps of a series that are told one by one; all are counted.
EXAMPLES = 5


@dataclass
class FileReport:
    """One .csv file, alone or in a zip. ``reason`` says why it was skipped or failed; the database then has none of it.

    ``rows`` are the good lines: each was inserted, updated a row with other values, or changed nothing. ``overruled``
    are those that changed nothing because other files of the call say otherwise, and count.
    """

    file: str
    state: Literal["loaded", "skipped", "failed"]
    reason: str | None = None
    symbol: str | None = None
    what: str | None = None
    table: str | None = None
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    overruled: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    stretches: Stretches = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count from nothing."""
        self.rows = self.inserted = self.updated = self.overruled = self.rejected = 0
        self.rejects = []
        self.first = self.last = None
        self.stretches = Stretches(row_step(self.table or ""))

    def fail(self, reason: str) -> None:
        """Say that the database has none of it, and why."""
        self.begin()
        self.state, self.reason = "failed", reason

    @property
    def unchanged(self) -> int:
        """Good lines that the database had already, that a later line of the file repeats, or that are overruled."""
        return self.rows - self.inserted - self.updated

    def reject(self, line: Reject) -> None:
        """Count a bad line."""
        self.rejected += 1
        if len(self.rejects) < EXAMPLES:
            self.rejects.append(line)

    def see(self, moment: datetime) -> None:
        """Count a good line."""
        self.rows += 1
        self.first = min(self.first or moment, moment)
        self.last = max(self.last or moment, moment)
        self.stretches.add(moment)

    def as_json(self) -> dict[str, Any]:
        """Everything but the stretches, for JSON."""
        shown = dict(vars(self)) | {"unchanged": self.unchanged, "rejects": [vars(line) for line in self.rejects]}
        del shown["stretches"]
        return shown | {"first": _iso(self.first), "last": _iso(self.last)}


@dataclass(frozen=True)
class Gap:
    """Bars in a row that a series lacks: the first and the last of them, and how many."""

    first: datetime
    last: datetime
    missing: int


@dataclass(frozen=True)
class Hidden:
    """Loaded rows that an aggregate does not show, and why.

    Attributes:
        aggregate: its name.
        symbol: of the rows; None: of any.
        first: start of the oldest bucket.
        last: start of the newest bucket; where they were not counted the end of it.
        buckets: how many; None where they were not counted.
        reason: why they are hidden, and what can be done.
    """

    aggregate: str
    symbol: str | None
    first: datetime
    last: datetime
    buckets: int | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return dict(vars(self)) | {"first": _iso(self.first), "last": _iso(self.last)}


@dataclass(frozen=True)
class Conflict:
    """Rows of a file that another file of the same call contradicts, and that do not count.

    Attributes:
        symbol: of the rows.
        what: their interval, or ``metrics``.
        file: the file that they are from.
        taken: the file whose rows count.
        first: the oldest of them.
        last: the newest.
        rows: how many.
    """

    symbol: str
    what: str
    file: str
    taken: str
    first: datetime
    last: datetime
    rows: int

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return dict(vars(self)) | {"first": _iso(self.first), "last": _iso(self.last)}


@dataclass
class SeriesReport:
    """The loaded files of one symbol and table. Gaps are what the table lacks between their first and last bars."""

    symbol: str
    what: str
    table: str
    files: list[FileReport]
    gaps: list[Gap] = field(default_factory=list)

    @property
    def first(self) -> datetime:
        """The oldest bar of the files."""
        return min(file.first for file in self.files if file.first)

    @property
    def last(self) -> datetime:
        """The newest bar of the files."""
        return max(file.last for file in self.files if file.last)

    @property
    def stretches(self) -> list[Range]:
        """The ranges of time in which the files have rows."""
        return union(one for file in self.files for one in file.stretches.ranges)

    @property
    def missing(self) -> int:
        """Bars in all gaps."""
        return sum(gap.missing for gap in self.gaps)

    def total(self, name: str) -> int:
        """A count of its files, added up."""
        return sum(getattr(file, name) for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """Everything but the files, for JSON."""
        gaps = [{"first": _iso(g.first), "last": _iso(g.last), "missing": g.missing} for g in self.gaps[:EXAMPLES]]
        return {
            "symbol": self.symbol,
            "what": self.what,
            "table": self.table,
            "files": len(self.files),
            **{name: self.total(name) for name in COUNTS},
            "first": _iso(self.first),
            "last": _iso(self.last),
            "missing": self.missing,
            "gap_count": len(self.gaps),
            "gaps": gaps,
        }


COUNTS = ("rows", "inserted", "updated", "unchanged", "rejected")


@dataclass
class Report:
    """A whole ingest.

    Attributes:
        exchange: of the rows.
        created: relations that were missing.
        files: each file.
        series: the loaded files by symbol and table.
        conflicts: what files of the call contradict each other about.
        derived: rows written to coarser tables.
        hidden: loaded rows that aggregates do not show.
    """

    exchange: str
    created: list[str] = field(default_factory=list)
    files: list[FileReport] = field(default_factory=list)
    series: list[SeriesReport] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    derived: dict[str, int] = field(default_factory=dict)
    hidden: list[Hidden] = field(default_factory=list)

    def of_state(self, state: str) -> list[FileReport]:
        """The files that were ``loaded``, ``skipped`` or ``failed``."""
        return [file for file in self.files if file.state == state]

    def group(self) -> None:
        """Put the loaded files together as series."""
        series: dict[tuple[str, str], SeriesReport] = {}
        for file in self.of_state("loaded"):
            if file.symbol and file.what and file.table and file.rows:
                key = file.symbol, file.what
                series.setdefault(key, SeriesReport(*key, file.table, [])).files.append(file)
        self.series = [series[key] for key in sorted(series)]

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "exchange": self.exchange,
            "created": self.created,
            "conflicts": [one.as_json() for one in self.conflicts],
            "derived": self.derived,
            "hidden": [one.as_json() for one in self.hidden],
            "series": [one.as_json() for one in self.series],
            "files": [file.as_json() for file in self.files],
        }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
