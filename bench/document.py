"""Results as tables in a document, between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.report import FIGURES, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

#: The growth as a picture, beside the document.
PICTURE = "scaling.svg"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def put_tables(document: Path, result: Mapping[str, Any]) -> None:
    """Replace what stands between the marks of a document by the tables of a result; see ``put``."""
    put(document, lambda: tables(result), BEGIN, END)


def put(document: Path, made: Callable[[], str], begin: str, end: str) -> None:
    """Replace what stands between two marks of a document by what is made then.

    Raises ValueError if the document does not have each mark once, in their order.
    """
    before, begun, rest = document.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended or begin in after or end in after:
        raise ValueError(f"{document} has not one {begin} before one {end}")
    document.write_text(f"{before}{begin}\n\n{made()}\n{end}{after}", encoding="utf-8")


def tables(result: Mapping[str, Any]) -> str:
    """All tables of a result as Markdown."""
    parts = [_machine(result), _figures(result["scales"], "fresh")]
    parts += [_figures(result["scales"], state) for state in ("new bar", "same bar")]
    parts += [_stages(result["scales"]), _indicators(result["scales"])]
    if "scaling" in result:
        parts.append(_scaling(result["scaling"]))
    return "\n".join(part for part in parts if part)


def _machine(result: Mapping[str, Any]) -> str:
    said = "; ".join(f"{name} {value}" for name, value in result["machine"].items())
    return f"Measured on: {said}. Medians of {result['runs']} runs, in brackets the least and the most.\n"


def _figures(scales: Mapping[str, Any], state: str) -> str:
    measured = {name: scale["states"][state]["figures"] for name, scale in scales.items() if state in scale["states"]}
    if not measured:
        return ""
    rows = []
    for figure, unit in FIGURES.items():
        cells = [shown(figures.get(figure)) for figures in measured.values()]
        if any(cells):
            rows.append([f"`{figure}`{', ' + unit if unit else ''}", *cells])
    heads = {"fresh": "A fresh result database", "new bar": "A filled one, a new bar", "same bar": "The same bar again"}
    sizes = ", ".join(
        f"{name}: {scale['filled_rows']:,} rows" for name, scale in scales.items() if state in scale["states"]
    )
    before = f"Rows in the database before the run: {sizes}.\n\n" if state != "fresh" else ""
    return f"### {heads[state]}\n\n{before}{_table(['', *measured], rows)}"


def _stages(scales: Mapping[str, Any]) -> str:
    rows = []
    for name, scale in scales.items():
        for interval, stage in scale["states"]["fresh"]["stages"].items():
            rows.append([name, interval, shown(stage["bars"]), shown(stage["t_read"]), shown(stage["t_compute"])])
    return f"### Intervals\n\n{_table(['scale', 'interval', 'bars', '`t_read`, s', '`t_compute`, s'], rows)}"


def _indicators(scales: Mapping[str, Any]) -> str:
    largest = list(scales.values())[-1]["indicators"]
    rows = [
        [f"`{name}`", *(f"{1000 * scale['indicators'][name]:.1f}" for scale in scales.values())]
        for name in sorted(largest, key=lambda name: -largest[name])
    ]
    rows.append(["all, alone", *(f"{1000 * sum(scale['indicators'].values()):.0f}" for scale in scales.values())])
    return f"### Indicators\n\nMilliseconds of each, alone, over all intervals:\n\n{_table(['', *scales], rows)}"


def _scaling(scaling: Mapping[str, Any]) -> str:
    rows = [[str(p["symbols"]), shown(p["total"]), shown(p["max_rss_mb"])] for p in scaling["points"]]
    seconds, memory = (scaling["exponents"][name] for name in ("total", "max_rss_mb"))
    return (
        f"### Growth\n\nBy least squares `total` grows as symbols^{seconds}, peak memory as symbols^{memory}.\n\n"
        f"![Seconds and peak memory over symbols]({PICTURE})\n\n"
        f"{_table(['symbols x 7', '`total`, s', '`max_rss_mb`, MiB'], rows)}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
