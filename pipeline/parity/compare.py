"""Comparing two result databases: which rows and which values differ, and by how much.

SQLite itself reads both files, inside one DuckDB transaction: each is seen as it stood at one moment, whoever writes to
it meanwhile. DuckDB compares, table by table, in sets. Nothing is written to either file.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb

from ...indicators.registry import INDICATORS
from ..base.duck import open_duckdb
from ..base.errors import UsageError, one_line
from ..base.folders import temporary_folder
from ..base.intervals import INTERVALS
from ..base.marker import DESK
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..results.extension import load_sqlite
from ..results.ownership import marker_of
from ..results.rows import DATA_TIME, INTERVAL, KEY, SYMBOL
from .exceptions import ANY_TABLE, Allowance, english_of, names_table, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: The databases are attached under these names.
SIDES = ("a", "b")
DEFAULT_RTOL = 1e-9
_APPLICATION_ID = Sql("SELECT application_id FROM pragma_application_id")
# What DuckDB may keep in memory; the rest goes to a temporary folder. One table at a time is there, of both databases.
_MEMORY = "512MB"


@dataclass(frozen=True)
class Question:
    """What is compared, and how closely. Empty lists mean all. Raises UsageError for numbers that make no sense.

    Attributes:
        tables: names or English ids.
        intervals: such as ``5m``.
        symbols: such as ``BTCUSDT``.
        share: part of the shared keys whose values are compared, above 0 and at most 1.
        seed: another seed is another sample of about the same size.
        rtol: two numbers are the same up to this part of the larger one.
        atol: or up to this much.
        allow: departures that are no difference.
    """

    tables: Sequence[str] = ()
    intervals: Sequence[str] = ()
    symbols: Sequence[str] = ()
    share: float = 1.0
    seed: int = 0
    rtol: float = DEFAULT_RTOL
    atol: float = 0.0
    allow: Sequence[Allowance] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"a sample of {self.share:%} is not above 0% and at most 100%")
        if not (self.rtol >= 0 and self.atol >= 0):
            raise UsageError("--rtol and --atol must be numbers from 0 upwards")


@dataclass(frozen=True)
class Rows:
    """Rows of one table and interval, a row per key; repeated ones are those beyond the last of a key, which counts."""

    table: str
    interval: str | None
    rows_a: int
    rows_b: int
    repeated_a: int
    repeated_b: int
    only_a: int
    only_b: int
    rows_compared: int
    values_compared: int


@dataclass(frozen=True)
class Finding:
    """Departures of one kind at one place.

    Attributes:
        table: where.
        interval: where; None for a missing table, and for rows without an interval.
        column: where; None for whole rows and tables.
        name: English name of the column; None where it has none.
        kind: ``value``; ``only in A`` and ``only in B`` (rows); ``no table in A`` and ``no table in B``.
        departures: how many cells, rows or tables.
        symbols: how many symbols have some.
        foremost: {symbol, departures} of the ten symbols with the most.
        largest: the largest difference of two numbers, relative to the larger one; None where none is of numbers.
        example: symbol, time and both cells of the row with it.
        allowed_by: the rule that allows it; None: it is a difference.
    """

    table: str
    interval: str | None
    column: str | None
    name: str | None
    kind: str
    departures: int
    symbols: int = 0
    foremost: Sequence[Mapping[str, Any]] = ()
    largest: float | None = None
    example: Mapping[str, Any] | None = None
    allowed_by: str | None = None


@dataclass
class Report:
    """What a comparison found.

    Attributes:
        rows: by table and interval.
        findings: every departure, allowed or not.
        columns: columns that one side alone has, as {table, column, only_in}; they are no difference.
        left_out: tables that hold no results: without a column for the symbol, or without rowids.
    """

    rows: list[Rows] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    columns: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """Departures that no rule allows."""
        return sum(found.departures for found in self.findings if found.allowed_by is None)

    def allowed(self, rule: Allowance) -> int:
        """Departures that this rule allows. Each is allowed by the first rule that covers it."""
        return sum(found.departures for found in self.findings if found.allowed_by == rule.text)


def compare(paths: tuple[Path, Path], question: Question) -> Report:
    """Compare two result databases, A and B.

    Raises UsageError where one cannot be read, or neither has what was asked for.
    """
    with _opened(paths) as connection:
        return _Comparison(connection, paths, question).report()


class _Comparison:
    """One comparison over the two attached databases."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, paths: tuple[Path, Path], question: Question) -> None:
        self.connection = connection
        self.paths = paths
        self.question = question
        self.found = Report()
        self.symbols_seen: set[str] = set()

    def report(self) -> Report:
        self._check_profiles()
        schemas = {side: self._schema(side, path) for side, path in zip(SIDES, self.paths, strict=True)}
        tables = self._chosen(sorted({table for schema in schemas.values() for table in schema}))
        for table in tables:
            try:
                self._compare(table, {side: schema[table] for side, schema in schemas.items() if table in schema})
            except duckdb.Error as error:
                a, b = self.paths
                raise UsageError(f"the table {table} of {a} and {b} cannot be compared: {one_line(error)}") from error
        if missing := [symbol for symbol in self.question.symbols if symbol not in self.symbols_seen]:
            raise UsageError(f"--symbols {','.join(missing)}: neither database has a row of it")
        return self.found

    def _check_profiles(self) -> None:
        """Raise UsageError where the databases have values of different profiles."""
        profiles = []
        for side, path in zip(SIDES, self.paths, strict=True):
            try:
                [(number,)] = self.connection.execute(f"FROM {_native(side, _APPLICATION_ID)}").fetchall()
                profiles.append((marker_of(int(number)) or DESK).profile)
            except ValueError as error:
                raise UsageError(f"{path} was made by a newer candlemill: update this one") from error
            except duckdb.Error as error:
                raise _unreadable(path, error) from error
        if profiles[0] != profiles[1]:
            (a, b), (of_a, of_b) = self.paths, profiles
            raise UsageError(
                f"{a} has values of the profile {of_a}, {b} of {of_b}, and they differ by definition: "
                "give two databases of one profile (docs/corrected.md has the differences)"
            )

    def _schema(self, side: str, path: Path) -> dict[str, list[str]]:
        """Columns of the tables that hold results; the other tables are noted as left out."""
        try:
            found = self.connection.execute(f"FROM {_native(side, statement('parity/tables'))}").fetchall()
        except duckdb.Error as error:
            raise _unreadable(path, error) from error
        tables: dict[str, list[str]] = {}
        for table, ordered, column in found:
            tables.setdefault(table, []).extend([column] if ordered == "1" else [])
        foreign = {table for table, columns in tables.items() if SYMBOL not in columns}
        self.found.left_out = sorted(foreign.union(self.found.left_out))
        return {table: columns for table, columns in tables.items() if table not in foreign}

    def _chosen(self, tables: Sequence[str]) -> Sequence[str]:
        """Those of the tables that are asked for."""
        a, b = self.paths
        if not tables:
            raise UsageError(f"neither {a} nor {b} has a table of results: give two result databases")
        wanted = self.question.tables
        refuse_unknown("--tables", wanted, tables)
        allowed = [rule.table for rule in self.question.allow if rule.table != ANY_TABLE]
        refuse_unknown("--allow", allowed, [*tables, *(indicator.table for indicator in INDICATORS.values())])
        return [table for table in tables if not wanted or any(names_table(word, table) for word in wanted)]

    def _compare(self, table: str, columns: Mapping[str, Sequence[str]]) -> None:
        """Compare one table; ``columns`` are those of each side that has it."""
        for side in SIDES:
            if side not in columns:
                self._add(Finding(table, None, None, None, f"no table in {side.upper()}", 1))
        self._match_keys(table, columns)
        self.connection.execute(statement("parity/departures"))
        shared = self._shared(table, columns["a"], columns["b"]) if len(columns) == len(SIDES) else []
        if shared:
            self._compare_cells(table, shared)
        rows = [
            Rows(table, *(*counts, counts[-1] * len(shared)))
            for counts in self.connection.execute(statement("parity/rows")).fetchall()
        ]
        self.found.rows += sorted(rows, key=lambda counted: _order(counted.interval))
        self._collect(table, shared)

    def _match_keys(self, table: str, columns: Mapping[str, Sequence[str]]) -> None:
        """Make the table ``keys``."""
        reads = []
        for side, names in columns.items():
            keys = {
                part: identifier(key) if key in names else Sql("NULL")
                for part, key in (("symbol", SYMBOL), ("interval", INTERVAL), ("data_time", DATA_TIME))
            }
            read = render(statement("parity/read_keys"), side=literal(side), table=identifier(table), **keys)
            reads.append(Sql(f"FROM {_native(side, read)}"))
        self.connection.execute(
            render(statement("parity/keys"), rows=join(reads, " UNION ALL ")),
            {
                "symbols": list(self.question.symbols) or None,
                "intervals": list(self.question.intervals) or None,
                "seed": self.question.seed,
                "share": self.question.share,
            },
        )
        if self.question.symbols:
            self.symbols_seen.update(
                symbol for (symbol,) in self.connection.execute("SELECT DISTINCT symbol FROM keys").fetchall()
            )

    def _shared(self, table: str, a: Sequence[str], b: Sequence[str]) -> list[str]:
        """Columns of values that both sides have; those that one side alone has are noted."""
        for names, others, side in ((a, b, "A"), (b, a, "B")):
            lone = [name for name in names if name not in others]
            self.found.columns += [{"table": table, "column": name, "only_in": side} for name in lone]
        return [name for name in a if name in b and name not in KEY]

    def _compare_cells(self, table: str, shared: Sequence[str]) -> None:
        """Add the cells that differ to the table ``departures``."""
        cells = [render(statement("parity/cell"), column=identifier(name)) for name in shared]
        named = join([Sql(f"{cell} AS c{position}") for position, cell in enumerate(cells)])
        reads = {
            side: _native(
                side,
                render(statement("parity/read_cells"), side=literal(side), table=identifier(table), cells=named),
                Sql(f"params = row(${side})"),
            )
            for side in SIDES
        }
        places = self.connection.execute(statement("parity/places")).fetchall()[0]
        self.connection.execute(render(statement("parity/cells"), **reads), dict(zip(SIDES, places, strict=True)))
        pairs = [Sql(f"{{'position': {p}, 'a': l.c{p}, 'b': r.c{p}}}") for p in range(len(shared))]
        unequal = [Sql(f"l.c{p} IS DISTINCT FROM r.c{p}") for p in range(len(shared))]
        self.connection.execute(
            render(statement("parity/differing_cells"), pairs=join(pairs), unequal=join(unequal, " OR ")),
            {"rtol": self.question.rtol, "atol": self.question.atol},
        )

    def _collect(self, table: str, shared: Sequence[str]) -> None:
        """Put the departures of a table into the report."""
        found = self.connection.execute(statement("parity/findings")).fetchall()
        for kind, interval, position, *figures in sorted(found, key=lambda row: _order(row[1])):
            column = None if position is None else shared[position]
            name = None if column is None else english_of(table, column)
            self._add(Finding(table, interval, column, name, kind, *figures))

    def _add(self, finding: Finding) -> None:
        """Put a finding into the report, with the first rule that allows it."""
        rules = self.question.allow
        by = next((r.text for r in rules if r.covers(finding.table, finding.column, finding.interval)), None)
        self.found.findings.append(replace(finding, allowed_by=by))


