"""What a declaration promises is checked when it is made or first computed, with a line that says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from candlemill.indicators import evaluate
from candlemill.indicators.contract import (
    Indicator,
    Panel,
    Parameters,
    Stored,
    Values,
    integer,
    number,
    price,
    text,
)
from candlemill.indicators.kernels.bars import average_true_range, close_ema
from candlemill.indicators.profiles import CORRECTED, PARITY
from candlemill.indicators.registry import INDICATORS, register
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import pivot_bars
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import panels

WALKS = [panels.walk("A", 60, 1), panels.walk("B", 40, 2), panels.walk("C", 9, 3)]


def declared(**parts: Any) -> Indicator:
    """A sound declaration, with other parts where they are given."""
    sound: dict[str, Any] = {
        "id": "middle",
        "title": "Middle",
        "family": "trend",
        "inputs": ("high", "low"),
        "columns": (price("middle", "middle of the bar"),),
        "formula": "(high + low) / 2",
        "compute": lambda bars: Values((bars.high[-1] + bars.low[-1]) / 2),
    }
    return Indicator(**(sound | parts))


def values(found: Indicator, panel: Panel, **how: Any) -> list[list[Any]]:
    """Cells of all columns, None for NULL."""
    cells = evaluate.finish(found, panel, evaluate.compute(found, panel, **how), **how)
    return [
        [None if null else value for value, null in zip(cell.values.tolist(), cell.null, strict=True)] for cell in cells
    ]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"family": "astrology"}, "the family 'astrology' is none of trend, momentum"),
        ({"id": "Mid"}, "English snake_case"),
        ({"columns": ()}, "it has no columns"),
        ({"columns": (price("x", "x"), price("x", "x"))}, "column names repeat"),
        ({"inputs": ("hight",)}, "inputs of candles are among open, high"),
        ({"columns": (text("word", "a word"),)}, "the texts word have no words: list every value with its English"),
        ({"shares": {close_ema: ("period",)}}, "shares names period, which parameters does not have"),
        ({"variants": {CORRECTED: False}}, "a variant is a function, or True where it is written in SQL"),
        ({"variants": {"mended": lambda _: Values()}}, "variants are of the profiles parity, corrected"),
        ({"variants": {PARITY: lambda _: Values()}}, "the declaration's own function, not a variant"),
        ({"totals": ("volume",)}, "totals are sums of inputs"),
        ({"min_bars": 0}, "min_bars is at least 1"),
        ({"stored": Stored("t", {"other": "o"})}, "its line of names has other columns"),
        ({"stored": Stored("t", {"middle": "m"}, short={"x": "y"})}, "rounds or fills columns that it does not have"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused_with_what_to_do(parts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"indicator {parts.get('id', 'middle')}: .*{re.escape(complaint)}"):
        declared(**parts)


def test_an_input_that_is_not_declared_is_refused_when_it_is_read() -> None:
    for function in (lambda bars: Values(bars.volume[-1]), lambda bars: Values(bars.fields["volume"][-1])):
        with pytest.raises(ValueError, match="middle reads volume, which it does not declare: add it to inputs"):
            evaluate.compute(declared(compute=function), panels.panel_of(WALKS))


def test_an_error_of_the_function_itself_stays_what_it_is() -> None:
    def stumble(_: Panel) -> Values:
        raise KeyError("volumes")

    with pytest.raises(KeyError, match="volumes"):
        evaluate.compute(declared(compute=stumble), panels.panel_of(WALKS))


@pytest.mark.parametrize("listed", [False, True])
def test_a_word_that_is_not_declared_is_refused_when_it_is_computed(listed: bool) -> None:
    column = text("side", "side", {"多": "long"}, listed=listed)
    spoken = declared(columns=(column,), compute=lambda bars: Values(np.array(["多", "空", "多"][: bars.series])))
    with pytest.raises(ValueError, match=r"middle\.side is '空', which is none of its words: add it"):
        values(spoken, panels.panel_of(WALKS))
    longs = declared(columns=(column,), compute=lambda bars: Values(np.full(bars.series, "多,多" if listed else "多")))
    assert len(values(longs, panels.panel_of(WALKS))[0]) == 3


def test_a_word_of_variants_is_said_by_them_alone() -> None:
    column = text("side", "side", {"多": "long"})

    def short(bars: Panel) -> Values:
        return Values(np.full(bars.series, "空"))

    both = declared(
        columns=(column,), compute=short, variants={CORRECTED: short}, variant_words={"side": {"空": "short"}}
    )
    panel = panels.panel_of(WALKS)
    assert values(both, panel, profile=CORRECTED) == [["空"] * 3]
    assert dict(both.words(column)) == {"多": "long", "空": "short"}
    with pytest.raises(ValueError, match=r"middle\.side is '空', which is none of its words: add it"):
        values(both, panel)
    with pytest.raises(ValueError, match="variant_words are of its columns of texts"):
        declared(variant_words={"side": {"空": "short"}})
    with pytest.raises(ValueError, match="minima are of the profiles that it has variants of"):
        declared(minima={CORRECTED: 3})
    with pytest.raises(ValueError, match="min_bars is at least 1"):
        declared(compute=short, variants={CORRECTED: short}, minima={CORRECTED: 0})


def test_texts_are_plain_unless_they_are_wanted_coded() -> None:
    panel = panels.panel_of(WALKS)
    column = text("side", "side", {"多": "long"})
    spoken = declared(columns=(column,), compute=lambda bars: Values(np.full(bars.series, "多")))
    [cell] = evaluate.finish(spoken, panel, evaluate.compute(spoken, panel))
    assert cell.arrow().type == pa.string()
    assert pa.types.is_dictionary(cell.arrow(coded=True).type)


class Statements:
    """SQL indicators over some bars, with the text of a statement given instead of read from its file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
        monkeypatch.setattr("candlemill.pipeline.compute.sql.statement", lambda _: query)
        self.pivot = pivot_bars(panels.table_of(WALKS), "5m", panels.AS_OF, 400)

    def compute(self, found: Indicator, **how: Any) -> list[list[Any]]:
        with open_duckdb() as connection:
            sql = SqlIndicators(connection)
            sql.load("candles", [self.pivot], newest=found.bars_read(how.get("parameters")))
            cells = evaluate.finish(found, self.pivot.panel, sql.compute(found, self.pivot.panel, **how))
        return [cell.values[~cell.null].tolist() for cell in cells]


