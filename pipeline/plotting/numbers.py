"""Numbers and times on axes, at every scale from a fraction of a cent to billions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import Formatter, MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


class PlainFormatter(Formatter):
    """Every number in full, with as many decimals as the steps between ticks need; millions and more with a letter."""

    def __call__(self, x: float, pos: Any = None) -> str:  # noqa: ARG002 - the signature of a formatter
        """One number alone, with six significant digits."""
        return plain(x, _significant(x))

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of all ticks of an axis."""
        step = min(np.diff(np.sort(values)), default=0)
        size = max(map(abs, values), default=0)
        for scale, letter in _SUFFIXES:
            if size >= scale:
                return [
                    f"{plain(value / scale, _decimals(step / scale))}{letter}" if value else "0" for value in values
                ]
        return [plain(value, _decimals(step)) for value in values]


def plain(value: float, decimals: int) -> str:
    """A number without an exponent, in groups of three digits."""
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def price(value: float) -> str:
    """A price with six significant digits, and never without its cents."""
    return plain(value, max(2, _significant(value)))


def short(value: float) -> str:
    """A number of any size in few characters: whole, with two decimals or four digits, with a letter for millions."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= scale:
            return f"{plain(value / scale, 2)}{letter}"
    whole = abs(value) >= 1e5 or float(value).is_integer()
    return plain(value, 0 if whole else 2 if abs(value) >= 1 else _small(value))


def _small(value: float) -> int:
    """Decimals that leave four digits of a number below 1."""
    return min(12, max(2, 3 - math.floor(math.log10(abs(value)))))


def _significant(value: float) -> int:
    """Decimals that leave six significant digits."""
    return max(0, 5 - math.floor(math.log10(abs(value)))) if value else 0


def _decimals(step: float) -> int:
    """Decimals that write the step between two ticks exactly; ticks are 1, 2, 2.5 or 5 times a power of ten apart."""
    if not step > 0:
        return 0
    first = max(0, -math.floor(math.log10(step)))
    return first if math.isclose(round(step, first), step, rel_tol=1e-6) else first + 1


def dress_numbers(axes: Axes, ticks: int) -> None:
    """Let an axes label its numbers plainly, at about so many ticks."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks))
    axes.yaxis.set_major_formatter(PlainFormatter())


def dress_times(axes: Axes, zone: str) -> None:
    """Let an axes label its times, which are those of a zone's clocks."""
    locator = AutoDateLocator(tz="UTC", minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))
    axes.set_xlabel(zone, loc="left")
