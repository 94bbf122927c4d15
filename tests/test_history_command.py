"""``history``: its rows are those of runs as of the ends of the bars, and its command says what it cannot do."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import engine, reading
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.errors import Exit, NoCandlesError, UsageError
from candlemill.pipeline.base.intervals import INTERVALS, bucket_start
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.compute.sql import SqlIndicators
from candlemill.pipeline.history import read_history
from candlemill.pipeline.settings import Settings
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.schema import init_db
from tests.moving import START, Coin, Market
from tests.test_history import bits

if TYPE_CHECKING:
    from tests.conftest import Server

MINUTE, MICROSECOND = timedelta(minutes=1), timedelta(microseconds=1)
NOW = START + 17 * MINUTE
#: Of futures_aggregate: in a history a metrics row is of age 0.
AGE = {"futures_aggregate_age_seconds", "futures_aggregate_is_stale"}
KEYS = ("symbol", "interval", "bucket_ts")


@pytest.fixture(scope="module")
def market(server: Server) -> Market:
    url = server.database("history")
    init_db(url)
    coins = [
        Coin("AAA"),
        Coin("LAGS", lag=12 * MINUTE),
        Coin("GAPS", leaves_out=3),
        Coin("YOUNG", since=START - 30 * MINUTE),
        Coin("OLD", until=START - 300 * timedelta(days=1)),
    ]
    playing = Market(url, coins)
    playing.play(START)
    playing.play(NOW)
    # Bars without metrics.
    playing.execute(
        "DELETE FROM market_data.binance_futures_metrics_5m"
        " WHERE symbol = 'GAPS' AND extract(minute FROM create_time) = 5"
    )
    return playing


def asked(market: Market, interval: str, symbols: str = "all", closed_only: bool = False) -> Settings:
    return Settings(
        source=market.url,
        sqlite=Path("none.db"),
        duckdb=Path("none.duckdb"),
        symbols=symbols,
        intervals=(INTERVALS[interval],),
        indicators=tuple(INDICATORS.values()),
        as_of=NOW,
        lookback=60,
        closed_only=closed_only,
    )


def of_a_run(settings: Settings, as_of: datetime) -> dict[str, dict[str, Any]]:
    """By symbol the values of a run as of a moment, at full precision, with the time of each indicator's row."""
    settings = replace(settings, as_of=as_of)
    record = reading.new_record(settings)
    source = Source.connect(settings.source)
    loaded = reading.read(source, settings, None, settings.intervals[0], record)
    with open_duckdb() as connection:
        market = reading.arranged(loaded, settings)
        results = engine.compute(settings, [[market]], SqlIndicators(connection), record)
    assert record.errors == []
    found: dict[str, dict[str, Any]] = {}
    for declared, table in results.tables.items():
        columns = bits(table)
        for row, symbol in enumerate(columns["symbol"]):
            values = found.setdefault(symbol, {})
            values[declared.id] = columns["bucket_ts"][row]
            values |= {f"{declared.id}_{column.name}": columns[column.name][row] for column in declared.columns}
    return found


@pytest.mark.parametrize(("interval", "bars"), [("5m", 14), ("1h", 5)])
def test_rows_are_those_of_runs_as_of_the_ends_of_the_bars(interval: str, bars: int, market: Market) -> None:
    settings = asked(market, interval)
    table = read_history(settings, bars)
    columns = bits(table)
    keys = zip(columns["symbol"], columns["bucket_ts"], strict=True)
    rows = {key: row for row, key in enumerate(keys)}
    length, forming = INTERVALS[interval].length, bucket_start(NOW, INTERVALS[interval])
    ends = {forming - n * length: forming - (n - 1) * length - MICROSECOND for n in (1, 2, 4)}
    compared = []
    # The bar that forms is as a run now sees it.
    for start, as_of in {forming: NOW, **ends}.items():
        for symbol, values in of_a_run(settings, as_of).items():
            if values["base_data"] != start:
                continue
            row = rows[symbol, start]
            for declared in settings.indicators:
                # A metrics indicator has a row at the bars of which there are metrics.
                of_bar = values.get(declared.id) == start
                for column in declared.columns:
                    name = f"{declared.id}_{column.name}"
                    if name not in AGE:
                        assert columns[name][row] == (values[name] if of_bar else None), (symbol, start, name)
                        compared.append(values[name] is not None if of_bar else False)
    assert sum(compared) > 1000
    assert columns["futures_aggregate_market_share"].count(None) < len(rows)
    assert list(rows) == sorted(rows)
    assert max(columns["symbol"].count(symbol) for symbol in set(columns["symbol"])) == bars
    assert table.column_names[:3] == list(KEYS)