def in_sql(id_: str, **parts: Any) -> Indicator:
    return declared(id=id_, inputs=("close",), columns=(number("x", "x", unit="ratio"),), compute=None, **parts)


def test_two_rows_of_a_series_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = Statements(monkeypatch, "SELECT series, close AS x FROM bars WHERE rn <= 2")
    with pytest.raises(ValueError, match=r"twice\.sql returns several rows for a series: one is wanted"):
        laid.compute(in_sql("twice", window=2))


def test_a_field_that_a_statement_does_not_declare_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = Statements(monkeypatch, "SELECT series, close / volume AS x FROM bars WHERE rn = 1")
    with pytest.raises(ValueError, match=r"greedy\.sql reads volume, which is not declared: add it to inputs"):
        laid.compute(in_sql("greedy"))


def test_parameters_reach_a_statement_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = Statements(monkeypatch, "SELECT series, max(close) AS x FROM bars WHERE rn <= $period GROUP BY series")
    found = in_sql("peak", parameters={"period": 3, "unused": 1}, min_bars=lambda p: p.period)
    closes = [walk.fields["close"] for walk in WALKS]
    assert laid.compute(found) == [[close[-3:].max() for close in closes]]
    assert laid.compute(found, parameters=found.given({"period": 5})) == [[close[-5:].max() for close in closes]]


def test_parameters_reach_a_function_and_move_the_bars_it_needs() -> None:
    def highest(bars: Panel, p: Parameters) -> Values:
        return Values(bars.high[-p.period :].max(axis=0))

    found = declared(compute=highest, inputs=("high",), parameters={"period": 10}, min_bars=lambda p: p.period)
    panel = panels.panel_of(WALKS)
    highs = [walk.fields["high"] for walk in WALKS]
    assert values(found, panel) == [[highs[0][-10:].max(), highs[1][-10:].max(), None]]
    wide = found.given({"period": 50})
    assert values(found, panel, parameters=wide) == [[highs[0][-50:].max(), None, None]]
    with pytest.raises(ValueError, match="indicator middle has no parameter periods; it has period"):
        found.given({"periods": 3})
    with pytest.raises(AttributeError, match="there is no parameter 'width'; there are period"):
        _ = wide.width


