"""Every corrected indicator by its definition: of TA-Lib where it has one, else plain arithmetic over one series.

As ``definitions`` has those of the replaced service; NaN stands for NULL in numbers, None in texts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import talib

from tests import definitions, slow
from tests.definitions import NAN, Bars, Metrics, clipped, middle, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The functions of TA-Lib that corrected values are held against, by indicator.
OF_TALIB = {
    "macd": ("MACD",),
    "supertrend": ("ATR",),
    "ema_gc": ("EMA",),
    "ema_ribbon": ("EMA",),
    "adx": ("ADX", "PLUS_DI", "MINUS_DI"),
    "zero_lag_band_cross": ("EMA", "ATR"),
    "zero_lag_trend_state": ("EMA", "ATR"),
    "trend_cloud_reversal": ("EMA",),
    "smoothed_heikin_ashi": ("EMA", "ATR"),
    "williams_r": ("WILLR",),
    "mfi": ("MFI",),
    "scalping": ("RSI", "EMA"),
    "harmonic_rsi": ("RSI",),
    "cci": ("CCI",),
    "smart_rsi": ("RSI", "ATR", "EMA"),
    "atr_bands": ("ATR", "SMA"),
    "bollinger": ("BBANDS",),
    "keltner": ("EMA", "ATR"),
    "obv": ("OBV",),
    "support_resistance": ("ATR", "MIN", "MAX"),
    "smart_money_structure": ("EMA", "ATR"),
    "candle_patterns": ("CDL*",),
}


def floats(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def ema(values: Sequence[float], period: int) -> list[float]:
    """TA-Lib's EMA, which begins with a mean; NaN first, as many more as the values have."""
    skipped = next((place for place, value in enumerate(values) if not math.isnan(value)), len(values))
    return [NAN] * skipped + talib.EMA(floats(values[skipped:]), period).tolist()


def atr(bars: Bars, period: int) -> list[float]:
    found: list[float] = talib.ATR(floats(bars.high), floats(bars.low), floats(bars.close), period).tolist()
    return found


def rsi(values: Sequence[float], period: int) -> list[float]:
    """RSI as TA-Lib has it, written out, because whether two of them are equal depends on their last bits."""
    gains, losses = definitions.rises(values)[1:], definitions.falls(values)[1:]
    gain, loss = slow.mean(gains[:period]), slow.mean(losses[:period])
    found = [NAN] * period
    for t in range(period - 1, len(gains)):
        if t >= period:
            gain, loss = gain + (gains[t] - gain) * (1 / period), loss + (losses[t] - loss) * (1 / period)
        found.append(100 * (gain / (gain + loss)) if gain + loss else 50.0)
    return found


# --- trend


def macd(bars: Bars) -> list[object]:
    dif, dea, histogram = (found.tolist() for found in talib.MACD(floats(bars.close), 12, 26, 9))
    # TA-Lib gives DIF from the first DEA on.
    golden, dead = dif[-2] <= dea[-2] and dif[-1] > dea[-1], dif[-2] >= dea[-2] and dif[-1] < dea[-1]
    above, below = dif[-2] <= 0 < dif[-1], dif[-2] >= 0 > dif[-1]
    words = ["金叉"] * golden + ["死叉"] * dead + ["零轴上穿"] * above + ["零轴下破"] * below
    signal = "/".join(words) or "延续"
    line, second = dif[-1], dea[-1]
    return [signal, line, second, 2 * histogram[-1], line, second, bars.quote_volume[-1], bars.close[-1]]


def supertrend(bars: Bars) -> list[object]:
    ranges, close = atr(bars, 10), bars.close
    top = bottom = NAN
    short = True
    for t in range(10, len(bars)):
        half = (bars.high[t] + bars.low[t]) / 2
        upper, lower = half + 3 * ranges[t], half - 3 * ranges[t]
        if t == 10:
            top, bottom = upper, lower
            continue
        followed = top if short else bottom
        on_top = followed == top
        top = upper if upper < top or close[t - 1] > top else top
        bottom = lower if lower > bottom or close[t - 1] < bottom else bottom
        short = close[t] <= top if on_top else close[t] < bottom
    return [top if short else bottom, "空" if short else "多", top, bottom]


