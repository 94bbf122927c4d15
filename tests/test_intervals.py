"""Intervals, and where their bars begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.pipeline.base.intervals import INTERVALS, before, bucket_start
from candlemill.pipeline.compute.checks import ASTRAY, possible_bars
from candlemill.pipeline.compute.history import later

MONDAY = datetime(2000, 1, 3, tzinfo=UTC)
MODEST = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("name", "at", "start"),
    [
        ("1m", "2026-01-22T09:07:59", "2026-01-22T09:07"),
        ("5m", "2026-01-22T09:05", "2026-01-22T09:05"),
        ("5m", "2026-01-22T09:04:59.999999", "2026-01-22T09:00"),
        ("4h", "2026-01-22T09:07", "2026-01-22T08:00"),
        ("1d", "2026-01-22T23:59", "2026-01-22T00:00"),
        # 2026-01-22 is 9516 = 3 x 3172 days after Monday 2000-01-03: from there on TimescaleDB counts, too.
        ("3d", "2026-01-21T23:59", "2026-01-19T00:00"),
        ("3d", "2026-01-22T00:00", "2026-01-22T00:00"),
        ("3d", "2026-01-24T23:59", "2026-01-22T00:00"),
        # 2026-01-19 is a Monday.
        ("1w", "2026-01-18T23:59", "2026-01-12T00:00"),
        ("1w", "2026-01-19T00:00", "2026-01-19T00:00"),
        ("1w", "2000-01-03T00:00", "2000-01-03T00:00"),
        ("1w", "2000-01-09T23:59", "2000-01-03T00:00"),
        # Before the first of all buckets a moment stands for itself.
        ("1w", "2000-01-02T23:59", "2000-01-02T23:59"),
        ("1M", "2026-02-28T23:59:59.999999", "2026-02-01T00:00"),
        ("1M", "2026-03-01T00:00", "2026-03-01T00:00"),
        ("1M", "1999-12-31T23:59", "1999-12-01T00:00"),
    ],
)
def test_a_bar_starts_on_the_grid_of_its_interval(name: str, at: str, start: str) -> None:
    found = bucket_start(datetime.fromisoformat(f"{at}+00:00"), INTERVALS[name])
    assert found == datetime.fromisoformat(f"{start}+00:00")


def test_the_lengths_of_intervals() -> None:
    minutes = {name: interval.length // timedelta(minutes=1) for name, interval in INTERVALS.items()}
    assert minutes == {
        **dict(zip(("1m", "3m", "5m", "15m", "30m"), (1, 3, 5, 15, 30), strict=True)),
        **{f"{hours}h": hours * 60 for hours in (1, 2, 4, 6, 8, 12)},
        **dict(zip(("1d", "3d", "1w", "1M"), (1440, 4320, 10080, 44640), strict=True)),
    }


def test_some_lengths_before_a_moment_and_no_further_back_than_time_goes() -> None:
    assert before(MONDAY, timedelta(days=1), 2) == datetime(2000, 1, 1, tzinfo=UTC)
    assert before(MONDAY, timedelta(days=1), 10**6) == datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "bars", "found"),
    [
        ("2026-03-01T00:00", 1, "2026-02-01T00:00"),
        ("2026-03-31T10:00", 1, "2026-02-28T10:00"),
        ("2024-03-31T10:00", 1, "2024-02-29T10:00"),
        ("2026-01-15T10:00", 1, "2025-12-15T10:00"),
        ("2026-01-15T10:00", 60, "2021-01-15T10:00"),
        ("2026-12-01T00:00", -1, "2027-01-01T00:00"),
        ("2026-01-15T10:00", 10**6, "0001-01-01T00:00"),
    ],
)
def test_bars_of_1M_are_counted_in_calendar_months(at: str, bars: int, found: str) -> None:  # noqa: N802 - its name
    moment = datetime.fromisoformat(f"{at}+00:00")
    assert INTERVALS["1M"].back(moment, bars) == datetime.fromisoformat(f"{found}+00:00")


def test_bars_of_other_intervals_are_counted_in_their_length() -> None:
    assert INTERVALS["4h"].back(MONDAY, 3) == MONDAY - timedelta(hours=12)
    assert INTERVALS["1w"].back(MONDAY, 10**6) == datetime.min.replace(tzinfo=UTC)


@MODEST
@given(
    name=st.sampled_from(["5m", "1w", "1M"]),
    moment=st.integers(-(10**15), 3 * 10**15),
    bars=st.integers(-500, 500),
)
def test_bars_are_counted_alike_one_by_one_and_in_arrays(name: str, moment: int, bars: int) -> None:
    found = int(later(np.array([moment], dtype=np.int64), INTERVALS[name], -bars)[0])
    epoch = datetime.fromtimestamp(0, UTC)
    assert epoch + timedelta(microseconds=found) == INTERVALS[name].back(epoch + timedelta(microseconds=moment), bars)


def test_a_month_bar_begins_on_the_first_day_of_its_month() -> None:
    starts = [datetime(2026, month, day, hour, tzinfo=UTC) for month, day, hour in ((2, 1, 0), (2, 2, 0), (3, 1, 1))]
    prices = {name: [1.0] * 3 for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"bucket_ts": pa.array(starts, pa.timestamp("us", "UTC")), **prices})
    kept, skipped = possible_bars(table, INTERVALS["1M"])
    assert kept["bucket_ts"].to_pylist() == starts[:1]
    assert skipped == {ASTRAY: 2}
