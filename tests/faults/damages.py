"""Markets with random damage, for hypothesis: what may be done to the bars of some symbols."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from candlemill.indicators.contract import BAR_FIELDS
from tests.goldens import HERE

#: symbol, bucket_ts and the fields of each bar.
Row: TypeAlias = dict[str, Any]

#: Whose bars may be damaged, and whose are not.
VICTIMS = ("AAAUSDT", "DOWNUSDT", "N110USDT", "UPUSDT")
OTHERS = ("BTCUSDT", "FLATUSDT", "N199USDT", "PEPEUSDT")
PRICES = ("open", "high", "low", "close")


@cache
def market() -> tuple[Row, ...]:
    """The bars of the symbols at 5m, undamaged."""
    table = pq.read_table(HERE / "synth_core" / "candles_5m.parquet", columns=["symbol", "bucket_ts", *BAR_FIELDS])
    rows = table.to_pylist()
    numbers = [{k: float(v) if k in BAR_FIELDS and v is not None else v for k, v in row.items()} for row in rows]
    return tuple(row for row in numbers if row["symbol"] in VICTIMS + OTHERS)


def as_table(rows: list[Row]) -> pa.Table:
    """The rows as a source gives them."""
    schema = pa.schema(
        [
            ("symbol", pa.string()),
            ("bucket_ts", pa.timestamp("us", "UTC")),
            *((name, pa.float64()) for name in BAR_FIELDS),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


@dataclass(frozen=True)
class Damage:
    """One thing done to the bars of one symbol, from one bar to another (counted from the newest, which is 0)."""

    kind: str
    symbol: str
    first: int
    last: int
    column: str
    value: float | None

    def apply(self, rows: list[Row]) -> list[Row]:
        """The market with this damage."""
        mine = [row for row in rows if row["symbol"] == self.symbol]
        rest = [row for row in rows if row["symbol"] != self.symbol]
        mine.sort(key=lambda row: row["bucket_ts"], reverse=True)
        hit = mine[self.first : self.last + 1]
        match self.kind:
            case "set":
                changed = [{**row, self.column: self.value} for row in hit]
            case "set prices":
                changed = [{**row, **dict.fromkeys(PRICES, self.value)} for row in hit]
            case "scale":
                factor = self.value or 0.0
                changed = [{**row, **{name: _times(row[name], factor) for name in PRICES}} for row in hit]
            case "swap":
                changed = [{**row, "high": row["low"], "low": row["high"]} for row in hit]
            case "shift":
                changed = [{**row, "bucket_ts": row["bucket_ts"] + timedelta(seconds=73)} for row in hit]
            case "repeat":
                changed = [*hit, *({**row, self.column: self.value} for row in hit)]
            case "lose name":
                changed = [{**row, "symbol": None} for row in hit]
            case _:
                changed = []
        return rest + mine[: self.first] + changed + mine[self.last + 1 :]


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


KINDS = ("set", "set prices", "scale", "swap", "shift", "repeat", "lose name", "drop")
ODD = (None, math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e-12, 1e12, 1e18, 1e19, 5e-324, 1e-300, 1e300, 1.7e308)


@st.composite
def _damages(draw: st.DrawFn) -> Damage:
    first = draw(st.one_of(st.integers(0, 5), st.integers(0, 420)))
    length = draw(st.one_of(st.just(0), st.integers(0, 30), st.just(500)))
    value = draw(st.one_of(st.sampled_from(ODD), st.floats(), st.floats(1e-6, 1e6)))
    return Damage(
        draw(st.sampled_from(KINDS)),
        draw(st.sampled_from(VICTIMS)),
        first,
        first + length,
        draw(st.sampled_from(BAR_FIELDS)),
        value,
    )


DAMAGES = st.lists(_damages(), min_size=1, max_size=6)


def shuffled(rows: list[Row], seed: int) -> list[Row]:
    """The rows in some order."""
    mixed = list(rows)
    Random(seed).shuffle(mixed)
    return mixed