def test_the_old_rule_of_bars_holds_for_the_old_values_alone() -> None:
    keltner = INDICATORS["keltner"]
    panel = panels.panel_of([panels.walk("A", 30, 1), panels.walk("B", 29, 1), panels.walk("C", 20, 1)])
    assert evaluate.enough_bars(keltner, panel).tolist() == [True, False, False]
    assert evaluate.enough_bars(keltner, panel, profile=CORRECTED).all()
    other = keltner.given({"period": 25})
    assert evaluate.enough_bars(keltner, panel, other).tolist() == [True, True, False]


def test_a_variant_has_the_same_columns_and_other_values() -> None:
    bollinger, panel = INDICATORS["bollinger"], panels.panel_of([panels.walk("A", 60, 1)])
    sample, population = (values(bollinger, panel, profile=profile) for profile in (PARITY, CORRECTED))
    close = panel.close[-20:, 0]
    names = [column.name for column in bollinger.columns]
    upper, middle = names.index("upper"), names.index("middle")
    assert sample[middle] == population[middle]
    assert sample[upper][0] == pytest.approx(close.mean() + 2 * close.std(ddof=1), rel=1e-12)
    assert population[upper][0] == pytest.approx(close.mean() + 2 * close.std(ddof=0), rel=1e-12)
    # A profile without a variant has the declaration's own values.
    assert {declared.id for declared in INDICATORS.values() if not declared.variants} == {
        "donchian",
        "futures_sentiment",
    }
    own = replace(INDICATORS["keltner"], variants={}, minima={})
    assert values(own, panel, profile=CORRECTED) == values(own, panel)


def test_a_period_that_was_said_and_one_that_was_not_have_the_same_values() -> None:
    alone, together = panels.panel_of(WALKS), panels.panel_of(WALKS)
    evaluate.expect(together, INDICATORS.values())
    for kernel in (close_ema, average_true_range):
        assert len(together.expected(kernel, 10)) > 2
        for period in (10, 14, 20, 31):
            assert np.array_equal(kernel(alone, period), kernel(together, period), equal_nan=True)


def test_a_period_that_is_said_twice_is_computed_once() -> None:
    panel = panels.panel_of(WALKS)
    panel.expect("kernel", [3, 5, 3])
    panel.expect("kernel", [5, 8])
    assert panel.expected("kernel", 5) == (3, 5, 8)
    assert panel.expected("kernel", 4) == (4,)


def test_a_new_indicator_has_its_english_names() -> None:
    found = declared(columns=(price("middle", "x"), integer("bars", "x"), number("share", "x", unit="percent")))
    assert found.table == "middle"
    assert dict(found.stored.labels) == {"middle": "middle", "bars": "bars", "share": "share"}
    assert str(found.stored.rounding["middle"]) == "6 decimals or 6 significant digits"
    assert set(found.stored.rounding) == {"middle"}


def test_an_id_and_a_table_are_registered_once() -> None:
    with pytest.raises(ValueError, match=r"indicator macd is declared twice: give it another id"):
        register(declared(id="macd"))
    with pytest.raises(ValueError, match=r"indicator middle has the table Keltner\.py of keltner: give it another"):
        register(replace(declared(), stored=Stored("Keltner.py", {"middle": "middle"})))
    assert "middle" not in INDICATORS


def test_a_panel_takes_views_of_the_arrays_and_leaves_them_to_their_owner() -> None:
    close = np.arange(6.0).reshape(3, 2)
    panel = Panel(["5m"] * 2, 0, ["A", "B"], np.array([3, 2]), np.zeros((3, 2), dtype=np.int64), {"close": close})
    assert np.shares_memory(panel.close, close)
    close[0, 0] = 7.0
    assert panel.close[0, 0] == 7.0


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_a_panel_refuses_values_of_another_type(dtype: type) -> None:
    close: Any = np.zeros((3, 1), dtype=dtype)
    with pytest.raises(ValueError, match=r"a panel's close is (float32|int64), want float64"):
        Panel(["5m"], 0, ["A"], np.array([3]), np.zeros((3, 1), dtype=np.int64), {"close": close})
