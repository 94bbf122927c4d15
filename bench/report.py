"""Results as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Figures of a state in the order of the tables: name, unit.
FIGURES = {
    "wall": "s",
    "peer wall": "s",
    "wall / peer": "",
    "t_start": "s",
    "total": "s",
    "t_read": "s",
    "t_compute": "s",
    "t_write": "s",
    "t_write / fresh": "",
    "cpu": "s",
    "peer cpu": "s",
    "cpu / peer": "",
    "max_rss_mb": "MiB",
    "peer max_rss_mb": "MiB",
    "peak_rss_mb": "MiB",
    "floor": "s",
    "floor_read": "s",
    "floor_write": "s",
    "total / floor": "",
    "total / floor uncast": "",
    "pg_queries": "",
    "pg_rows": "",
    "sqlite_commits": "",
    "sqlite_rows_written": "",
    "sqlite_rows_pruned": "",
}


def print_result(result: Mapping[str, Any]) -> None:
    """The figures of every scale and state, the stages, the dearest indicators, and the growth."""
    console = Console(width=None if Console().is_terminal else 140)
    for name, scale in result["scales"].items():
        console.print(
            f"\n{name}: median of {result['runs']} runs (least to most), {scale['bars_per_series']} bars per series"
        )
        table = Table("", *scale["states"])
        for figure, unit in FIGURES.items():
            cells = [shown(state["figures"].get(figure)) for state in scale["states"].values()]
            if any(cells):
                table.add_row(f"{figure}, {unit}" if unit else figure, *cells)
        console.print(table)
        stages = Table("interval", "bars", "t_read, s", "t_compute, s")
        for interval, stage in scale["states"]["fresh"]["stages"].items():
            stages.add_row(interval, shown(stage["bars"]), shown(stage["t_read"]), shown(stage["t_compute"]))
        console.print(f"{name}, fresh, by interval")
        console.print(stages)
        console.print(f"{name}, ms per indicator: {dearest(scale['indicators'])}", soft_wrap=True)
    for name, kinds in result.get("watch", {}).items():
        console.print(f"\n{name}: passes of a watch, median of {result['runs']} (least to most)")
        console.print(_passes(kinds))
    if "scaling" in result:
        seconds, memory = (result["scaling"]["exponents"][name] for name in ("total", "max_rss_mb"))
        console.print(f"\ngrowth with symbols x 7: total ~ symbols^{seconds}, memory ~ symbols^{memory}")
        console.print(_growth(result["scaling"]))


def _passes(kinds: Mapping[str, Any]) -> Table:
    table = Table("", *kinds)
    for figure in next(iter(kinds.values())):
        table.add_row(figure, *(shown(kind[figure]) for kind in kinds.values()))
    return table


def _growth(scaling: Mapping[str, Any]) -> Table:
    table = Table("symbols", "total, s", "max_rss_mb, MiB")
    for point in scaling["points"]:
        table.add_row(str(point["symbols"]), shown(point["total"]), shown(point["max_rss_mb"]))
    return table


def print_comparison(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Every figure that both results have, their ratio, and whether the spreads overlap."""
    table = Table("scale", "state", "figure", "before", "after", "after / before", "spreads")
    for name, old_scale in before["scales"].items():
        new_states = after["scales"].get(name, {}).get("states", {})
        for state, old in old_scale["states"].items():
            new = new_states.get(state, {}).get("figures", {})
            for figure in FIGURES:
                if figure in new and figure in old["figures"]:
                    table.add_row(name, state, figure, *_compared(old["figures"][figure], new[figure]))
    Console(width=None if Console().is_terminal else 140).print(table)


def _compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str, str, str]:
    ratio = f"{new['median'] / old['median']:.2f}" if old["median"] else ""
    overlap = old["min"] <= new["max"] and new["min"] <= old["max"]
    return shown(old), shown(new), ratio, "overlap" if overlap else "apart"


def dearest(indicators: Mapping[str, float], most: int = 10) -> str:
    """The dearest indicators with their milliseconds, and the sum of all."""
    ordered = sorted(indicators.items(), key=lambda item: -item[1])
    named = ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in ordered[:most])
    return f"{named}; all {len(ordered)} alone {1000 * sum(indicators.values()):.0f}"


def shown(spread: Mapping[str, Any] | None) -> str:
    """Median and extremes: ``0.87 (0.85 to 0.93)``; whole numbers without decimals, one number if all are equal."""
    if spread is None:
        return ""
    median, least, most = (_number(spread[name]) for name in ("median", "min", "max"))
    return median if least == most else f"{median} ({least} to {most})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
