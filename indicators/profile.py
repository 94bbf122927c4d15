"""Volume by price, and how easily it trades: profiles over the whole window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .arrow import cast, encoded
from .contract import Coded, Panel, Parameters, Rounding, Values, difference, indicator, number, price, text
from .kernels import profiles, rolling
from .kernels.bars import turnover, typical_price
from .profiles import CORRECTED
from .roles import AREA_HIGH, AREA_LOW, CONTROL, LINE, guided
from .rounding import rounded

if TYPE_CHECKING:
    from .contract import Array, Bools, Floats, Ints

_NODE_ROUNDING = Rounding(2, significant=6)


def _span(bars: Panel, least: float) -> tuple[Floats, Floats]:
    """The prices that the bins cover, from the lowest low to the highest high; by ``least`` wider if they are one."""
    low, high = np.fmin.reduce(bars.low, axis=0), np.fmax.reduce(bars.high, axis=0)
    margin = np.where(high <= low, np.maximum(low * 0.001, least), 0.0)
    return low - margin, high + margin


def volume_by_price(bars: Panel, p: Parameters) -> tuple[Floats, Floats]:
    """Of one series the edges of the price bins, shape (bins + 1,), and the volume in each, shape (bins,)."""
    low, high = _span(bars, 0.0)
    traded = np.where(bars.volume > 0, bars.volume, 0.0)
    volumes, *_ = profiles.volume_profile(typical_price(bars), traded, low, high, p.bins, p.area)
    return np.linspace(low[0], high[0], p.bins + 1), volumes[:, 0]


def profile_of_any_price(bars: Panel, p: Parameters) -> Values:
    """The bins of bars that are all of one price go a thousandth of it to either side, whatever the price.

    Source: Steidlmayer's market profile, by volume.
    """
    return _profile(bars, p, 0.0)


def _profile(bars: Panel, p: Parameters, least: float) -> Values:
    """``least``: how far the bins of one price go to either side at least."""
    low, high = _span(bars, least)
    bins, width = p.bins, (high - low) / p.bins
    traded = np.where(bars.volume > 0, bars.volume, 0.0)
    volumes, peak, first, last, covered = profiles.volume_profile(typical_price(bars), traded, low, high, bins, p.area)
    total = rolling.tail_sum(traded)
    bars.note(lowest=low, highest=high, bin_width=width, volume_of_all=total, fullest_bin=peak, first=first, last=last)
    peak_volume = volumes[peak, np.arange(bars.series)]
    bottom, top = low + first * width, low + (last + 1) * width
    control = _middle(low, width, peak)
    close = bars.close[-1]
    high_nodes = volumes >= peak_volume * 0.7
    low_nodes = (volumes > 0) & (volumes <= peak_volume * 0.25)
    high_list, low_list = _lists(low, width, high_nodes, low_nodes)
    return Values(
        control,
        peak_volume,
        bottom,
        top,
        top - bottom,
        np.where(control == 0, 0.0, (top - bottom) / control * 100),
        covered * 100,
        high_list,
        low_list,
        Coded.select([close > top, close < bottom], ["价值区上方", "价值区下方"], "价值区内"),
        defined=total > 0,
    )


@indicator(
    id="vpvr_profile",
    title="Volume profile",
    family="volume",
    inputs=("high", "low", "close", "volume"),
    columns=(
        price("point_of_control", "middle of the price bin with the most volume", role=CONTROL),
        number("control_volume", "volume of that bin", unit="base", role=LINE.on_request),
        price("value_area_low", "lower edge of the value area", role=AREA_LOW),
        price("value_area_high", "upper edge of the value area", role=AREA_HIGH),
        difference("value_area_width", "upper less lower edge", role=LINE.on_request),
        number("width_percent", "the same relative to the point of control", unit="percent", role=LINE.on_request),
        number("coverage", "share of the volume inside the value area", unit="percent", role=LINE.on_request),
        text("high_nodes", "middles of the bins with at least 0.7 of the most volume, comma list", free=True),
        text("low_nodes", "middles of the bins with at most 0.25 of the most volume, comma list", free=True),
        text(
            "position",
            "close above, below or inside the value area",
            {
                "价值区上方": "above the value area",
                "价值区下方": "below the value area",
                "价值区内": "inside the value area",
            },
        ),
    ),
    formula="48 price bins by typical price; value area grown from the fullest bin to 70 % of the volume",
    min_bars=5,
    parameters={"bins": 48, "area": 0.7},
    by_price=volume_by_price,
    variants={CORRECTED: profile_of_any_price},
)
def vpvr_profile(bars: Panel, p: Parameters) -> Values:
    """Volume profile of the whole window. Source: Steidlmayer's market profile, by volume."""
    return _profile(bars, p, 1e-6)


