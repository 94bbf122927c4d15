"""Tables for people that fit their terminal: columns fold or are left out, and no value is cut."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .console import cells, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

#: Blanks beside a column.
_PADDING = 2
#: What a column that folds has at least, where its texts are as long.
_LEAST = 16
_ANY_WIDTH = 1_000_000


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        right: whether it has numbers.
        folds: whether its texts may take several lines.
        rank: where there is no room, columns of the highest rank are left out first; those of rank 0 never are.
    """

    title: str
    right: bool = False
    folds: bool = False
    rank: int = 0


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], elsewhere: str = "--json has it") -> None:
    """Print a table on standard output, as wide as a terminal has room; where it is none, all of it.

    ``elsewhere`` says, on standard error, where what is left out can be seen.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _ANY_WIDTH, highlight=False)
    texts = [cells(*row) for row in rows]
    widths = _widths(columns, [[row[place] for row in texts] for place in range(len(columns))], console.width)
    table = Table(box=None, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        if width:
            table.add_column(
                *cells(column.title), justify="right" if column.right else "left", width=width, overflow="fold"
            )
    for row in texts:
        table.add_row(*(cell for cell, width in zip(row, widths, strict=True) if width))
    console.print(table)
    left_out = [column.title for column, width in zip(columns, widths, strict=True) if not width]
    if left_out:
        say(f"no room for {', '.join(left_out)}: {elsewhere}", err=True)


def _widths(columns: Sequence[Column], texts: Sequence[Sequence[Text]], room: int) -> list[int]:
    """Characters of each column; 0: it is left out."""
    whole, least = [], []
    for column, its_cells in zip(columns, texts, strict=True):
        lines = [*cells(column.title), *its_cells]
        whole.append(max(line.cell_len for line in lines))
        words = max(word.cell_len for line in lines for word in line.split()) if column.folds else whole[-1]
        least.append(max(words, min(whole[-1], _LEAST)))
    kept = list(range(len(columns)))
    while sum(least[place] + _PADDING for place in kept) > room:
        last = max(kept, key=lambda place: (columns[place].rank, place))
        if not columns[last].rank:
            break
        kept.remove(last)
    widths = [least[place] if place in kept else 0 for place in range(len(columns))]
    # What is left over goes to those that fold, to each what it needs of its share.
    left = room - sum(widths[place] + _PADDING for place in kept)
    folding = [place for place in kept if columns[place].folds]
    for number, place in enumerate(folding):
        more = max(0, min(whole[place] - least[place], left // (len(folding) - number)))
        widths[place] += more
        left -= more
    return widths