def ema_gc(bars: Bars) -> list[object]:
    fast, middle_, slow_ = (ema(bars.close, period)[-1] for period in (7, 25, 99))
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
    averages = [ema(bars.close, period) for period in (*range(5, 85, 5), 90, 100)]
    slowest, close = averages[-1][-1], bars.close[-1]
    bullish = sum(average[-1] > slowest and average[-1] > average[-2] for average in averages) / 18
    bearish = sum(average[-1] < slowest and average[-1] < average[-2] for average in averages) / 18
    buy, sell = bullish >= 13 / 18, bearish >= 13 / 18
    long = buy or (not sell and close > slowest)
    signal = "买入" if buy else "卖出" if sell else "观望"
    return [signal, "多头" if long else "空头", 10 * max(bullish, bearish), bullish, bearish, slowest]


def adx(bars: Bars) -> list[object]:
    prices = floats(bars.high), floats(bars.low), floats(bars.close)
    return [float(function(*prices, 14)[-1]) for function in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)]


def until(bars: Bars, back: int) -> Bars:
    """The bars without so many of the newest."""
    fields = {name: values if name == "interval" else values[: len(bars) - back] for name, values in vars(bars).items()}
    return Bars(**fields)


def ichimoku(bars: Bars) -> list[object]:
    conversion, base, close = middle(bars, 9), middle(bars, 26), bars.close[-1]
    earlier = until(bars, 26)
    a = (middle(earlier, 9) + middle(earlier, 26)) / 2 if len(earlier) >= 26 else NAN
    b = middle(earlier, 52) if len(earlier) >= 52 else NAN
    if math.isnan(b):
        return [conversion, base, a, b, close, close, "NEUTRAL", "震荡", NAN]
    top, bottom = max(a, b), min(a, b)
    word = "NEUTRAL"
    if close > top and conversion > base:
        word = "BUY"
    elif close < bottom and conversion < base:
        word = "SELL"
    outside = close - top if close > top else bottom - close if close < bottom else None
    share = 0.5 if outside is None else min(1.0, ratio(outside, top - bottom))
    direction = {"BUY": "多", "SELL": "空", "NEUTRAL": "震荡"}[word]
    return [conversion, base, a, b, close, close, word, direction, share]


def zero_lag(bars: Bars) -> list[float]:
    return ema([NAN] * 34 + [2 * bars.close[t] - bars.close[t - 34] for t in range(34, len(bars))], 70)


def bias(bars: Bars) -> float:
    newest = range(max(len(bars) - 20, 0), len(bars))
    rising = sum(bars.volume[t] for t in newest if bars.close[t] > bars.open[t])
    falling = sum(bars.volume[t] for t in newest if bars.close[t] < bars.open[t])
    return ratio(rising - falling, (rising + falling) / 2)


def zero_lag_band_cross(bars: Bars) -> list[object]:
    average, close, ranges = zero_lag(bars), bars.close, atr(bars, 70)
    band = [1.2 * max(ranges[max(70, t - 209) : t + 1], default=NAN) for t in range(len(bars))]
    upper = [a + b for a, b in zip(average, band, strict=True)]
    lower = [a - b for a, b in zip(average, band, strict=True)]
    state, turn = 0, -1
    for t in range(1, len(bars)):
        up, down = (
            close[t - 1] <= upper[t - 1] and close[t] > upper[t],
            close[t - 1] >= lower[t - 1] and close[t] < lower[t],
        )
        crossed = 1 if up else -1 if down else state
        if crossed != state:
            state, turn = crossed, t
    if not state:
        return [None, NAN, NAN, NAN, None, bias(bars)]
    line = lower[-1] if state == 1 else upper[-1]
    return [
        "多" if state == 1 else "空",
        len(bars) - turn,
        ratio(close[-1] - line, band[-1]),
        line,
        bars.time[turn],
        bias(bars),
    ]


