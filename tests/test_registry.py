"""What holds for every registered indicator, present and future: declarations, purity, and laws that values obey."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from pyarrow import csv

from candlemill.indicators import evaluate
from candlemill.indicators.contract import BAR_FIELDS, FAMILIES, METRIC_FIELDS, Indicator, Values, number
from candlemill.indicators.fields import METRICS_ROWS
from candlemill.indicators.kinds import INTEGER, REAL, TEXT, TIME
from candlemill.indicators.registry import INDICATORS
from candlemill.indicators.service import SERVICE
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.statements import statement
from candlemill.pipeline.compute.pivot import joined, pivot_bars, pivot_metrics
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.workfile.writer import WorkFile
from tests import panels
from tests.observing import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from candlemill.indicators.contract import Panel
    from candlemill.indicators.contract import Source as Which
    from candlemill.pipeline.compute.pivot import Pivot
    from tests.conftest import Server
    from tests.panels import Series

SQL = Path(__file__).parent.parent / "sql" / "indicators"
NUMPY = [declared for declared in INDICATORS.values() if declared.compute is not None]
IN_SQL = [declared for declared in INDICATORS.values() if declared.compute is None]
OF_CANDLES = [declared for declared in INDICATORS.values() if declared.source == "candles"]
EVERY = pytest.mark.parametrize("declared", INDICATORS.values(), ids=lambda declared: declared.id)
EVERY_NUMPY = pytest.mark.parametrize("declared", NUMPY, ids=lambda declared: declared.id)
EVERY_SQL = pytest.mark.parametrize("declared", IN_SQL, ids=lambda declared: declared.id)

LOOKBACK = 400
#: What is drawn of a column by its kind, and what over the candles, where prices alone are.
OVER = {"level", "step", "flips", "upper", "lower", "top", "bottom", "cloud", "cloud_base"}
OVER |= {"control", "area_high", "area_low"}
SHAPES_OF = {REAL: {*OVER, "line", "histogram", "bar"}, INTEGER: {"line", "histogram", "bar"}, TEXT: {"strip", "marks"}}
SHAPES_OF[TIME] = {"line"}
#: Of each table of the replaced service what readers downstream rely on, written down apart from the declarations.
CONTRACT = json.loads((Path(__file__).parent / "contract" / "tables.json").read_text(encoding="utf-8"))

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Rows by indicator and symbol, and what failed."""

    rows: dict[str, dict[str, Row]]
    errors: list[dict[str, str]]

    def of(self, declared: Indicator) -> dict[str, Row]:
        return self.rows.get(declared.id, {})

    def failed(self, declared: Indicator) -> list[dict[str, str]]:
        return [error for error in self.errors if error["table"] == declared.table]


class Lab:
    """Computes indicators of series as a run does: Arrow, pivot, work file, rows."""

    def __init__(self, work: WorkFile) -> None:
        self.work = work

    def compute(
        self,
        series: Sequence[Series],
        metrics: Sequence[Series] = (),
        *,
        interval: str = panels.INTERVAL,
        as_of: datetime = panels.AS_OF,
        chosen: Sequence[Indicator] = tuple(INDICATORS.values()),
        arrange: Callable[[pa.Table], pa.Table] = lambda table: table,
    ) -> Outcome:
        return self.compute_tables(
            arrange(panels.table_of(series)),
            arrange(panels.table_of(metrics)) if metrics else None,
            interval=interval,
            as_of=as_of,
            chosen=chosen,
        )

    def compute_tables(
        self,
        candles: pa.Table,
        metrics: pa.Table | None,
        *,
        interval: str = panels.INTERVAL,
        as_of: datetime = panels.AS_OF,
        chosen: Sequence[Indicator] = tuple(INDICATORS.values()),
    ) -> Outcome:
        bars = pivot_bars(candles, interval, as_of, LOOKBACK)
        self.work.load("candles", [bars])
        second = None
        if metrics is not None:
            pivot = pivot_metrics(metrics, interval, as_of, METRICS_ROWS, bars.panel.symbols)
            self.work.load("metrics", [pivot])
            second = pivot.panel
        heard = Heard()
        rows = dict(computed(chosen, bars.panel, second, self.work, observer=heard))
        return Outcome(
            {
                declared.id: {row.pop("symbol"): plain(row) for row in table.drop_columns("run_id").to_pylist()}
                for declared, table in rows.items()
            },
            heard.errors,
        )


