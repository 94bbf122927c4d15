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
            decimals = np.broadcast_to(decimals, values.shape)
            for place in np.flatnonzero(distance <= 4 * np.spacing(np.abs(product))):
                results.flat[place] = round(float(values.flat[place]), int(decimals.flat[place]))
    return results
