"""Trying again what another process keeps from being done."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def patiently(
    work: Callable[[], Result],
    busy: type[Exception],
    seconds: float,
    most: float,
    say: Callable[[], None] = lambda: None,
) -> Result:
    """What some work returns, which is tried again and again where it raises that something is busy.

    Args:
        work: what to try.
        busy: what it raises then.
        seconds: after which the last error stands; 0: it is tried once.
        most: seconds between two tries at most; they begin with a twentieth.
        say: called before it is tried for the second time.
    """
    try:
        return work()
    except busy:
        if not seconds:
            raise
    say()
    # Imported where there is something to wait for: it loads asyncio, which takes longer than most waits.
    import tenacity

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(busy),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=most),
        reraise=True,
    )(work)
