"""Every indicator by its definition: plain arithmetic over the bars of one series, oldest first, newest wanted.

Recursions are written as their averages are defined, because whether two of them are equal depends on it. NaN stands
for NULL in numbers, None in texts.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import slow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAN = math.nan
#: A value that a rounding error decides; it is not compared.
UNDECIDED = object()


@dataclass(frozen=True)
class Bars:
    """One series; times in microseconds since the epoch."""

    interval: str
    time: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    quote_volume: list[float]
    trade_count: list[float]
    taker_buy_volume: list[float]
    taker_buy_quote_volume: list[float]

    def __len__(self) -> int:
        return len(self.close)

    @property
    def typical(self) -> list[float]:
        return [(high + low + close) / 3 for high, low, close in zip(self.high, self.low, self.close, strict=True)]

    @property
    def ranges(self) -> list[float]:
        return slow.true_range(self.high, self.low, self.close)

    @property
    def turnover(self) -> float:
        return known(self.quote_volume[-1])


@dataclass(frozen=True)
class Metrics:
    """Futures metrics of one symbol; times and ``as_of`` in microseconds since the epoch."""

    interval: str
    as_of: int
    market: float
    time: list[int]
    open_interest: list[float]
    open_interest_value: list[float]
    top_trader_account_ratio: list[float]
    top_trader_position_ratio: list[float]
    global_account_ratio: list[float]
    taker_volume_ratio: list[float]
    is_closed: list[float]

    def __len__(self) -> int:
        return len(self.time)


# --- arithmetic


def known(value: float, otherwise: float = 0.0) -> float:
    return otherwise if math.isnan(value) else value


def clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def ratio(over: float, under: float) -> float:
    """The quotient as processors have it: infinity, or NaN, where the divisor is 0."""
    if under == 0:
        return NAN if over == 0 or math.isnan(over) else math.copysign(math.inf, over)
    return over / under


def ema(values: Sequence[float], alpha: float) -> list[float]:
    """y = y + alpha (x - y), from the first value on."""
    averages = [values[0]]
    for value in values[1:]:
        averages.append(averages[-1] + alpha * (value - averages[-1]))
    return averages


def span(values: Sequence[float], period: float) -> list[float]:
    return ema(values, 2 / (period + 1))


def fading_mean(values: Sequence[float], alpha: float) -> list[float]:
    """Means of all values so far, each of which counts (1 - alpha) times as much as the next."""
    means, weight = [values[0]], 1.0
    for value in values[1:]:
        weight = weight * (1 - alpha) + 1
        means.append(means[-1] + (value - means[-1]) / weight)
    return means


def rises(values: Sequence[float]) -> list[float]:
    return [0.0, *(max(values[t] - values[t - 1], 0.0) for t in range(1, len(values)))]


def falls(values: Sequence[float]) -> list[float]:
    return [0.0, *(max(values[t - 1] - values[t], 0.0) for t in range(1, len(values)))]


def strength(gain: float, loss: float) -> float:
    """RSI; 100 without losses, nothing without any change."""
    return 100 - 100 / (1 + gain / loss) if loss else NAN if not gain else 100.0


def middle(bars: Bars, width: int) -> float:
    return (max(bars.high[-width:]) + min(bars.low[-width:])) / 2


# --- trend


def macd(bars: Bars) -> list[object]:
    dif = [fast - slow_ for fast, slow_ in zip(span(bars.close, 12), span(bars.close, 26), strict=True)]
    dea = span(dif, 9)
    before, now = (2 * (dif[t] - dea[t]) for t in (-2, -1))
    signal = "金叉/零轴上穿" if before <= 0 < now else "死叉/零轴下破" if before >= 0 > now else "延续"
    return [signal, dif[-1], dea[-1], now, dif[-1], dea[-1], bars.turnover, bars.close[-1]]


def supertrend(bars: Bars) -> list[object]:
    atr = ema(bars.ranges, 1 / 10)
    middles = [(high + low) / 2 for high, low in zip(bars.high, bars.low, strict=True)]
    upper = [value + 3 * reach for value, reach in zip(middles, atr, strict=True)]
    lower = [value - 3 * reach for value, reach in zip(middles, atr, strict=True)]
    top, bottom, short = slow.supertrend(upper, lower, bars.close)
    return [top if short else bottom, "空" if short else "多", top, bottom]


def ema_gc(bars: Bars) -> list[object]:
    fast, middle_, slow_ = (span(bars.close, period)[-1] for period in (7, 25, 99))
    close = bars.close[-1]
    if fast > middle_ > slow_:
        trend = "多头排列" if close >= fast else "偏多"
    elif fast < middle_ < slow_:
        trend = "空头排列" if close <= fast else "偏空"
    else:
        trend = "偏多" if close > slow_ else "偏空" if close < slow_ else "震荡"
    spread = max(fast, middle_, slow_) - min(fast, middle_, slow_)
    return [fast, middle_, slow_, close, trend, 100 * (1 - math.exp(-spread / close / 0.03))]


def ema_ribbon(bars: Bars) -> list[object]:
    averages = [span(bars.close, period) for period in (*range(5, 85, 5), 90, 100)]
    slowest, close = averages[-1][-1], bars.close[-1]
    bullish = sum(average[-1] > slowest and average[-1] > average[-2] for average in averages) / 18
    bearish = sum(average[-1] < slowest and average[-1] < average[-2] for average in averages) / 18
    # 13 of 18 are the first share of at least 0.7.
    buy, sell = bullish >= 13 / 18, bearish >= 13 / 18
    score = 10 * bullish if buy else 10 * bearish if sell else 5 * abs(close - slowest) / slowest
    long = buy or (not sell and close > slowest)
    signal = "买入" if buy else "卖出" if sell else "观望"
    return [signal, "多头" if long else "空头", score, bullish, bearish, slowest]


def adx(bars: Bars) -> list[object]:
    up, down = slow.changes(bars.high), [-change for change in slow.changes(bars.low)]
    moves = [
        [0.0, *bars.ranges[1:]],
        [u if u > d and u > 0 else 0.0 for u, d in zip(up, down, strict=True)],
        [d if d > u and d > 0 else 0.0 for u, d in zip(up, down, strict=True)],
    ]
    ranges, plus, minus = (ema(values, 1 / 14) for values in moves)
    plus = [100 * p / r if r else 0.0 for p, r in zip(plus, ranges, strict=True)]
    minus = [100 * m / r if r else 0.0 for m, r in zip(minus, ranges, strict=True)]
    spread = [100 * abs(p - m) / (p + m) if p + m else 0.0 for p, m in zip(plus, minus, strict=True)]
    return [ema(spread, 1 / 14)[-1], plus[-1], minus[-1]]


def ichimoku(bars: Bars) -> list[object]:
    conversion, base, close = middle(bars, 9), middle(bars, 26), bars.close[-1]
    a, b = (conversion + base) / 2, middle(bars, 52) if len(bars) >= 52 else 0.0
    top, bottom = max(a, b), min(a, b)
    word = "NEUTRAL"
    if close > top and conversion > base:
        word = "BUY"
    elif close < bottom and conversion < base:
        word = "SELL"
    outside = close - top if close > top else bottom - close if close < bottom else None
    share = 0.5 if outside is None else min(1.0, outside / (top - bottom + 1e-10))
    direction = {"BUY": "多", "SELL": "空", "NEUTRAL": "震荡"}[word]
    return [conversion, base, a, b, close, close, word, direction, share]


def zero_lag(bars: Bars) -> list[float]:
    """EMA70 of the close and its change over 34 bars; NaN over as many first bars."""
    ahead = [2 * bars.close[t] - bars.close[t - 34] for t in range(34, len(bars))]
    return [NAN] * 34 + span(ahead, 70)


def zero_lag_bands(bars: Bars) -> list[float]:
    """1.2 times the highest ATR70 of 210 bars, of fewer at the beginning."""
    return [1.2 * value for value in slow.highest_so_far(ema(bars.ranges, 1 / 70), 210)]


def zero_lag_band_cross(bars: Bars) -> list[object]:
    average, band, close = zero_lag(bars), zero_lag_bands(bars), bars.close
    state, turn = 0, 0
    for t in range(1, len(bars)):
        upper, lower = average[t] + band[t], average[t] - band[t]
        crossed = 1 if close[t - 1] <= upper < close[t] else -1 if close[t - 1] >= lower > close[t] else state
        if crossed != state:
            state, turn = crossed, t
    line = average[-1] - band[-1] if state == 1 else average[-1] + band[-1]
    newest = range(max(len(bars) - 20, 0), len(bars))
    rising = sum(bars.volume[t] for t in newest if close[t] > bars.open[t])
    falling = sum(bars.volume[t] for t in newest if close[t] < bars.open[t])
    return [
        "多" if state == 1 else "空",
        len(bars) - turn,
        (close[-1] - line) / band[-1] or NAN if band[-1] else NAN,
        line,
        bars.time[turn],
        (rising - falling) / ((rising + falling) / 2) or NAN if rising + falling else NAN,
    ]


def zero_lag_trend_state(bars: Bars) -> list[object]:
    average, band, close = zero_lag(bars), zero_lag_bands(bars), bars.close
    states = [0]
    for t in range(209, len(bars)):
        above, below = close[t] > average[t] + band[t], close[t] < average[t] - band[t]
        states.append(1 if above else -1 if below else states[-1])
    before, state = states[-2:]
    signal = "买入" if state == 1 != before else "卖出" if state == -1 != before else "观望"
    return [
        signal,
        {1: "多头", -1: "空头", 0: "震荡"}[state],
        ratio(abs(close[-1] - average[-1]), band[-1]) * 100 or NAN,
        average[-1],
        band[-1],
        average[-1] + band[-1] or NAN,
        average[-1] - band[-1] or NAN,
        state,
    ]


def trend_cloud_reversal(bars: Bars) -> list[object]:
    slow_, fast = slow.smoothed(bars.close, 200)[-1], span(bars.close, 2)[-1]
    o, c = bars.open, bars.close
    three_down, three_up = all(c[t] < o[t] for t in (-4, -3, -2)), all(c[t] > o[t] for t in (-4, -3, -2))
    strike_up, strike_down = three_down and c[-1] > o[-2], three_up and c[-1] < o[-2]
    engulf_up = o[-1] <= c[-2] and o[-1] < o[-2] and c[-1] > o[-2]
    engulf_down = o[-1] >= c[-2] and o[-1] > o[-2] and c[-1] < o[-2]
    buy, sell = (strike_up or engulf_up) and fast > slow_, (strike_down or engulf_down) and fast < slow_
    usual = slow.mean([abs(c[t] - o[t]) for t in range(-15, 0)])
    drift = (c[-1] - slow_) / slow_ * 100
    if buy or sell:
        score = abs(c[-1] - o[-1]) / usual * 100 if usual else 0.0
    else:
        score = min(drift, 5.0) if fast > slow_ else min(-drift, 5.0) if fast < slow_ else 0.0
    return [
        "买入" if buy else "卖出" if sell else "观望",
        "多头" if fast > slow_ else "空头" if fast < slow_ else "震荡",
        score,
        "三线打击" if strike_up or strike_down else "吞没形态" if engulf_up or engulf_down else "无",
        slow_,
        fast,
    ]


def smoothed_heikin_ashi(bars: Bars) -> list[object]:
    o, h, lo, c = (span(values, 10) for values in (bars.open, bars.high, bars.low, bars.close))
    closes = [sum(four) / 4 for four in zip(o, h, lo, c, strict=True)]
    opens = [(o[0] + c[0]) / 2]
    for close in closes[:-1]:
        opens.append((opens[-1] + close) / 2)
    highs = [max(three) for three in zip(h, opens, closes, strict=True)]
    lows = [min(three) for three in zip(lo, opens, closes, strict=True)]
    o, h, lo, c = (span(values, 10) for values in (opens, highs, lows, closes))
    green, was_green = o[-1] <= c[-1], o[-2] <= c[-2]
    body, before = abs(o[-1] - c[-1]), abs(o[-2] - c[-2])
    slope = clipped((c[-1] - c[-5] + 200) / 400, 0, 1)
    return [
        "买入" if green and not was_green else "卖出" if was_green and not green else "观望",
        "多头" if green else "空头",
        min((body / before * 100 if before else 0.0) + 40 * slope, 200.0),
        "绿色" if green else "红色",
        body,
        h[-1] - lo[-1],
        o[-1],
        c[-1],
    ]


def trend_line_rank(bars: Bars) -> list[object]:
    last, close = len(bars) - 1, bars.close

    def line(values: Sequence[float], sign: int) -> float | None:
        """Height at the newest bar of the first valid line; sign 1: through falling highs, -1: through rising lows."""
        places = slow.newest(slow.pivots(values, 20, sign), 3)
        for newer, older in ((places[0], places[2]), (places[0], places[1]), (places[1], places[2])):
            if older < 0 or sign * values[newer] >= sign * values[older]:
                continue
            step, reach = (values[newer] - values[older]) / (newer - older), last - older
            # The close that lies as far from the beginning as the bar lies from the end.
            if all(sign * close[reach - j] <= sign * (values[older] + j * step) for j in range(1, reach + 1)):
                return values[older] + reach * step
        return None

    above, below = line(bars.high, 1), line(bars.low, -1)
    level = below if above is None else above
    distance = (close[-1] - level) / level * 100 if level else 0.0
    return ["空" if above is not None else "多" if below is not None else "震荡", distance, close[-1]]


# --- momentum


def kdj(bars: Bars) -> list[object]:
    positions = []
    for t in range(8, len(bars)):
        low, high = min(bars.low[t - 8 : t + 1]), max(bars.high[t - 8 : t + 1])
        positions.append((bars.close[t] - low) / (high - low) * 100 if high > low else NAN)
    k = slow.ema_over_gaps(positions, 1 / 3, 3)
    d = slow.ema_over_gaps(k, 1 / 3, 3)
    j = 3 * k[-1] - 2 * d[-1]
    if math.isnan(j):
        return [NAN, NAN, NAN, None, NAN, NAN]
    if k[-2] <= d[-2] and k[-1] > d[-1]:
        signal = "金叉"
    elif k[-2] >= d[-2] and k[-1] < d[-1]:
        signal = "死叉"
    else:
        signal = "J>100 极值" if j > 100 else "J<0 极值" if j < 0 else "延续"
    return [j, k[-1], d[-1], signal, bars.turnover, bars.close[-1]]


def williams_r(bars: Bars) -> list[object]:
    high, low = max(bars.high[-14:]), min(bars.low[-14:])
    return [-100 * (high - bars.close[-1]) / (high - low + 1e-10)]


def mfi(bars: Bars) -> list[object]:
    typical = bars.typical
    flow = [typical[t] * bars.volume[t] for t in range(len(bars))]
    newest = range(len(bars) - 14, len(bars))
    rising = math.fsum(flow[t] for t in newest if typical[t] > typical[t - 1])
    falling = math.fsum(flow[t] for t in newest if typical[t] < typical[t - 1])
    return [100 - 100 / (1 + rising / falling) if falling else NAN]


def scalping(bars: Bars) -> list[object]:
    gain, loss = (ema(values, 1 / 14)[-1] for values in (rises(bars.close), falls(bars.close)))
    rsi = 100 - 100 / (1 + gain / loss) if loss else NAN
    fast, slow_, close = span(bars.close, 9)[-1], span(bars.close, 21)[-1], bars.close[-1]
    signal = "观望"
    if rsi < 30 and close > fast > slow_:
        signal = "超卖反弹"
    elif rsi > 70 and close < fast < slow_:
        signal = "超买回落"
    elif fast > slow_ and rsi > 50:
        signal = "多头"
    elif fast < slow_ and rsi < 50:
        signal = "空头"
    return [signal, rsi, fast, slow_, close]


def harmonic_rsi(bars: Bars) -> list[object]:
    gains, losses = rises(bars.typical), falls(bars.typical)
    found = []
    for period in range(2, 34):
        gain, loss = ema(gains, 1 / period)[-1], ema(losses, 1 / period)[-1]
        found.append(100 - 100 / (1 + gain / loss) if loss else NAN)
    return [slow.mean(found)]


def cci(bars: Bars) -> list[object]:
    typical = bars.typical[-20:]
    mean = slow.mean(typical)
    return [(typical[-1] - mean) / (0.015 * slow.mean([abs(value - mean) for value in typical]) + 1e-10)]


def smart_rsi(bars: Bars) -> list[object]:
    atr = span(bars.ranges, 14)
    place = (atr[-1] - min(atr)) / (max(atr) - min(atr) + 1e-10)
    factor = 1 + (place - 0.5) * 0.2
    high, low = min(80, 70 * factor), max(20, 30 / factor)
    gains, losses = rises(bars.close)[1:], falls(bars.close)[1:]
    histories = {
        period: [
            strength(gain, loss)
            for gain, loss in zip(fading_mean(gains, 1 / period), fading_mean(losses, 1 / period), strict=True)
        ]
        for period in (7, 14, 21)
    }
    newest = [history[-1] for history in histories.values()]
    # Without any change so far there is no RSI, of no period.
    if math.isnan(newest[0]):
        mean, oversold, overbought = 0.0, False, False
    else:
        mean = slow.mean(newest)
        oversold, overbought = (
            sum(value < low for value in newest) >= 2,
            sum(value > high for value in newest) >= 2,
        )
    up = bars.close[-1] > span(bars.close, 34)[-1]
    buy, sell = up and oversold, not up and overbought
    if buy:
        score = (low - mean) / low * 100
    elif sell:
        score = (mean - high) / (100 - high) * 100
    else:
        score = 0.0 if math.isnan(newest[0]) else abs(50 - mean) / 50 * 100
    score = clipped(abs(score), 0, 100)
    divergence, size = _divergence(bars, [NAN, *(NAN for _ in range(13)), *histories[14][13:]])
    if (buy and divergence == "底背离") or (sell and divergence == "顶背离"):
        score = min(100, score + 0.5 * size)
    zone = "中性" if math.isnan(newest[0]) else "超卖区" if oversold else "超买区" if overbought else "中性区"
    return [
        "买入" if buy else "卖出" if sell else "观望",
        "多头" if buy else "空头" if sell else "震荡",
        score,
        mean,
        *newest,
        zone,
        divergence,
        high,
        low,
    ]


def _divergence(bars: Bars, rsi: Sequence[float]) -> tuple[str, float]:
    """The last two pivots of highs and of lows within 50 bars, and the RSI there."""
    missing = sum(map(math.isnan, rsi))
    if missing > 0.1 * len(bars):
        return "none", 0.0
    high, low, recent = bars.high[-50:], bars.low[-50:], rsi[-50:]
    (top, top_before), (bottom, bottom_before) = (
        slow.newest(slow.pivots(values, 5, sign), 2) for values, sign in ((high, 1), (low, -1))
    )
    if top_before >= 0 and bottom_before >= 0:
        if high[top] > high[top_before] and recent[top] < recent[top_before]:
            return "顶背离", min((recent[top_before] - recent[top]) / recent[top_before] * 100, 100)
        if low[bottom] < low[bottom_before] and recent[bottom] > recent[bottom_before]:
            return "底背离", min(ratio(recent[bottom] - recent[bottom_before], recent[bottom_before]) * 100, 100)
    return "无背离", 0.0


# --- volatility


def atr_bands(bars: Bars) -> list[object]:
    atr = ema(bars.ranges, 1 / 14)
    ordered = sorted(atr[-30:])
    usual, now, close = (ordered[14] + ordered[15]) / 2, atr[-1], bars.close[-1]
    regime = "升温" if now > 1.1 * usual else "降温" if now < 0.9 * usual else "稳定"
    mean = slow.mean(bars.close[-20:])
    return [regime, now / close * 100, mean + 2 * now, mean, mean - 2 * now, bars.turnover, close]


def bollinger(bars: Bars, ddof: int = 1) -> list[object]:
    mean, deviation = slow.mean(bars.close[-20:]), slow.std(bars.close[-20:], ddof)
    before = slow.mean(bars.close[max(len(bars) - 29, 0) : len(bars) - 9])
    upper, lower, close = mean + 2 * deviation, mean - 2 * deviation, bars.close[-1]
    place = (close - lower) / (upper - lower) if upper > lower else 0.0
    return [
        (upper - lower) / mean * 100,
        (mean - before) / 10,
        mean,
        upper,
        lower,
        UNDECIDED if 0 < upper - lower < 1e-4 * mean else place,
        close,
        bars.turnover,
    ]


def donchian(bars: Bars) -> list[object]:
    return [max(bars.high[-20:]), middle(bars, 20), min(bars.low[-20:])]


def keltner(bars: Bars) -> list[object]:
    line, atr = span(bars.close, 20)[-1], ema(bars.ranges, 1 / 10)[-1]
    return [line + 2 * atr, line, line - 2 * atr, atr]


def vwma_fib_bands(bars: Bars) -> list[object]:
    typical, volume = bars.typical[-200:], bars.volume[-200:]
    traded = math.fsum(volume)
    deviation = 3 * slow.std(typical, 1)
    if not traded:
        return [None, None, NAN, None, NAN]
    basis = math.fsum(t * v for t, v in zip(typical, volume, strict=True)) / traded
    close, before = bars.close[-1], bars.close[-2]
    shares = (0.236, 0.382, 0.5, 0.618, 0.764, 1.0)
    rank, side = 0, 0
    for place, share in enumerate(shares, 1):
        if before <= basis + share * deviation < close:
            rank, side = place, 1
            break
        if before >= basis - share * deviation > close:
            rank, side = place, -1
            break
    if deviation == 0 or math.isclose(close, basis, rel_tol=1e-12):
        return [UNDECIDED, UNDECIDED, UNDECIDED, UNDECIDED, basis]
    distance = abs(close - basis) / max(deviation, 1e-9) * 100
    zone = "中间"
    if basis <= close <= basis + deviation:
        zone = "上通道(1.0)"
    elif basis > close >= basis - deviation:
        zone = "下通道(1.0)"
    return [
        {1: "买入", -1: "卖出", 0: "观望"}[side],
        "多头" if side == 1 or (side == 0 and close >= basis) else "空头",
        rank * (1 + min(distance / 50, 1)) if rank else min(distance / 10, 6),
        zone,
        basis,
    ]


# --- volume


def base_data(bars: Bars) -> list[object]:
    open_, high, low, close = bars.open[-1], bars.high[-1], bars.low[-1], bars.close[-1]
    volume, trades = bars.volume[-1], int(known(bars.trade_count[-1]))
    turnover = known(bars.quote_volume[-1], volume * close)
    bought, paid = bars.taker_buy_volume[-1], bars.taker_buy_quote_volume[-1]
    bought, paid = known(bought, paid / close), known(paid, bought * close)
    sold, earned = max(volume - bought, 0.0), max(turnover - paid, 0.0)
    if math.isnan(bought):
        sold = earned = NAN
    return [
        open_, high, low, close, close, volume, turnover, (high - low) / low, (close - open_) / open_, trades, trades,
        bought, bought, paid, sold, (bought / volume if volume else 0.0) if bought == bought else NAN, earned,
        paid - earned, turnover / trades if trades else 0.0,
    ]  # fmt: skip


def taker_buy_ratio(bars: Bars) -> list[object]:
    volume, bought = bars.volume[-1], known(bars.taker_buy_volume[-1])
    if not volume:
        return [NAN] * 4
    return [bought, max(volume - bought, 0.0), bought / volume, bars.close[-1]]


def volume_ratio(bars: Bars) -> list[object]:
    mean = slow.mean(bars.volume[-20:])
    if not mean:
        return [NAN, None, NAN, NAN]
    share = bars.volume[-1] / mean
    classes = ((5, "极值放量"), (2, "异常放量"), (1, "放量"))
    word = next((word for bound, word in classes if share > bound), "缩量" if share < 0.7 else "正常")
    return [share, word, bars.turnover, bars.close[-1]]


def obv(bars: Bars) -> list[object]:
    sums = [0.0]
    for t in range(1, len(bars)):
        before, now = bars.close[t - 1], bars.close[t]
        sums.append(sums[-1] + ((now > before) - (now < before)) * bars.volume[t])
    return [sums[-1], (sums[-1] - sums[-30]) / max(abs(sums[-30]), 1e-9)]


def cvd(bars: Bars) -> list[object]:
    sums, total = [], 0.0
    for volume, taker in zip(bars.volume, bars.taker_buy_volume, strict=True):
        bought = known(taker, volume / 2)
        total += bought - max(volume - bought, 0.0)
        sums.append(total)
    # 359 bars before the newest of the last 360, or of fewer the second.
    base = sums[-360] if len(bars) > 360 else sums[1] if len(bars) > 1 else sums[0]
    return [total, (total - base) / (abs(base) + 1e-9)]


def vwap(bars: Bars) -> list[object]:
    typical, volume = bars.typical[-300:], [value or 1e-9 for value in bars.volume[-300:]]
    average = math.fsum(t * v for t, v in zip(typical, volume, strict=True)) / math.fsum(volume)
    deviation, close = slow.std(typical, 0), bars.close[-1]
    upper, lower = average + deviation, average - deviation
    return [
        average,
        close - average,
        (close - average) / average * 100,
        volume[-1],
        close,
        bars.turnover,
        upper,
        lower,
        upper - lower,
        (upper - lower) / average * 100,
    ]


def vpvr_profile(bars: Bars) -> list[object]:
    low, high = min(bars.low), max(bars.high)
    if high <= low:
        margin = max(low * 0.001, 1e-6)
        low, high = low - margin, high + margin
    width, volumes = (high - low) / 48, [0.0] * 48
    for typical, volume in zip(bars.typical, bars.volume, strict=True):
        volumes[int(clipped((typical - low) / (high - low) * 48, 0, 47))] += volume
    total, peak = math.fsum(bars.volume), volumes.index(max(volumes))
    if not total:
        return [NAN] * 7 + [None] * 3
    first, last, covered = peak, peak, volumes[peak] / total
    while covered < 0.7 and (first > 0 or last < 47):
        below = volumes[first - 1] if first > 0 else -1.0
        above = volumes[last + 1] if last < 47 else -1.0
        if below >= above:
            first -= 1
        else:
            last += 1
        covered += max(below, above) / total
    middles = [low + (place + 0.5) * width for place in range(48)]
    bottom, top, close = low + first * width, low + (last + 1) * width, bars.close[-1]

    def listed(chosen: Callable[[float], bool]) -> str:
        nodes = [slow.rounded(at, 2, 6) for at, volume in zip(middles, volumes, strict=True) if chosen(volume)]
        return ",".join(map(repr, nodes))

    return [
        middles[peak],
        volumes[peak],
        bottom,
        top,
        top - bottom,
        (top - bottom) / middles[peak] * 100,
        covered * 100,
        listed(lambda volume: volume >= 0.7 * volumes[peak]),
        listed(lambda volume: 0 < volume <= 0.25 * volumes[peak]),
        "价值区上方" if close > top else "价值区下方" if close < bottom else "价值区内",
    ]


def liquidity_score(bars: Bars) -> list[object]:
    n, close, volume = len(bars), bars.close, bars.volume
    impact = [
        ratio(abs(math.log(close[t] / close[t - 1])), volume[t] * close[t]) if volume[t] else NAN for t in range(1, n)
    ]
    sample = impact[:99]
    mean, deviation = slow.mean(sample), slow.std(sample, 0)
    distance = 0.0 if deviation == 0 else (impact[-1] - mean) / deviation
    amihud = NAN if math.isnan(mean) else 100 / (1 + math.exp(distance))
    slope, kyle = _kyle(bars)
    returns = [math.log(close[t] / close[t - 1]) for t in range(n - 60, n)] if n >= 61 else []
    calm = 100 * math.exp(-slow.std(returns, 1) / 0.01)
    usual = slow.mean(volume[-60:]) if n >= 60 else NAN
    traded = 100 * (1 - math.exp(-volume[-1] / usual)) if usual else NAN
    parts = [known(part) for part in (amihud, kyle, calm, traded)]
    score = 0.35 * parts[0] + 0.30 * parts[1] + 0.20 * parts[2] + 0.15 * parts[3]
    grades = ((80, "优秀"), (65, "良好"), (50, "一般"), (30, "紧张"))
    grade = next((grade for bound, grade in grades if score >= bound), "危险")
    return [score, grade, *parts, known(impact[-1]), known(slope), bars.turnover, close[-1]]


def _kyle(bars: Bars) -> tuple[float, float]:
    """Least-squares slope of returns over taker flow in the last 180 bars, and its score."""
    pairs = [
        (bars.close[t] / bars.close[t - 1] - 1, 2 * bars.taker_buy_volume[t] - bars.volume[t])
        for t in range(max(len(bars) - 180, 1), len(bars))
    ]
    pairs = [pair for pair in pairs if not math.isnan(pair[1])]
    if len(pairs) < max(5, 0.6 * min(180, len(bars))):
        return NAN, NAN
    change, flow = (slow.mean([pair[k] for pair in pairs]) for k in (0, 1))
    square = math.fsum((pair[1] - flow) ** 2 for pair in pairs)
    if square == 0:
        return NAN, NAN
    slope = math.fsum((pair[1] - flow) * (pair[0] - change) for pair in pairs) / square
    return slope, 100 / (1 + math.exp(abs(slope) / 0.001))


# --- structure


def support_resistance(bars: Bars) -> list[object]:
    support, resistance, close = min(bars.low[-20:]), max(bars.high[-20:]), bars.close[-1]
    below, above = (close - support) / close * 100, (resistance - close) / close * 100
    nearest = min(abs(below), abs(above))
    return [support, resistance, close, ema(bars.ranges, 1 / 14)[-1], below, above, nearest]


def smart_money_structure(bars: Bars) -> list[object]:
    close, n = bars.close[-1], len(bars)
    [top], [bottom] = (
        slow.newest(slow.pivots(values, 5, sign), 1) for values, sign in ((bars.high, 1), (bars.low, -1))
    )
    high, low = bars.high[top] if top >= 0 else NAN, bars.low[bottom] if bottom >= 0 else NAN
    bull = close >= span(bars.close, 34)[-1]
    event, score = "区间震荡", 0.0
    if close > high:
        event, score = ("多头突破", 3.5) if bull else ("结构反转向上", 8.0)
    # Both at once: a swing low above the swing high. The breaks cancel each other.
    if close < low:
        event, score = ("结构反转向下", score - 8.0) if bull else (event if score == 8.0 else "空头突破", score - 3.5)
    returns = [abs(bars.close[t] / bars.close[t - 1] - 1) for t in range(1, n)]
    swing = fading_mean(returns, 2 / 15)[-1] * close
    distance = close - low if bull else high - close
    if not math.isnan(distance):
        score += 0.2 * (clipped((distance + 2 * swing) / (4 * swing), 0, 1) if swing else 0.5)
    block, upper, lower = "无", 0.0, 0.0
    for t in range(max(n - 8, 0), n):
        if bull and bars.close[t] < bars.open[t]:
            block, upper, lower = "多头订单块", bars.open[t], bars.low[t]
        elif not bull and bars.close[t] > bars.open[t]:
            block, upper, lower = "空头订单块", bars.high[t], bars.open[t]
    score += {"多头订单块": 1.5, "空头订单块": -1.5, "无": 0.0}[block]
    gap = "无"
    for t in range(max(n - 5, 2), n - 1):
        if bars.low[t - 1] > bars.high[t - 2] and bars.low[t] > bars.high[t - 2]:
            gap = "多头缺口"
        elif bars.high[t - 1] < bars.low[t - 2] and bars.high[t] < bars.low[t - 2]:
            gap = "空头缺口"
    score += {"多头缺口": 1.2, "空头缺口": -1.2, "无": 0.0}[gap]
    ceiling, floor = max(bars.high[-100:]), min(bars.low[-100:])
    if close >= ceiling:
        zone = "极端溢价"
    elif close >= (ceiling + floor) / 2:
        zone = "溢价区"
    else:
        zone = "极端折价" if close <= floor else "折价区"
    score += 1.0 if bull and zone == "折价区" else -1.0 if not bull and zone == "溢价区" else 0.0
    return [
        "买入" if score >= 5 else "卖出" if score <= -5 else "观望",
        "多头" if score >= 0 else "空头",
        score,
        event,
        "多头" if bull else "空头",
        block,
        upper,
        lower,
        gap,
        zone,
        high,
        low,
    ]


# --- quality


def data_monitor(bars: Bars) -> list[object]:
    week = 7 * 24 * 60 if bars.interval == "1m" else NAN
    return [len(bars), bars.time[-1], week, max(week - len(bars), 0) if week == week else NAN]


# --- futures


def futures_sentiment(rows: Metrics) -> list[object]:
    top, every, taker = (
        values[-1] for values in (rows.top_trader_position_ratio, rows.global_account_ratio, rows.taker_volume_ratio)
    )
    interest, value = rows.open_interest[-1], rows.open_interest_value[-1]
    return [interest, value, rows.top_trader_account_ratio[-1], top, every, taker, top, every, taker]


def futures_gap_monitor(rows: Metrics) -> list[object]:
    five = 300_000_000
    gaps = [(a, b) for a, b in itertools.pairwise(rows.time) if b - a > five]
    missing = sum((b - a) // five - 1 for a, b in gaps)
    # Of the first gap the row after the one before it, and the one before the row after it.
    first = [gaps[0][0] + five, min(b for _, b in gaps) - five] if gaps else [None, None]
    return [len(rows), rows.time[-1], missing, *first]


def futures_aggregate(rows: Metrics) -> list[object]:
    """A 0 counts as missing, save where a value of the newest row is only shown."""
    value, top, every, taker = (
        [number or NAN for number in values]
        for values in (
            rows.open_interest_value,
            rows.top_trader_position_ratio,
            rows.global_account_ratio,
            rows.taker_volume_ratio,
        )
    )
    value_before, top_before, taker_before = (v[-2] if len(rows) > 1 else NAN for v in (value, top, taker))
    change = value[-1] - value_before
    fraction = (change or NAN) / value_before
    gap = top[-1] - every[-1]
    changes = _relative_changes(value)
    there = [number for number in value if not math.isnan(number)]
    variation = _variation(value)
    scores = [
        _zscore(now, history) if now else NAN
        for now, history in (
            (fraction, changes),
            (abs(top[-1] - 1), [abs(number - 1) for number in top]),
            (abs(taker[-1] - 1), [abs(number - 1) for number in taker]),
        )
    ]
    age = (rows.as_of - rows.time[-1]) / 1e6
    signs = [NAN if math.isnan(x) else 0 if abs(x - 1) < 1e-9 else 1 if x > 1 else -1 for x in taker]
    calm = sum(number <= variation for number in there) / len(there) if variation > 0 else NAN
    periods = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800}
    return [
        int(known(rows.is_closed[-1]) != 0),
        age,
        rows.open_interest_value[-1],
        rows.open_interest[-1],
        rows.top_trader_position_ratio[-1],
        rows.global_account_ratio[-1],
        rows.taker_volume_ratio[-1],
        NAN,
        change,
        fraction,
        abs(top[-1] - 1),
        abs(every[-1] - 1),
        abs(taker[-1] - 1),
        gap,
        abs(gap) or NAN,
        variation,
        _streak([NAN if math.isnan(x) else (x > 0) - (x < 0) for x in changes]) if len(there) > 1 else NAN,
        _streak(signs) if not all(map(math.isnan, taker)) else NAN,
        math.fsum(s for s in scores if not math.isnan(s)) if not all(map(math.isnan, scores)) else NAN,
        rows.open_interest_value[-1] * 100 / rows.market,
        _variation(top),
        _variation(every),
        _slope(there),
        _zscore(value[-1], value),
        top[-1] - top_before,
        taker[-1] - taker_before,
        1 if top_before < 1 < top[-1] else -1 if top_before > 1 > top[-1] else 0,
        abs(taker[-1] - taker_before),
        calm,
        NAN,
        int(age > 3 * periods.get(rows.interval, 600)),
    ]


def _relative_changes(values: Sequence[float]) -> list[float]:
    """Change of each value against the last one that is not NaN before it."""
    found, before = [], NAN
    for value in values:
        found.append((value - before) / before)
        before = before if math.isnan(value) else value
    return found


def _variation(values: Sequence[float]) -> float:
    mean, deviation = slow.mean(values), slow.std(values, 0)
    return deviation / mean if sum(not math.isnan(value) for value in values) > 1 and mean else NAN


def _zscore(value: float, history: Sequence[float]) -> float:
    mean, deviation = slow.mean(history), slow.std(history, 0)
    if math.isnan(value) or sum(not math.isnan(one) for one in history) < 2:
        return NAN
    return (value - mean) / deviation if deviation else 0.0


def _slope(values: Sequence[float]) -> float:
    """Least squares over the values that are there, in percent of the last."""
    if len(values) < 2:
        return NAN
    middle_, mean = (len(values) - 1) / 2, math.fsum(values) / len(values)
    over = math.fsum((place - middle_) * (value - mean) for place, value in enumerate(values))
    return over / math.fsum((place - middle_) ** 2 for place in range(len(values))) / values[-1] * 100


def _streak(signs: Sequence[float]) -> float:
    """How many signs from the newest on, until one is the opposite of the newest that is not 0, with that sign."""
    there = [sign for sign in signs[::-1] if not math.isnan(sign)]
    direction = next((sign for sign in there if sign), 0)
    length = next((place for place, sign in enumerate(there) if sign == -direction != 0), len(there))
    return float(direction * length)


#: By id of the indicator.
DEFINITIONS: dict[str, Callable[[Bars], list[object]]] = {
    function.__name__: function
    for function in (
        macd, supertrend, ema_gc, ema_ribbon, adx, ichimoku, zero_lag_band_cross, zero_lag_trend_state,
        trend_cloud_reversal, smoothed_heikin_ashi, trend_line_rank, kdj, williams_r, mfi, scalping, harmonic_rsi, cci,
        smart_rsi, atr_bands, bollinger, donchian, keltner, vwma_fib_bands, base_data, taker_buy_ratio, volume_ratio,
        obv, cvd, vwap, vpvr_profile, liquidity_score, support_resistance, smart_money_structure, data_monitor,
    )
}  # fmt: skip
#: The same of indicators over metrics.
OF_METRICS: dict[str, Callable[[Metrics], list[object]]] = {
    function.__name__: function for function in (futures_sentiment, futures_aggregate, futures_gap_monitor)
}
