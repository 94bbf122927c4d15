"""The market's totals at many moments: at each what a run as of it has."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from ...indicators.contract import Floats, Ints

_HOUR = timedelta(hours=1) // timedelta(microseconds=1)


def market_totals(metrics: pa.Table, field: str, interval: str, moments: Ints) -> Floats:
    """Sums of a field over the market, as ``pivot_metrics`` has them as of each moment; shape (moments,).

    Args:
        metrics: the possible rows of all symbols; at 5m from an hour before the first moment on.
        field: what is summed.
        interval: of the rows.
        moments: rising, microseconds since the epoch.
    """
    rows = metrics.filter(metrics["symbol"].is_valid()).filter(metrics["bucket_ts"].is_valid())
    time = rows["bucket_ts"].cast("int64").to_numpy()
    order = np.argsort(time, kind="stable")
    time, value = time[order], rows[field].cast("float64").to_numpy()[order]
    symbols = rows["symbol"].combine_chunks().dictionary_encode()
    code = symbols.indices.to_numpy()[order]
    value = np.where(np.isfinite(value), value, np.nan)
    seen = np.searchsorted(time, moments, side="right")
    if interval != "5m":
        # The newest bucket counts, which all symbols share.
        return np.array([_sum(value[np.searchsorted(time, time[end - 1]) : end]) if end else np.nan for end in seen])
    newest, held = np.full(len(symbols.dictionary), -(1 << 62)), np.full(len(symbols.dictionary), np.nan)
    found, begin = [], 0
    for as_of, end in zip(moments.tolist(), seen.tolist(), strict=True):
        newest[code[begin:end]], held[code[begin:end]] = time[begin:end], value[begin:end]
        found.append(_sum(held[newest > as_of - _HOUR]))
        begin = end
    return np.array(found)


def _sum(values: Floats) -> float:
    """The exact sum of those that are known; NaN where it is 0."""
    return math.fsum(values[~np.isnan(values)].tolist()) or math.nan
