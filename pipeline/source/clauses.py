"""Parts of the source's statements: relations, values, symbols and moments as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..base.statements import Sql, identifier, join, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


@dataclass(frozen=True)
class Relation:
    """A table or view of the source; ``exact`` are its NUMERIC columns.

    Where a unique index lets in one row per exchange, symbol and time, each is there ``once``, so that counting rows is
    enough. An ``aggregate`` is a view of TimescaleDB; one that is ``materialized_only`` has no bar that is forming.
    ``called`` is a function of somebody else that reading it would call, ``called_by_writing`` one that writing would.
    """

    name: str
    stored: bool
    readable: bool
    columns: frozenset[str]
    exact: frozenset[str]
    once: bool = False
    aggregate: bool = False
    materialized_only: bool = False
    called: str | None = None
    called_by_writing: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the role may read it, and reading it calls nobody else's function."""
        return self.readable and self.called is None


def calling(relation: str, function: str) -> str:
    """What is wrong with a relation whose use would call a function of somebody else."""
    return (
        f"{relation} calls {function}, which belongs to another role and would run with your rights: a superuser who "
        f"has read it can take it over, by ALTER FUNCTION {function} OWNER TO CURRENT_USER"
    )


def values_of(relation: Relation, fields: Mapping[str, str | None], table: str | None = None) -> Sql:
    """What to select for some fields, each from the column of that name or of the one given; NULL where there is none.

    A NUMERIC stays one: as text it is packed, and becomes a double here. It is the same double, but the server takes
    twice as long to make it. All else is a double at once.
    """
    prefix = f"{identifier(table)}." if table else ""
    selected = []
    for field, column in fields.items():
        name = column or field
        value = f"{prefix}{identifier(name)}" if name in relation.columns else "NULL"
        kept = name in relation.exact
        selected.append(Sql(f"{value if kept else value + '::double precision'} AS {identifier(field)}"))
    return join(selected)


def chosen(symbols: Sequence[str] | None) -> Sql:
    """Condition that a row is of one of the symbols; None: of any."""
    if symbols is None:
        return Sql("TRUE")
    return Sql(f"symbol IN ({join([literal(symbol) for symbol in symbols])})")


def left_out(symbols: Collection[str]) -> Sql:
    """Condition that a row is of none of the symbols."""
    if not symbols:
        return Sql("TRUE")
    return Sql(f"symbol NOT IN ({join([literal(symbol) for symbol in sorted(symbols)])})")


def late_rows(moments: Mapping[str, datetime], written: Callable[[datetime], Sql] = literal) -> Sql:
    """Symbols with a moment each, as rows of VALUES."""
    return join([Sql(f"({literal(symbol)}, {written(since)})") for symbol, since in moments.items()])


def moment(at: datetime) -> Sql:
    """A moment as a timestamp with time zone."""
    return Sql(f"timestamptz {literal(at)}")


def plain_moment(at: datetime) -> Sql:
    """A moment to compare with a timestamp without time zone, which is in UTC by convention."""
    return literal(at.astimezone(UTC).replace(tzinfo=None).isoformat(" "))
