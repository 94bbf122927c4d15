"""Rounding to decimals or significant digits, vectorised and correct at ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .kinds import Floats


@dataclass(frozen=True)
class Rounding:
    """How a value is rounded on its way to SQLite.

    Attributes:
        decimals: decimals kept.
        significant: where set, values that round to less than 1 keep that many significant digits.
        scaled: round the product with 10^decimals instead of the exact binary value; they differ at ties only.
    """

    decimals: int
    significant: int | None = None
    scaled: bool = False

    def __str__(self) -> str:
        floor = f" or {self.significant} significant digits" if self.significant else ""
        return f"{self.decimals} decimals{floor}"


# A double has no power of ten beyond this one; values that small have no digits left to round.
_MOST_DECIMALS = 300
#: Greatest power of ten that is a double.
_MOST_EXACT = 22


def rounded(values: Floats, rounding: Rounding) -> Floats:
    """The values as ``rounding`` wants them; NaN and infinity stay. Any shape.

    Exact rounding is that of Python's ``round``: the decimal nearest to the binary value, a tie (which a double is
    hardly ever) to even. Scaled rounding is that of ``numpy.round``: the nearest integer of the product.
    """
    results = _to_decimals(values, np.float64(rounding.decimals), rounding.scaled)
    if rounding.significant is not None:
        # A value that rounds to 1 or more stays as it always was.
        small = (np.abs(results) < 1) & (values != 0)
        leading = np.floor(np.log10(np.abs(values[small])))
        decimals = np.clip(rounding.significant - 1 - leading, rounding.decimals, _MOST_DECIMALS)
        results[small] = _to_decimals(values[small], decimals, rounding.scaled)
    return results


def _to_decimals(values: Floats, decimals: Floats | np.float64, scaled: bool) -> Floats:
    power = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        product = values * power
        # A value too large for its product has no decimals to lose.
        results: Floats = np.where(np.isfinite(product), np.rint(product) / power, values)
        if not scaled:
            # The product carries an error of its own, so where it is near a tie only the exact value can tell.
            distance = np.abs(np.abs(product - np.trunc(product)) - 0.5)
            near = np.flatnonzero(distance <= 4 * np.spacing(np.abs(product)))
            if len(near):
                results.flat[near] = _beside_ties(values.flat[near], np.broadcast_to(decimals, values.shape).flat[near])
    return results


def _beside_ties(values: Floats, decimals: Floats) -> Floats:
    """Values near a tie, to the side that their exact product with the power of ten lies on."""
    power = 10.0**decimals
    product = values * power
    whole = np.trunc(product)
    tie = whole + np.copysign(0.5, product)
    # How far the exact product lies beyond the tie, seen from zero: the sum of two numbers, both without an error.
    beyond = np.copysign(1.0, product) * ((product - tie) + _lost(values, power, product))
    nearest = np.select([beyond > 0, beyond < 0], [whole + np.copysign(1.0, product), whole], np.rint(tie))
    found: Floats = nearest / power
    # Beyond these neither the tie nor the power need be a double, nor what a product loses.
    for place in np.flatnonzero((np.abs(product) >= 2.0**51) | (decimals > _MOST_EXACT)):
        found[place] = round(float(values[place]), int(decimals[place]))
    return found


def _lost(values: Floats, others: Floats, product: Floats) -> Floats:
    """What a product lacks of the exact one. Source: Dekker, A floating-point technique (1971)."""
    high, low = _split(values)
    other_high, other_low = _split(others)
    return ((high * other_high - product) + high * other_low + low * other_high) + low * other_low


def _split(values: Floats) -> tuple[Floats, Floats]:
    """Two numbers of half as many digits that come to each value."""
    scaled = values * (2.0**27 + 1)
    high = scaled - (scaled - values)
    return high, values - high
