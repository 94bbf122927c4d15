"""The history of a series is what runs at its bars would have computed, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from candlemill.indicators.contract import METRIC_FIELDS, Panel
from candlemill.indicators.profiles import CORRECTED, PARITY
from candlemill.indicators.registry import INDICATORS
from candlemill.indicators.windows import Windows
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.compute import history
from candlemill.pipeline.compute.pivot import pivot_bars, pivot_metrics
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import panels
from tests.observing import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from candlemill.indicators.contract import Indicator, Parameters, Values
    from tests.panels import Series

EVERY = tuple(INDICATORS.values())
BARS = 900
METRICS_ROWS = 240
MONTH = timedelta(days=30)
MICROSECOND = timedelta(microseconds=1)
NAMES = {"symbol", "interval", "bucket_ts"}


@pytest.fixture(scope="module")
def sql() -> Iterator[SqlIndicators]:
    with open_duckdb() as connection:
        yield SqlIndicators(connection)


def stuck(series: Series, *stretches: tuple[int, int]) -> Series:
    """The series with one price, and mostly no volume, over some stretches of bars."""
    fields = {name: values.copy() for name, values in series.fields.items()}
    for place, (start, stop) in enumerate(stretches):
        for name in panels.PRICES:
            fields[name][start:stop] = fields["close"][start]
        if place % 2:
            fields["volume"][start:stop] = 0.0
    return series.having(**fields)


def holed(series: Series, *holes: tuple[int, int]) -> Series:
    """The series without the bars of some stretches."""
    kept = np.ones(len(series), dtype=np.bool_)
    for start, stop in holes:
        kept[start:stop] = False
    kept_fields = {name: values[kept] for name, values in series.fields.items()}
    return panels.Series(series.symbol, series.time[kept], kept_fields)


def hostile(bars: int = BARS, interval: str = "5m") -> list[Series]:
    """Series that break shortcuts: ticks, prices that stand still, jumps, missing values, sub-cent prices, gaps."""

    def of(name: str, seed: int, **how: Any) -> Series:
        return panels.walk(name, bars, seed, interval=interval, **how)

    nullable = panels.NULLABLE
    return [
        of("CALM", 1),
        of("WILD", 2, swing=0.2),
        panels.sparse(of("TICK", 3, price=2.5, swing=0.003, decimals=2, quiet=0.3), 3, *nullable, share=0.1),
        of("DUST", 4, price=1.21e-6, volume=8e11, decimals=8),
        panels.jumped(stuck(of("STUCK", 5, price=2.5, decimals=2), (60, 110), (200, 520), (bars - 90, bars - 78)), 1e3),
        stuck(panels.jumped(of("JUMP", 6, decimals=1), 1e4), (500, 530)),
        panels.flat("FLAT", bars, interval=interval),
        panels.flat("DEAD", bars, price=3.3, volume=0.0, interval=interval),
        of("MUTE", 7, quiet=1.0).without(*nullable),
        holed(panels.paused(of("GAPS", 8), 8, share=0.05), (300, 302), (500, 560)),
    ]


def futures(symbol: str, rows: int, seed: int, interval: str = "5m") -> Series:
    """Metrics with missing values, zeros and gaps."""
    values = [name for name in METRIC_FIELDS if name != "is_closed"]
    walk = panels.sparse(panels.metrics_walk(symbol, rows, seed, interval), seed, *values, share=0.05)
    fields = {name: np.where(np.arange(rows) % 97 == 5, 0.0, kept) for name, kept in walk.fields.items()}
    fields["open_interest_value"][rows // 2 : rows // 2 + 30] = np.nan
    fields["global_account_ratio"][rows // 3 : rows // 3 + 260] = 1.25
    return holed(walk.having(**fields), (rows // 4, rows // 4 + 4))


def candles(series: Series, interval: str, lookback: int) -> history.Series:
    found, skipped = history.series_of_candles(panels.table_of([series]), INTERVALS[interval], lookback)
    assert not skipped
    return found[series.symbol]


def metrics_of(series: Series, interval: str, rows: int = METRICS_ROWS) -> history.Series:
    found, skipped = history.series_of_futures(panels.table_of([series]), INTERVALS[interval], rows, MONTH)
    assert not skipped
    return found[series.symbol]


def bits(table: pa.Table) -> dict[str, list[Any]]:
    """The columns of a table, numbers by their bits."""
    found = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_floating(column.type):
            nulls = column.is_null().to_pylist()
            numbers = column.fill_null(0.0).to_numpy().view(np.int64).tolist()
            found[name] = [None if null else number for null, number in zip(nulls, numbers, strict=True)]
        else:
            found[name] = column.to_pylist()
    return found


def live(
    chosen: Sequence[Indicator],
    series: Series,
    metrics: Series | None,
    interval: str,
    end: int,
    lookback: int,
    totals: Mapping[str, float],
    sql: SqlIndicators,
    profile: str = PARITY,
) -> dict[Indicator, dict[str, list[Any]]]:
    """The rows of a run as of a moment, in microseconds, over what the source would send it then."""
    length = INTERVALS[interval].length
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=end)

    def sent(one: Series, reach: timedelta) -> pa.Table:
        table = panels.table_of([one])
        after = pc.greater(table["bucket_ts"], pa.scalar(as_of - reach, pa.timestamp("us", "UTC")))
        return table.filter(
            pc.and_(after, pc.less_equal(table["bucket_ts"], pa.scalar(as_of, pa.timestamp("us", "UTC"))))
        )

    bars = pivot_bars(sent(series, 2 * lookback * length), interval, as_of, lookback)
    sql.load_ranked(bars.ranked, "candles")
    second = None
    if metrics is not None:
        pivot = pivot_metrics(sent(metrics, MONTH), interval, as_of, METRICS_ROWS, [metrics.symbol], totals)
        sql.load_ranked(pivot.ranked, "metrics")
        second = pivot.panel
    kept = Heard()
    rows = dict(computed(chosen, bars.panel, second, sql, observer=kept, profile=profile))
    assert kept.errors == []
    return {declared: bits(table.drop_columns("run_id")) for declared, table in rows.items()}


#: Of futures_aggregate: in a history a metrics row is of age 0.
AGE = {"age_seconds", "is_stale"}


def check_against_runs(
    series: Series, since: int, moments: Sequence[int], sql: SqlIndicators, profile: str = PARITY
) -> None:
    """Compare the history from a bar on with runs as of the ends of some bars."""
    interval, length = "5m", 300_000_000
    metrics = futures(series.symbol, 700, 3)
    totals = 1e9 * (1 + np.random.default_rng(since).random(len(metrics)))
    kept = Heard()
    found = history.history_of(
        EVERY, candles(series, interval, 400), metrics_of(metrics, interval), int(series.time[since]), 2**62, sql,
        kept, totals={"open_interest_value": totals}, profile=profile, lanes=True,
    )  # fmt: skip
    assert kept.errors == []
    rows = {declared: bits(table) for declared, table in found.items()}
    for place in moments:
        end = int(series.time[place]) + length - 1
        seen = int(np.searchsorted(metrics.time, end, side="right"))
        total = {"open_interest_value": float(totals[seen - 1])} if seen else {}
        ran = live(EVERY, series, metrics if seen else None, interval, end, 400, total, sql, profile)
        assert len(ran) == (38 if seen else 35)
        for declared, columns in ran.items():
            [moment] = columns["bucket_ts"]
            row = rows[declared]["bucket_ts"].index(moment)
            for name, [value] in columns.items():
                if name not in AGE:
                    assert rows[declared][name][row] == value, (declared.id, name, place)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("series", hostile(), ids=lambda series: series.symbol)
def test_history_is_what_runs_at_random_bars_compute(series: Series, sql: SqlIndicators) -> None:
    random = np.random.default_rng(len(series))
    check_against_runs(series, 390, [395, 399, 400, len(series) - 1, *random.integers(390, len(series), 8)], sql)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("name", ["TICK", "STUCK", "GAPS"])
def test_a_corrected_history_is_what_corrected_runs_compute(name: str, sql: SqlIndicators) -> None:
    [series] = [series for series in hostile() if series.symbol == name]
    check_against_runs(series, 550, [550, 640, len(series) - 1], sql, CORRECTED)


@pytest.mark.usefixtures("lanes")
def test_windows_that_reach_back_beyond_what_exists_are_shorter(sql: SqlIndicators) -> None:
    [gaps] = [series for series in hostile() if series.symbol == "GAPS"]
    # A feed that was silent for longer than a window reaches back.
    series = panels.Series(gaps.symbol, gaps.time.copy(), gaps.fields)
    series.time[:420] -= 2 * 400 * 300_000_000
    check_against_runs(series, 0, [0, 1, 2, 60, 399, 400, 419, 420, 421, 500, 700, len(series) - 1], sql)


def differences(one: Mapping[Indicator, pa.Table], other: Mapping[Indicator, pa.Table]) -> list[str]:
    assert one.keys() == other.keys()
    found = []
    for declared in one:
        mine, others = bits(one[declared]), bits(other[declared])
        assert mine.keys() == others.keys()
        found += [f"{declared.id} {name}" for name in mine if mine[name] != others[name]]
    return found


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("lookback", [400, 300, 120, 64])
@pytest.mark.parametrize("series", hostile(), ids=lambda series: series.symbol)
def test_windows_of_a_series_have_the_values_of_the_definition(
    series: Series, lookback: int, sql: SqlIndicators, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A few windows that are too short for lanes, and enough of one length for more than one block of them.
    monkeypatch.setattr(history, "FEWEST", 70)
    bars = candles(series, "5m", lookback)
    metrics = metrics_of(futures(series.symbol, 600, lookback), "5m", min(lookback, METRICS_ROWS))
    totals = {"open_interest_value": np.linspace(1e9, 2e9, len(metrics.time))}
    begin = {"candles": lookback - 20, "metrics": len(metrics.time) - 110}
    found = []
    for lanes in (True, False):
        kept = Heard()
        tables: dict[Indicator, pa.Table] = {}
        for source, one in (("candles", bars), ("metrics", metrics)):
            chosen = [declared for declared in EVERY if declared.source == source]
            own = {"bars": one, "metrics": None} if source == "candles" else {"bars": None, "metrics": one}
            since = int(one.time[begin[source]])
            until = int(one.time[min(begin[source] + 95, len(one.time) - 1)])
            tables |= history.history_of(
                chosen, own["bars"], own["metrics"], since, until, sql, kept, totals=totals, lanes=lanes
            )
        assert kept.errors == []
        found.append(tables)
    assert len(found[0]) == 38
    assert differences(*found) == []


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize(("lanes", "profile"), [(False, PARITY), (True, PARITY), (True, CORRECTED)])
def test_series_side_by_side_have_the_rows_that_each_has_alone(
    lanes: bool, profile: str, sql: SqlIndicators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FEWEST", 40)
    monkeypatch.setattr(history, "COPIED", 60)
    chosen = [declared for declared in EVERY if declared.source == "candles"]
    futures_chosen = [declared for declared in EVERY if declared.source == "metrics"]
    some = [candles(series, "5m", 120) for series in hostile(600)]
    rows = [metrics_of(futures(f"F{seed}", 300 - 70 * seed, seed), "5m") for seed in range(4)]
    for indicators, series, source in ((chosen, some, "bars"), (futures_chosen, rows, "metrics")):
        totals = [{"open_interest_value": np.linspace(1e9, 2e9, len(one.time))} for one in series]
        parts = [
            history.Part(one, total, int(one.time[-15 - 10 * place]), int(one.time[-1]))
            for place, (one, total) in enumerate(zip(series, totals, strict=True))
        ]
        found: dict[Indicator, list[pa.Table]] = {declared: [] for declared in indicators}
        for declared, table in history.side_by_side(indicators, parts, sql, profile=profile, lanes=lanes):
            found[declared].append(table.drop_columns("run_id"))
        alone: dict[Indicator, list[pa.Table]] = {declared: [] for declared in indicators}
        for part in parts:
            both = {"bars": None, "metrics": None} | {source: part.series}
            each = history.history_of(
                indicators, both["bars"], both["metrics"], part.since, part.until, sql, totals=part.totals,
                profile=profile,
            )  # fmt: skip
            for declared, table in each.items():
                alone[declared].append(table)
        order = [("symbol", "ascending"), ("bucket_ts", "ascending")]
        joined, single = (
            {declared: pa.concat_tables(tables).sort_by(order) for declared, tables in both.items()}
            for both in (found, alone)
        )
        assert differences(joined, single) == []


@pytest.mark.usefixtures("lanes")
def test_windows_of_several_series_in_a_row_fail_for_none_of_them(
    sql: SqlIndicators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that begins in one series and ends in the next is nobody's, whatever is computed of it."""
    monkeypatch.setattr(history, "FEWEST", 40)
    some = [candles(series, "5m", 120) for series in hostile(600) if series.symbol in ("CALM", "DUST")]
    parts = [history.Part(one, {}, int(one.time[-60]), history.END) for one in some]
    seen: list[type[Panel]] = []

    def picky(bars: Panel, p: Parameters) -> Values:
        seen.append(type(bars))
        if (bars.close.max(axis=0) > 1000 * bars.close.min(axis=0)).any():
            raise ValueError("two series")
        return INDICATORS["kdj"].compute(bars, p)  # type: ignore[misc]

    heard = Heard()
    found = []
    for compute in (picky, INDICATORS["kdj"].compute):
        declared = replace(INDICATORS["kdj"], compute=compute)
        tables = [table for _, table in history.side_by_side([declared], parts, sql, heard, lanes=compute is picky)]
        found.append({declared.id: pa.concat_tables(tables).sort_by("symbol")})
    assert seen[0] is Windows
    assert seen[-1] is Panel
    assert heard.errors == []
    assert found[0]["kdj"].num_rows == 120
    assert found[0]["kdj"].equals(found[1]["kdj"])
