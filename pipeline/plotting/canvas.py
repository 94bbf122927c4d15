"""From a figure to a file: themes and formats."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

from ..base import folders
from ..base.errors import SinkError, UsageError
from ..base.outputs import output
from ..base.shown import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

FORMATS = (".png", ".svg", ".html")
_DPI = 144


@dataclass(frozen=True)
class Palette:
    """Colours of a theme; ``lines`` are told apart by lightness, too, where colours look alike to the reader."""

    name: str
    background: str
    text: str
    muted: str
    grid: str
    up: str
    down: str
    lines: tuple[str, ...]


PALETTES = {
    "light": Palette(
        "light", "#ffffff", "#1f2328", "#656d76", "#e4e7eb", "#12805c", "#c4383a",
        ("#1f6feb", "#bc4c00", "#8250df", "#0b7285", "#9a6700", "#bf3989", "#57606a", "#1a7f37"),
    ),
    "dark": Palette(
        "dark", "#14181d", "#e6edf3", "#9aa4af", "#2b323a", "#3fb68b", "#f0716b",
        ("#6cb0ff", "#ffa657", "#c9a6ff", "#56d4dd", "#e3c04b", "#ff9bce", "#b1bac4", "#7ee787"),
    ),
}  # fmt: skip


def draw(
    path: Path, theme: str | None, title: str, make: Callable[[Palette], Figure], notes: Sequence[str] = ()
) -> None:
    """Write a picture in the format of the file's suffix.

    A page has the picture in both themes and follows its reader's, unless one is asked for, and the notes below it.

    Raises UsageError for another suffix or theme, or where something else stands there, SinkError where the file cannot
    be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} ends in none of {', '.join(FORMATS)}: the suffix says what to write")
    if theme not in (None, *PALETTES):
        raise UsageError(f"--theme {theme!r} is not one of {', '.join(PALETTES)}")
    try:
        file = output(path, path.suffix.lower())
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from error
    if path.suffix.lower() == ".html":
        content = _page(title, {name: _rendered("svg", PALETTES[name], make) for name in PALETTES}, theme, notes)
    else:
        content = _rendered(path.suffix.lower()[1:], PALETTES[theme or "light"], make)
    try:
        folders.make(file.parent)
        file.write_bytes(content)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from error


def printable(text: str) -> str:
    """The text with what the font cannot draw, or a viewer would obey, written as codes; lines stay lines."""
    lines = ("".join(c if ord(c) in _drawn() else _code(c) for c in visible(line)) for line in text.split("\n"))
    return "\n".join(lines)


@cache
def _drawn() -> frozenset[int]:
    """The characters that the font can draw."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _code(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


def from_zero(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis of amounts: from 0 to a little over the greatest."""
    return 0, 1.08 * max(values, default=0) or 1


def _rendered(form: str, palette: Palette, make: Callable[[Palette], Figure]) -> bytes:
    sink = io.BytesIO()
    with mpl.rc_context(_settings(palette)):
        figure = make(palette)
        for text in figure.findobj(Text):
            text.set_text(printable(text.get_text()))
        # Without the date, the same data give the same file.
        figure.savefig(sink, format=form, dpi=_DPI, metadata={"Date": None} if form == "svg" else None)
    return sink.getvalue()


def _settings(palette: Palette) -> dict[RcKeyType, Any]:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": palette.text,
        # A name is a name: a dollar sign in it begins no formula.
        "text.parse_math": False,
        "figure.facecolor": palette.background,
        "savefig.facecolor": palette.background,
        "axes.facecolor": palette.background,
        "axes.edgecolor": palette.grid,
        "axes.labelcolor": palette.muted,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(linestyle=["-", "--", ":"]) * cycler(color=palette.lines),
        "axes.formatter.useoffset": False,
        "grid.color": palette.grid,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.3,
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "legend.frameon": False,
        "legend.fontsize": 8,
        # Text stays text; equal ids in equal files.
        "svg.fonttype": "none",
        "svg.hashsalt": palette.name,
    }


def _page(title: str, pictures: dict[str, bytes], theme: str | None, notes: Sequence[str]) -> bytes:
    """A page with the picture inside it, as wide as the window allows."""
    title = visible(title)
    below = "".join(f"<p>{escape(visible(note))}</p>\n" for note in notes)
    urls = {name: f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" for name, svg in pictures.items()}
    light, dark = (PALETTES[theme or name] for name in ("light", "dark"))
    alternative = f'<source media="(prefers-color-scheme: dark)" srcset="{urls["dark"]}">' if theme is None else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="{theme or "light dark"}">
<title>{escape(title)}</title>
<style>
body {{ margin: 0; background: {light.background}; color: {light.text} }}
@media (prefers-color-scheme: dark) {{ body {{ background: {dark.background}; color: {dark.text} }} }}
img {{ display: block; width: 100%; max-width: 1400px; height: auto; margin: 0 auto }}
p {{ max-width: 1400px; margin: 0.3em auto; padding: 0 1em; font: 0.9em sans-serif }}
</style>
</head>
<body>
<picture>{alternative}<img src="{urls[theme or "light"]}" alt="{escape(title)}"></picture>
{below}</body>
</html>
""".encode()
