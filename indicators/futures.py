"""Futures: open interest and long/short ratios, from the metrics that exchanges publish beside the candles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Indicator, Panel, Values, indicator, integer, number
from .kernels import pivots, rolling
from .roles import HISTOGRAM, LINE, guided

if TYPE_CHECKING:
    from .contract import Bools, Floats, Ints

futures_sentiment = Indicator(
    id="futures_sentiment",
    title="Futures sentiment",
    family="futures",
    inputs=(
        "open_interest",
        "open_interest_value",
        "top_trader_account_ratio",
        "top_trader_position_ratio",
        "global_account_ratio",
        "taker_volume_ratio",
    ),
    columns=(
        number("open_interest", "open interest", unit="base"),
        number("open_interest_value", "open interest in money", unit="quote"),
        number("top_trader_account_ratio", "long/short ratio of top traders by account", unit="ratio", role=guided(1)),
        number("top_trader_position_ratio", "long/short ratio of top traders by position", unit="ratio"),
        number("global_account_ratio", "long/short ratio of all accounts", unit="ratio"),
        number("taker_volume_ratio", "buy/sell ratio of taker volume", unit="ratio", role=guided(1).within("takers")),
        number("top_trader_ratio", "the same as top_trader_position_ratio", unit="ratio"),
        number("global_ratio", "the same as global_account_ratio", unit="ratio"),
        number("taker_ratio", "the same as taker_volume_ratio", unit="ratio", role=guided(1).within("takers")),
    ),
    formula="the newest metrics row of the symbol within 30 days",
    min_bars=1,
    source="metrics",
)


#: Newest metrics rows that are looked at, and the length of an interval in seconds; others count as 10 minutes.
ROWS = 240
PERIODS = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400, "1w": 604800}


@indicator(
    id="futures_aggregate",
    title="Futures sentiment statistics",
    family="futures",
    inputs=(
        "open_interest",
        "open_interest_value",
        "top_trader_position_ratio",
        "global_account_ratio",
        "taker_volume_ratio",
        "is_closed",
    ),
    columns=(
        integer("is_closed", "whether the newest metrics row is final", unit="flag", role=LINE.on_request),
        number("age_seconds", "age of the newest metrics row", unit="seconds", role=LINE.on_request),
        number("open_interest_value", "open interest in money", unit="quote"),
        number("open_interest", "open interest", unit="base"),
        number("top_trader_ratio", "long/short ratio of top traders by position", unit="ratio", role=guided(1)),
        number("global_ratio", "long/short ratio of all accounts", unit="ratio"),
        number("taker_ratio", "buy/sell ratio of taker volume", unit="ratio"),
        number("top_trader_sample", "always NULL", unit="ratio", role=LINE.on_request),
        number("value_change", "change of the open interest in money", unit="quote", role=HISTOGRAM.within("change")),
        number(
            "value_change_fraction",
            "the same relative to the row before, NULL if 0",
            unit="fraction",
            role=LINE.on_request,
        ),
        number("top_trader_deviation", "distance of the top traders' ratio from 1", unit="ratio", role=LINE.on_request),
        number("global_deviation", "distance of all accounts' ratio from 1", unit="ratio", role=LINE.on_request),
        number("taker_deviation", "distance of the taker ratio from 1", unit="ratio", role=LINE.on_request),
        number("sentiment_gap", "top traders' ratio less that of all accounts", unit="ratio", role=LINE.on_request),
        number("sentiment_gap_size", "size of that gap, NULL if 0", unit="ratio", role=LINE.on_request),
        number(
            "value_variation",
            "coefficient of variation of the open interest in money",
            unit="ratio",
            role=LINE.on_request,
        ),
        integer("value_streak", "rows in a row that rose (positive) or fell (negative)"),
        integer("taker_streak", "rows in a row with takers buying (positive) or selling (negative)"),
        number("risk_score", "sum of the z-scores of change, top traders' and takers' deviation", unit="score"),
        number("market_share", "share of the market's open interest", unit="percent", role=LINE.on_request),
        number(
            "top_trader_variation",
            "coefficient of variation of the top traders' ratio",
            unit="ratio",
            role=LINE.on_request,
        ),
        number(
            "global_variation", "coefficient of variation of all accounts' ratio", unit="ratio", role=LINE.on_request
        ),
        number("value_slope", "least-squares slope of the open interest per row", unit="percent", role=LINE.on_request),
        number("value_zscore", "z-score of the open interest in money", unit="score", role=guided(0)),
        number("top_trader_momentum", "change of the top traders' ratio", unit="ratio", role=LINE.on_request),
        number("taker_momentum", "change of the taker ratio", unit="ratio", role=LINE.on_request),
        integer(
            "sentiment_turn",
            "1 or -1 where the top traders' ratio crossed 1, else 0",
            unit="state",
            role=LINE.on_request,
        ),
        number("taker_jump", "size of the change of the taker ratio", unit="ratio", role=LINE.on_request),
        number(
            "stability_quantile",
            "share of open interests not above the variation",
            unit="fraction",
            role=LINE.on_request,
        ),
        number("contribution_rank", "always NULL", unit="count", role=LINE.on_request),
        integer("is_stale", "1 where the newest row is older than three periods", unit="flag", role=LINE.on_request),
    ),
    formula="changes, deviations, streaks, slopes and z-scores over the newest 240 metrics rows within 30 days",
    min_bars=1,
    source="metrics",
    window=ROWS,
    totals=("open_interest_value",),
)
def futures_aggregate(metrics: Panel) -> Values:
    """Statistics of open interest and long/short ratios. A value of 0 counts as missing, as NULL does."""
    value, top, every, taker = (
        _present(metrics.fields[name])
        for name in ("open_interest_value", "top_trader_position_ratio", "global_account_ratio", "taker_volume_ratio")
    )
    blank = np.full(metrics.series, np.nan)

    def newest_two(values: Floats) -> tuple[Floats, Floats]:
        return values[-1], values[-2] if metrics.rows > 1 else blank

    (value_now, value_before), (top_now, top_before) = newest_two(value), newest_two(top)
    taker_now, taker_before = newest_two(taker)
    every_now = every[-1]
    change = value_now - value_before
    fraction = _present(change) / value_before
    gap = top_now - every_now
    variation = _variation(value)
    relative_changes = _relative_changes(value)
    scores = np.stack(
        [
            np.where(np.isnan(_present(fraction)), np.nan, _zscore(fraction, relative_changes)),
            np.where(np.isnan(_present(np.abs(top_now - 1))), np.nan, _zscore(np.abs(top_now - 1), np.abs(top - 1))),
            np.where(
                np.isnan(_present(np.abs(taker_now - 1))), np.nan, _zscore(np.abs(taker_now - 1), np.abs(taker - 1))
            ),
        ]
    )
    age = (metrics.as_of - metrics.newest_time) / 1_000_000
    count = (~np.isnan(value)).sum(axis=0)
    calm = np.where(_present(variation) > 0, (value <= variation).sum(axis=0) / count, np.nan)
    taker_signs = np.where(np.abs(taker - 1) < 1e-9, 0, np.where(taker > 1, 1, -1))
    value_changes = np.sign(value - _before(value))
    return Values(
        np.nan_to_num(metrics.is_closed[-1]) != 0,
        age,
        metrics.open_interest_value[-1],
        metrics.open_interest[-1],
        metrics.top_trader_position_ratio[-1],
        metrics.global_account_ratio[-1],
        metrics.taker_volume_ratio[-1],
        blank,
        change,
        fraction,
        np.abs(top_now - 1),
        np.abs(every_now - 1),
        np.abs(taker_now - 1),
        gap,
        np.abs(_present(gap)),
        variation,
        np.where(count < 2, np.nan, _streak(value_changes, ~np.isnan(value_changes))),
        np.where(np.isnan(taker).all(axis=0), np.nan, _streak(taker_signs, ~np.isnan(taker))),
        np.where(np.isnan(scores).all(axis=0), np.nan, rolling.tail_sum(scores)),
        metrics.open_interest_value[-1] * 100 / metrics.totals["open_interest_value"],
        _variation(top),
        _variation(every),
        _slope(value),
        np.where(np.isnan(value_now), np.nan, _zscore(value_now, value)),
        top_now - top_before,
        taker_now - taker_before,
        1 * ((top_before < 1) & (top_now > 1)) - 1 * ((top_before > 1) & (top_now < 1)),
        np.abs(taker_now - taker_before),
        calm,
        blank,
        1 * (age > 3 * metrics.by_interval(lambda interval: PERIODS.get(interval, 600))),
    )


def _present(values: Floats) -> Floats:
    """The values with NaN for 0: these statistics take a zero for missing."""
    return np.where(values == 0, np.nan, values)


def _before(values: Floats) -> Floats:
    """The last value before each row that is not NaN; (rows, series)."""
    rows = np.arange(len(values))[:, None]
    latest = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    return pivots.pick(values, np.concatenate([np.full((1, values.shape[1]), -1), latest[:-1]]))


def _relative_changes(values: Floats) -> Floats:
    before = _before(values)
    return (values - before) / before


def _variation(values: Floats) -> Floats:
    """Coefficient of variation (population); NaN with fewer than two values or a mean of 0; (series,)."""
    mean, deviation = rolling.tail_mean_std(values, ddof=0)
    usable = ((~np.isnan(values)).sum(axis=0) >= 2) & (mean != 0)
    return np.where(usable, deviation / mean, np.nan)


def _zscore(value: Floats, history: Floats) -> Floats:
    """Distance of a value from the mean of its history in standard deviations, 0 where that is 0; (series,)."""
    mean, deviation = rolling.tail_mean_std(history, ddof=0)
    score = np.where(deviation == 0, 0.0, (value - mean) / deviation)
    return np.where((~np.isnan(history)).sum(axis=0) < 2, np.nan, score)


def _slope(values: Floats) -> Floats:
    """Least-squares slope over the values that are there, in percent of the last of them; (series,)."""
    here = ~np.isnan(values)
    count = here.sum(axis=0)
    place = np.cumsum(here, axis=0) - 1.0
    # In the closed form and order of the readers' values: a constant series leaves their residue, not a clean 0.
    products, total = rolling.tail_sum(place * values), rolling.tail_sum(values)
    places, squares = (count - 1) * count / 2, (count - 1) * count * (2 * count - 1) / 6
    slope = (count * products - places * total) / (count * squares - places * places)
    last = pivots.pick(values, pivots.newest(here, 1))[0]
    return np.where(count < 2, np.nan, slope / last * 100)


def _streak(signs: Floats | Ints, here: Bools) -> Floats:
    """Rows from the newest on until a sign opposite to the newest one that is not 0, with that sign; (series,)."""
    marked = here & (signs != 0)
    direction = pivots.pick(signs, pivots.newest(marked, 1), 0.0)[0]
    stop = pivots.newest(marked & (signs == -direction), 1)[0]
    length = (here & (np.arange(len(signs))[:, None] > stop)).sum(axis=0)
    return direction * length
