"""Rounding to decimals or significant digits, vectorised and correct at ties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from indicators.contract import Floats, Rounding

# A double has no power of ten beyond this one; values that small have no digits left to round.
_MOST_DECIMALS = 300


def rounded(values: Floats, rounding: Rounding) -> Floats:
    """The values as ``rounding`` wants them; NaN and infinity stay. Any shape.

    Exact rounding is that of Python's ``round``: the decimal nearest to the binary value, a tie (which a double is
    hardly ever) to even. Scaled rounding is that of ``numpy.round``: the nearest integer of the product.
    """
    decimals = np.full(values.shape, float(rounding.decimals))
    if rounding.significant is not None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            leading = np.floor(np.log10(np.abs(values)))
            # A value that rounds to 1 or more stays as it always was.
            small = np.rint(np.abs(values) * 10.0**rounding.decimals) < 10.0**rounding.decimals
        wanted = np.where(np.isfinite(leading) & small, rounding.significant - 1 - leading, 0.0)
        decimals = np.clip(wanted, decimals, _MOST_DECIMALS)
    power = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        product = values * power
        nearest = np.rint(product)
        results = nearest / power
        # A value too large for its product has no decimals to lose.
        results = np.where(np.isfinite(product), results, values)
        if not rounding.scaled:
            # The product carries an error of its own, so where it is near a tie only the exact value can tell.
            distance = np.abs(np.abs(product - np.trunc(product)) - 0.5)
            for place in np.flatnonzero(distance <= 4 * np.spacing(np.abs(product))):
                results.flat[place] = round(float(values.flat[place]), int(decimals.flat[place]))
    return results
