"""Colours of the themes: the green of long and the red of short are told apart by those who see both alike, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours of a theme.

    Attributes:
        name: of the theme.
        background: of the picture.
        text: of what is to be read.
        muted: of what is to be read second.
        grid: of lines behind everything.
        long: of what speaks for long: rising bars, an upward trend, a word such as ``buy``.
        short: of what speaks for short.
        neutral: of what speaks for neither.
        lines: of lines that speak for nothing; none is near the green and the red.
    """

    name: str
    background: str
    text: str
    muted: str
    grid: str
    long: str
    short: str
    neutral: str
    lines: tuple[str, ...]

    def line(self, hue: int) -> str:
        """The colour of a line; after the last comes the first."""
        return self.lines[hue % len(self.lines)]

    def word(self, tone: str, rank: int) -> str:
        """The colour of a word: that of what it speaks for, paler with each word that speaks for the same."""
        strengths = _NEUTRAL if tone == "neutral" else _STRENGTHS
        return self.mixed(getattr(self, tone), strengths[min(rank, len(strengths) - 1)])

    def mixed(self, colour: str, share: float) -> str:
        """A colour over the background, with a share of it."""
        parts = zip(_rgb(colour), _rgb(self.background), strict=True)
        return "#" + "".join(f"{round(share * over + (1 - share) * under):02x}" for over, under in parts)

    def named(self) -> dict[str, str]:
        """All of them by the names that figures use for them."""
        return {
            "background": self.background,
            "text": self.text,
            "muted": self.muted,
            "grid": self.grid,
            "long": self.long,
            "short": self.short,
            "neutral": self.neutral,
            "veil": _clear(self.background, 0.7),
            "long_area": _clear(self.long, 0.16),
            "short_area": _clear(self.short, 0.16),
            **{f"{tone}{rank}": self.word(tone, rank) for tone in ("long", "short", "neutral") for rank in range(4)},
            **{f"band{hue}": _clear(self.line(hue), 0.09) for hue in range(2 * len(self.lines))},
            **{f"line{hue}": self.line(hue) for hue in range(2 * len(self.lines))},
        }


#: How strong the colour of a word is, by its rank.
_STRENGTHS, _NEUTRAL = (0.75, 0.5, 0.35, 0.25), (0.3, 0.5, 0.75, 0.2)

PALETTES = {
    "light": Palette(
        "light", "#ffffff", "#1f2328", "#656d76", "#e4e7eb", "#0b8f72", "#d1442f", "#7d8590",
        ("#1f6feb", "#b07400", "#8250df", "#c43e97", "#1795b8", "#6b4c2a"),
    ),
    "dark": Palette(
        "dark", "#14181d", "#e6edf3", "#9aa4af", "#2b323a", "#3ac2a0", "#ff7a5c", "#8b949e",
        ("#6cb0ff", "#e3c04b", "#c9a6ff", "#ff9bce", "#6fd3ee", "#cfa97f"),
    ),
}  # fmt: skip


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _clear(colour: str, alpha: float) -> str:
    red, green, blue = _rgb(colour)
    return f"rgba({red},{green},{blue},{alpha})"
