"""Intervals, and where their bars begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from candlemill.pipeline.base.intervals import INTERVALS, before, bucket_start

MONDAY = datetime(2000, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "at", "start"),
    [
        ("1m", datetime(2026, 1, 22, 9, 7, 59), datetime(2026, 1, 22, 9, 7)),
        ("5m", datetime(2026, 1, 22, 9, 5), datetime(2026, 1, 22, 9, 5)),
        ("5m", datetime(2026, 1, 22, 9, 4, 59, 999999), datetime(2026, 1, 22, 9, 0)),
        ("4h", datetime(2026, 1, 22, 9, 7), datetime(2026, 1, 22, 8)),
        ("1d", datetime(2026, 1, 22, 23, 59), datetime(2026, 1, 22)),
        # 2026-01-22 is 9516 = 3 x 3172 days after Monday 2000-01-03: from there on TimescaleDB counts, too.
        ("3d", datetime(2026, 1, 21, 23, 59), datetime(2026, 1, 19)),
        ("3d", datetime(2026, 1, 22), datetime(2026, 1, 22)),
        ("3d", datetime(2026, 1, 24, 23, 59), datetime(2026, 1, 22)),
        # 2026-01-19 is a Monday.
        ("1w", datetime(2026, 1, 18, 23, 59), datetime(2026, 1, 12)),
        ("1w", datetime(2026, 1, 19), datetime(2026, 1, 19)),
        ("1w", datetime(2000, 1, 3), datetime(2000, 1, 3)),
        ("1w", datetime(2000, 1, 9, 23, 59), datetime(2000, 1, 3)),
        # Before the first of all buckets a moment stands for itself.
        ("1w", datetime(2000, 1, 2, 23, 59), datetime(2000, 1, 2, 23, 59)),
    ],
)
def test_a_bar_starts_on_the_grid_of_its_interval(name: str, at: datetime, start: datetime) -> None:
    assert bucket_start(at.replace(tzinfo=UTC), INTERVALS[name]) == start.replace(tzinfo=UTC)


def test_the_lengths_of_intervals() -> None:
    minutes = {name: interval.length // timedelta(minutes=1) for name, interval in INTERVALS.items()}
    assert minutes == {
        **{"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480},
        **{"12h": 720, "1d": 1440, "3d": 4320, "1w": 10080, "1M": 44640},
    }


def test_some_lengths_before_a_moment_and_no_further_back_than_time_goes() -> None:
    assert before(MONDAY, timedelta(days=1), 2) == datetime(2000, 1, 1, tzinfo=UTC)
    assert before(MONDAY, timedelta(days=1), 10**6) == datetime.min.replace(tzinfo=UTC)