def zero_lag_trend_state(bars: Bars) -> list[object]:
    average, close, ranges = zero_lag(bars), bars.close, atr(bars, 70)
    states = [0]
    band = NAN
    for t in range(279, len(bars)):
        band = 1.2 * max(ranges[t - 209 : t + 1])
        states.append(1 if close[t] > average[t] + band else -1 if close[t] < average[t] - band else states[-1])
    before, state = states[-2:]
    return [
        "买入" if state == 1 != before else "卖出" if state == -1 != before else "观望",
        {1: "多头", -1: "空头", 0: "震荡"}[state],
        ratio(abs(close[-1] - average[-1]), band) * 100,
        average[-1],
        band,
        average[-1] + band,
        average[-1] - band,
        state,
    ]


def trend_cloud_reversal(bars: Bars) -> list[object]:
    o, c = bars.open, bars.close
    fast, slow_ = ema(c, 2)[-1], slow.mean(c[:200])
    for value in c[200:]:
        slow_ += (value - slow_) / 200

    def strike(sign: int) -> bool:
        three = all(sign * c[t] < sign * o[t] for t in (-4, -3, -2)) and sign * c[-4] > sign * c[-3] > sign * c[-2]
        return three and sign * o[-1] <= sign * c[-2] and sign * c[-1] > sign * o[-4]

    def engulfs(sign: int) -> bool:
        colours = sign * c[-2] < sign * o[-2] and sign * c[-1] > sign * o[-1]
        covers = sign * o[-1] <= sign * c[-2] and sign * c[-1] >= sign * o[-2]
        return colours and covers and (o[-1], c[-1]) != (c[-2], o[-2])

    buy, sell = (strike(1) or engulfs(1)) and fast > slow_, (strike(-1) or engulfs(-1)) and fast < slow_
    usual = slow.mean([abs(c[t] - o[t]) for t in range(-15, 0)])
    drift = (c[-1] - slow_) / slow_ * 100
    if buy or sell:
        score = abs(c[-1] - o[-1]) / usual * 100 if usual else 0.0
    else:
        score = clipped(drift, 0, 5) if fast > slow_ else clipped(-drift, 0, 5) if fast < slow_ else 0.0
    return [
        "买入" if buy else "卖出" if sell else "观望",
        "多头" if fast > slow_ else "空头" if fast < slow_ else "震荡",
        score,
        "三线打击" if strike(1) or strike(-1) else "吞没形态" if engulfs(1) or engulfs(-1) else "无",
        slow_,
        fast,
    ]


def smoothed_heikin_ashi(bars: Bars) -> list[object]:
    o, h, lo, c = (ema(values, 10) for values in (bars.open, bars.high, bars.low, bars.close))
    closes = [sum(four) / 4 for four in zip(o, h, lo, c, strict=True)]
    opens = [NAN] * 9 + [(o[9] + c[9]) / 2]
    for close in closes[9:-1]:
        opens.append((opens[-1] + close) / 2)
    highs = [max(three) for three in zip(h, opens, closes, strict=True)]
    lows = [min(three) for three in zip(lo, opens, closes, strict=True)]
    o, h, lo, c = (ema([NAN] * 9 + values[9:], 10) for values in (opens, highs, lows, closes))
    green, was_green = o[-1] <= c[-1], o[-2] <= c[-2]
    body, before = abs(o[-1] - c[-1]), abs(o[-2] - c[-2])
    reach = 4 * atr(bars, 10)[-1]
    slope = clipped(((c[-1] - c[-5]) / reach + 1) / 2, 0, 1) if reach else 0.5
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

    def distance(values: Sequence[float], sign: int) -> float:
        """Of the close from the first line that holds; sign 1: through falling highs, -1: through rising lows."""
        places = slow.newest(slow.pivots(values, 20, sign), 3)
        for newer, older in ((places[0], places[2]), (places[0], places[1]), (places[1], places[2])):
            if older < 0 or sign * values[newer] >= sign * values[older]:
                continue
            step = (values[newer] - values[older]) / (newer - older)
            if all(sign * close[t] <= sign * (values[older] + (t - older) * step) for t in range(older + 1, last + 1)):
                level = values[older] + (last - older) * step
                return (close[-1] - level) / level * 100 if level > 0 else NAN
        return NAN

    above, below = distance(bars.high, 1), distance(bars.low, -1)
    if math.isnan(above) and math.isnan(below):
        return ["震荡", 0.0, close[-1]]
    up = math.isnan(above) or abs(below) < abs(above)
    return ["多" if up else "空", below if up else above, close[-1]]


