"""Departures that a comparison allows, by name: ``TABLE[:COLUMN][@INTERVAL]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...indicators.registry import INDICATORS
from ..base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...indicators.contract import Indicator

ANY_TABLE = "*"
_DECLARED = {declared.table: declared for declared in INDICATORS.values()}


def declared_of(table: str) -> Indicator | None:
    """The indicator whose results a table of that name holds; None for a table of something else."""
    return _DECLARED.get(table)


def names_table(word: str, table: str) -> bool:
    """Whether a word of the command line means that table: by its name, with or without .py, or by the English id."""
    declared = declared_of(table)
    return word in (table, table.removesuffix(".py")) or (declared is not None and word == declared.id)


def english_of(table: str, column: str) -> str | None:
    """English name of a column; None where it is not declared."""
    declared = declared_of(table)
    labels = declared.stored.labels.items() if declared else ()
    return next((name for name, label in labels if label == column), None)


@dataclass(frozen=True)
class Allowance:
    """One rule. A part that is None does not restrict it.

    Attributes:
        text: as it was given.
        table: name or id of a table, or ``*`` for all.
        column: its name in SQLite or in English; with it the rule is about values, never about whole rows.
        interval: such as ``5m``; with it the rule never allows that a table is missing.
    """

    text: str
    table: str
    column: str | None
    interval: str | None

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """The rule a text gives. Raises UsageError for one that is not of the form."""
        place, at, interval = text.partition("@")
        table, colon, column = place.partition(":")
        if not table or (at and not interval) or (colon and not column):
            raise UsageError(f"--allow {text!r} is not TABLE, TABLE:COLUMN, TABLE@INTERVAL or TABLE:COLUMN@INTERVAL")
        return cls(text, table, column or None, interval or None)

    def covers(self, table: str, column: str | None, interval: str | None) -> bool:
        """Whether a difference there is allowed; ``column`` is None for a whole row, ``interval`` for a whole table."""
        return (
            (self.table == ANY_TABLE or names_table(self.table, table))
            and (self.column is None or (column is not None and self.column in (column, english_of(table, column))))
            and self.interval in (None, interval)
        )


def refuse_unknown(option: str, words: Iterable[str], tables: Iterable[str]) -> None:
    """Raise UsageError for a word that means none of the tables, so that a slip of the pen allows or skips nothing."""
    known = list(tables)
    for word in words:
        if not any(names_table(word, table) for table in known):
            raise UsageError(
                f"{option} {word!r} is in neither database: give a table's name, or an id of `candlemill indicators`"
            )
