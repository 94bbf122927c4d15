"""Futures: open interest and long/short ratios, from the metrics that exchanges publish beside the candles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Indicator, Panel, Values, indicator, integer, number
from .kernels import gaps, pivots, recursions, rolling
from .profiles import CORRECTED
from .roles import HISTOGRAM, LINE, guided

if TYPE_CHECKING:
    from .contract import Floats, Ints

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


#: What the risk score is made of.
_SCORED = ("zscore_of_change", "zscore_of_top_traders", "zscore_of_takers")
#: Rows of the windows whose variation is ranked among those before.
_CALM_ROWS = 20


def futures_aggregate_of_known(metrics: Panel) -> Values:
    """NULL alone is missing, 0 is a value. Changes, streaks and the slope go by time: across a gap there is no change.

    The risk is the mean size of the z-scores that are known; a turn is one from the last side of 1 that the ratio was
    on; the stability is the share of 20-row variations in the window that are no larger than the newest.
    Source: Tukey's percentile rank and the z-score of textbooks; the mean of sizes is a convention.
    """
    value, top, every, taker = (
        metrics.fields[name]
        for name in ("open_interest_value", "top_trader_position_ratio", "global_account_ratio", "taker_volume_ratio")
    )
    blank = np.full(metrics.series, np.nan)
    period = metrics.by_interval(lambda interval: PERIODS.get(interval, 600))
    follows = np.diff(metrics.time, axis=0) <= 1.5e6 * period

    def moved(values: Floats) -> Floats:
        steps = np.where(follows, values[1:] - values[:-1], np.nan)
        return np.concatenate([blank[None], steps])

    change, top_change, taker_change = moved(value), moved(top), moved(taker)
    fractions = np.concatenate([blank[None], change[1:] / value[:-1]])
    fractions = np.where(np.isfinite(fractions), fractions, np.nan)
    top_distance, taker_distance = np.abs(top - 1), np.abs(taker - 1)
    histories = (fractions, top_distance, taker_distance)
    scores = np.stack([np.abs(_zscore(history[-1], history)) for history in histories])
    metrics.note(change=change, fraction=fractions, **dict(zip(_SCORED, scores, strict=True)))
    age = (metrics.as_of - metrics.newest_time) / 1_000_000
    taker_signs = np.where(np.isnan(taker), np.nan, np.where(taker_distance < 1e-9, 0, np.where(taker > 1, 1, -1)))
    taker_signs[1:] = np.where(follows, taker_signs[1:], np.nan)
    sides = np.sign(np.nan_to_num(top - 1)).astype(np.int64)
    earlier = recursions.held(sides)[-2] if metrics.rows > 1 else np.zeros(metrics.series, dtype=np.int64)
    variations = _moving_variation(value, _CALM_ROWS)
    ranked = (~np.isnan(variations)).sum(axis=0)
    # Windows of the same values in another order have the same variation, but for its last bits.
    calm = (variations <= variations[-1] * (1 + 1e-12)).sum(axis=0) / ranked if len(variations) else blank
    return Values(
        metrics.is_closed[-1],
        age,
        metrics.open_interest_value[-1],
        metrics.open_interest[-1],
        top[-1],
        every[-1],
        taker[-1],
        blank,
        change[-1],
        fractions[-1],
        top_distance[-1],
        np.abs(every[-1] - 1),
        taker_distance[-1],
        top[-1] - every[-1],
        np.abs(top[-1] - every[-1]),
        _variation(value),
        _unbroken_streak(np.sign(change)),
        _unbroken_streak(taker_signs),
        rolling.tail_mean(scores),
        metrics.open_interest_value[-1] * 100 / metrics.totals["open_interest_value"],
        _variation(top),
        _variation(every),
        _slope_in_time(value, (metrics.time - metrics.newest_time) / (1e6 * period)),
        _zscore(value[-1], value),
        top_change[-1],
        taker_change[-1],
        np.where(np.isnan(top[-1]), np.nan, np.where(sides[-1] * earlier == -1, sides[-1], 0)),
        np.abs(taker_change[-1]),
        np.where(np.isnan(variations[-1]) if len(variations) else True, np.nan, calm),
        blank,
        1 * (age > 3 * period),
    )


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
    variants={CORRECTED: futures_aggregate_of_known},
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
    scores = np.stack(
        [
            np.where(np.isnan(_present(fraction)), np.nan, _score(fraction, *gaps.relative_changes(value))),
            np.where(np.isnan(_present(np.abs(top_now - 1))), np.nan, _zscore(np.abs(top_now - 1), np.abs(top - 1))),
            np.where(
                np.isnan(_present(np.abs(taker_now - 1))), np.nan, _zscore(np.abs(taker_now - 1), np.abs(taker - 1))
            ),
        ]
    )
    metrics.note(change=change, fraction=fraction, **dict(zip(_SCORED, scores, strict=True)))
    age = (metrics.as_of - metrics.newest_time) / 1_000_000
    count = (~np.isnan(value)).sum(axis=0)
    calm = np.where(_present(variation) > 0, gaps.count_up_to(value, variation) / count, np.nan)
    taker_signs = np.where(np.abs(taker - 1) < 1e-9, 0, np.where(taker > 1, 1, -1))
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
        np.where(count < 2, np.nan, gaps.streak_of_changes(value)),
        np.where(np.isnan(taker).all(axis=0), np.nan, gaps.streak(taker_signs, ~np.isnan(taker))),
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


def _variation(values: Floats) -> Floats:
    """Coefficient of variation (population); NaN with fewer than two values or a mean of 0; (series,)."""
    mean, deviation = rolling.tail_mean_std(values, ddof=0)
    usable = ((~np.isnan(values)).sum(axis=0) >= 2) & (mean != 0)
    return np.where(usable, deviation / mean, np.nan)


def _zscore(value: Floats, history: Floats) -> Floats:
    """Distance of a value from the mean of its history in standard deviations, 0 where that is 0; (series,)."""
    return _score(value, *rolling.tail_mean_std(history, ddof=0), (~np.isnan(history)).sum(axis=0))


def _score(value: Floats, mean: Floats, deviation: Floats, count: Ints) -> Floats:
    """Distance of a value from a mean of so many in standard deviations, likewise; (series,)."""
    score = np.where(deviation == 0, 0.0, (value - mean) / deviation)
    return np.where(count < 2, np.nan, score)


def _slope(values: Floats) -> Floats:
    """Least-squares slope over the values that are there, in percent of the last of them; (series,)."""
    here = ~np.isnan(values)
    count = here.sum(axis=0)
    # In the closed form and order of the readers' values: a constant series leaves their residue, not a clean 0.
    products, total = gaps.products_with_places(values), rolling.tail_sum(values)
    places, squares = (count - 1) * count / 2, (count - 1) * count * (2 * count - 1) / 6
    slope = (count * products - places * total) / (count * squares - places * places)
    last = pivots.pick(values, pivots.newest(here, 1))[0]
    return np.where(count < 2, np.nan, slope / last * 100)


def _unbroken_streak(signs: Floats) -> Floats:
    """``gaps.streak`` that a missing sign ends, NaN where the newest one is missing; (series,)."""
    missing = np.isnan(signs)
    last = pivots.newest(missing, 1)[0]
    length = gaps.streak(signs, ~missing & (np.arange(len(signs))[:, None] > last))
    return np.where(missing[-1], np.nan, length)


def _slope_in_time(values: Floats, times: Floats) -> Floats:
    """Least-squares slope of the values that are there over time, in percent of the last of them; (series,)."""
    here = ~np.isnan(values)
    square, product = rolling.tail_products(np.where(here, times, np.nan), values)
    return product / np.where(square == 0, np.nan, square) / pivots.pick(values, pivots.newest(here, 1))[0] * 100


def _moving_variation(values: Floats, width: int) -> Floats:
    """Coefficient of variation (population) of each window of some rows, NaN where one lacks; (windows, series)."""
    windows = [values[start : len(values) - width + 1 + start] for start in range(width if len(values) >= width else 0)]
    if not windows:
        return values[:0]
    # Row after row, so that a series alone has the sums of a series among others.
    mean = sum(windows[1:], windows[0]) / width
    squares = [(window - mean) ** 2 for window in windows]
    return np.sqrt(sum(squares[1:], squares[0]) / width) / np.where(mean == 0, np.nan, mean)
