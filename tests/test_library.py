"""The library computes over tables in memory what a run writes, to the last bit, beside whatever folders there are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import candlemill
from candlemill.indicators import registry
from candlemill.indicators.fields import METRIC_FIELDS, METRICS_ROWS
from candlemill.indicators.profiles import PROFILES
from candlemill.pipeline.workfile.reader import published
from tests import goldens, panels
from tests.conftest import CANDLEMILL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from candlemill.indicators.contract import Indicator
    from tests.conftest import Ran

CASE = goldens.HERE / "synth_core"
AS_OF = datetime.fromisoformat(goldens.description(CASE)["as_of"])
EVERY = pytest.mark.parametrize("declared", candlemill.INDICATORS.values(), ids=lambda declared: declared.id)


@pytest.fixture(scope="module")
def kept(work_file: Path) -> dict[str, pa.Table]:
    """Candles and metrics of a run by name and interval, and its results by indicator."""
    tables = {}
    with published(work_file) as connection:
        for interval in ("5m", "1w"):
            for name in ("candles", "futures_metrics"):
                found = connection.execute(
                    f'SELECT * EXCLUDE ("interval") FROM {name} WHERE "interval" = \'{interval}\''
                )
                tables[f"{name}_{interval}"] = found.to_arrow_table()
        for id_ in candlemill.INDICATORS:
            tables[id_] = connection.execute(f"SELECT * EXCLUDE (run_id) FROM {id_}").to_arrow_table()
    return tables


@EVERY
@pytest.mark.parametrize("interval", ["5m", "1w"])
def test_every_indicator_equals_a_run_to_the_last_bit(
    declared: Indicator, interval: str, kept: dict[str, pa.Table]
) -> None:
    if not declared.covers(interval):
        with pytest.raises(ValueError, match=f"{declared.id} has values at 5m only, not at {interval}"):
            candlemill.compute(declared.id, kept["candles_5m"], metrics=kept["candles_5m"], interval=interval)
        return
    found = candlemill.compute(
        declared.id,
        kept[f"candles_{interval}"],
        metrics=kept[f"futures_metrics_{interval}"],
        interval=interval,
        as_of=AS_OF,
    )
    wanted = kept[declared.id].filter(pa.compute.equal(kept[declared.id]["interval"], interval)).sort_by("symbol")
    assert found.num_rows > 5
    # The total of the market is over more symbols than the run's own.
    wanted, found = (
        table.drop_columns([n for n in ("market_share",) if n in table.column_names]) for table in (wanted, found)
    )
    assert found.column_names == wanted.column_names
    for name in found.column_names:
        assert found[name].to_pylist() == wanted[name].to_pylist(), name


WALKS = [panels.walk("BUSDT", 450, 1), panels.walk("AUSDT", 300, 2), panels.walk("CUSDT", 15, 3)]
TABLE = panels.table_of(WALKS)
MIDDLES = {walk.symbol: walk.fields["close"][-20:].mean() if len(walk) >= 15 else None for walk in WALKS}


def of_kind(kind: str) -> Any:
    """The bars as a table of some library, or in some other form."""
    match kind:
        case "time":
            return TABLE.rename_columns({"bucket_ts": "time"})
        case "mixed":
            return TABLE.take(np.random.default_rng(0).permutation(TABLE.num_rows))
        case "polars":
            return pl.from_arrow(TABLE)
        case "pandas":
            return TABLE.to_pandas()
        case "index":
            return TABLE.to_pandas().set_index("bucket_ts").reset_index(names="time")
        case "zone":
            frame = TABLE.to_pandas()
            return frame.assign(time=frame["bucket_ts"].dt.tz_convert("Asia/Tokyo")).drop(columns="bucket_ts")
        case "decimal":
            close, symbol = pl.col("close").cast(pl.Decimal(38, 12)), pl.col("symbol").cast(pl.Categorical)
            return pl.DataFrame(TABLE).with_columns(close, symbol)
        case "arrays":
            return {name: TABLE[name].to_numpy() for name in TABLE.column_names}
        case "duckdb":
            return duckdb.from_arrow(TABLE)
    return TABLE


@pytest.mark.parametrize(
    "kind", ["arrow", "time", "mixed", "polars", "pandas", "index", "zone", "decimal", "arrays", "duckdb"]
)
def test_any_table_will_do(kind: str) -> None:
    found = candlemill.compute("bollinger", of_kind(kind), interval="5m")
    assert found.column_names[:3] == ["symbol", "interval", "bucket_ts"]
    assert found["symbol"].to_pylist() == ["AUSDT", "BUSDT", "CUSDT"]
    assert set(found["interval"].to_pylist()) == {"5m"}
    assert found["bucket_ts"].type == pa.timestamp("us", "UTC")
    for symbol, middle in zip(found["symbol"].to_pylist(), found["middle"].to_pylist(), strict=True):
        wanted = np.mean(WALKS[2].fields["close"]) if symbol == "CUSDT" else MIDDLES[symbol]
        assert middle == pytest.approx(wanted, rel=1e-9), symbol


def test_one_series_needs_no_symbol_and_no_more_than_its_columns() -> None:
    walk = WALKS[0]
    bars = {
        "time": walk.time.astype("datetime64[us]"),
        **{n: walk.fields[n] for n in ("open", "high", "low", "close", "volume")},
    }
    found = candlemill.compute("macd", bars, interval="5m")
    assert found["symbol"].to_pylist() == [""]
    assert (
        found["dif"].to_pylist()
        == candlemill.compute("MACD柱状扫描器.py", TABLE, interval="5m")["dif"].to_pylist()[1:2]
    )
    assert found["turnover"].to_pylist() == [0.0]


def test_parameters_and_profiles() -> None:
    close = WALKS[0].fields["close"]
    wide = candlemill.compute("bollinger", TABLE, interval="5m", period=50)
    assert wide["middle"].to_pylist()[1] == pytest.approx(close[-50:].mean(), rel=1e-12)
    # Its own rule of bars holds for parameters of one's own.
    assert wide["middle"].to_pylist()[2] is None
    corrected = candlemill.compute("bollinger", TABLE, interval="5m", profile="corrected")
    assert corrected["upper"].to_pylist()[1] == pytest.approx(close[-20:].mean() + 2 * close[-20:].std(), rel=1e-12)
    channel = candlemill.compute("donchian", TABLE, interval="5m", period=100)
    assert channel["upper"].to_pylist()[1] == WALKS[0].fields["high"][-100:].max()


def test_a_moment_hides_what_comes_after_it() -> None:
    walk = WALKS[0]
    as_of = datetime.fromtimestamp(int(walk.time[-31]) / 1e6, UTC)
    found = candlemill.compute("donchian", TABLE, interval="5m", as_of=as_of)
    assert found["bucket_ts"].to_pylist()[1] == as_of
    assert found["upper"].to_pylist()[1] == walk.fields["high"][-50:-30].max()
    assert found["symbol"].to_pylist() == ["AUSDT", "BUSDT"]


def test_metrics_alone_are_enough_for_what_is_computed_on_them() -> None:
    rows = panels.table_of([panels.metrics_walk("B", 30, 1), panels.metrics_walk("A", 9, 2)])
    found = candlemill.compute("futures_sentiment", metrics=rows, interval="5m")
    assert found["symbol"].to_pylist() == ["A", "B"]
    share = candlemill.compute("futures_aggregate", metrics=rows, interval="5m", as_of=panels.AS_OF)["market_share"]
    assert sum(share.to_pylist()) == pytest.approx(100)
    assert set(METRIC_FIELDS) <= set(rows.column_names)


def test_what_is_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    bars = TABLE.to_pandas()
    bars.loc[3, "low"] = -1.0
    candlemill.compute("macd", bars, interval="5m")
    assert "left out 1: bar with impossible prices or volume" in caplog.text


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ({"indicator": "bolinger"}, "there is no indicator 'bolinger': did you mean 'bollinger'?"),
        ({"interval": "7m"}, "there is no interval '7m'"),
        ({"bars": None}, "bollinger is computed on candles: give bars="),
        ({"bars": 3}, "bars is neither a table of the Arrow PyCapsule interface nor arrays by name"),
        ({"bars": TABLE.drop_columns(["volume"])}, "bars lacks the column volume"),
        ({"bars": TABLE.drop_columns(["bucket_ts"])}, "bars lacks the column time"),
        ({"bars": TABLE.set_column(1, "time", TABLE["close"])}, "the column time is double: give times"),
        ({"bars": TABLE.set_column(2, "open", TABLE["symbol"])}, "the column open (string) is not of type double"),
        ({"periods": 3}, "indicator bollinger has no parameter periods; it has period, width"),
        ({"period": 500}, "bollinger needs 500 bars with these parameters: give lookback=500 or more"),
        ({"profile": "best"}, "profile 'best' is not one of parity, corrected"),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_do(what: dict[str, Any], complaint: str) -> None:
    words: dict[str, Any] = {"indicator": "bollinger", "bars": TABLE, "interval": "5m"} | what
    with pytest.raises(ValueError, match=re.escape(complaint)):
        candlemill.compute(**words)


OWN = """
import candlemill, numpy as np

