"""``explain``: its values are those of a run, its series those that the function computed, its numbers add up."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from candlemill.indicators import evaluate
from candlemill.indicators.profiles import PROFILES
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.analysis.explain import Explanation, Step, explain
from candlemill.pipeline.base.errors import NoCandlesError, UsageError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.marker import DESK
from candlemill.pipeline.base.statements import expressions, statement
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.settings import Settings
from tests import goldens, markets
from tests.test_history_command import of_a_run

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
#: Those that have no more to show than their inputs: a bar, a row, or the newest of TA-Lib's shapes.
BARE = {"data_monitor", "futures_sentiment", "taker_buy_ratio"}


@pytest.fixture(scope="module")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(goldens.HERE / "synth_core")


def asked(url: str, indicator: str, profile: str = "parity", symbol: str = "AAAUSDT") -> Settings:
    return Settings(
        source=url,
        sqlite=Path("none.db"),
        duckdb=Path("none.duckdb"),
        symbols=symbol,
        intervals=(INTERVALS["5m"],),
        indicators=(INDICATORS[indicator],),
        as_of=NOW,
        lookback=400,
        marker=replace(DESK, profile=profile),
    )


def value_of(found: Explanation, column: str) -> Any:
    [value] = [value.value for value in found.values if value.column.name == column]
    return value


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", INDICATORS)
def test_the_values_are_those_of_a_run_and_what_is_noted_leads_to_them(name: str, profile: str, url: str) -> None:
    declared = INDICATORS[name]
    found = explain(asked(url, name, profile))
    every = replace(asked(url, name, profile), indicators=tuple(INDICATORS.values()))
    values = _run(profile, every)
    for value in found.values:
        expected = values[f"{name}_{value.column.name}"]
        got = np.float64(value.value).view(np.int64).item() if isinstance(value.value, float) else value.value
        assert got == expected, value.column.name
    noted = set(found.bars.column_names) - {"bucket_ts", *declared.inputs} | set(found.notes) | set(found.steps)
    assert noted or name in BARE
    # Every row that a run reads is there, the newest last, and the inputs are those of the source.
    assert found.bars["bucket_ts"].to_pylist() == sorted(found.bars["bucket_ts"].to_pylist())
    assert set(declared.inputs) <= set(found.bars.column_names)


_RUNS: dict[str, dict[str, Any]] = {}


def _run(profile: str, settings: Settings) -> dict[str, Any]:
    """The values of one run of all indicators, for each profile once."""
    if profile not in _RUNS:
        _RUNS[profile] = of_a_run(settings, NOW)["AAAUSDT"]
    return _RUNS[profile]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [name for name, declared in INDICATORS.items() if declared.compute is not None])
def test_nobody_listens_in_a_run_and_listening_changes_no_value(name: str, profile: str) -> None:
    declared = INDICATORS[name]
    if declared.source == "metrics" or declared.function(profile) is None:
        pytest.skip("not over candles, or not in NumPy")
    panel = markets.walks(3, 12)
    silent = evaluate.compute(declared, panel, profile=profile)
    listening, notes = panel.noting()
    heard = evaluate.compute(declared, listening, profile=profile)
    for one, other in zip(silent.columns, heard.columns, strict=True):
        one, other = (getattr(column, "texts", column) for column in (one, other))
        np.testing.assert_array_equal(one, other)
    for series in notes.values():
        # A panel's columns are its series, in what is noted as well.
        assert np.shape(series)[-1] == panel.series
        assert np.ndim(series) in (1, 2)
        assert np.ndim(series) == 1 or len(series) <= panel.rows
    assert panel._notes is None


def test_a_formula_shows_the_numbers_of_the_newest_bar_and_they_add_up(url: str) -> None:
    found = explain(asked(url, "kdj"))
    position, k, d, j = found.formula
    newest = {name: found.bars[name][-1].as_py() for name in found.bars.column_names}
    assert position.text == "RSV = (close - low9) / (high9 - low9) 100"
    assert position.numbers is not None
    numbers = [float(text) for text in re.findall(r"[\d.]+(?:e-?\d+)?", position.numbers)]
    assert numbers == pytest.approx([newest[n] for n in ("close", "low9", "high9", "low9")] + [100], rel=1e-9)
    assert position.result == newest["RSV"]
    assert (numbers[0] - numbers[1]) / (numbers[2] - numbers[3]) * 100 == pytest.approx(newest["RSV"], rel=1e-6)
    # What a function is given is a series, and stays a name.
    assert k == Step("K = EMA(RSV, 1/3)", None, newest["K"])
    assert d.result == value_of(found, "d")
    assert j.result == pytest.approx(3 * newest["K"] - 2 * newest["D"])
    assert newest["low9"] == min(found.bars["low"].to_pylist()[-9:])
    assert newest["K"] == pytest.approx(found.bars["K"][-2].as_py() * 2 / 3 + newest["RSV"] / 3)


@pytest.mark.parametrize("name", ["base_data", "volume_ratio"])
def test_a_statement_shows_the_rows_of_its_expressions(name: str, url: str) -> None:
    found = explain(asked(url, name))
    names = re.findall(r"^(?:WITH )?(\w+) AS \(", statement(f"indicators/{name}"), re.MULTILINE)
    assert list(found.steps) == names == list(expressions(statement(f"indicators/{name}")))
    assert all(table.num_rows for table in found.steps.values())


def called(*words: str) -> tuple[Exception | None, str, str]:
    ran = CliRunner().invoke(app, ["explain", *words], standalone_mode=False)
    return ran.exception if isinstance(ran.exception, Exception) else None, ran.stdout, ran.stderr


def test_the_forms_have_the_same_numbers(url: str) -> None:
    words = ["AAAUSDT", "--source", url, "--interval", "5m", "--indicator", "kdj", "--as-of", NOW.isoformat()]
    error, out, _ = called(*words, "--rows", "3")
    assert error is None
    assert out.startswith("KDJ stochastic (kdj) of AAAUSDT at 5m, profile parity\n")
    assert len(out[out.index("bucket_ts ") :].splitlines()) == 4
    error, out, _ = called(*words, "--json")
    assert error is None
    found = json.loads(out)
    assert found["bars"][-1]["RSV"] == found["formula"][0]["result"]
    assert [value["label"] for value in found["values"]] == list(INDICATORS["kdj"].stored.labels.values())
    error, out, _ = called(*words, "--csv")
    assert error is None
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == found["bars_seen"]
    assert float(rows[-1]["RSV"]) == found["bars"][-1]["RSV"]
    assert rows[0]["K"] == ""


def test_what_cannot_be_explained_is_said(url: str) -> None:
    with pytest.raises(NoCandlesError, match=r"no candles for AAAUSD at 5m .*: did you mean AAAUSDT\?"):
        explain(asked(url, "kdj", symbol="AAAUSD"))
    with pytest.raises(NoCandlesError, match="no futures metrics for AAAUSDT at 1m"):
        explain(replace(asked(url, "futures_sentiment"), intervals=(INTERVALS["1m"],)))
    with pytest.raises(UsageError, match="takes one symbol"):
        explain(asked(url, "kdj", symbol="all"))
    with pytest.raises(UsageError, match="futures_gap_monitor has no rows at 1h, only at 5m"):
        explain(replace(asked(url, "futures_gap_monitor"), intervals=(INTERVALS["1h"],)))
    error, _, _ = called("AAAUSDT", "--source", url, "--indicator", "kdj,macd")
    assert isinstance(error, UsageError)
    assert "one indicator" in str(error)
