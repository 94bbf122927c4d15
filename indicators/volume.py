"""Volume: raw bars, turnover and who takes the initiative."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Indicator, Panel, Parameters, Values, difference, indicator, integer, number, price, text
from .kernels import rolling
from .kernels.bars import turnover, typical_price
from .profiles import CORRECTED
from .roles import HISTOGRAM, LINE, LOWER, UPPER, bar, guided

if TYPE_CHECKING:
    from .contract import Floats

#: Half of the volume is bought by takers where neither side pushes.
_HALF = guided(0.5).within("share")

base_data = Indicator(
    id="base_data",
    title="Base data",
    family="volume",
    inputs=(
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trade_count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ),
    columns=(
        price("open", "open of the bar", role=bar("open")),
        price("high", "high of the bar", role=bar("high")),
        price("low", "low of the bar", role=bar("low")),
        price("close", "close of the bar", role=bar("close")),
        price("price", "the same as close"),
        number("volume", "volume of the bar", unit="base", role=bar("volume")),
        number(
            "turnover",
            "turnover of the bar; volume times close where the source has none",
            unit="quote",
            role=bar("quote_volume"),
        ),
        number("range_fraction", "high less low, relative to the low", unit="fraction"),
        number("change_fraction", "close less open, relative to the open", unit="fraction", role=HISTOGRAM),
        integer("trade_count", "trades in the bar, 0 where the source has none", role=bar("trade_count")),
        integer("trades", "the same as trade_count"),
        number("taker_buy_volume", "volume bought by takers", unit="base", role=bar("taker_buy_volume")),
        number("taker_buy", "the same as taker_buy_volume", unit="base"),
        number("taker_buy_turnover", "turnover bought by takers", unit="quote", role=bar("taker_buy_quote_volume")),
        number("taker_sell_volume", "volume sold by takers", unit="base", role=LINE.on_request),
        number("taker_buy_fraction", "share of the volume that takers bought", unit="fraction", role=_HALF),
        number("taker_sell_turnover", "turnover sold by takers", unit="quote", role=LINE.on_request),
        number("net_flow", "turnover bought less turnover sold by takers", unit="quote", role=HISTOGRAM),
        number("turnover_per_trade", "turnover per trade, 0 without trades", unit="quote", role=LINE.on_request),
    ),
    formula="the newest bar, with its range, change, taker shares and turnover per trade",
    min_bars=1,
    variants={CORRECTED: True},
)

taker_buy_ratio = Indicator(
    id="taker_buy_ratio",
    title="Taker buy ratio",
    family="volume",
    inputs=("volume", "taker_buy_volume", "close"),
    columns=(
        number("taker_buy_volume", "volume bought by takers, 0 where the source has none", unit="base", role=LINE.long),
        number("taker_sell_volume", "volume sold by takers", unit="base", role=LINE.short),
        number("taker_buy_fraction", "share of the volume that takers bought", unit="fraction", role=_HALF),
        price("price", "close of the bar"),
    ),
    formula="taker_buy_volume / volume of the newest bar; no value without volume",
    min_bars=1,
    variants={CORRECTED: True},
)

volume_ratio = Indicator(
    id="volume_ratio",
    title="Volume ratio",
    family="volume",
    inputs=("volume", "quote_volume", "close"),
    columns=(
        number("volume_ratio", "volume relative to its 20-bar mean", unit="ratio", role=guided(1)),
        text(
            "signal",
            "class of the ratio, from shrinking to extreme",
            {
                "极值放量": "extreme volume",
                "异常放量": "unusual volume",
                "放量": "rising volume",
                "正常": "normal",
                "缩量": "shrinking volume",
                "数据不足": "too few bars",
            },
        ),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="volume / SMA20(volume), the newest bar included; classes at 5, 2, 1 and 0.7",
    min_bars=lambda p: p.period,
    parameters={"period": 20},
    variants={CORRECTED: True},
    minima={CORRECTED: lambda p: p.period + 1},
)


def _signed_volume(bars: Panel) -> Floats:
    """Volume of rising less that of falling bars; row i belongs to bar i + 1."""
    return np.nan_to_num(np.sign(np.diff(bars.close, axis=0)) * bars.volume[1:])


def obv_over_volume(bars: Panel, p: Parameters) -> Values:
    """The change is the flow of 30 bars divided by their volume, -1 to 1; NULL without volume.

    OBV itself is the running sum as it was: where it begins is a convention of each chart.
    Source: Granville (1963); the change is a convention, as Chaikin's money flow relates its flow to volume.
    """
    flow, bars_of_change = _signed_volume(bars), p.change + 1
    rows = np.full((1, bars.series), bars.rows - 2)
    bars.note(flow=flow)
    recent, traded = rolling.tail_sum(flow[-bars_of_change:]), rolling.tail_sum(bars.volume[-bars_of_change:])
    return Values(rolling.running_sums(flow, rows)[0], recent / traded)


@indicator(
    id="obv",
    title="On-balance volume",
    family="volume",
    inputs=("close", "volume"),
    columns=(
        number("obv", "volume of rising less volume of falling bars", unit="base"),
        number("change", "change over 29 bars relative to the value then", unit="fraction", role=LINE.on_request),
    ),
    formula="obv = running sum of flow; flow = sign(close - previous close) x volume",
    min_bars=lambda p: p.change + 1,
    parameters={"change": 29},
    variants={CORRECTED: obv_over_volume},
    minima={CORRECTED: lambda p: p.change + 2},
)
def obv(bars: Panel, p: Parameters) -> Values:
    """On-balance volume since the first bar. Source: Granville (1963)."""
    flow = _signed_volume(bars)
    rows = np.repeat([[bars.rows - 2 - p.change], [bars.rows - 2]], bars.series, axis=1)
    base, newest = rolling.running_sums(flow, rows)
    bars.note(flow=flow, obv_before=base)
    return Values(newest, (newest - base) / np.maximum(np.abs(base), 1e-9))


def cvd_over_volume(bars: Panel, p: Parameters) -> Values:
    """The change is the flow of up to 360 bars divided by the volume of those whose takers are known, -1 to 1.

    A bar whose takers are not known has no flow; NULL where none is known. Source: the volume delta of charting
    packages; the change is a convention, as Chaikin's money flow relates its flow to volume.
    """
    known = ~np.isnan(bars.taker_buy_volume)
    traded = np.where(known, bars.volume, 0.0)
    flow = np.where(known, bars.taker_buy_volume - np.maximum(traded - bars.taker_buy_volume, 0), 0.0)
    flow_of_window, volume_of_window = rolling.tail_sum(flow[-p.change :]), rolling.tail_sum(traded[-p.change :])
    sums = rolling.running_sums(flow, np.full((1, bars.series), bars.rows - 1))[0]
    bars.note(flow=flow, flow_of_window=flow_of_window, volume_of_window=volume_of_window)
    return Values(np.where(known.any(axis=0), sums, np.nan), flow_of_window / volume_of_window)


@indicator(
    id="cvd",
    title="Cumulative volume delta",
    family="volume",
    inputs=("volume", "taker_buy_volume"),
    columns=(
        number("cvd", "volume bought less volume sold by takers", unit="base"),
        number("change", "change over 359 bars relative to the value then", unit="fraction", role=LINE.on_request),
    ),
    formula="running sum of taker buys less taker sells; half the volume where takers are unknown",
    min_bars=2,
    parameters={"change": 360},
    variants={CORRECTED: cvd_over_volume},
)
def cvd(bars: Panel, p: Parameters) -> Values:
    """Cumulative volume delta since the first bar."""
    volume = np.nan_to_num(bars.volume)
    buys = np.where(np.isnan(bars.taker_buy_volume), 0.5 * volume, bars.taker_buy_volume)
    flow = buys - np.maximum(volume - buys, 0)
    back = np.minimum(p.change, bars.lengths - 1)
    rows = np.stack([np.maximum(bars.rows - back, 0) % bars.rows, np.full(bars.series, bars.rows - 1)])
    base, newest = rolling.running_sums(flow, rows)
    bars.note(flow=flow, cvd_before=base)
    return Values(newest, (newest - base) / (np.abs(base) + 1e-9))


def _average_and_band(bars: Panel, average: Floats, deviation: Floats, volume: Floats, turnover_now: Floats) -> Values:
    close, upper, lower = bars.close[-1], average + deviation, average - deviation
    width = np.maximum(upper - lower, 0)
    bars.note(VWAP=average, std=deviation)
    return Values(
        average,
        close - average,
        np.where(average == 0, 0.0, (close - average) / average * 100),
        volume,
        close,
        turnover_now,
        upper,
        lower,
        width,
        np.where(average == 0, 0.0, width / average * 100),
    )


def vwap_weighted(bars: Panel, p: Parameters) -> Values:
    """The deviation is weighted by volume, as the average is; without volume both are NULL, and 0 is a volume of 0.

    The window rolls over 300 bars: markets that never close have no session to begin with.
    Source: Berkowitz, Logue and Noser (1988); bands as of charting packages.
    """
    typical, volume = typical_price(bars)[-p.period :], bars.volume[-p.period :]
    total = rolling.tail_sum(volume)
    low, high = np.fmin.reduce(typical, axis=0), np.fmax.reduce(typical, axis=0)
    average = np.where(low == high, np.where(total == 0, np.nan, low), rolling.tail_sum(typical * volume) / total)
    variance = rolling.tail_sum(volume * (typical - average) ** 2) / total
    return _average_and_band(bars, average, np.sqrt(variance), volume[-1], bars.quote_volume[-1])


@indicator(
    id="vwap",
    title="Volume-weighted average price",
    family="volume",
    inputs=("high", "low", "close", "volume", "quote_volume"),
    columns=(
        price("vwap", "volume-weighted mean of the typical price over 300 bars"),
        difference("deviation", "close less the VWAP", role=LINE.on_request),
        number("deviation_percent", "the same relative to the VWAP", unit="percent", role=HISTOGRAM),
        number("volume", "volume of the bar, 1e-9 instead of 0", unit="base", role=LINE.on_request),
        price("price", "close of the bar"),
        number("turnover", "turnover of the bar", unit="quote"),
        price("upper", "VWAP plus a standard deviation", role=UPPER),
        price("lower", "VWAP less a standard deviation", role=LOWER),
        difference("bandwidth", "upper less lower", role=LINE.on_request),
        number("bandwidth_percent", "the same relative to the VWAP", unit="percent", role=LINE.on_request),
    ),
    formula="VWAP = sum(tp x volume) / sum(volume) of 300 bars; upper = VWAP + std; lower = VWAP - std; std of tp",
    min_bars=10,
    parameters={"period": 300},
    variants={CORRECTED: vwap_weighted},
)
def vwap(bars: Panel, p: Parameters) -> Values:
    """Rolling VWAP of up to 300 bars with a band of one unweighted standard deviation."""
    typical, volume, close = typical_price(bars)[-p.period :], bars.volume[-p.period :], bars.close[-1]
    volume = np.where(volume == 0, 1e-9, volume)
    average = rolling.tail_sum(typical * volume) / rolling.tail_sum(volume)
    average = np.where(np.isfinite(average) & (average != 0), average, close)
    return _average_and_band(bars, average, rolling.tail_std(typical, ddof=0), volume[-1], turnover(bars))
