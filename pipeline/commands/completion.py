"""What a shell completes values with: intervals, indicators, and the symbols of the work file.

Whoever presses the tab key waits for it, so nothing here computes, and NumPy is not imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer finds the parameter for the context by its annotation

from ..base.intervals import INTERVALS
from ..options import DEMO_WORK_FILE, Options

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How the file of an indicator names it.
_ID = re.compile(r'^ *id="(\w+)"', re.MULTILINE)
_INDICATORS = Path(__file__).parents[2] / "indicators"


def interval(incomplete: str) -> list[str]:
    """Intervals that begin so."""
    return _last(incomplete, INTERVALS)


def indicator(incomplete: str) -> list[str]:
    """Ids of indicators that begin so; they are read off their files, as to import these takes longer."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(_INDICATORS.glob("*.py")))
    return _last(incomplete, (name for text in texts for name in _ID.findall(text)))


def symbol(context: typer.Context, incomplete: str) -> list[str]:
    """Symbols of the work file that begin so; of the demo's, where there is no other."""
    from ..workfile.symbols import symbols_of

    asked = Path(context.params.get("duckdb") or Options.duckdb)
    demo = context.params.get("demo") or not asked.exists()
    return _last(incomplete, symbols_of(DEMO_WORK_FILE if demo else asked))


def _last(incomplete: str, words: Iterable[str]) -> list[str]:
    """The comma list with its last entry completed by each word that fits."""
    before, comma, begun = incomplete.rpartition(",")
    return [before + comma + word for word in words if word.lower().startswith(begun.lower())]
