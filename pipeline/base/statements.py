"""SQL: reading the files under ``sql/`` and putting checked parts into them.

Statements get their values as bound parameters wherever the receiver can bind. Where it cannot (ConnectorX takes text;
names of tables and columns are never values), a part is put in by ``render``, which takes ``Sql`` only, and ``Sql`` is
made here alone: from a file, from an identifier, or from a literal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import NewType

#: A piece of SQL that may stand in a statement.
Sql = NewType("Sql", str)

_PLACE = re.compile(r"\{(\w+)\}")


@cache
def statement(path: str) -> Sql:
    """Text of ``sql/<path>.sql``, without its header comment and a closing semicolon."""
    text = files("candlemill").joinpath("sql", f"{path}.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return Sql("\n".join(lines).strip().removesuffix(";"))


def expressions(query: Sql) -> dict[str, Sql]:
    """The common table expressions of a statement of ``sql/`` by name, each as a statement of its rows."""
    before, found, _ = query.rpartition("\n)\n\nSELECT")
    names = re.findall(r"^(?:WITH )?(\w+) AS \($", before, re.MULTILINE) if found else []
    return {name: Sql(f"{before}\n)\n\nSELECT * FROM {identifier(name)}") for name in names}


def render(template: Sql, **parts: Sql) -> Sql:
    """The template with each ``{name}`` replaced. Raises KeyError for a place without a part, or the reverse."""
    wanted = set(_PLACE.findall(template))
    if wanted != set(parts):
        raise KeyError(f"the statement has places {sorted(wanted)}, given were {sorted(parts)}")
    return Sql(_PLACE.sub(lambda place: parts[place.group(1)], template))


def join(parts: list[Sql], separator: str = ", ") -> Sql:
    """Pieces of SQL in a row."""
    return Sql(separator.join(parts))


def identifier(name: str) -> Sql:
    """A quoted name of a table or column. Raises ValueError for an empty name or one with a NUL character."""
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be a name in SQL")
    return Sql('"' + name.replace('"', '""') + '"')


def literal(value: str | int | datetime) -> Sql:
    """A value as an SQL literal; a datetime becomes its text in UTC. Raises ValueError for text with a NUL character.

    Text relies on standard_conforming_strings, which PostgreSQL, DuckDB and SQLite all have on (the source's sessions
    ask for it): a backslash is then an ordinary character and only the quote is doubled.
    """
    if isinstance(value, datetime):
        return literal(value.astimezone(UTC).isoformat())
    if isinstance(value, int):
        return Sql(str(value) if value >= 0 else f"({value})")
    if "\0" in value:
        raise ValueError(f"{value!r} has a NUL character, which SQL text cannot hold")
    return Sql("'" + value.replace("'", "''") + "'")