def plain(row: Row) -> Row:
    """The row with moments as microseconds since the epoch."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        name: (value - epoch) // timedelta(microseconds=1) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with WorkFile(tmp_path_factory.mktemp("lab") / "work.duckdb", 1, "exchange") as work:
        yield Lab(work)


ZOO = panels.zoo()
METRICS = panels.metrics_zoo([series.symbol for series in ZOO])
WALK = panels.walk("WALK", 450, 77)
PREFIXES = [WALK.head(bars).called(f"B{bars}") for bars in range(1, 451)]
PREFIX_METRICS = [panels.metrics_walk(f"B{bars}", min(bars, 300), bars) for bars in range(1, 451)]


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Outcome:
    return lab.compute(ZOO, METRICS)


@pytest.fixture(scope="module")
def prefixes(lab: Lab) -> Outcome:
    return lab.compute(PREFIXES, PREFIX_METRICS)


#: Percentages and scores that should be 0 may be off by a rounding error of the numbers they come from.
FULL = {"percent": 100.0, "score": 100.0}


def differences(
    declared: Indicator,
    got: Mapping[str, Row],
    want: Mapping[str, Row],
    tolerance: float = 1e-12,
    own: Mapping[str, float | None] = MappingProxyType({}),
) -> list[str]:
    """Where rows differ; REAL values may, relative to the largest value of their unit in the row.

    ``own`` has other tolerances by column; None: the column may differ.
    """
    found = [f"row {symbol}" for symbol in got.keys() ^ want.keys()]
    units = {column.name: column.unit for column in declared.columns if column.kind is REAL}
    for symbol in sorted(got.keys() & want.keys()):
        largest = dict(FULL)
        for name, unit in units.items():
            largest[unit] = max(abs(want[symbol][name] or 0.0), largest.get(unit, 0.0))
        for name, value in want[symbol].items():
            relative = own.get(name, tolerance)
            if relative is None:
                continue
            allowed = relative * largest[units[name]] if name in units else 0.0
            if not agree(got[symbol][name], value, allowed):
                found.append(f"{symbol} {name}: {got[symbol][name]!r}, want {value!r}")
    return found


def agree(got: Any, want: Any, allowed: float) -> bool:
    if isinstance(got, float) and isinstance(want, float):
        return abs(got - want) <= allowed
    return bool(got == want) and type(got) is type(want)


# --- declarations


def test_the_registry_is_not_empty_and_cannot_be_written() -> None:
    assert len(INDICATORS) >= 13
    assert NUMPY
    assert IN_SQL
    with pytest.raises(TypeError):
        INDICATORS["macd"] = NUMPY[0]  # type: ignore[index]


def test_ids_and_tables_are_unique() -> None:
    for names in (
        [declared.id for declared in INDICATORS.values()],
        [declared.table for declared in INDICATORS.values()],
        [declared.title for declared in INDICATORS.values()],
    ):
        assert len(set(names)) == len(names)
    assert list(INDICATORS) == [declared.id for declared in INDICATORS.values()]


def test_indicators_stand_by_family_in_the_order_of_the_service() -> None:
    known = [id_ for id_ in INDICATORS if id_ in SERVICE]
    order = list(SERVICE)
    assert known == sorted(known, key=lambda id_: (FAMILIES.index(INDICATORS[id_].family), order.index(id_)))


@EVERY
def test_a_declaration_is_sane(declared: Indicator) -> None:
    assert declared.family in FAMILIES
    assert declared.title.strip() == declared.title != ""
    assert declared.formula.strip() == declared.formula != ""
    assert len(set(declared.inputs)) == len(declared.inputs)
    assert set(declared.intervals) <= set(INTERVALS)
    assert 1 <= declared.bars_needed() <= LOOKBACK
    assert 1 <= declared.stored.bars_needed(panels.INTERVAL) <= LOOKBACK


@EVERY
def test_the_columns_of_a_declaration_are_sane(declared: Indicator) -> None:
    reserved = {"symbol", "interval", "bucket_ts", "run_id", "series", "交易对", "周期", "数据时间", "指标"}
    assert not {column.name for column in declared.columns} & reserved
    assert not set(declared.stored.labels.values()) & reserved
    for column in declared.columns:
        assert column.meaning.strip() == column.meaning != ""
        assert re.fullmatch(r"[a-z]+", column.unit)
        assert (column.unit == "category") == (column.kind is TEXT)
        assert (column.unit == "time") == (column.kind is TIME)
        assert column.name not in declared.stored.rounding or column.kind is REAL
        assert column.role.shape in SHAPES_OF[column.kind]
        assert column.unit == "price" or column.role.shape not in OVER
        for word, english in column.words.items():
            assert word == word.strip() != ""
            assert english.isascii()
            assert english == english.strip() != ""


@pytest.mark.parametrize("table", CONTRACT)
def test_the_tables_of_the_replaced_service_are_what_readers_rely_on(table: str) -> None:
    wanted = CONTRACT[table]
    declared = INDICATORS[wanted["id"]]
    stored = declared.stored
    assert (stored.table, stored.mode) == (table, wanted["mode"])
    assert [[declared.label(column), column.kind.declared] for column in declared.columns] == wanted["columns"]
    assert {stored.labels[name]: text for name, text in stored.short.items()} == wanted["short"]
    for interval in INTERVALS:
        assert stored.bars_needed(interval) == wanted["bars"].get(interval, wanted["bars"][""])


def test_a_line_of_names_belongs_to_an_indicator() -> None:
    assert set(SERVICE) <= set(INDICATORS)
    assert {line.table for line in SERVICE.values()} == set(CONTRACT)


@EVERY
def test_an_indicator_without_a_line_has_its_english_names(declared: Indicator) -> None:
    if declared.id not in SERVICE:
        assert declared.table == declared.id
        assert all(declared.label(column) == column.name for column in declared.columns)
        assert declared.stored.bars_needed(panels.INTERVAL) == declared.bars_needed()


@EVERY_SQL
def test_an_indicator_in_sql_has_a_file_that_says_what_it_is(declared: Indicator) -> None:
    lines = (SQL / f"{declared.id}.sql").read_text(encoding="utf-8").splitlines()
    header = lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))]
    for key in ("grain:", "reads:", "columns:", "NULL:", "Why SQL:"):
        assert any(re.match(rf"-- {key}\s*\S", line) for line in header), key
    text = "\n".join(line.removeprefix("--") for line in header)
    stated = re.search(r"columns:(.*?)\n\s*NULL:", text, re.DOTALL)
    assert stated
    assert f"see the declaration of {declared.id}" in stated[1] or all(
        re.search(rf"\b{column.name}\b", stated[1]) for column in declared.columns
    )


@EVERY_NUMPY
def test_an_indicator_in_numpy_has_no_sql_file_and_a_docstring(declared: Indicator) -> None:
    assert not (SQL / f"{declared.id}.sql").exists()
    assert declared.compute is not None
    assert (declared.compute.__doc__ or "").strip()


def test_every_sql_file_belongs_to_an_indicator() -> None:
    variants = {f"{d.id}.{name}" for d in INDICATORS.values() for name, made in d.variants.items() if made is True}
    assert {file.stem for file in SQL.glob("*.sql")} == {declared.id for declared in IN_SQL} | variants


# --- how many bars


@EVERY
def test_no_number_of_bars_makes_it_fail(declared: Indicator, prefixes: Outcome) -> None:
    assert prefixes.failed(declared) == []
    assert set(prefixes.of(declared)) == {f"B{bars}" for bars in range(1, 451)}


@EVERY
def test_rows_have_values_from_the_bars_it_needs_on(declared: Indicator, prefixes: Outcome) -> None:
    needed, half = declared.stored.bars_needed(panels.INTERVAL), declared.stored.lookback // 2
    short = {column.name: declared.stored.short.get(column.name) for column in declared.columns}
    nothing = dict.fromkeys(short)
    for bars in range(1, 451):
        row = prefixes.of(declared)[f"B{bars}"]
        values = {column.name: row[column.name] for column in declared.columns}
        if bars < needed:
            assert values == (short if bars >= half else nothing), bars
        else:
            assert any(value is not None and short[name] is None for name, value in values.items()), bars


@EVERY
@pytest.mark.parametrize("interval", ["1m", "5m", "1w"])
def test_no_series_makes_it_fail(declared: Indicator, interval: str, everywhere: Mapping[str, Outcome]) -> None:
    outcome = everywhere[interval]
    assert outcome.failed(declared) == []
    assert bool(outcome.of(declared)) == (
        declared.covers(interval) and (declared.source, interval) != ("metrics", "1m")
    )


@pytest.fixture(scope="module")
def odd(lab: Lab) -> Outcome:
    """Series without prices, without volume, without a range or with holes, of several lengths and each by itself."""
    kinds = [series for series in ZOO if series.symbol in ("ZEROUSDT", "FLATUSDT", "MUTEUSDT", "NOQUOTEUSDT")]
    kinds += [panels.sparse(panels.walk("HOLESUSDT", 450, 3), 3, *panels.NULLABLE, share=0.9)]
    return merged(
        [
            lab.compute(
                [series.tail(bars).called(f"{series.symbol}{bars}")], [metrics.called(f"{series.symbol}{bars}")]
            )
            for series, metrics in zip(kinds, METRICS, strict=False)
            for bars in (1, 2, 30, 120)
        ]
    )


@EVERY
def test_no_odd_series_makes_it_fail(declared: Indicator, odd: Outcome) -> None:
    assert odd.failed(declared) == []
    assert len(odd.of(declared)) == 20


@pytest.fixture(scope="module")
def everywhere(lab: Lab, whole: Outcome) -> Mapping[str, Outcome]:
    symbols = [series.symbol for series in ZOO]
    return {
        "1m": lab.compute(panels.zoo(interval="1m"), interval="1m"),
        "5m": whole,
        "1w": lab.compute(panels.zoo(interval="1w"), panels.metrics_zoo(symbols, "1w"), interval="1w"),
    }


@EVERY
@pytest.mark.parametrize("interval", ["1m", "5m", "1w"])
def test_values_are_finite_and_of_their_kind(
    declared: Indicator, interval: str, everywhere: Mapping[str, Outcome]
) -> None:
    for symbol, row in everywhere[interval].of(declared).items():
        for column in declared.columns:
            value = row[column.name]
            if value is None:
                continue
            assert type(value) is column.kind.python, f"{symbol} {column.name}"
            assert not isinstance(value, float) or math.isfinite(value), f"{symbol} {column.name}"
            assert value != "nan", f"{symbol} {column.name}"


# --- purity


def spoil(bars: Panel) -> Values:
    bars.close[-1] = 0.0
    return Values(bars.close[-1])


def test_an_indicator_that_writes_to_its_input_raises() -> None:
    bad = Indicator(
        id="bad",
        title="bad",
        family="trend",
        inputs=("close",),
        columns=(number("x", "x", unit="ratio"),),
        formula="x",
        compute=spoil,
    )
    panel = panels.panel_of([WALK])
    before = contents(panel)
    with pytest.raises(ValueError, match="read-only"):
        evaluate.compute(bad, panel)
    with pytest.raises(ValueError, match="read-only"):
        evaluate.compute(bad, panel.select([0]))
    assert contents(panel) == before


def contents(panel: Panel) -> dict[str, bytes]:
    """Everything a panel holds, byte by byte."""
    arrays = {"time": panel.time, "lengths": panel.lengths, **panel.fields}
    return {name: values.tobytes() for name, values in arrays.items()}


def panel_for(declared: Indicator, fields: Sequence[str] | None = None) -> Panel:
    """The zoo as a panel of the kind that the indicator is computed on."""
    series = [one.tail(LOOKBACK) for one in ZOO] if declared.source == "candles" else METRICS
    panel = panels.panel_of(series, fields=fields)
    return replace(panel, totals={"open_interest_value": np.full(panel.series, 1e7)}, _shared={})


def finished(declared: Indicator, panel: Panel) -> dict[str, list[Any]]:
    cells = evaluate.finish(declared, panel, evaluate.compute(declared, panel))
    return {
        cell.column.name: [None if null else value for value, null in zip(cell.values.tolist(), cell.null, strict=True)]
        for cell in cells
    }


@EVERY_NUMPY
def test_its_inputs_are_what_they_were(declared: Indicator) -> None:
    panel = panel_for(declared)
    before = contents(panel)
    first = finished(declared, panel)
    assert contents(panel) == before
    assert finished(declared, panel) == first


@EVERY_NUMPY
def test_it_reads_its_declared_inputs_alone(declared: Indicator) -> None:
    assert finished(declared, panel_for(declared, declared.inputs)) == finished(declared, panel_for(declared))


@EVERY_NUMPY
def test_it_reads_all_its_declared_inputs(declared: Indicator) -> None:
    for missing in declared.inputs:
        panel = panel_for(declared, [name for name in declared.inputs if name != missing])
        with pytest.raises((AttributeError, KeyError), match=missing):
            finished(declared, panel)


@EVERY_SQL
def test_its_statement_reads_its_declared_inputs_and_no_other_field(declared: Indicator) -> None:
    fields = BAR_FIELDS if declared.source == "candles" else METRIC_FIELDS
    read = {name for name in fields if re.search(rf"\b{name}\b", statement(f"indicators/{declared.id}"))}
    assert read == set(declared.inputs)


def noise(series: Series, declared: Indicator) -> Series:
    """The series with other values in every field that the indicator does not declare."""
    random = np.random.default_rng(len(series))
    names = series.fields.keys() - set(declared.inputs)
    return series.having(**{name: random.integers(1, 9, len(series)).astype(np.float64) for name in sorted(names)})


@EVERY
def test_other_fields_change_nothing(declared: Indicator, lab: Lab, whole: Outcome) -> None:
    if declared.source == "candles":
        outcome = lab.compute([noise(series, declared) for series in ZOO], METRICS, chosen=[declared])
    else:
        outcome = lab.compute(ZOO, [noise(series, declared) for series in METRICS], chosen=[declared])
    assert differences(declared, outcome.of(declared), whole.of(declared)) == []


@EVERY
def test_what_others_share_changes_nothing(declared: Indicator, lab: Lab, whole: Outcome) -> None:
    outcome = lab.compute(ZOO, METRICS, chosen=[declared])
    assert differences(declared, outcome.of(declared), whole.of(declared)) == []


# --- a series is its own


@pytest.fixture(scope="module")
def alone(lab: Lab) -> Outcome:
    """Each series of the zoo computed by itself."""
    return merged([lab.compute([bars], [metrics]) for bars, metrics in zip(ZOO, METRICS, strict=True)])


@pytest.fixture(scope="module")
def alone_by_length(lab: Lab) -> Outcome:
    """Some of the prefixes computed by themselves: where something begins, and one bar less."""
    starts = {
        declared.stored.bars_needed(panels.INTERVAL) + step for declared in INDICATORS.values() for step in (-1, 0)
    }
    lengths = sorted(starts & set(range(1, 451)) | {2, 3, 399, 400, 401, 450})
    return merged([lab.compute([PREFIXES[bars - 1]], [PREFIX_METRICS[bars - 1]]) for bars in lengths])


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    rows: dict[str, dict[str, Row]] = {}
    for outcome in outcomes:
        for id_, found in outcome.rows.items():
            rows.setdefault(id_, {}).update(found)
    return Outcome(rows, [error for outcome in outcomes for error in outcome.errors])


# The market's total is a sum over all symbols: a series alone is its own market.
OF_THE_MARKET = {"market_share"}


def without_market(rows: Mapping[str, Row]) -> dict[str, Row]:
    return {symbol: row | dict.fromkeys(OF_THE_MARKET & row.keys()) for symbol, row in rows.items()}


@EVERY
def test_a_series_alone_is_the_same_series_among_others(declared: Indicator, alone: Outcome, whole: Outcome) -> None:
    assert alone.failed(declared) == []
    assert differences(declared, without_market(alone.of(declared)), without_market(whole.of(declared))) == []


@EVERY
def test_a_number_of_bars_alone_is_the_same_among_others(
    declared: Indicator, alone_by_length: Outcome, prefixes: Outcome
) -> None:
    assert alone_by_length.failed(declared) == []
    found = without_market(alone_by_length.of(declared))
    assert len(found) > 35
    among = {symbol: row for symbol, row in without_market(prefixes.of(declared)).items() if symbol in found}
    assert differences(declared, found, among) == []


@pytest.fixture(scope="module")
def every_third(lab: Lab) -> Outcome:
    return lab.compute(ZOO[::3], METRICS[::3])


@EVERY
def test_a_part_of_the_series_is_the_same_as_among_all(
    declared: Indicator, every_third: Outcome, whole: Outcome
) -> None:
    found = without_market(every_third.of(declared))
    among = {symbol: row for symbol, row in without_market(whole.of(declared)).items() if symbol in found}
    assert len(found) == len(ZOO[::3])
    assert differences(declared, found, among) == []


@pytest.fixture(scope="module")
def mixed(lab: Lab) -> Outcome:
    return lab.compute(ZOO[::-1], METRICS[::-1], arrange=lambda table: panels.shuffled(table, 5, chunks=4))


@EVERY
def test_the_order_of_rows_and_symbols_changes_nothing(declared: Indicator, mixed: Outcome, whole: Outcome) -> None:
    assert differences(declared, mixed.of(declared), whole.of(declared)) == []


# --- time


def until(series: Sequence[Series], moment: datetime) -> list[Series]:
    """What there was at a moment."""
    microseconds = int(moment.timestamp()) * 1_000_000
    cut = [one.head(int((one.time <= microseconds).sum())) for one in series]
    return [one for one in cut if len(one)]


@pytest.fixture(scope="module")
def market(server: Server) -> str:
    """URL of a database that holds the zoo and its metrics, all of them."""
    url = server.database("registry")
    numbers = ", ".join(f"{name} double precision" for name in BAR_FIELDS)
    metrics = {
        "open_interest": "sum_open_interest",
        "open_interest_value": "sum_open_interest_value",
        "top_trader_account_ratio": "count_toptrader_long_short_ratio",
        "top_trader_position_ratio": "sum_toptrader_long_short_ratio",
        "global_account_ratio": "count_long_short_ratio",
        "taker_volume_ratio": "sum_taker_long_short_vol_ratio",
    }
    values = ", ".join(f"{name} double precision" for name in metrics.values())
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute("CREATE SCHEMA market_data")
        connection.execute(
            f"CREATE TABLE market_data.candles_5m (symbol text, bucket_ts timestamptz, {numbers}, "
            "exchange text DEFAULT 'exchange')".encode()
        )
        connection.execute(
            "CREATE TABLE market_data.binance_futures_metrics_5m "
            f"(symbol text, create_time timestamp, {values}, is_closed int)".encode()
        )
        for table, rows, names in (
            ("candles_5m", panels.table_of(ZOO), ("symbol", "bucket_ts", *BAR_FIELDS)),
            (
                "binance_futures_metrics_5m",
                panels.table_of(METRICS),
                ("symbol", "create_time", *metrics.values(), "is_closed"),
            ),
        ):
            content = pa.BufferOutputStream()
            csv.write_csv(rows, content, csv.WriteOptions(include_header=False))
            copied = f"COPY market_data.{table} ({', '.join(names)}) FROM STDIN (FORMAT csv)".encode()
            with connection.cursor().copy(copied) as copy:
                copy.write(memoryview(content.getvalue()))
    return url


MOMENTS = [panels.AS_OF - timedelta(minutes=5 * bars) for bars in (1, 37, 130)]


@pytest.fixture(scope="module")
def earlier(lab: Lab, market: str) -> list[tuple[Outcome, Outcome]]:
    """Looked at from earlier moments: what a source gives that holds all bars, and what there was then."""
    found = []
    for moment in MOMENTS:
        source = Source.connect(market)
        candles = source.candles(INTERVALS["5m"], "exchange", None, moment, LOOKBACK)
        seen = lab.compute_tables(candles, source.metrics(INTERVALS["5m"], moment), as_of=moment)
        found.append((seen, lab.compute(until(ZOO, moment), until(METRICS, moment), as_of=moment)))
    return found


@EVERY
def test_later_bars_do_not_change_an_earlier_moment(
    declared: Indicator, earlier: Sequence[tuple[Outcome, Outcome]], whole: Outcome
) -> None:
    for seen, then in earlier:
        assert seen.failed(declared) == []
        assert differences(declared, seen.of(declared), then.of(declared)) == []
        # The later bars would have made a difference.
        assert differences(declared, seen.of(declared), whole.of(declared)) != []


# --- units


@dataclass(frozen=True)
class Exempt:
    """Why a column does not scale as its unit says, and what is asked of it instead.

    Attributes:
        reason: why.
        tolerance: how far a value may be off, relative to the largest of its unit; None: it is not compared.
        power: of the factor by which values grow.
    """

    reason: str
    tolerance: float | None = 1e-9
    power: int = 0


_EPSILON = "the formula has an absolute constant of 1e-10 in a divisor of price units"
EXCEPTIONS = {
    ("ichimoku", "strength"): Exempt(_EPSILON, 1e-5),
    ("williams_r", "williams_r"): Exempt(_EPSILON, 1e-5),
    ("cci", "cci"): Exempt(_EPSILON, 1e-3),
    ("smart_rsi", "overbought"): Exempt(_EPSILON, 1e-5),
    ("smart_rsi", "oversold"): Exempt(_EPSILON, 1e-5),
    ("smart_rsi", "strength"): Exempt(_EPSILON, 1e-4),
    ("vwma_fib_bands", "strength"): Exempt("a deviation of less than 1e-9 counts as 1e-9", 1e-8),
    ("smoothed_heikin_ashi", "strength"): Exempt("the slope of the close counts in absolute units of 200", None),
    ("vpvr_profile", "high_nodes"): Exempt("prices as text", None),
    ("vpvr_profile", "low_nodes"): Exempt("prices as text", None),
    ("liquidity_score", "amihud"): Exempt("returns per quote currency", power=-1),
}
#: The absolute constants above are too large for prices below 1.
COINS = [i for i, series in enumerate(ZOO) if not 0 < series.fields["close"][-1] < 1]


def test_the_exceptions_are_columns_that_there_are() -> None:
    for id_, name in EXCEPTIONS:
        assert name in [column.name for column in INDICATORS[id_].columns]


@pytest.fixture(scope="module")
def in_this_money(lab: Lab) -> Outcome:
    return lab.compute([ZOO[i] for i in COINS], [METRICS[i] for i in COINS])


@pytest.fixture(scope="module", params=[2.0, 1 / 1024])
def in_other_money(request: pytest.FixtureRequest, lab: Lab) -> tuple[float, Outcome]:
    factor: float = request.param
    bars, metrics = ([panels.scaled(series[i], factor) for i in COINS] for series in (ZOO, METRICS))
    return factor, lab.compute(bars, metrics)


@EVERY
def test_in_another_quote_currency_prices_scale_and_nothing_else_does(
    declared: Indicator, in_this_money: Outcome, in_other_money: tuple[float, Outcome]
) -> None:
    factor, other = in_other_money
    exempt = {name: why for (id_, name), why in EXCEPTIONS.items() if id_ == declared.id}
    powers = {column.name: int(column.unit in ("price", "quote")) for column in declared.columns}
    powers |= {name: why.power for name, why in exempt.items()}
    expected = {
        symbol: {
            name: value * factor ** powers[name] if powers.get(name) and value else value for name, value in row.items()
        }
        for symbol, row in in_this_money.of(declared).items()
    }
    tolerances = {name: why.tolerance for name, why in exempt.items()}
    assert differences(declared, other.of(declared), expected, 1e-9, tolerances) == []


# --- grouping


@pytest.fixture(scope="module")
def together_and_apart(lab: Lab) -> tuple[dict[str, pa.Table], dict[str, list[pa.Table]]]:
    """Rows of three intervals computed as one panel, and interval by interval."""
    candles, metrics = {}, {}
    for interval in ("1m", "5m", "1w"):
        table = panels.table_of(panels.zoo(interval=interval))
        candles[interval] = pivot_bars(table, interval, panels.AS_OF, LOOKBACK)
        if interval != "1m":
            symbols = [series.symbol for series in ZOO]
            table = panels.table_of(panels.metrics_zoo(symbols, interval))
            metrics[interval] = pivot_metrics(table, interval, panels.AS_OF, METRICS_ROWS, symbols)

    def panel_of(source: Which, pivots: Sequence[Pivot]) -> Panel:
        panel, columns = joined([pivot.panel for pivot in pivots])
        lab.work.load(source, pivots, columns)
        return panel

    def rows_of(group: Sequence[str]) -> dict[str, pa.Table]:
        bars = panel_of("candles", [candles[interval] for interval in group])
        beside = [metrics[interval] for interval in group if interval in metrics]
        second = panel_of("metrics", beside) if beside else None
        found = dict(computed(tuple(INDICATORS.values()), bars, second, lab.work))
        return {declared.id: table.drop_columns("run_id") for declared, table in found.items()}

    apart: dict[str, list[pa.Table]] = {}
    for interval in candles:
        for id_, rows in rows_of([interval]).items():
            apart.setdefault(id_, []).append(rows)
    return rows_of(list(candles)), apart


@EVERY
def test_which_intervals_are_computed_together_changes_no_bit(
    declared: Indicator, together_and_apart: tuple[dict[str, pa.Table], dict[str, list[pa.Table]]]
) -> None:
    together, apart = together_and_apart
    order = [("interval", "ascending"), ("symbol", "ascending")]
    wanted = pa.concat_tables(apart[declared.id]).sort_by(order)
    found = together[declared.id].sort_by(order)
    assert found.num_rows == wanted.num_rows > 0
    for name in found.column_names:
        assert found[name].to_pylist() == wanted[name].to_pylist(), name