def test_closed_only_leaves_the_forming_bar_out(market: Market) -> None:
    tables = [bits(read_history(asked(market, "5m", "AAA", closed), 3)) for closed in (False, True)]
    forming = bucket_start(NOW, INTERVALS["5m"])
    length = INTERVALS["5m"].length
    assert [table["bucket_ts"] for table in tables] == [
        [forming - n * length for n in (2, 1, 0)],
        [forming - n * length for n in (3, 2, 1)],
    ]
    for name in tables[0]:
        assert tables[0][name][:2] == tables[1][name][1:]


def test_types_do_not_depend_on_what_there_is(market: Market) -> None:
    # At 1m there are no metrics.
    without, beside = (read_history(asked(market, interval, "AAA"), 2) for interval in ("1m", "5m"))
    assert without.schema == beside.schema
    assert not any(pa.types.is_null(field.type) for field in without.schema)


def called(*words: str) -> tuple[Exception | None, str, str]:
    ran = CliRunner().invoke(app, ["history", *words], standalone_mode=False)
    return ran.exception if isinstance(ran.exception, Exception) else None, ran.stdout, ran.stderr


def test_the_forms_have_the_same_rows(market: Market, tmp_path: Path) -> None:
    words = ["AAA,GAPS", "--source", market.url, "--interval", "5m", "--indicators", "kdj,macd", "--bars", "4"]
    words += ["--as-of", NOW.isoformat(), "--lookback", "60"]
    for form in (("--json",), ("--csv",), ("--parquet", str(tmp_path / "rows.parquet")), ()):
        error, out, err = called(*words, *form)
        assert error is None, err
        if form == ("--json",):
            rows = json.loads(out)
        elif form == ("--csv",):
            texts = list(csv.DictReader(io.StringIO(out)))
        elif not form:
            assert len(out.splitlines()) == 9
    names = [f"{name}_{column.name}" for name in ("macd", "kdj") for column in INDICATORS[name].columns]
    assert list(rows[0]) == [*KEYS, *names]
    assert [row["symbol"] for row in rows] == ["AAA"] * 4 + ["GAPS"] * 4
    assert [float(text["kdj_j"]) for text in texts] == [row["kdj_j"] for row in rows]
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["kdj_j"].to_pylist() == [row["kdj_j"] for row in rows]
    assert table.schema.field("bucket_ts").type == pa.timestamp("us", "UTC")


def test_a_symbol_without_candles_is_named_with_what_was_meant(market: Market) -> None:
    words = ("--source", market.url, "--interval", "5m", "--indicators", "kdj", "--as-of", NOW.isoformat(), "--csv")
    error, out, _ = called("aaab", *words)
    assert isinstance(error, NoCandlesError)
    assert error.exit_code == Exit.NO_CANDLES
    assert "for aaab: did you mean AAA?" in str(error)
    assert out == ""
    error, out, err = called("AAA", "GAPSS", *words)
    assert error is None
    assert "no candles for GAPSS at 5m" in err
    assert "did you mean GAPS?" in err
    assert {row["symbol"] for row in csv.DictReader(io.StringIO(out))} == {"AAA"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("AAA", "--interval", "7m", "--source", "postgresql://127.0.0.1:1/x"), "unknown interval"),
        (("AAA", "--csv", "--json", "--source", "postgresql://127.0.0.1:1/x"), "give one of them"),
        (("AAA",), "no source: give --source URL"),
        (("AAA", "--demo"), "there is no demo: run `candlemill demo`"),
    ],
)
def test_wrong_usage_is_said(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    error, out, _ = called(*words)
    assert isinstance(error, UsageError)
    assert says in str(error)
    assert out == ""
    assert list(tmp_path.iterdir()) == []