@candlemill.indicator(
    id="body", title="Body", family="pattern", inputs=("open", "close"), formula="close - open",
    columns=(candlemill.difference("body", "close less open"),), parameters={"scale": 1.0},
)
def body(bars, p):
    return candlemill.Values(p.scale * (bars.close[-1] - bars.open[-1]))

candlemill.register(body)
bars = {"time": np.array(["2026-01-01", "2026-01-02"], "M8[us]"), "open": [1.0, 2.0], "high": [2.0, 4.0],
        "low": [1.0, 1.0], "close": [2.0, 3.5], "volume": [1.0, 1.0]}
print(candlemill.compute("body", bars, interval="1d", scale=2.0)["body"].to_pylist())
"""


@EVERY
def test_the_history_of_a_table_is_what_is_computed_as_of_the_end_of_each_bar(
    declared: Indicator, kept: dict[str, pa.Table]
) -> None:
    table = kept["candles_5m" if declared.source == "candles" else "futures_metrics_5m"]
    given: dict[str, Any] = {"bars" if declared.source == "candles" else "metrics": table, "interval": "5m"}
    found = candlemill.compute(declared, history=True, **given)
    for symbol in found["symbol"].unique().to_pylist()[:3]:
        rows = found.filter(pc.equal(found["symbol"], symbol))
        assert rows["bucket_ts"].to_pylist() == sorted(rows["bucket_ts"].to_pylist())
        for place in (len(rows) - 1, len(rows) // 2, 25):
            start = rows["bucket_ts"][place].as_py()
            # A metrics row is looked at when it is new.
            end = start + timedelta(minutes=5, microseconds=-1) if declared.source == "candles" else start
            then = candlemill.compute(declared, as_of=end, **given)
            [newest] = then.filter(pc.equal(then["symbol"], symbol)).to_pylist()
            assert bits(rows.slice(place, 1).to_pylist()[0]) == bits(newest), (symbol, place)


@pytest.mark.parametrize(("name", "parameters"), [("bollinger", {"period": 50}), ("donchian", {"period": 7})])
def test_a_history_takes_parameters_a_moment_and_a_profile(
    name: str, parameters: dict[str, Any], kept: dict[str, pa.Table]
) -> None:
    given: dict[str, Any] = {"bars": kept["candles_5m"], "interval": "5m", "as_of": AS_OF, **parameters}
    for profile in PROFILES:
        newest = candlemill.compute(name, profile=profile, **given)
        found = candlemill.compute(name, profile=profile, history=True, **given)
        ends = found.group_by("symbol", use_threads=False).aggregate([("bucket_ts", "max")])
        last = {(row["symbol"], row["bucket_ts_max"]) for row in ends.to_pylist()}
        rows = [row for row in found.to_pylist() if (row["symbol"], row["bucket_ts"]) in last]
        assert list(map(bits, rows)) == list(map(bits, newest.to_pylist()))


def test_a_history_of_nothing_has_the_columns_and_an_indicator_that_fails_is_an_error() -> None:
    empty = panels.table_of([panels.walk("A", 30, 1)]).slice(0, 0)
    found = candlemill.compute("macd", empty, interval="5m", history=True)
    assert found.num_rows == 0
    assert found.schema == candlemill.compute("macd", empty, interval="5m").schema

    @candlemill.indicator(
        id="fails", title="Fails", family="trend", inputs=("close",),
        columns=(candlemill.price("close", "close of the bar"),), formula="none",
    )  # fmt: skip
    def fails(_: candlemill.Panel) -> candlemill.Values:
        raise ZeroDivisionError("nothing there")

    with pytest.raises(ValueError, match=r"fails failed on .* 5m: ZeroDivisionError: nothing there"):
        candlemill.compute(fails, panels.table_of([panels.walk("A", 30, 1)]), interval="5m", history=True)


def bits(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its numbers by their bits."""
    return {
        name: value.hex() if isinstance(value, float) else value
        for name, value in row.items()
        # Of a row that was read before it is asked for, the age is not that of a row that is new.
        if name not in ("age_seconds", "is_stale")
    }