# --- momentum


def kdj(bars: Bars) -> list[object]:
    k, d = [50.0], [50.0]
    for t in range(8, len(bars)):
        low, high = min(bars.low[t - 8 : t + 1]), max(bars.high[t - 8 : t + 1])
        position = (bars.close[t] - low) / (high - low) * 100 if high > low else 50.0
        k.append(k[-1] + (position - k[-1]) / 3)
        d.append(d[-1] + (k[-1] - d[-1]) / 3)
    j = 3 * k[-1] - 2 * d[-1]
    if k[-2] <= d[-2] and k[-1] > d[-1]:
        signal = "金叉"
    elif k[-2] >= d[-2] and k[-1] < d[-1]:
        signal = "死叉"
    else:
        signal = "J>100 极值" if j > 100 else "J<0 极值" if j < 0 else "延续"
    return [j, k[-1], d[-1], signal, bars.quote_volume[-1], bars.close[-1]]


def williams_r(bars: Bars) -> list[object]:
    if max(bars.high[-14:]) == min(bars.low[-14:]):
        return [-50.0]
    return [float(talib.WILLR(floats(bars.high), floats(bars.low), floats(bars.close), 14)[-1])]


def mfi(bars: Bars) -> list[object]:
    typical = bars.typical
    newest = range(len(bars) - 14, len(bars))
    rising = math.fsum(typical[t] * bars.volume[t] for t in newest if typical[t] > typical[t - 1])
    falling = math.fsum(typical[t] * bars.volume[t] for t in newest if typical[t] < typical[t - 1])
    return [100 * rising / (rising + falling) if rising + falling else 50.0]


def scalping(bars: Bars) -> list[object]:
    late = [value for value in rsi(bars.close, 14)[-10:] if not math.isnan(value)]
    fast, slow_, close = ema(bars.close, 9)[-1], ema(bars.close, 21)[-1], bars.close[-1]
    signal = "观望"
    if min(late) < 30 and close > fast > slow_:
        signal = "超卖反弹"
    elif max(late) > 70 and close < fast < slow_:
        signal = "超买回落"
    elif fast > slow_ and late[-1] > 50:
        signal = "多头"
    elif fast < slow_ and late[-1] < 50:
        signal = "空头"
    return [signal, late[-1], fast, slow_, close]


def harmonic_rsi(bars: Bars) -> list[object]:
    typical = bars.typical
    if min(typical) == max(typical):
        return [50.0]
    return [slow.mean([talib.RSI(floats(typical), period)[-1] for period in range(2, 34)])]


def cci(bars: Bars) -> list[object]:
    return [float(talib.CCI(floats(bars.high), floats(bars.low), floats(bars.close), 20)[-1])]


def smart_rsi(bars: Bars) -> list[object]:
    ranges = atr(bars, 14)[14:]
    place = (ranges[-1] - min(ranges)) / (max(ranges) - min(ranges)) if max(ranges) > min(ranges) else 0.5
    factor = 1 + (place - 0.5) * 0.2
    high, low = min(80, 70 * factor), max(20, 30 / factor)
    histories = [rsi(bars.close, period) for period in (7, 14, 21)]
    newest = [history[-1] for history in histories]
    mean = slow.mean(newest)
    oversold, overbought = sum(value < low for value in newest) >= 2, sum(value > high for value in newest) >= 2
    trend = ema(bars.close, 100)[-1]
    buy, sell = bars.close[-1] > trend and oversold, bars.close[-1] < trend and overbought
    score = (low - mean) / low * 100 if buy else (mean - high) / (100 - high) * 100 if sell else abs(50 - mean) * 2
    score = clipped(abs(score), 0, 100)
    divergence: str | None = None
    if len(bars) >= 64:
        divergence, size = definitions._divergence(bars, [0.0] * 14 + histories[1][14:])
        if (buy and divergence == "底背离") or (sell and divergence == "顶背离"):
            score = min(100, score + 0.5 * size)
    return [
        "买入" if buy else "卖出" if sell else "观望",
        "多头" if buy else "空头" if sell else "震荡",
        score,
        mean,
        *newest,
        "超卖区" if oversold else "超买区" if overbought else "中性区",
        divergence,
        high,
        low,
    ]


