"""``indicators``: what is computed."""

from __future__ import annotations

from . import options
from .console import say_json
from .fitting import Column, print_table


def indicators(as_json: options.AsJson = False) -> None:
    """List the indicators: id, title, table, family, minimum bars, columns.

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
                        "words": declared.words(column),
                    }
                    for column in declared.columns
                ],
            }
            for declared in INDICATORS.values()
        ]
        say_json(catalogue, indent=2)
        return
    columns = [
        Column("id"),
        Column("title", folds=True),
        Column("table", rank=1),
        Column("family", rank=2),
        Column("mode", rank=4),
        Column("min bars", right=True, rank=2),
        Column("columns", folds=True, rank=3),
    ]
    rows = []
    for declared in INDICATORS.values():
        stored = declared.stored
        bars, labels = str(stored.bars_needed("")), ", ".join(stored.labels.values())
        rows.append((declared.id, declared.title, stored.table, declared.family, stored.mode, bars, labels))
    print_table(columns, rows)
