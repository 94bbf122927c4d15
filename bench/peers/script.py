"""Standard indicators with polars: the newest row of each series into SQLite, a table per interval.

    python script.py SOURCE_URL RESULT.db INTERVAL,… AS_OF

27 indicators in 45 columns, over the newest 400 bars of every symbol. It knows nothing of this repository.
"""

import sqlite3
import sys
from datetime import datetime, timedelta

import adbc_driver_postgresql.dbapi as postgres
import polars as pl
import polars_talib as ta

LOOKBACK = 400
LENGTHS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
BARS = """SELECT symbol, bucket_ts, open::float8, high::float8, low::float8, close::float8, volume::float8
FROM market_data.candles_{interval}
WHERE exchange = 'binance_futures_um' AND bucket_ts > '{after}' AND bucket_ts <= '{until}' ORDER BY symbol, bucket_ts"""

open_, high, low, close, volume = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))
bands = ta.bbands(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
macd = ta.macd(close, fastperiod=12, slowperiod=26, signalperiod=9)
stochastic = ta.stoch(high, low, close, fastk_period=9, slowk_period=3, slowd_period=3)
fast = ta.stochf(high, low, close, fastk_period=5, fastd_period=3)
relative = ta.stochrsi(close, timeperiod=14, fastk_period=5, fastd_period=3)
aroon = ta.aroon(high, low, timeperiod=14)
INDICATORS = {
    **{f"bb_{part}": bands.struct.field(f"{part}band") for part in ("upper", "middle", "lower")},
    **{name: macd.struct.field(name) for name in ("macd", "macdsignal", "macdhist")},
    **{name: stochastic.struct.field(name) for name in ("slowk", "slowd")},
    **{f"stochf_{name}": fast.struct.field(name) for name in ("fastk", "fastd")},
    **{f"stochrsi_{name}": relative.struct.field(name) for name in ("fastk", "fastd")},
    **{name: aroon.struct.field(name) for name in ("aroondown", "aroonup")},
    **{f"ema_{period}": ta.ema(close, timeperiod=period) for period in (7, 25, 50, 99, 200)},
    **{f"sma_{period}": ta.sma(close, timeperiod=period) for period in (5, 10, 20, 60, 200)},
    **{f"rsi_{period}": ta.rsi(close, timeperiod=period) for period in (6, 14, 24)},
    "atr": ta.atr(high, low, close, timeperiod=14),
    "natr": ta.natr(high, low, close, timeperiod=14),
    "adx": ta.adx(high, low, close, timeperiod=14),
    "plus_di": ta.plus_di(high, low, close, timeperiod=14),
    "minus_di": ta.minus_di(high, low, close, timeperiod=14),
    "cci": ta.cci(high, low, close, timeperiod=20),
    "willr": ta.willr(high, low, close, timeperiod=14),
    "mfi": ta.mfi(high, low, close, volume, timeperiod=14),
    "obv": ta.obv(close, volume),
    "ad": ta.ad(high, low, close, volume),
    "adosc": ta.adosc(high, low, close, volume, fastperiod=3, slowperiod=10),
    "roc": ta.roc(close, timeperiod=10),
    "mom": ta.mom(close, timeperiod=10),
    "trix": ta.trix(close, timeperiod=15),
    "ultosc": ta.ultosc(high, low, close, timeperiod1=7, timeperiod2=14, timeperiod3=28),
    "sar": ta.sar(high, low, acceleration=0.02, maximum=0.2),
    "kama": ta.kama(close, timeperiod=30),
    "wma": ta.wma(close, timeperiod=20),
}


def main() -> None:
    """Read, compute, write."""
    source, result, intervals, as_of = sys.argv[1:]
    until = datetime.fromisoformat(as_of)
    newest = {}
    with postgres.connect(source) as connection, connection.cursor() as cursor:
        for interval in intervals.split(","):
            length = timedelta(**{LENGTHS[interval[-1]]: int(interval[:-1])})
            cursor.execute(BARS.format(interval=interval, after=until - LOOKBACK * length, until=until))
            bars = pl.DataFrame(cursor.fetch_arrow_table())
            over = [indicator.over("symbol").alias(name) for name, indicator in INDICATORS.items()]
            newest[interval] = bars.with_columns(over).group_by("symbol", maintain_order=True).last()
    with sqlite3.connect(result) as database:
        for interval, rows in newest.items():
            rows = rows.with_columns(pl.col("bucket_ts").dt.to_string())
            columns, places = ", ".join(f'"{name}"' for name in rows.columns), ", ".join("?" * rows.width)
            key = "PRIMARY KEY (symbol, bucket_ts)"
            database.execute(f"CREATE TABLE IF NOT EXISTS indicators_{interval} ({columns}, {key})")
            database.executemany(f"INSERT OR REPLACE INTO indicators_{interval} VALUES ({places})", rows.rows())


if __name__ == "__main__":
    main()