def test_an_indicator_of_ones_own() -> None:
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[3.0]"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with packages of the desk's own, which have the names of ours and nothing in common with them."""
    for name in ("indicators", "pipeline", "sql"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'the desk'\n")
        (tmp_path / name / "__main__.py").write_text("raise SystemExit('the desk')\n")
    return tmp_path


BESIDE = """
import indicators, pipeline, sql
import candlemill
bars = {"time": [], "open": [], "high": [], "low": [], "close": [], "volume": []}
import numpy as np
bars = {name: np.array(values, "M8[us]" if name == "time" else float) for name, values in bars.items()}
print(candlemill.compute("donchian", bars, interval="1h").num_rows, indicators.OWNER, pipeline.OWNER, sql.OWNER)
import pipeline as again
print(again is pipeline, again.OWNER)
"""


@pytest.mark.parametrize("path", [{}, {"PYTHONPATH": "."}], ids=["folder", "PYTHONPATH"])
def test_the_library_stands_beside_a_desks_own_packages(desk: Path, path: dict[str, str]) -> None:
    (desk / "strategy.py").write_text(BESIDE)
    done = subprocess.run(
        [sys.executable, "strategy.py"], cwd=desk, env=os.environ | path, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (["0 the desk the desk the desk", "True the desk"], "")


def test_the_command_works_beside_a_desks_own_packages(
    desk: Path, golden_url: Callable[[Path], str], candlemill: Callable[..., Ran]
) -> None:
    words = ("run", "--source", golden_url(CASE), "--as-of", AS_OF.isoformat(), "--intervals", "5m", "--json")
    ran = candlemill(*words, "--symbols", "all", env={"PYTHONPATH": str(desk)})
    assert ran.code == 0, ran.err
    assert ran.record["errors"] == []
    done = subprocess.run(
        [CANDLEMILL, "--version"], cwd=desk, env=os.environ | {"PYTHONPATH": "."}, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_to_import_it_costs_next_to_nothing() -> None:
    heavy = "import candlemill, sys; print(sorted({'numpy', 'pyarrow', 'duckdb', 'connectorx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(candlemill.__all__) <= {*dir(candlemill), *candlemill.__all__}
    for name in candlemill.__all__:
        assert getattr(candlemill, name) is not None
    with pytest.raises(AttributeError, match="module 'candlemill' has no attribute 'nonsense'"):
        _ = candlemill.nonsense


def test_a_source_is_reached_and_a_run_of_all_indicators_asked_for_before_numpy_is_loaded() -> None:
    program = """
import sys
from candlemill.pipeline.reading import begin
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.options import Options, settings_of
settings = settings_of(Options(source="postgresql://nobody@localhost/nothing"), {})
assert settings.reads_metrics
print(sorted({"numpy", "pyarrow", "duckdb", "connectorx"} & set(sys.modules)))
assert len(settings.indicators) == len(list(settings.indicators)) > 0
assert "numpy" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def registry_restored() -> Iterator[None]:
    """What a test registers is forgotten after it: other tests of this process go by what the product declares."""
    before = dict(registry._FOUND)
    yield
    registry._FOUND.clear()
    registry._FOUND.update(before)


@pytest.mark.usefixtures("registry_restored")
def test_what_reads_more_metrics_than_a_pass_does_is_no_indicator() -> None:
    declared = replace(registry.INDICATORS["futures_aggregate"], id="longer", window=METRICS_ROWS + 1)
    with pytest.raises(ValueError, match=f"indicator longer reads {METRICS_ROWS + 1} rows of metrics"):
        registry.register(declared)
    assert registry.INDICATORS["futures_aggregate"].bars_read() == METRICS_ROWS


@pytest.mark.usefixtures("registry_restored")
def test_the_examples_of_the_page_run(caplog: pytest.LogCaptureFixture) -> None:
    page = (Path(__file__).parent.parent / "docs" / "library.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    bars = panels.table_of([panels.walk(symbol, 450, 1, interval="1h") for symbol in "ABC"])
    rows = panels.table_of([panels.metrics_walk("A", 30, 1, interval="1h")])
    names: dict[str, Any] = {"bars": pl.from_arrow(bars), "metrics": rows, "noon": panels.AS_OF, "pl": pl}
    assert len(examples) >= 5
    for example in examples:
        exec(compile(example, "docs/library.md", "exec"), names)
    assert names["newest"].num_rows == 3
    assert "body" in candlemill.INDICATORS
    assert caplog.text == ""
