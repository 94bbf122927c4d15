"""How much corrected values differ from the old ones over golden markets.

``python -m tests.effects`` prints docs/corrected.md, with what was measured last; ``python -m tests.effects CASE…``
measures some cases, and keeps what it found in effects.json. The cases of real bars are not in the repository.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from candlemill.indicators.fields import METRICS_ROWS
from candlemill.indicators.profiles import CORRECTED, PROFILES
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import pivot_bars, pivot_metrics
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.compute.sql import SqlIndicators
from candlemill.pipeline.documents.corrected import Effect, render
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candlemill.indicators.contract import Indicator

KEPT = Path(__file__).with_name("effects.json")


def measured(cases: Sequence[Path]) -> dict[tuple[str, str], Effect]:
    """What each variant changes in its columns over some cases, save where it changes nothing."""
    found: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
    for case, interval in [(one, each) for one in cases for each in goldens.description(one)["intervals"]]:
        old, new = (_rows(case, interval, profile) for profile in PROFILES)
        for declared in old:
            for column in declared.columns:
                pairs = zip(old[declared][column.name], new[declared][column.name], strict=True)
                found.setdefault((declared.id, column.name), []).extend(pairs)
    summed = {place: _effect(pairs) for place, pairs in found.items()}
    return {place: effect for place, effect in summed.items() if effect.differing}


def _effect(pairs: Sequence[tuple[Any, Any]]) -> Effect:
    there = [(old, new) for old, new in pairs if (old, new) != (None, None)]
    other = [(old, new) for old, new in there if not _alike(old, new)]
    relative = [
        abs(new - old) / abs(old) for old, new in other if isinstance(old, float) and isinstance(new, float) and old
    ]
    return Effect(len(there), len(other), median(relative) if relative else None)


def _alike(old: Any, new: Any) -> bool:
    """Whether two values are the same, up to a millionth."""
    if isinstance(old, float) and isinstance(new, float):
        return abs(new - old) <= 1e-6 * max(abs(old), abs(new))
    return bool(old == new)


def kept() -> str:
    """docs/corrected.md, with what was measured last."""
    known = json.loads(KEPT.read_text(encoding="utf-8"))
    effects = {(one["indicator"], one["column"]): Effect(*one["effect"]) for one in known["effects"]}
    return render(effects, known["series"])


def keep(cases: Sequence[Path]) -> None:
    """Measure some cases, and keep what was found."""
    effects = [
        {"indicator": id_, "column": column, "effect": astuple(effect)}
        for (id_, column), effect in measured(cases).items()
    ]
    described = [goldens.description(case) for case in cases]
    series = sum(len(case["symbols"]) * len(case["intervals"]) for case in described)
    text = json.dumps({"series": series, "effects": effects}, indent=1)
    KEPT.write_text(text + "\n", encoding="utf-8")


def _rows(case: Path, interval: str, profile: str) -> dict[Indicator, dict[str, list[Any]]]:
    asked = goldens.description(case)
    as_of = datetime.fromisoformat(asked["as_of"])
    chosen = [declared for declared in INDICATORS.values() if CORRECTED in declared.variants]
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        bars = pivot_bars(goldens.candles(case, interval), interval, as_of, asked["lookback"])
        sql.load("candles", [bars])
        given = goldens.metrics(case, interval)
        metrics = pivot_metrics(given, interval, as_of, METRICS_ROWS, bars.panel.symbols) if given else None
        if metrics:
            sql.load("metrics", [metrics])
        tables = dict(computed(chosen, bars.panel, metrics.panel if metrics else None, sql, profile=profile))
    return {declared: table.sort_by("symbol").to_pydict() for declared, table in tables.items()}


if __name__ == "__main__":
    if sys.argv[1:]:
        keep([Path(case) for case in sys.argv[1:]])
    else:
        sys.stdout.write(kept())
