"""One interval's rows: what a failing indicator costs, rows without values, and reading ahead."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from candlemill.indicators import evaluate, kinds
from candlemill.indicators.contract import (
    NO_MOMENT,
    Indicator,
    Panel,
    Parameters,
    Stored,
    Values,
    integer,
    moment,
    number,
    price,
    text,
)
from candlemill.indicators.fields import METRICS_ROWS
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.shortage import ShortageError
from candlemill.pipeline.compute.pivot import pivot_bars, pivot_metrics
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.workfile.writer import WorkFile
from tests import panels
from tests.observing import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tests.panels import Series

BAD, RUN = "BADUSDT", "the run"
SERIES = [
    panels.walk("AUSDT", 400, 1),
    panels.walk("BUSDT", 400, 2),
    panels.walk(BAD, 400, 3),
    panels.walk("CUSDT", 400, 4, decimals=2),
    panels.walk("DUSDT", 120, 5).without("taker_buy_volume", "quote_volume"),
    panels.walk("EUSDT", 3, 6),
]
METRICS = [panels.metrics_walk(series.symbol, 240, 10 + i) for i, series in enumerate(SERIES)]
GOOD = [series for series in SERIES if series.symbol != BAD]
GOOD_METRICS = [series for series in METRICS if series.symbol != BAD]

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Computed:
    """Rows by indicator and symbol, the tables they came from, and what went wrong."""

    rows: dict[str, Rows]
    tables: dict[str, pa.Table]
    errors: list[dict[str, str]]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkFile]:
    with WorkFile(tmp_path_factory.mktemp("compute") / "work.duckdb", 1, "exchange") as work_file:
        yield work_file


def compute(
    work: WorkFile,
    chosen: Sequence[Indicator],
    series: Sequence[Series] = tuple(SERIES),
    metrics: Sequence[Series] = tuple(METRICS),
    interval: str = "5m",
) -> Computed:
    """Rows of some indicators at one interval, as a run computes them."""
    bars = pivot_bars(panels.table_of(series), interval, panels.AS_OF, 400)
    work.load("candles", [bars])
    second = None
    if metrics:
        pivot = pivot_metrics(panels.table_of(metrics), interval, panels.AS_OF, METRICS_ROWS, bars.panel.symbols)
        work.load("metrics", [pivot])
        # One market, whichever of its symbols are there.
        second = replace(pivot.panel, totals={"open_interest_value": np.full(pivot.panel.series, 9e6)}, _shared={})
    heard = Heard()
    tables = dict(computed(chosen, bars.panel, second, work, RUN, heard))
    rows = {
        declared.id: {row["symbol"]: {k: v for k, v in row.items() if k != "run_id"} for row in table.to_pylist()}
        for declared, table in tables.items()
    }
    return Computed(rows, {declared.id: table for declared, table in tables.items()}, heard.errors)


def made(function: Callable[[Panel], Values] | None, **other: Any) -> Indicator:
    """An indicator of one column, unless other parts are given."""
    declaration: dict[str, Any] = {
        "id": "made",
        "title": "made",
        "family": "trend",
        "inputs": ("close",),
        "columns": (price("x", "x"),),
        "formula": "x",
        "compute": function,
    }
    return Indicator(**{**declaration, **other})


def values_of(rows: Rows, declared: Indicator) -> dict[str, list[Any]]:
    return {symbol: [row[column.name] for column in declared.columns] for symbol, row in rows.items()}


def picky(declared: Indicator) -> Indicator:
    """The indicator, except that it stumbles over one symbol."""
    function = declared.compute
    assert function is not None

    def stumble(bars: Panel, *parameters: Parameters) -> Values:
        if BAD in bars.symbols:
            raise RuntimeError("cannot stand it")
        return function(bars, *parameters)

    return replace(declared, compute=stumble)


# --- failures


@pytest.mark.parametrize("id_", [declared.id for declared in INDICATORS.values() if declared.compute])
def test_a_failing_indicator_costs_only_the_series_it_fails_on(id_: str, work: WorkFile) -> None:
    declared = INDICATORS[id_]
    whole = compute(work, [declared], GOOD, GOOD_METRICS).rows[id_]
    failing = compute(work, [picky(declared)])
    found = failing.rows[id_]
    assert [(e["table"], e["symbol"], e["interval"], e["message"]) for e in failing.errors] == [
        (declared.table, BAD, "5m", "RuntimeError: cannot stand it")
    ]
    assert set(found) == {series.symbol for series in SERIES}
    assert failing.tables[declared.id].num_rows == len(SERIES)
    bad = found.pop(BAD)
    assert (bad["interval"], bad["bucket_ts"]) == ("5m", found["AUSDT"]["bucket_ts"])
    assert all(bad[column.name] is None for column in declared.columns if column.name not in declared.stored.short)
    assert [name for symbol in whole for name in unlike(found[symbol], whole[symbol])] == []


def unlike(got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    """Columns that differ by more than a rounding error."""
    return [
        name
        for name, value in want.items()
        if not (
            math.isclose(got[name], value, rel_tol=1e-9, abs_tol=1e-9)
            if isinstance(value, float) and isinstance(got[name], float)
            else got[name] == value
        )
    ]


@pytest.mark.parametrize("lacking", [MemoryError("no room"), RuntimeError("can't start new thread")])
def test_a_lack_of_memory_is_no_failure_of_an_indicator(lacking: Exception, work: WorkFile) -> None:
    """Its rows would be without values, and written over those that have some."""

    def lack(_: Panel) -> Values:
        raise lacking

    with pytest.raises(ShortageError):
        compute(work, [made(lack)], SERIES[-2:], ())


def test_a_failure_is_logged_with_its_traceback_for_those_who_look(
    work: WorkFile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="candlemill.pipeline.compute.rows"):
        compute(work, [picky(INDICATORS["macd"])])
    error, trace = caplog.records
    assert (error.levelname, error.getMessage()) == ("ERROR", f"macd failed on {BAD} 5m: RuntimeError: cannot stand it")
    assert (trace.levelname, trace.exc_info is not None) == ("DEBUG", True)


def test_other_indicators_do_not_notice_a_failure(work: WorkFile) -> None:
    others = [INDICATORS[id_] for id_ in ("kdj", "donchian", "base_data", "futures_sentiment")]
    alone = compute(work, others).rows
    for bad in (picky(INDICATORS["macd"]), made(None, id="no_such_file"), made(None, id="data_monitor")):
        among = compute(work, [others[0], bad, *others[1:]])
        assert {id_: rows for id_, rows in among.rows.items() if id_ != bad.id} == alone
        assert len(among.errors) == 1


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda _: Values(), "ValueError: made returned 0 columns, declared are 1"),
        (lambda bars: Values(bars.close[-1], bars.close[-1]), "ValueError: made returned 2 columns, declared are 1"),
        (lambda bars: Values(bars.close), "ValueError: made.x has shape ({rows}, 6), want (6,)"),
        (lambda _: Values(np.zeros(7)), "ValueError: made.x has shape (7,), want (6,)"),
        (lambda bars: Values(bars.volume_of_trade[-1]), "AttributeError: the panel has no field 'volume_of_trade'; "),
    ],
)
def test_an_indicator_that_fails_everywhere_is_reported_once(
    work: WorkFile, result: Callable[[Panel], Values], message: str
) -> None:
    failing = compute(work, [made(result)])
    [error] = failing.errors
    assert error["symbol"] == ""
    assert error["message"].startswith(message.format(rows=400))
    assert values_of(failing.rows["made"], made(result)) == {series.symbol: [None] for series in SERIES}


def test_a_failure_of_all_series_together_is_reported_though_each_alone_has_values(work: WorkFile) -> None:
    def unsociable(bars: Panel) -> Values:
        if bars.series > 1:
            raise RuntimeError("too many")
        return Values(bars.close[-1])

    failing = compute(work, [made(unsociable)])
    assert {symbol: row["x"] for symbol, row in failing.rows["made"].items()} == {
        series.symbol: series.fields["close"][-1] for series in SERIES
    }
    assert [(error["symbol"], error["message"]) for error in failing.errors] == [("", "RuntimeError: too many")]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (made(None, id="no_such_file"), "FileNotFoundError: "),
        (
            made(None, id="data_monitor"),
            "ValueError: sql/indicators/data_monitor.sql returns ['series', 'bars_loaded', 'newest_bar', "
            "'bars_expected', 'bars_missing'], declared are ['series', 'x']",
        ),
    ],
)
def test_a_failing_sql_indicator_yields_rows_without_values_and_one_error(
    work: WorkFile, declared: Indicator, message: str
) -> None:
    failing = compute(work, [declared])
    (error,) = failing.errors
    assert (error["table"], error["symbol"], error["interval"]) == (declared.id, "", "5m")
    assert error["message"].startswith(message)
    assert values_of(failing.rows[declared.id], declared) == {series.symbol: [None] for series in SERIES}
    assert failing.tables[declared.id].num_rows == len(SERIES)


def test_a_failure_in_the_database_costs_that_indicator_alone(tmp_path: Path) -> None:
    with WorkFile(tmp_path / "other.duckdb", 1, "exchange") as fresh:
        # Nothing is loaded into this file: the statement has no table to read.
        panel = panels.panel_of(SERIES)
        heard = Heard()
        rows = dict(computed([INDICATORS["base_data"], INDICATORS["supertrend"]], panel, None, fresh, observer=heard))
        assert [error["table"] for error in heard.errors] == [INDICATORS["base_data"].table]
        assert "CatalogException" in heard.errors[0]["message"]
        assert rows[INDICATORS["base_data"]]["close"].null_count == len(SERIES)
        assert rows[INDICATORS["supertrend"]]["upper"].null_count == 1


@pytest.mark.parametrize("declared", [d for d in INDICATORS.values() if d.stored.short], ids=lambda d: d.id)
def test_a_failure_is_not_passed_off_as_too_few_bars(work: WorkFile, declared: Indicator) -> None:
    if declared.compute is None:
        labels = {**declared.stored.labels, "another": "another"}
        broken = replace(
            declared,
            columns=(*declared.columns, number("another", "x", unit="ratio")),
            stored=replace(declared.stored, labels=labels),
        )
    else:
        broken = picky(declared)
    failing = compute(work, [broken])
    assert len(failing.errors) == 1
    assert values_of(failing.rows[declared.id], declared)[BAD] == [None] * len(declared.columns)


def test_an_interrupt_is_no_failure_of_an_indicator(work: WorkFile) -> None:
    def interrupted(_: Panel) -> Values:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute(work, [made(interrupted)])


def test_a_moment_that_is_not_there_stays_so_where_another_series_fails(work: WorkFile) -> None:
    def moments(bars: Panel) -> Values:
        if BAD in bars.symbols:
            raise RuntimeError
        unknown = np.array([symbol == "AUSDT" for symbol in bars.symbols])
        return Values(np.where(unknown, NO_MOMENT, bars.newest_time))

    declared = made(moments, columns=(moment("x", "x"),))
    good = compute(work, [declared], GOOD, ()).rows["made"]
    assert good["AUSDT"]["x"] is None
    assert good["BUSDT"]["x"] == good["BUSDT"]["bucket_ts"]
    failing = compute(work, [declared])
    for symbol, row in good.items():
        assert failing.rows["made"][symbol] == row
    assert failing.rows["made"][BAD]["x"] is None


# --- rows


def test_a_series_for_which_a_statement_has_no_row_has_too_little_to_say(work: WorkFile) -> None:
    series = [panels.walk("AUSDT", 30, 1), panels.walk("MUTEUSDT", 30, 2, quiet=1.0)]
    declared = INDICATORS["volume_ratio"]
    found = values_of(compute(work, [declared], series, ()).rows["volume_ratio"], declared)
    assert None not in found["AUSDT"]
    assert found["MUTEUSDT"] == [None, "数据不足", None, None]


def test_rows_come_in_the_order_of_the_panel_with_their_keys(work: WorkFile) -> None:
    found = compute(work, [INDICATORS["macd"], INDICATORS["data_monitor"]])
    table = found.tables["macd"]
    assert table.column_names == [
        "symbol", "interval", "bucket_ts", "run_id", *(column.name for column in INDICATORS["macd"].columns)
    ]  # fmt: skip
    assert table["symbol"].to_pylist() == ["AUSDT", BAD, "BUSDT", "CUSDT", "DUSDT", "EUSDT"]
    assert set(table["interval"].to_pylist()) == {"5m"}
    assert set(table["run_id"].to_pylist()) == {RUN}
    newest = datetime(2026, 1, 18, 14, 0, tzinfo=UTC)
    assert set(table["bucket_ts"].to_pylist()) == {newest}
    assert {row["newest_bar"] for row in found.rows["data_monitor"].values()} == {newest}
    assert [found.rows["data_monitor"][s.symbol]["bars_loaded"] for s in SERIES] == [400, 400, 400, 400, 120, 3]
    assert sum(table.num_rows for table in found.tables.values()) == 2 * len(SERIES)
    assert found.errors == []


def test_indicators_of_metrics_have_rows_for_symbols_with_metrics_only(work: WorkFile) -> None:
    found = compute(work, [INDICATORS["futures_sentiment"], INDICATORS["macd"]], SERIES, METRICS[:2])
    assert set(found.rows["futures_sentiment"]) == {"AUSDT", "BUSDT"}
    assert found.rows["futures_sentiment"]["AUSDT"]["open_interest"] == METRICS[0].fields["open_interest"][-1]
    assert [found.tables[id_].num_rows for id_ in ("futures_sentiment", "macd")] == [2, len(SERIES)]


def test_without_metrics_their_indicators_have_no_rows_and_no_errors(work: WorkFile) -> None:
    found = compute(work, list(INDICATORS.values()), SERIES, ())
    assert set(found.rows) == {declared.id for declared in INDICATORS.values() if declared.source == "candles"}
    assert found.errors == []


def test_an_indicator_has_rows_at_its_intervals_only(work: WorkFile) -> None:
    declared = made(lambda bars: Values(bars.close[-1]), intervals=("1h", "4h"))
    assert compute(work, [declared], interval="5m", metrics=()).rows == {}
    assert set(compute(work, [declared], interval="4h", metrics=()).rows) == {"made"}


# --- finishing


def finished(declared: Indicator, panel: Panel, values: Values) -> dict[str, list[Any]]:
    return {
        cell.column.name: [None if null else value for value, null in zip(cell.values.tolist(), cell.null, strict=True)]
        for cell in evaluate.finish(declared, panel, values)
    }


COLUMNS = (
    number("r", "r", unit="ratio"),
    integer("i", "i"),
    text("t", "t", free=True),
    moment("m", "m"),
)


def test_a_moment_that_is_not_there_is_what_numpy_takes_for_none() -> None:
    assert np.isnat(np.array(NO_MOMENT).view("datetime64[us]"))


def test_what_is_no_value_becomes_null_whatever_its_kind() -> None:
    panel = panels.panel_of([panels.walk(symbol, 5, 1) for symbol in "ABCD"])
    declared = made(lambda _: Values(), columns=COLUMNS)
    found = finished(
        declared,
        panel,
        Values(
            np.array([1.5, math.nan, math.inf, -math.inf]),
            np.array([1.0, math.nan, 3.0, math.inf]),
            np.array(["a", None, "", "d"], dtype=np.object_),
            np.array([1, NO_MOMENT, 3, 4]),
        ),
    )
    assert found == {
        "r": [1.5, None, None, None],
        "i": [1, None, 3, None],
        "t": ["a", None, "", "d"],
        "m": [1, None, 3, 4],
    }


@pytest.mark.parametrize("different", [1, 2, 300, kinds._MANY, kinds._MANY + 1, 2 * kinds._MANY])
def test_coded_texts_are_the_texts(different: int) -> None:
    texts = np.array([f"第{number * 7919 % different}" for number in range(3 * kinds._MANY)])
    coded = kinds._coded(texts)
    assert coded.texts.tolist() == texts.tolist()
    assert len(coded.words) == different


def test_texts_of_which_the_same_number_is_made_are_told_apart() -> None:
    apart = (163, 788, 2850, -2934, 2789)
    one, other = ("".join(chr(0x4E00 + max(sign * step, 0)) for step in apart) for sign in (1, -1))
    numbers = [
        sum(ord(letter) * int(kinds._ODD) ** (4 - place) for place, letter in enumerate(t)) for t in (one, other)
    ]
    assert (numbers[0] - numbers[1]) % 2**64 == 0
    texts = np.array([one, "多", other, one])
    assert kinds._coded(texts).texts.tolist() == texts.tolist()


def test_an_undefined_series_has_no_value_in_any_column() -> None:
    panel = panels.panel_of([panels.walk(symbol, 5, 1) for symbol in "AB"])
    values = Values(
        np.array([1.5, 2.5]), np.array([1, 2]), np.array(["a", "b"]), np.array([1, 2]), defined=np.array([True, False])
    )
    assert finished(made(lambda _: values, columns=COLUMNS), panel, values) == {
        "r": [1.5, None],
        "i": [1, None],
        "t": ["a", None],
        "m": [1, None],
    }


def test_too_few_bars_give_no_values_and_from_half_the_lookback_on_the_short_texts() -> None:
    lengths = (30, 25, 24, 15, 14)
    panel = panels.panel_of([panels.walk(f"S{bars}", bars, 1) for bars in lengths])
    names = {column.name: column.name for column in COLUMNS}
    stored = Stored("made.py", names, lookback=30, min_bars=25, short={"t": "too few", "i": 0})
    declared = made(lambda _: Values(), columns=COLUMNS, stored=stored)
    values = Values(np.ones(5), np.ones(5, dtype=np.int64), np.array(["x"] * 5), np.ones(5, dtype=np.int64))
    assert finished(declared, panel, values) == {
        "r": [1.0, 1.0, None, None, None],
        "i": [1, 1, 0, 0, None],
        "t": ["x", "x", "too few", "too few", None],
        "m": [1, 1, None, None, None],
    }


def test_an_indicator_is_not_asked_where_no_series_is_long_enough() -> None:
    def never(_: Panel) -> Values:
        raise AssertionError

    panel = panels.panel_of([panels.walk("A", 9, 1)])
    declared = made(never, min_bars=10, columns=COLUMNS)
    assert finished(declared, panel, evaluate.compute(declared, panel)) == {name: [None] for name in "ritm"}


def test_noise_of_a_division_by_zero_is_no_warning() -> None:
    panel = panels.panel_of([panels.walk("A", 9, 1)])
    declared = made(lambda bars: Values(bars.close[-1] / 0.0))
    assert finished(declared, panel, evaluate.compute(declared, panel)) == {"x": [None]}


def test_an_indicator_in_sql_has_no_function() -> None:
    with pytest.raises(ValueError, match="indicator base_data is written in SQL"):
        evaluate.compute(INDICATORS["base_data"], panels.panel_of(SERIES))
