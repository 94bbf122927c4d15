"""``stability``: what it says of windows and of bars that form is what can be worked out by hand, or by a run."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from candlemill.indicators.kinds import TIME
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.analysis.stability import SCHEMA, stability
from candlemill.pipeline.base.errors import NoCandlesError, UsageError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.history import read_history
from candlemill.pipeline.settings import Settings
from candlemill.pipeline.source.schema import init_db

if TYPE_CHECKING:
    from tests.conftest import Server

#: A Wednesday; bars at and before it have closed by then.
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
#: Closed 15m bars of each symbol; the newer ones have 1m bars, too.
BARS, MINUTES = 90, 15 * 30
WALK = """
INSERT INTO market_data.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, taker_buy_volume)
SELECT 'binance_futures_um', %(symbol)s, %(now)s::timestamptz - n * interval '1 minute', price, price + 0.02,
    price - 0.01, price + 0.01, 1, 0.5
FROM generate_series(1, %(minutes)s) AS n, LATERAL (SELECT 100 + 3 * sin(n / 40.0) + 0.5 * sin(n * 1.7) AS price) AS p
"""
BUILT = """
INSERT INTO market_data.candles_15m (exchange, symbol, bucket_ts, open, high, low, close, volume, taker_buy_volume)
SELECT exchange, symbol, date_bin('15 minutes', bucket_ts, '2000-01-01+00') AS start,
    (array_agg(open ORDER BY bucket_ts))[1], max(high), min(low), (array_agg(close ORDER BY bucket_ts DESC))[1],
    sum(volume), sum(taker_buy_volume)
