"""``indicators``: what is computed."""

from __future__ import annotations

import sys

from . import options
from .console import cells, say_json


def indicators(as_json: options.AsJson = False) -> None:
    """List the indicators: id, table, family, minimum bars, columns.

    Example: candlemill indicators --json
    """
    from ...indicators.registry import INDICATORS

    if as_json:
        catalogue = [
            {
                "id": declared.id,
                "table": declared.table,
                "title": declared.title,
                "family": declared.family,
                "mode": declared.mode,
                "min_bars": declared.stored.bars_needed(""),
                "parameters": dict(declared.parameters),
                "formula": declared.formula,
                "columns": [
                    {
                        "label": declared.label(column),
                        "name": column.name,
                        "unit": column.unit,
                        "meaning": column.meaning,
                        "words": dict(column.words),
                    }
                    for column in declared.columns
                ],
            }
            for declared in INDICATORS.values()
        ]
        say_json(catalogue, indent=2)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "table", "family", "mode", "min bars", "columns", box=None, header_style="bold")
    for declared in INDICATORS.values():
        stored = declared.stored
        bars, labels = str(stored.bars_needed("")), ", ".join(stored.labels.values())
        table.add_row(*cells(declared.id, stored.table, declared.family, stored.mode, bars, labels))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
