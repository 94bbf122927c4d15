"""Intervals, and where their bars begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from candlemill.pipeline.base.intervals import INTERVALS, before, bucket_start

MONDAY = datetime(2000, 1, 3, tzinfo=UTC)


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
