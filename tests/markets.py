"""Markets of many kinds as panels, for tests that want to meet every branch of an indicator."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from candlemill.indicators.contract import Floats, Ints, Panel

BARS = 400


def panel(fields: dict[str, Floats], lengths: Ints | None = None) -> Panel:
    rows, series = fields["close"].shape
    lengths = np.full(series, rows) if lengths is None else np.sort(lengths)[::-1].astype(np.int64)
    padding = np.arange(rows)[:, None] < rows - lengths
    time = np.where(padding, 0, np.arange(rows)[:, None] * 300_000_000)
    padded = {name: np.where(padding, np.nan, values) for name, values in fields.items()}
    return Panel(["5m"] * series, 0, [f"S{column:05}" for column in range(series)], lengths, time, padded)


def ranked(panel: Panel, newest: int) -> pa.Table:
    """The newest bars of each series as SQL indicators see them."""
    rows, series = np.nonzero(np.arange(panel.rows)[:, None] >= np.maximum(panel.first, panel.rows - newest))
    return pa.table(
        {
            "series": series,
            "interval": np.array(panel.intervals)[series],
            "bucket_ts": pa.array(panel.time[rows, series]).cast(pa.timestamp("us", "UTC")),
            "n": panel.lengths[series],
            "rn": panel.rows - rows,
            **{name: _nullable(values[rows, series]) for name, values in panel.fields.items()},
        }
    )


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def with_volume(rng: np.random.Generator, prices: dict[str, Floats], spread: float = 1.0) -> dict[str, Floats]:
    volume = np.exp(rng.normal(3, spread, prices["close"].shape))
    quote = volume * prices["close"]
    taker = volume * rng.uniform(0, 1, volume.shape)
    extra = {"volume": volume, "quote_volume": quote, "taker_buy_volume": taker, "taker_buy_quote_volume": quote / 2}
    return prices | extra | {"trade_count": np.floor(volume)}


def walks(seed: int, series: int) -> Panel:
    """Random walks of many kinds: calm and wild, trending, turning, jumping, sawtooth, sparse, flat; many lengths."""
    rng = np.random.default_rng(seed)
    shape, row = (BARS, series), np.arange(BARS)[:, None]
    kind = rng.integers(0, 8, series)
    size = np.exp(rng.uniform(np.log(2e-4), np.log(0.05), series))
    drift = rng.normal(0, 1, series) * size * rng.choice([0, 0.1, 0.6], series)
    returns = rng.normal(0, 1, shape) * size + drift
    turn = rng.integers(300, 399, series)
    returns = np.where((kind == 1) & (row >= turn), -3 * drift + 0.3 * returns, returns)
    returns = np.where((kind == 2) & (rng.random(shape) < 0.02), 15 * returns, returns)
    louder = np.where(rng.random(series) < 0.5, 0.05, 6.0)
    returns = np.where((kind == 3) & (row >= turn), returns * louder, returns)
    period = rng.integers(6, 60, series)
    returns = np.where(kind == 4, size * np.sign(np.sin(2 * np.pi * row / period)) + 0.2 * returns, returns)
    returns = np.where((kind == 5) & (rng.random(shape) < 0.7), 0.0, returns)
    returns = np.where(kind == 6, 0.0, returns)
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    before = np.vstack([close[:1], close[:-1]])
    gaps = np.where((kind != 6) & (rng.random(series) < 0.3), rng.normal(0, 1, shape) * size, 0.0)
    wicks = np.where((kind != 6) & (rng.random(series) < 0.7), size, 0.0)
    open_ = before * np.exp(gaps)
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.5, shape)) * wicks)
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.5, shape)) * wicks)
    lengths = np.where(rng.random(series) < 0.7, BARS, rng.integers(1, BARS + 1, series))
    return panel(with_volume(rng, {"open": open_, "high": high, "low": low, "close": close}), lengths)


def turns(seed: int, series: int) -> Panel:
    """A trend, some bars of calm after it, and a last bar that breaks out on either side."""
    rng = np.random.default_rng(seed)
    row, shape = np.arange(BARS)[:, None], (BARS, series)
    drift = rng.choice([-0.004, 0.004], series)
    returns = np.where(row < BARS - 25, drift, 0.0) + 0.003 * rng.standard_normal(shape)
    returns[-1] += rng.choice([-0.03, 0.03], series)
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    open_ = np.vstack([close[:1], close[:-1]])
    spread = 0.002 * np.abs(rng.standard_normal((2, *shape)))
    high, low = np.maximum(open_, close) * (1 + spread[0]), np.minimum(open_, close) * (1 - spread[1])
    return panel(with_volume(rng, {"open": open_, "high": high, "low": low, "close": close}))


def steps() -> Panel:
    """A jump, then a slow drift: the one way to an extreme RSI on the other side of the averages."""
    row = np.arange(BARS)[:, None]
    ago, slope = (grid.ravel() for grid in np.meshgrid(np.arange(100.0, 160, 4), np.geomspace(1e-6, 1e-2, 40)))
    since = np.clip(row - (BARS - 1 - ago), 0, None)
    kinds = [
        100 + sign * 10 * (since > 0) + factor * sign * 10 * slope * since for sign in (-1, 1) for factor in (-1, -10)
    ]
    close = np.concatenate(kinds, axis=1)
    rng = np.random.default_rng(0)
    return panel(with_volume(rng, dict.fromkeys(("open", "high", "low", "close"), close)))


def liquid() -> Panel:
    """A past of steady impact, then a calm market, and a last bar with much volume and no change."""
    close = np.full((BARS, 1), 100.0)
    close[:120:2] = 101.0
    fields = with_volume(np.random.default_rng(0), dict.fromkeys(("open", "high", "low", "close"), close), 0.0)
    fields["volume"] = np.full((BARS, 1), 1e6)
    fields["volume"][-1] = 1e7
    fields["taker_buy_volume"] = fields["volume"] * np.linspace(0.2, 0.8, BARS)[:, None]
    return panel(fields)


def candles(seed: int, series: int, rows: int = 25) -> Panel:
    """Candles on a coarse grid, with opens that often meet the body before: rich in rare patterns."""
    rng = np.random.default_rng(seed)
    shape = (rows, series)
    body = rng.choice([-6, -5, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 5, 6], shape)
    quiet = rows - 13
    body[:quiet] = rng.choice([-2, -1, 1, 2], (quiet, series))
    colour = rng.choice([-1, 1], series)
    body = np.where((rng.random(series) < 0.6) & (rng.random(shape) < 0.8), np.abs(body) * colour, body)
    body[-1] = np.where(rng.random(series) < 0.5, -body[-1] * rng.choice([1, 2, 3], series), body[-1])
    gap = rng.choice([-8, -3, -2, -1, 0, 0, 0, 1, 2, 3, 8], shape)
    gap[:quiet] = 0
    where = rng.random(shape)
    open_, close = np.full(shape, 1000.0), np.full(shape, 1000.0)
    close[0] += body[0]
    for row in range(1, rows):
        middle = np.floor((open_[row - 1] + close[row - 1]) / 2)
        open_[row] = gap[row] + np.select(
            [where[row] < 0.5, where[row] < 0.8], [close[row - 1], open_[row - 1]], middle
        )
        close[row] = np.where((where[row] > 0.9) & (row > quiet), close[row - 1], open_[row] + body[row])
    high = np.maximum(open_, close) + rng.choice([0, 0, 0, 1, 3, 7], shape)
    low = np.minimum(open_, close) - rng.choice([0, 0, 0, 1, 3, 7], shape)
    return panel(with_volume(rng, {"open": open_, "high": high, "low": low, "close": close}))


def mat_hold() -> Panel:
    """The one pattern that the grid does not meet: a long white bar, three small ones that hold above, a new high."""
    open_ = np.array([100.0, 101.0] * 10 + [100.0, 112.0, 110.8, 109.5, 108.5])
    close = np.array([101.0, 100.0] * 10 + [110.0, 111.0, 109.6, 108.4, 116.0])
    prices = {
        "open": open_,
        "close": close,
        "high": np.maximum(open_, close) + 0.1,
        "low": np.minimum(open_, close) - 0.1,
    }
    columns = {name: values[:, None] for name, values in prices.items()}
    return panel(with_volume(np.random.default_rng(0), columns))


def plain_fall() -> Panel:
    """Falling bars of middling size, each a little below the one before: no pattern at all."""
    rng = np.random.default_rng(0)
    close = 1000 - np.cumsum(rng.uniform(0.8, 1.2, (30, 5)), axis=0)
    open_ = np.vstack([np.full((1, 5), 1000.0), close[:-1]]) - rng.uniform(0, 0.05, (30, 5))
    return panel(with_volume(rng, {"open": open_, "high": open_ + 0.5, "low": close - 0.5, "close": close}))


def ticks(seed: int, series: int) -> Panel:
    """Walks on a grid so coarse that prices, ranges and volumes are often equal, and some bars have no volume."""
    rng = np.random.default_rng(seed)
    shape = (BARS, series)
    kind = rng.integers(0, 4, series)
    step = rng.choice([-1, 0, 1], shape, p=[0.3, 0.4, 0.3])
    step = np.where((kind == 1) & (np.arange(BARS)[:, None] < rng.integers(340, 400, series)), 0, step)
    step = np.where(kind == 2, rng.choice([-2, -1, 1, 2], series) * (rng.random(shape) < 0.3) * 1, step)
    close = 1000.0 + np.cumsum(step, axis=0)
    before = np.vstack([np.full((1, series), 1000.0), close[:-1]])
    open_ = before + np.where(rng.random(shape) < 0.2, rng.choice([-1, 1], shape), 0)
    high = np.maximum(open_, close) + rng.choice([0, 0, 1], shape)
    low = np.minimum(open_, close) - rng.choice([0, 0, 1], shape)
    fields = with_volume(rng, {"open": open_, "high": high, "low": low, "close": close})
    volume = np.where(kind == 3, 0.0, 1.0) * rng.choice([0.0, 1.0, 1.0, 2.0, 4.0], shape)
    unknown = rng.random(shape) < 0.1
    fields |= {
        "volume": volume,
        "quote_volume": np.where(unknown, np.nan, volume * close),
        "trade_count": np.where(unknown, np.nan, volume),
        "taker_buy_volume": np.where(rng.random(shape) < 0.1, np.nan, volume / 2 + (rng.random(shape) < 0.1)),
        "taker_buy_quote_volume": np.where(rng.random(shape) < 0.1, np.nan, volume * close / 4),
    }
    return panel(fields, np.where(rng.random(series) < 0.7, BARS, rng.integers(1, BARS + 1, series)))


def metrics(seed: int, series: int, interval: str = "5m", step: int = 300) -> Panel:
    """Metrics rows of many symbols: walks, few values that repeat, zeros, rows that lack values, gaps in time."""
    rng = np.random.default_rng(seed)
    shape = (240, series)
    kind = rng.integers(0, 4, series)
    interest = 5000 * np.exp(np.cumsum(0.01 * rng.standard_normal(shape), axis=0))
    interest = np.where(kind == 1, 1000 + rng.integers(-1, 2, shape), np.where(kind == 2, 700.0, interest))
    ratios = np.exp(0.3 * rng.standard_normal((3, *shape)))
    ratios = np.where(kind == 1, 1 + rng.integers(-1, 2, ratios.shape) / 4, np.where(kind == 2, 1.0, ratios))
    fields = {"open_interest": interest, "open_interest_value": interest * np.where(kind == 0, ratios[0], 1.0)}
    names = ("top_trader_position_ratio", "global_account_ratio", "taker_volume_ratio")
    fields |= dict(zip(names, ratios, strict=True))
    fields["top_trader_account_ratio"] = ratios[0] / 2
    dull = rng.random(series) < 0.3
    for name in tuple(fields):
        lacking, zero = (dull & (rng.random(shape) < 0.1) for _ in range(2))
        fields[name] = np.where(lacking, np.nan, np.where(zero, 0.0, fields[name]))
    fields["is_closed"] = rng.choice([0.0, 1.0, np.nan], shape)
    lengths = np.sort(np.where(rng.random(series) < 0.5, 240, rng.integers(1, 241, series)))[::-1].astype(np.int64)
    padding = np.arange(240)[:, None] < 240 - lengths
    # Steps of one period, some of more, and in some series one of less than two.
    steps = np.where(rng.random(shape) < 0.02, rng.integers(2, 9, shape), 1) * step * 1_000_000
    steps[-5] += np.where(rng.random(series) < 0.2, step * 500_000, 0)
    time = 1_700_000_000_000_000 - np.cumsum(steps[::-1], axis=0)[::-1]
    # 'Now' is three periods after the newest row: the last moment at which it is not stale.
    newest = time[-1].max()
    time = time - time[-1] + newest - rng.integers(0, 2, series)
    return Panel(
        [interval] * series,
        int(newest) + 3 * step * 1_000_000,
        [f"S{column:05}" for column in range(series)],
        lengths,
        np.where(padding, 0, time),
        {name: np.where(padding, np.nan, values) for name, values in fields.items()},
        {"open_interest_value": np.where(rng.random(series) < 0.1, np.nan, 1e6)},
    )
