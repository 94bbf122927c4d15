"""Ranges of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta


class Range(NamedTuple):
    """From a time up to another, and without that; it is empty where they are the same."""

    start: datetime
    until: datetime


def union(ranges: Iterable[Range]) -> list[Range]:
    """What any of the ranges covers, in order; ranges that overlap or touch become one."""
    joined: list[Range] = []
    for start, until in sorted(one for one in ranges if one.start < one.until):
        if joined and start <= joined[-1].until:
            joined[-1] = Range(joined[-1].start, max(joined[-1].until, until))
        else:
            joined.append(Range(start, until))
    return joined


def minus(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """What the ranges cover and the others do not, in order."""
    left = union(ranges)
    for other in union(others):
        left = [
            part
            for one in left
            for part in (Range(one.start, min(one.until, other.start)), Range(max(one.start, other.until), one.until))
            if part.start < part.until
        ]
    return left


def common(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """What both the ranges and the others cover, in order."""
    ranges = union(ranges)
    return minus(ranges, minus(ranges, others))


def pieces(one: Range, length: timedelta) -> Iterator[Range]:
    """The range in pieces of a length, the last of them perhaps shorter."""
    start = one.start
    while one.until - start > length:
        yield Range(start, start + length)
        start += length
    yield Range(start, one.until)