def _middle(low: Floats, width: Floats, bin_: Ints) -> Floats:
    """Middle of a bin: the mean of its edges."""
    return ((low + bin_ * width) + (low + (bin_ + 1) * width)) / 2


def _as_texts(values: Floats) -> Array:
    """Numbers as Python writes them, an array of objects."""
    if not ((values >= 1e-3) & (values < 1e9)).all():
        return np.array(list(map(repr, values.tolist())), dtype=np.object_)
    # Arrow is faster, and writes these alike, but for the zero behind a whole number.
    texts = cast(pa.array(values), pa.string()).to_numpy(zero_copy_only=False)
    whole = np.flatnonzero(values == np.floor(values))
    texts[whole] = texts[whole] + ".0"
    return texts


def _lists(low: Floats, width: Floats, *chosen: Bools) -> list[Coded]:
    """The middles of some bins of each series as a comma list, in rising order; bins of shape (bins, series).

    A list is written once for neighbours that have it in common, as the windows of a series mostly have, and a number
    once for all that have it.
    """
    begins = np.ones(len(low), dtype=np.bool_)
    begins[1:] = (low[1:] != low[:-1]) | (width[1:] != width[:-1])
    starts, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    # By series: the bins of one lie behind each other, eight to a byte.
    by_series = [np.ascontiguousarray(bins.T) for bins in chosen]
    packed = [np.packbits(bins, axis=1) for bins in by_series]
    of_runs = np.bitwise_or.reduceat(np.bitwise_or.reduce(packed), starts, axis=0)
    wanted = np.unpackbits(of_runs, axis=1, count=len(chosen[0])).view(np.bool_)
    middles = _middle(low[starts, None], width[starts, None], np.arange(wanted.shape[1]))
    numbers = encoded(pa.array(rounded(middles[wanted], _NODE_ROUNDING)))
    texts = np.full(wanted.shape, "", dtype=np.object_)
    texts[wanted] = _as_texts(numbers.dictionary.to_numpy())[numbers.indices.to_numpy()]
    lists = []
    for bins, bits in zip(by_series, packed, strict=True):
        differs = begins.copy()
        differs[1:] |= (bits[1:] != bits[:-1]).any(axis=1)
        places = np.flatnonzero(differs)
        own, bin_ = np.nonzero(bins[places])
        parts = texts[run[places[own]], bin_].tolist()
        ends = np.cumsum(np.bincount(own, minlength=len(places))).tolist()
        words = [",".join(parts[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
        lists.append(Coded(np.cumsum(differs) - 1, np.array(words, dtype=np.object_)))
    return lists


def liquidity_of_known_parts(bars: Panel) -> Values:
    """Amihud against its newest 100 bars, the newest among them; Kyle as the move by a net flow of a mean bar's volume.

    Such a move of 1 % makes a score of 37, as a deviation of 1 % does. What is not known is NULL, and the others share
    its weight. Sources: Amihud (2002), Kyle (1985); the scale of Kyle is a convention: that of the volatility.
    """
    impacts = _impacts(bars)[-100:]
    impact = impacts[-1]
    amihud_score = _against(impact, *rolling.tail_mean_std(impacts, ddof=0))
    slope, usual = _impact_of_flow(bars), rolling.tail_mean(bars.volume[-180:])
    bars.note(impact=impacts, usual_volume=usual)
    scores = np.stack([amihud_score, 100 * np.exp(-np.abs(slope) * usual / 0.01), *_calm_and_volume(bars)])
    known = ~np.isnan(scores)
    weights = np.where(known, _WEIGHTS[:, None], 0.0)
    score = rolling.tail_sum(np.where(known, weights * scores, 0.0)) / rolling.tail_sum(weights)
    return Values(score, _grade(score), *scores, impact, slope, bars.quote_volume[-1], bars.close[-1])


_WEIGHTS = np.array([0.35, 0.30, 0.20, 0.15])


def _grade(score: Floats) -> Coded:
    grades = ["优秀", "良好", "一般", "紧张"]
    return Coded.select([score >= 80, score >= 65, score >= 50, score >= 30], grades, "危险")


def _calm_and_volume(bars: Panel) -> tuple[Floats, Floats]:
    """Scores of the volatility and of the volume of 60 bars, NaN with fewer; (series,) each."""
    returns = np.diff(np.log(bars.close[-61:]), axis=0)
    deviation = np.where(bars.lengths >= 61, rolling.tail_std(returns), np.nan)
    usual = np.where(bars.lengths >= 60, rolling.tail_mean(bars.volume[-60:]), np.nan)
    volume = bars.volume[-1] / np.where(usual == 0, np.nan, usual)
    return np.clip(100 * np.exp(-deviation / 0.01), 0, 100), np.clip(100 * (1 - np.exp(-volume)), 0, 100)


@indicator(
    id="liquidity_score",
    title="Liquidity score",
    family="volume",
    inputs=("close", "volume", "taker_buy_volume", "quote_volume"),
    columns=(
        number("score", "weighted sum of the four scores", unit="score", role=guided(50)),
        text(
            "grade",
            "class of the score",
            {"优秀": "excellent", "良好": "good", "一般": "fair", "紧张": "tight", "危险": "dangerous"},
        ),
        number("amihud_score", "price impact of turnover against its history", unit="score", role=LINE.on_request),
        number("kyle_score", "price impact of taker flow", unit="score", role=LINE.on_request),
        number("volatility_score", "calmness of 60 bars", unit="score", role=LINE.on_request),
        number("volume_score", "volume against the mean of 60 bars", unit="score", role=LINE.on_request),
        number("amihud", "absolute log return per turnover", unit="ratio", role=LINE.on_request),
        number("kyle", "return per unit of taker flow", unit="ratio", role=LINE.on_request),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="score = 0.35 amihud_score + 0.30 kyle_score + 0.20 volatility_score + 0.15 volume_score; each 0 to 100",
    min_bars=50,
    variants={CORRECTED: liquidity_of_known_parts},
)
def liquidity_score(bars: Panel) -> Values:
    """Liquidity from price impact, volatility and volume. Sources: Amihud (2002), Kyle (1985)."""
    impact, amihud_score = _amihud(bars)
    slope, kyle_score = _kyle(bars)
    volatility_score, volume_score = (np.nan_to_num(part) for part in _calm_and_volume(bars))
    score = 0.35 * amihud_score + 0.30 * kyle_score + 0.20 * volatility_score + 0.15 * volume_score
    return Values(
        score,
        _grade(score),
        amihud_score,
        kyle_score,
        volatility_score,
        volume_score,
        np.nan_to_num(impact),
        np.nan_to_num(slope),
        turnover(bars),
        bars.close[-1],
    )


def _amihud(bars: Panel) -> tuple[Floats, Floats]:
    """Price impact of the newest bar, and its score against the first 99 of the window; (series,) each."""
    impact = _impacts(bars)
    mean, deviation = rolling.tail_mean_std(rolling.oldest(impact, 99, bars.first), ddof=0)
    bars.note(impact=impact, mean_impact=mean, std_impact=deviation)
    return impact[-1], np.nan_to_num(_against(impact[-1], mean, deviation))


def _impacts(bars: Panel) -> Floats:
    """Absolute log return per turnover; row i belongs to bar i + 1, a series' first is in the row of its first bar."""
    traded = bars.volume[1:] * bars.close[1:]
    return np.abs(np.log(bars.close[1:] / bars.close[:-1])) / np.where(traded > 0, traded, np.nan)


def _against(impact: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Score of an impact against others, 0 to 100, NaN without one; (series,)."""
    distance = np.where(deviation == 0, 0.0, (impact - mean) / deviation)
    return np.where(np.isnan(mean), np.nan, 100 / (1 + np.exp(distance)))


def _kyle(bars: Panel) -> tuple[Floats, Floats]:
    """Slope of returns over taker flow in the last 180 bars, and its score; (series,) each."""
    slope = _impact_of_flow(bars)
    return slope, np.nan_to_num(100 / (1 + np.exp(np.abs(slope) / 0.001)))


def _impact_of_flow(bars: Panel) -> Floats:
    """Slope of returns over taker flow in the last 180 bars, NaN where too few are known; (series,)."""
    width = min(180, bars.rows - 1)
    returns = bars.close[-width:] / bars.close[-width - 1 : -1] - 1
    flow = 2 * bars.taker_buy_volume[-width:] - bars.volume[-width:]
    both = ~np.isnan(returns) & ~np.isnan(flow)
    returns, flow = np.where(both, returns, np.nan), np.where(both, flow, np.nan)
    bars.note(change=returns, taker_flow=flow)
    enough = both.sum(axis=0) >= np.maximum(5, 0.6 * np.minimum(180, bars.lengths))
    square, product = rolling.tail_products(flow, returns)
    return np.where(enough & (square != 0), product / square, np.nan)
