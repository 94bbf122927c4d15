"""Ranges of time, and what of an aggregate is refreshed: against the same done minute by minute."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candlemill.pipeline.base.ranges import Range, common, minus, pieces, union
from candlemill.pipeline.source.aggregates import Aggregate, windows

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LENGTH = 200


def at(minute: int) -> datetime:
    return START + minute * MINUTE


def minutes(ranges: list[Range]) -> set[int]:
    return {minute for minute in range(LENGTH) if any(one.start <= at(minute) < one.until for one in ranges)}


def a_range(step: int = 1) -> st.SearchStrategy[Range]:
    edges = st.integers(0, LENGTH // step).map(lambda number: at(number * step))
    return st.tuples(edges, edges).map(lambda two: Range(min(two), max(two)))


RANGES = st.lists(a_range(), max_size=8)


@given(RANGES, RANGES)
def test_ranges_are_sets_of_times(some: list[Range], others: list[Range]) -> None:
    assert minutes(union(some)) == minutes(some)
    assert minutes(union([*some, *others])) == minutes(some) | minutes(others)
    assert minutes(minus(some, others)) == minutes(some) - minutes(others)
    assert minutes(common(some, others)) == minutes(some) & minutes(others)


@given(RANGES, RANGES)
def test_ranges_come_in_order_apart_from_each_other_and_not_empty(some: list[Range], others: list[Range]) -> None:
    for found in (union(some), minus(some, others), common(some, others)):
        edges = [edge for one in found for edge in one]
        assert edges == sorted(set(edges))


@given(a_range(), st.integers(1, LENGTH))
def test_pieces_are_the_whole_and_of_one_length_but_for_the_last(one: Range, length: int) -> None:
    found = list(pieces(one, length * MINUTE))
    assert found[0].start == one.start
    assert found[-1].until == one.until
    assert all(before.until == after.start for before, after in itertools.pairwise(found))
    assert all(piece.until - piece.start == length * MINUTE for piece in found[:-1])
    assert found[-1].until - found[-1].start <= length * MINUTE


@st.composite
def loads(draw: st.DrawFn) -> tuple[int, list[Range], list[Range], datetime | None, datetime, datetime]:
    """A bucket, touched and kept ranges of whole buckets, the watermark, the oldest bucket and the forming one."""
    bucket = draw(st.sampled_from([1, 5, 20]))
    edge = st.integers(0, LENGTH // bucket).map(lambda number: at(number * bucket))
    watermark = draw(st.none() | edge)
    touched = draw(st.lists(a_range(bucket), max_size=6))
    # An aggregate holds nothing above its watermark.
    kept = [] if watermark is None else common(draw(st.lists(a_range(bucket), max_size=3)), [Range(at(0), watermark)])
    oldest = min([draw(edge), *(one.start for one in touched)])
    return bucket, touched, kept, watermark, oldest, draw(edge)


@given(loads())
def test_what_is_touched_and_over_is_refreshed_and_what_has_to_stay_is_not(
    load: tuple[int, list[Range], list[Range], datetime | None, datetime, datetime],
) -> None:
    bucket, touched, kept, watermark, oldest, forming = load
    found = windows(touched, kept, watermark, oldest, forming)
    over = {minute for minute in minutes(touched) if at(minute) < forming}
    assert over - minutes(kept) <= minutes(found)
    assert not minutes(found) & minutes(kept)
    assert all(edge <= forming and (edge - START) % (bucket * MINUTE) == timedelta(0) for one in found for edge in one)


@given(loads())
def test_nothing_else_is_refreshed_unless_the_watermark_rises_over_it(
    load: tuple[int, list[Range], list[Range], datetime | None, datetime, datetime],
) -> None:
    _, touched, kept, watermark, oldest, forming = load
    found = minutes(windows(touched, kept, watermark, oldest, forming))
    over = {minute for minute in minutes(touched) if at(minute) < forming}
    low = -1 if watermark is None else (watermark - START) // MINUTE
    raised = set(range(max(low, (oldest - START) // MINUTE, 0), max(over, default=-1) + 1))
    # What is not refreshed and above the watermark shows what the parent gives, as long as the watermark stays below.
    assert found == (over | raised) - minutes(kept)


class Recorder:
    """A connection that keeps what it is asked to execute; what it is asked for is there."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def execute(self, query: bytes) -> Recorder:
        self.said.append(query.decode())
        return self

    def fetchone(self) -> tuple[bool]:
        return (True,)


@pytest.mark.parametrize("days", [30, 31, 75])
def test_a_refresh_is_done_in_pieces_of_a_month_and_says_which_of_how_many(
    days: int, caplog: pytest.LogCaptureFixture
) -> None:
    text = dict.fromkeys((field.name for field in fields(Aggregate)), "x")
    known: dict[str, Any] = {"name": "candles_5m", "zoned": True, "seconds": 300.0}
    aggregate, connection = Aggregate(**text | known), Recorder()
    with caplog.at_level("INFO"):
        aggregate.refresh(connection, [Range(START, START + timedelta(days=days))])  # type: ignore[arg-type]
    count = -(-days // 30)
    edges = [START + timedelta(days=min(30 * number, days)) for number in range(count + 1)]
    assert [re.findall(r"'(20[^']+)'", said) for said in connection.said if said.startswith("CALL")] == [
        [since.isoformat(), until.isoformat()] for since, until in itertools.pairwise(edges)
    ]
    of = [f" ({number} of {count})" for number in range(1, count + 1)] if count > 1 else [""]
    assert [record.getMessage() for record in caplog.records] == [
        f"refreshing candles_5m from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}{which}"
        for (since, until), which in zip(itertools.pairwise(edges), of, strict=True)
    ]
