"""Statements that are run in one call.

Beside a computation each call would wait for Python's lock before it goes on. In one call DuckDB runs all of them, and
does not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.statements import Sql, identifier, join, literal
from .retention import ATTACHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

_COUNTS = Sql("counted")


class Script:
    """Statements for the open transaction of a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._statements: list[Sql] = []
        #: Names of the rows that are still to be read.
        self._rows: list[str] = []
        self._counted = 0
        self._counts: list[int] = []

    def add(self, query: Sql) -> None:
        """Add a statement."""
        self._statements.append(query)

    def native(self, query: Sql, *parameters: str) -> int:
        """Add a statement that SQLite itself runs. Returns the place of the count of its rows."""
        bound = f", params = row({join([literal(text) for text in parameters])})" if parameters else ""
        place, self._counted = self._counted, self._counted + 1
        self.add(
            Sql(
                f"INSERT INTO {_COUNTS} "
                f"SELECT {literal(place)}, count(*) FROM sqlite_query({literal(ATTACHED)}, {literal(query)}{bound})"
            )
        )
        return place

    def insert(self, table: Sql, columns: Sql, rows: pa.Table) -> None:
        """Add a statement that inserts these columns of some rows into a table."""
        name = f"rows_{len(self._rows)}"
        self._connection.register(name, rows.__arrow_c_stream__())
        self._rows.append(name)
        self.add(Sql(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {identifier(name)}"))

    def run(self) -> Sequence[int]:
        """Run what was added since the last time. Returns the counts of all native statements so far, by place.

        Raises what DuckDB raises.
        """
        if self._statements:
            counting = Sql(f"CREATE OR REPLACE TEMP TABLE {_COUNTS} (place INTEGER, n BIGINT)")
            every = [counting, *self._statements, Sql(f"FROM {_COUNTS} ORDER BY place")]
            self._counts += [n for _, n in self._connection.execute(join(every, ";\n")).fetchall()]
        for name in self._rows:
            self._connection.unregister(name)
        self._statements, self._rows = [], []
        return self._counts
