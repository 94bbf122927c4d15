"""From a figure to a file: themes and formats."""

from __future__ import annotations

import base64
import io
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

from ..base import folders
from ..base.errors import SinkError, UsageError
from ..base.outputs import output
from ..base.shown import visible
from .palette import PALETTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

    from .palette import Palette

FORMATS = (".png", ".svg", ".html")
_DPI = 144


#: Fonts that have Chinese letters, of which one may be there.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS",
)  # fmt: skip


def draw(
    path: Path,
    theme: str | None,
    title: str,
    make: Callable[[Palette], Figure],
    page: Callable[[], bytes] | None = None,
) -> None:
    """Write a picture in the format of the file's suffix.

    A page is the one given, or has the picture in both themes and follows its reader's, unless one is asked for.

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
        pictures = {} if page else {name: _rendered("svg", PALETTES[name], make) for name in PALETTES}
        content = page() if page else _page(title, pictures, theme)
    else:
        content = _rendered(path.suffix.lower()[1:], PALETTES[theme or "light"], make)
    try:
        folders.make(file.parent)
        file.write_bytes(content)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from error


def printable(text: str) -> str:
    """The text with what no font here can draw, or a viewer would obey, written as codes; lines stay lines."""
    lines = ("".join(c if ord(c) in _drawn() else _code(c) for c in visible(line)) for line in text.split("\n"))
    return "\n".join(lines)


def drawable(text: str) -> bool:
    """Whether the fonts here can draw a text."""
    return all(ord(character) in _drawn() for character in text)


@cache
def _fonts() -> tuple[str, ...]:
    """The font, and one that has what it lacks where there is one."""
    here = set(fontManager.get_font_names())
    return ("DejaVu Sans", *[name for name in _CHINESE if name in here][:1])


@cache
def _drawn() -> frozenset[int]:
    """The characters that the fonts can draw."""
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in _fonts()))


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
        "font.family": list(_fonts()),
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


def _page(title: str, pictures: dict[str, bytes], theme: str | None) -> bytes:
    """A page with the picture inside it, as wide as the window allows."""
    title = visible(title)
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
</style>
</head>
<body>
<picture>{alternative}<img src="{urls[theme or "light"]}" alt="{escape(title)}"></picture>
</body>
</html>
""".encode()