# --- volatility


def atr_bands(bars: Bars) -> list[object]:
    ranges, close = atr(bars, 14), bars.close[-1]
    ordered = sorted(ranges[-30:])
    usual, now, mean = (ordered[14] + ordered[15]) / 2, ranges[-1], slow.mean(bars.close[-20:])
    regime = "升温" if now > 1.1 * usual else "降温" if now < 0.9 * usual else "稳定"
    return [regime, now / close * 100, mean + 2 * now, mean, mean - 2 * now, bars.quote_volume[-1], close]


def bollinger(bars: Bars) -> list[object]:
    mean, deviation = slow.mean(bars.close[-20:]), slow.std(bars.close[-20:], 0)
    before = slow.mean(bars.close[len(bars) - 29 : len(bars) - 9])
    upper, lower, close = mean + 2 * deviation, mean - 2 * deviation, bars.close[-1]
    place: object = (close - lower) / (upper - lower) if upper > lower else 0.5
    if 0 < deviation < 1e-6 * mean:
        place = definitions.UNDECIDED
    return [
        (upper - lower) / mean * 100,
        (mean - before) / 9,
        mean,
        upper,
        lower,
        place,
        close,
        bars.quote_volume[-1],
    ]


def keltner(bars: Bars) -> list[object]:
    mean, reach = ema(bars.close, 20)[-1], atr(bars, 10)[-1]
    return [mean + 2 * reach, mean, mean - 2 * reach, reach]


def vwma_fib_bands(bars: Bars) -> list[object]:
    ratios = (0.236, 0.382, 0.5, 0.618, 0.764, 1.0)
    typical, volume = bars.typical[-200:], bars.volume[-200:]
    total = math.fsum(volume)
    if not total:
        return ["观望", None, NAN, None, NAN]
    basis = math.fsum(t * v for t, v in zip(typical, volume, strict=True)) / total
    if min(typical) == max(typical) and abs(bars.close[-1] - basis) < 1e-12 * basis:
        return [definitions.UNDECIDED] * 5
    deviation, close, before = 3 * slow.std(typical, 0), bars.close[-1], bars.close[-2]
    above = close >= basis
    distance = 0.0 if close == basis else ratio(abs(close - basis), deviation) * 100
    side = 1 if above else -1
    words = ("上通道", "上通道外") if above else ("下通道", "下通道外")
    band = next((r for r in ratios if side * (close - basis) <= r * deviation), None)
    zone = words[1] if band is None else f"{words[0]}({band})"
    signal, score = "观望", min(distance / 10, 6)
    for rank, r in enumerate(ratios, 1):
        up, down = basis + r * deviation, basis - r * deviation
        if before <= up < close or before >= down > close:
            signal = "买入" if before <= up < close else "卖出"
            score = rank * (1 + min(distance / 50, 1))
            break
    long = signal == "买入" or (signal == "观望" and above)
    return [signal, "多头" if long else "空头", score, zone, basis]


# --- volume


def base_data(bars: Bars) -> list[object]:
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume")
    open_, high, low, close, volume, turnover, trades, bought = (getattr(bars, name)[-1] for name in names)
    paid = bars.taker_buy_quote_volume[-1]
    sold = NAN if math.isnan(bought) else max(volume - bought, 0.0)
    earned = NAN if math.isnan(turnover + paid) else max(turnover - paid, 0.0)
    return [
        open_, high, low, close, close, volume, turnover, ratio(high - low, low), ratio(close - open_, open_), trades,
        trades, bought, bought, paid, sold, ratio(bought, volume), earned, paid - earned, ratio(turnover, trades),
    ]  # fmt: skip


def taker_buy_ratio(bars: Bars) -> list[object]:
    volume, bought = bars.volume[-1], bars.taker_buy_volume[-1]
    if not volume:
        return [NAN] * 4
    return [bought, NAN if math.isnan(bought) else max(volume - bought, 0.0), bought / volume, bars.close[-1]]


