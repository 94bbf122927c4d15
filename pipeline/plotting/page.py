"""A page with the chart of a market: one file that needs no network, drawn by its reader's browser."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from ..base.shown import visible
from .interactive import figure, script
from .numbers import short
from .palette import PALETTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrange import Arrangement
    from .headline import Zone
    from .history import Series

#: Nothing is loaded, from nowhere: the page is all there is.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def page(series: Series, arrangement: Arrangement, zone: Zone, theme: str | None) -> bytes:
    """The page, in a theme or, without one, in the one that its reader prefers."""
    drawn = figure(series, arrangement, zone)
    head, title = drawn["head"], escape(f"{drawn['head']['name']} {drawn['head']['close']}")
    light, dark = (PALETTES[theme or name] for name in ("light", "dark"))
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in drawn["notes"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="{theme or "light dark"}">
<title>{title}</title>
<style>
:root {{ {_variables(light.named())} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark.named())} }} }}
body {{ margin: 0 auto; max-width: 1600px; background: var(--background); color: var(--text);
  font: 14px/1.4 system-ui, sans-serif }}
header, section {{ padding: 0.5em 0.8em }}
h1 {{ display: inline; font-size: 1.2em; margin: 0 0.6em 0 0 }}
header span {{ display: inline-block; margin-right: 0.9em }}
.close {{ font-size: 1.2em; font-weight: bold }}
.long {{ color: var(--long) }} .short {{ color: var(--short) }} .time, p {{ color: var(--muted) }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td {{ padding: 0.1em 1.2em 0.1em 0; border-bottom: 1px solid var(--grid) }}
td + td {{ text-align: right }}
p {{ margin: 0.4em 0 }}
.user-select-none {{ user-select: text !important; -webkit-user-select: text !important }}
</style>
</head>
<body>
<header><h1>{escape(head["name"])}</h1><span class="close">{head["close"]}</span>
<span class="{"long" if head["rising"] else "short"}">{escape(head["change"])}</span>
<span>{escape(head["bar"])}</span><span class="time">{escape(head["time"])}</span></header>
<div id="chart"></div>
<noscript><p>The chart is drawn by JavaScript that this page brings along.</p></noscript>
<section><table>
{_newest(arrangement)}</table>
{notes}</section>
<script>{script()}</script>
<script type="application/json" id="figure">{_json(drawn)}</script>
<script>
const figure = JSON.parse(document.getElementById("figure").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const draw = () => candlemill.draw(document.getElementById("chart"), figure, {_theme(theme)});
dark.addEventListener("change", draw);
draw();
</script>
</body>
</html>
""".encode()


def _theme(theme: str | None) -> str:
    return f'"{theme}"' if theme else 'dark.matches ? "dark" : "light"'


def _variables(colours: Mapping[str, str]) -> str:
    return "; ".join(f"--{name}: {colours[name]}" for name in ("background", "text", "muted", "grid", "long", "short"))


def _json(value: Any) -> str:
    """JSON that no parser of HTML takes for the end of the script."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _newest(arrangement: Arrangement) -> str:
    """The newest value of each line and the newest word of each strip, as rows of a table."""
    panes = [arrangement.over, *arrangement.panels]
    rows = [(curve.name, short(curve.newest)) for pane in panes for curve in pane.curves if curve.listed]
    rows += [
        (f"{profile.name} {name}", short(price)) for profile in arrangement.profiles for name, price in profile.levels
    ]
    rows += [(strip.name, strip.newest) for strip in arrangement.strips]
    return "".join(
        f"<tr><td>{escape(visible(name))}</td><td>{escape(visible(value))}</td></tr>\n" for name, value in rows
    )