FROM market_data.candles_1m GROUP BY exchange, symbol, start
"""


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """AAA with all its minutes, HOLED without one minute of its newest bar, and the old minutes of neither."""
    url = server.database("stability")
    init_db(url)
    with psycopg.connect(url, autocommit=True) as connection:
        for symbol in ("AAA", "HOLED"):
            connection.execute(WALK, {"symbol": symbol, "now": NOW, "minutes": 15 * BARS})
        connection.execute(BUILT)
        connection.execute(
            "DELETE FROM market_data.candles_1m WHERE bucket_ts < %s OR symbol = 'HOLED' AND bucket_ts = %s",
            (NOW - timedelta(minutes=MINUTES), NOW - timedelta(minutes=10)),
        )
    return url


def asked(url: str, *indicators: str, symbols: str = "AAA", interval: str = "15m", lookback: int = 40) -> Settings:
    return Settings(
        source=url,
        sqlite=Path("none.db"),
        duckdb=Path("none.duckdb"),
        symbols=symbols,
        intervals=(INTERVALS[interval],),
        indicators=tuple(INDICATORS[name] for name in indicators) or tuple(INDICATORS.values()),
        as_of=NOW,
        lookback=lookback,
    )


def rows_of(settings: Settings, bars: int, *lookbacks: int) -> dict[tuple[str, str, str], dict[str, Any]]:
    table = stability(settings, bars, lookbacks)
    assert table.schema == SCHEMA
    return {(row["indicator"], row["column"], row["against"]): row for row in table.to_pylist()}


def test_a_window_of_fixed_length_is_firm_and_one_that_fades_is_the_firmer_the_longer_it_is(url: str) -> None:
    found = rows_of(asked(url, "donchian", "macd", "data_monitor"), 6, 36, 44, 60, 80)
    for length in (36, 44, 60):
        row = found["donchian", "upper", f"{length} bars"]
        assert (row["compared"], row["differing_percent"], row["p95_percent"]) == (6, 0, 0)
        # It counts the bars, of 80 always 80.
        counted = found["data_monitor", "bars_loaded", f"{length} bars"]
        assert counted["median_percent"] == counted["p95_percent"] == 100 * (80 - length) / 80
    distances = [found["macd", "macd", f"{length} bars"]["median_percent"] for length in (36, 44, 60)]
    assert distances[0] > distances[1] > distances[2] > 0
    assert ("macd", "macd", "80 bars") not in found


def test_a_bar_that_forms_is_what_its_minutes_make_of_it(url: str) -> None:
    found = rows_of(asked(url, "base_data"), 20, 36, 44)
    # A minute has a volume of 1; of 15 minutes 4, 8 and 11 are nearest to a quarter, a half and three quarters.
    for form, minutes in (("1/4", 4), ("1/2", 8), ("3/4", 11)):
        row = found["base_data", "volume", f"{form} of the bar"]
        assert (row["compared"], row["differing_percent"], row["one_missing_percent"]) == (20, 100, 0)
        assert row["median_percent"] == pytest.approx(100 * (15 - minutes) / 15)
        assert found["base_data", "open", f"{form} of the bar"]["differing_percent"] == 0


def test_bars_of_which_a_minute_is_missing_are_left_out_while_they_form(url: str) -> None:
    # 30 bars have minutes; the tenth minute from the end lies in the second third of the newest bar.
    counts = {
        form: rows_of(asked(url, "base_data", symbols="HOLED"), 40, 36, 44)[
            "base_data", "volume", f"{form} of the bar"
        ]["compared"]
        for form in ("1/4", "1/2", "3/4")
    }
    assert counts == {"1/4": 30, "1/2": 29, "3/4": 29}


def test_the_values_compared_are_those_of_runs(url: str) -> None:
    """Distances of every column, from two histories with the two lookbacks."""
    bars = 8
    settings = asked(url)
    found = rows_of(settings, bars, 50, 75)
    own, other = (read_history(replace(settings, lookback=length), bars) for length in (75, 50))
    seen = 0
    for declared in settings.indicators:
        for column in declared.columns:
            name = f"{declared.id}_{column.name}"
            if declared.source != "candles" or column.kind is TIME or name not in own.column_names:
                continue
            row = found[declared.id, column.name, "50 bars"]
            a, b = own[name].to_pylist(), other[name].to_pylist()
            assert row["compared"] == bars
            if row["one_missing_percent"] is None:
                assert row["differing_percent"] == 100 * np.mean([x != y for x, y in zip(a, b, strict=True)])
            else:
                missing = [(x is None) != (y is None) for x, y in zip(a, b, strict=True)]
                assert row["one_missing_percent"] == 100 * np.mean(missing)
                both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
                sizes = [abs(x) for x in a if x is not None]
                if both and any(sizes):
                    typical = np.median(sizes) or max(sizes)
                    distances = [100 * abs(x - y) / typical for x, y in both]
                    assert row["median_percent"] == pytest.approx(np.median(distances), abs=1e-12)
                    seen += any(distances)
    assert seen > 20


def test_metrics_have_no_window_and_the_finest_interval_does_not_form(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = rows_of(asked(url, "base_data", "futures_sentiment", interval="1m"), 5, 20, 40)
    assert {key[0] for key in found} == {"base_data"}
    assert {key[2] for key in found} == {"20 bars"}
    assert "1m: no interval is finer" in caplog.text


def test_lengths_for_which_there_are_no_bars_are_said(url: str, caplog: pytest.LogCaptureFixture) -> None:
    found = rows_of(asked(url, "base_data"), 5, 20, 40, 400)
    assert {key[2] for key in found} >= {"20 bars"}
    assert "40 bars" not in {key[2] for key in found}
    assert "the longest series has 90 closed bars, too few for 400" in caplog.text
    with pytest.raises(NoCandlesError, match="windows of 400 and 800 bars at 5 bars need 804"):
        stability(asked(url, "base_data"), 5, (400, 800))
    with pytest.raises(UsageError, match="at least two lengths"):
        stability(asked(url, "base_data"), 5, (400, 400))


def called(*words: str) -> tuple[Exception | None, str, str]:
    ran = CliRunner().invoke(app, ["stability", *words], standalone_mode=False)
    return ran.exception if isinstance(ran.exception, Exception) else None, ran.stdout, ran.stderr


def test_the_command_prints_a_line_for_each_indicator_and_all_columns_elsewhere(url: str, tmp_path: Path) -> None:
    words = ["--source", url, "--symbols", "AAA,HOLED", "--interval", "15m", "--indicators", "kdj,base_data"]
    words += ["--as-of", NOW.isoformat(), "--lookback", "40", "--bars", "5", "--lookbacks", "20,40"]
    error, out, _ = called(*words)
    assert error is None
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["indicator", "kdj", "base_data"]
    assert "words" in lines[1]
    assert "words" not in lines[2]
    error, out, err = called(*words, "--json", "--output", str(tmp_path / "firm.svg"))
    assert error is None
    rows = json.loads(out)
    assert {row["column"] for row in rows if row["indicator"] == "kdj"} == {c.name for c in INDICATORS["kdj"].columns}
    assert "drawn in" in err
    picture = (tmp_path / "firm.svg").read_text(encoding="utf-8")
    assert "20 bars" in picture
    assert "3/4 of the bar" in picture
    error, out, _ = called(*words, "--csv")
    assert [row["indicator"] for row in csv.DictReader(io.StringIO(out))] == [row["indicator"] for row in rows]


@pytest.mark.parametrize("lookbacks", ["", "200", "200,x", "0,5", "5,-1"])
def test_wrong_lengths_are_said(lookbacks: str, url: str) -> None:
    error, _, _ = called("--source", url, "--lookbacks", lookbacks, "--symbols", "AAA")
    assert isinstance(error, UsageError)
    assert "--lookbacks" in str(error)