def volume_ratio(bars: Bars) -> list[object]:
    mean = slow.mean(bars.volume[-21:-1])
    if not mean:
        return [NAN, None, NAN, NAN]
    share = bars.volume[-1] / mean
    classes = ((5, "极值放量"), (2, "异常放量"), (1, "放量"))
    word = next((word for bound, word in classes if share > bound), "缩量" if share < 0.7 else "正常")
    return [share, word, bars.quote_volume[-1], bars.close[-1]]


def obv(bars: Bars) -> list[object]:
    # TA-Lib begins with the volume of the first bar.
    sums = (talib.OBV(floats(bars.close), floats(bars.volume)) - bars.volume[0]).tolist()
    return [sums[-1], ratio(sums[-1] - sums[-31], math.fsum(bars.volume[-30:]))]


def cvd(bars: Bars) -> list[object]:
    known = [(v, b) if b == b else (0.0, 0.0) for v, b in zip(bars.volume, bars.taker_buy_volume, strict=True)]
    flows = [bought - max(volume - bought, 0.0) for volume, bought in known]
    if all(map(math.isnan, bars.taker_buy_volume)):
        return [NAN, NAN]
    return [math.fsum(flows), ratio(math.fsum(flows[-360:]), math.fsum(volume for volume, _ in known[-360:]))]


def vwap(bars: Bars) -> list[object]:
    typical, volume, close = bars.typical[-300:], bars.volume[-300:], bars.close[-1]
    total, turnover = math.fsum(volume), bars.quote_volume[-1]
    if not total:
        return [NAN, NAN, NAN, volume[-1], close, turnover, NAN, NAN, NAN, NAN]
    average = math.fsum(t * v for t, v in zip(typical, volume, strict=True)) / total
    if min(typical) == max(typical):
        average = typical[0]
    deviation = math.sqrt(math.fsum(v * (t - average) ** 2 for t, v in zip(typical, volume, strict=True)) / total)
    upper, lower = average + deviation, average - deviation
    return [
        average,
        close - average,
        (close - average) / average * 100,
        volume[-1],
        close,
        turnover,
        upper,
        lower,
        upper - lower,
        (upper - lower) / average * 100,
    ]


def vpvr_profile(bars: Bars) -> list[object]:
    return definitions.vpvr_profile(bars)


def liquidity_score(bars: Bars) -> list[object]:
    n, close, volume = len(bars), bars.close, bars.volume
    impacts = [
        ratio(abs(math.log(close[t] / close[t - 1])), volume[t] * close[t]) if volume[t] else NAN for t in range(1, n)
    ][-100:]
    mean, deviation = slow.mean(impacts), slow.std(impacts, 0)
    distance = 0.0 if deviation == 0 else (impacts[-1] - mean) / deviation
    amihud = NAN if math.isnan(mean) else 100 / (1 + math.exp(distance))
    slope, _ = definitions._kyle(bars)
    kyle = 100 * math.exp(-abs(slope) * slow.mean(volume[-180:]) / 0.01)
    returns = [math.log(close[t] / close[t - 1]) for t in range(n - 60, n)] if n >= 61 else []
    calm = 100 * math.exp(-slow.std(returns, 1) / 0.01)
    usual = slow.mean(volume[-60:]) if n >= 60 else NAN
    traded = 100 * (1 - math.exp(-volume[-1] / usual)) if usual else NAN
    parts = (amihud, kyle, calm, traded)
    weighted = [(w, part) for w, part in zip((0.35, 0.30, 0.20, 0.15), parts, strict=True) if not math.isnan(part)]
    score = sum(w * part for w, part in weighted) / sum(w for w, _ in weighted) if weighted else NAN
    grades = ((80, "优秀"), (65, "良好"), (50, "一般"), (30, "紧张"))
    grade = next((grade for bound, grade in grades if score >= bound), "危险")
    return [score, grade, *parts, impacts[-1], slope, bars.quote_volume[-1], close[-1]]


# --- structure


def support_resistance(bars: Bars) -> list[object]:
    support, resistance, close = min(bars.low[-21:-1]), max(bars.high[-21:-1]), bars.close[-1]
    below, above = (close - support) / close * 100, (resistance - close) / close * 100
    return [support, resistance, close, atr(bars, 14)[-1], below, above, min(abs(below), abs(above))]