def _order(interval: str | None) -> tuple[int, str]:
    """Intervals by their length, unknown ones behind them."""
    names = list(INTERVALS)
    return (names.index(interval) if interval in names else len(names), interval or "")


def _native(side: str, query: Sql, *parameters: Sql) -> Sql:
    """A relation of DuckDB: the rows of a statement that SQLite runs in the attached database, all of them text."""
    return Sql(f"sqlite_query({join([literal(side), literal(query), *parameters])})")


@contextmanager
def _opened(paths: tuple[Path, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both databases under the names of ``SIDES``, read-only, in one transaction.

    To read a database in WAL mode, SQLite makes two files beside it, which a reader cannot remove; they go at the end.
    """
    untouched = []
    for path in paths:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is not there"
            raise UsageError(f"the database {path} {what}: give two SQLite files")
        if not _log_of(path).exists():
            untouched.append(path)
    try:
        with (
            temporary_folder("candlemill-parity-") as spill,
            closing(open_duckdb(threads=os.cpu_count() or 1, spill=spill)) as connection,
        ):
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
            connection.execute("SET preserve_insertion_order = false")
            load_sqlite(connection)
            for side, path in zip(SIDES, paths, strict=True):
                _attach(connection, side, path, Sql("READ_ONLY"))
            connection.execute(statement("parity/iso_utc"))
            connection.execute(statement("parity/macros"))
            connection.execute("BEGIN")
            yield connection
    finally:
        for path in untouched:
            if _log_of(path).exists():
                _tidy(path)


def _attach(connection: duckdb.DuckDBPyConnection, side: str, path: Path, *options: Sql) -> None:
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS {side} ({join([Sql('TYPE sqlite'), *options])})")
    except duckdb.Error as error:
        raise _unreadable(path, error) from error


def _tidy(path: Path) -> None:
    """Let SQLite remove its files: the last connection does, where it may write, unless another process has it open."""
    with closing(open_duckdb()) as connection:
        load_sqlite(connection)
        _attach(connection, "a", path)
        connection.execute(f"FROM {_native('a', statement('parity/tables'))}").fetchall()


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _unreadable(path: Path, error: duckdb.Error) -> UsageError:
    text = one_line(error)
    if "file is not a database" in text:
        return UsageError(f"{path} is not an SQLite database: give two result databases")
    return UsageError(f"the database {path} cannot be read: {text}")
