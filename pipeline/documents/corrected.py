"""What the profile ``corrected`` has otherwise, as a document: ``make docs`` prints docs/corrected.md."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from ...indicators.defects import DEFECTS, Verdict
from ...indicators.profiles import CORRECTED
from ...indicators.registry import INDICATORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...indicators.contract import Indicator

_HEAD = """# Corrected values

<!-- Made from the declarations and a measurement by `make docs`; a test holds it up to date. Do not edit it. -->

`--profile corrected` (`CANDLEMILL_PROFILE=corrected`) gives the same tables and columns the standard definitions of the
field. The default, `parity`, has the values of the service that candlemill replaces, its defects included.

- It holds in `run`, `demo`, `watch`, `history`, `explain`, `stability`, `backfill` and `plot`, and in the library:
  `candlemill.compute(…, profile="corrected")`. `changes` and `plot` take the profile of the file that they read.
- One file never mixes two: both files carry the profile, a run of another one ends with exit code 2 before it writes,
  and `parity` refuses to compare values of two profiles. Give each its own `--sqlite` and `--duckdb`.
- Values begin with the bars that the formula needs; the replaced service's rule of half a lookback does not hold.
- What is not defined is NULL: 0 is a value, and what the source does not know is not 0.
- A value is mended towards a published definition, which is named. Where there is none, the defect itself is removed,
  and what holds instead is said to be a convention.
- In a history the corrected values of NumPy indicators are computed window by window, so it takes longer than one of
  the old values; it is the same, to the last bit, as runs at its bars.
"""
_EFFECTS = """## Effects

Measured over real bars: the values of the newest bar of {series} series, seven coins at seven intervals in February
2026, and three coins below a cent at four intervals; their futures metrics are invented.
*Other* is the share of values that differ by more than a millionth, or are NULL in one profile alone; *by* is the
median difference of two numbers that differ so, relative to the old one.
"""


@dataclass(frozen=True)
class Effect:
    """What a variant changes in a column: of how many values how many differ, and by how much in the middle."""

    values: int
    differing: int
    median: float | None

    def __str__(self) -> str:
        share = f"{100 * self.differing / self.values:.0f} %" if self.values else "none"
        return f"{share} | {f'{self.median:.2g}' if self.median is not None else ''}"


def render(effects: Mapping[tuple[str, str], Effect], series: int) -> str:
    """The whole document; ``effects`` by id and column, of those columns that have some."""
    parts = [_HEAD, _verdicts(), "## Indicators\n", *map(_section, _variants()), _EFFECTS.format(series=series)]
    return "\n".join([*parts, _effects(effects)])


def _variants() -> list[Indicator]:
    return [declared for declared in INDICATORS.values() if CORRECTED in declared.variants]


def _verdicts() -> str:
    rows = [
        _cells(each.number, each.what, f"**{each.verdict}**", each.how, ", ".join(map(_link, each.indicators)))
        for each in DEFECTS
    ]
    mended, kept, stored = (sum(each.verdict is one for each in DEFECTS) for one in Verdict)
    lines = [
        "## Defects",
        "",
        f"Of {len(DEFECTS)} defects of the replaced service {mended} concern a value and are mended, {kept} are kept",
        f"as conventions, and {stored} were matters of reading and storing, which are gone in both profiles.",
        "",
        _cells("", "defect", "verdict", "instead", "indicators"),
        _cells(*["---"] * 5),
        *rows,
        "",
    ]
    return "\n".join(lines)


def _link(id_: str) -> str:
    return f"[{id_}](#{id_})" if CORRECTED in INDICATORS[id_].variants else id_


def _section(declared: Indicator) -> str:
    text = _text(declared)
    sources = re.search(r"Sources?: (.+?)\.?$", text)
    said = re.sub(r"\s*Sources?: .*$", "", text)
    old, new = declared.stored.bars_needed(""), declared.bars_needed(profile=CORRECTED)
    facts = [f"- minimum bars {new}, of the old values {old}", f"- old: {declared.formula}"]
    facts += [f"- source: {sources[1]}"] if sources else []
    facts += [
        f"- words of `{declared.label(column)}` beside the old ones: "
        + ", ".join(f"`{word}` ({english})" for word, english in declared.variant_words[column.name].items())
        for column in declared.columns
        if column.name in declared.variant_words
    ]
    return "\n".join([f"### {declared.id}", "", f"**{declared.title}.** {said}", "", *facts, ""])


def _text(declared: Indicator) -> str:
    """What the variant says of itself, in one line."""
    function = declared.function(CORRECTED)
    if function is not None:
        return " ".join((inspect.getdoc(function) or "").split())
    name = f"indicators/{declared.id}.{CORRECTED}.sql"
    header = files("candlemill").joinpath("sql", name).read_text(encoding="utf-8").splitlines()
    first = next(place for place, line in enumerate(header) if line.startswith("-- grain:"))
    return " ".join(line.removeprefix("-- ") for line in header[:first])


def _effects(effects: Mapping[tuple[str, str], Effect]) -> str:
    rows = [
        _cells(declared.id, column.name, str(effects[declared.id, column.name]))
        for declared in _variants()
        for column in declared.columns
        if (declared.id, column.name) in effects
    ]
    return "\n".join([_cells("indicator", "column", "other", "by"), _cells(*["---"] * 4), *rows, ""])


def _cells(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"