def smart_money_structure(bars: Bars) -> list[object]:
    close, n = bars.close[-1], len(bars)
    [top], [bottom] = (
        slow.newest(slow.pivots(values, 5, sign), 1) for values, sign in ((bars.high, 1), (bars.low, -1))
    )
    high, low = bars.high[top] if top >= 0 else NAN, bars.low[bottom] if bottom >= 0 else NAN
    bull = close >= ema(bars.close, 34)[-1]
    over, under = close > high, close < low
    if over and under:
        over, under = top >= bottom, top < bottom
    event, score = "区间震荡", 0.0
    if over:
        event, score = ("多头突破", 3.5) if bull else ("结构反转向上", 4.5)
    elif under:
        event, score = ("结构反转向下", -4.5) if bull else ("空头突破", -3.5)
    reach = 2 * atr(bars, 14)[-1]
    distance = close - low if bull else high - close
    if not math.isnan(distance):
        score += 0.2 * (clipped((distance + reach) / (2 * reach), 0, 1) if reach else 0.5)
    block, upper, lower = "无", NAN, NAN
    for t in range(max(n - 8, 0), n):
        if bull and bars.close[t] < bars.open[t]:
            block, upper, lower = "多头订单块", bars.open[t], bars.low[t]
        elif not bull and bars.close[t] > bars.open[t]:
            block, upper, lower = "空头订单块", bars.high[t], bars.open[t]
        elif (bull and bars.close[t] < lower) or (not bull and bars.close[t] > upper):
            block, upper, lower = "无", NAN, NAN
    score += {"多头订单块": 1.5, "空头订单块": -1.5, "无": 0.0}[block]
    gap = "无"
    for t in range(n - 5, n):
        if bars.low[t] > bars.high[t - 2]:
            gap = "多头缺口"
        elif bars.high[t] < bars.low[t - 2]:
            gap = "空头缺口"
    score += {"多头缺口": 1.2, "空头缺口": -1.2, "无": 0.0}[gap]
    ceiling, floor = max(bars.high[-100:]), min(bars.low[-100:])
    half = (ceiling + floor) / 2
    if abs(close - half) <= 0.025 * (ceiling - floor):
        zone = "均衡区"
    elif close > half:
        zone = "极端溢价" if close >= ceiling else "溢价区"
    else:
        zone = "极端折价" if close <= floor else "折价区"
    score += 1.0 if bull and "折价" in zone else -1.0 if not bull and "溢价" in zone else 0.0
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
    unit = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}[bars.interval[-1]]
    wanted = (bars.time[-1] - bars.time[0]) // (unit * int(bars.interval[:-1]) * 1_000_000) + 1
    return [len(bars), bars.time[-1], wanted, wanted - len(bars)]


# --- futures


