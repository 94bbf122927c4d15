"""One finding of ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from ..base.errors import CandlemillError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is well, and what was seen; if it is not well, also what to do.

    ``ok`` is None where there is nothing to look at; then what to do so that there is.
    """

    name: str
    ok: bool | None
    seen: str


def attempt(name: str, look: Callable[[], str]) -> Check:
    """A check that is well unless it raises."""
    try:
        return Check(name, True, look())
    except (CandlemillError, duckdb.Error, OSError) as error:
        return Check(name, False, one_line(error))
