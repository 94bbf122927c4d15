"""``history`` without a source of one's own: the demo's market, as of where it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.processes import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran


def test_the_history_of_the_demo_ends_with_the_rows_of_its_work_file(
    candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    few = ("--indicators", "kdj,futures_sentiment")
    ran = candlemill("demo", "--intervals", "1h", "--symbols", "BTCUSDT,ETHUSDT", *few)
    assert ran.code == 0, ran.err
    asked = ("history", "BTCUSDT,ETHUSDT", "--interval", "1h", *few, "--bars", "2", "--json")
    told, silent = candlemill(*asked), candlemill(*asked, "--demo", env={"DATABASE_URL": "postgresql://nowhere/x"})
    assert "there is no source: the demo's is read, with its invented prices" in told.err
    assert silent.err == ""
    rows = json.loads(told.out)
    assert json.loads(silent.out) == rows
    query = "SELECT symbol, bucket_ts, j, signal FROM kdj ORDER BY symbol"
    newest = json.loads(candlemill("query", query, "--demo", "--json").out)
    assert [(row["symbol"], row["bucket_ts"], row["kdj_j"], row["kdj_signal"]) for row in rows[1::2]] == [
        tuple(row.values()) for row in newest
    ]
    assert [row["futures_sentiment_open_interest_value"] for row in rows].count(None) < len(rows)
    assert processes_of(tmp_path) == []