def futures_gap_monitor(rows: Metrics) -> list[object]:
    five = 300_000_000
    slots = [time // five for time in rows.time]
    # Up to the last that is due, all there are between the first and the last.
    missing = sorted(set(range(slots[0], max(slots[-1] + 1, rows.as_of // five))) - set(slots))
    last = next((a for a, b in zip(missing, [*missing[1:], math.inf], strict=True) if b != a + 1), 0)
    first = [missing[0] * five, last * five] if missing else [None, None]
    return [len(rows), rows.time[-1], len(missing), *first]


def futures_aggregate(rows: Metrics) -> list[object]:
    value, top, every, taker = (
        rows.open_interest_value,
        rows.top_trader_position_ratio,
        rows.global_account_ratio,
        rows.taker_volume_ratio,
    )
    periods = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800}
    period = periods.get(rows.interval, 600) * 1_000_000
    follows = [False, *(rows.time[t] - rows.time[t - 1] <= 1.5 * period for t in range(1, len(rows)))]

    def changes(values: Sequence[float]) -> list[float]:
        return [values[t] - values[t - 1] if follows[t] else NAN for t in range(len(rows))]

    moved = changes(value)
    fractions = [ratio(moved[t], value[t - 1]) if follows[t] else NAN for t in range(len(rows))]
    fractions = [fraction if math.isfinite(fraction) else NAN for fraction in fractions]
    histories = (fractions, [abs(x - 1) for x in top], [abs(x - 1) for x in taker])
    scores = [abs(definitions._zscore(history[-1], history)) for history in histories]
    age = (rows.as_of - rows.time[-1]) / 1e6
    signs = [NAN if math.isnan(x) else 0 if abs(x - 1) < 1e-9 else 1 if x > 1 else -1 for x in taker]
    signs = [sign if follows[t] or t == 0 else NAN for t, sign in enumerate(signs)]
    sides = [0 if math.isnan(x) or x == 1 else 1 if x > 1 else -1 for x in top]
    earlier = next((side for side in sides[-2::-1] if side), 0)
    turn = NAN if math.isnan(top[-1]) else sides[-1] if sides[-1] * earlier == -1 else 0
    variations = [
        slow.std(value[t - 19 : t + 1], 0) / slow.mean(value[t - 19 : t + 1])
        if not any(map(math.isnan, value[t - 19 : t + 1])) and any(value[t - 19 : t + 1])
        else NAN
        for t in range(19, len(rows))
    ]
    there = [variation for variation in variations if not math.isnan(variation)]
    calm = NAN
    if variations and not math.isnan(variations[-1]):
        calm = sum(variation <= variations[-1] * (1 + 1e-12) for variation in there) / len(there)
    return [
        rows.is_closed[-1],
        age,
        value[-1],
        rows.open_interest[-1],
        top[-1],
        every[-1],
        taker[-1],
        NAN,
        moved[-1],
        fractions[-1],
        abs(top[-1] - 1),
        abs(every[-1] - 1),
        abs(taker[-1] - 1),
        top[-1] - every[-1],
        abs(top[-1] - every[-1]),
        definitions._variation(value),
        _streak([NAN if math.isnan(x) else (x > 0) - (x < 0) for x in moved]),
        _streak(signs),
        slow.mean(scores),
        value[-1] * 100 / rows.market,
        definitions._variation(top),
        definitions._variation(every),
        _slope([time / period for time in rows.time], value),
        definitions._zscore(value[-1], value),
        changes(top)[-1],
        changes(taker)[-1],
        turn,
        abs(changes(taker)[-1]),
        calm,
        NAN,
        int(age > 3 * period / 1e6),
    ]


def _streak(signs: Sequence[float]) -> float:
    """As of the definitions, but a missing sign ends it."""
    if math.isnan(signs[-1]):
        return NAN
    broken = next((place for place, sign in enumerate(signs[::-1]) if math.isnan(sign)), len(signs))
    return definitions._streak(signs[len(signs) - broken :])


def _slope(times: Sequence[float], values: Sequence[float]) -> float:
    pairs = [(time, value) for time, value in zip(times, values, strict=True) if not math.isnan(value)]
    if len(pairs) < 2:
        return NAN
    time, mean = (math.fsum(pair[k] for pair in pairs) / len(pairs) for k in (0, 1))
    over = math.fsum((t - time) * (value - mean) for t, value in pairs)
    return ratio(over / math.fsum((t - time) ** 2 for t, _ in pairs) * 100, pairs[-1][1])


#: By id of the indicator.
DEFINITIONS: dict[str, Callable[[Bars], list[object]]] = {
    function.__name__: function
    for function in (
        macd, supertrend, ema_gc, ema_ribbon, adx, ichimoku, zero_lag_band_cross, zero_lag_trend_state,
        trend_cloud_reversal, smoothed_heikin_ashi, trend_line_rank, kdj, williams_r, mfi, scalping, harmonic_rsi, cci,
        smart_rsi, atr_bands, bollinger, keltner, vwma_fib_bands, base_data, taker_buy_ratio, volume_ratio, obv, cvd,
        vwap, vpvr_profile, liquidity_score, support_resistance, smart_money_structure, data_monitor,
    )
}  # fmt: skip
#: The same of indicators over metrics.
OF_METRICS: dict[str, Callable[[Metrics], list[object]]] = {
    function.__name__: function for function in (futures_aggregate, futures_gap_monitor)
}
