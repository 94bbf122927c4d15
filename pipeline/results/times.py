"""Times of rows that others have written: the moment that a text means counts, and not how it is spelled."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def in_utc(text: str) -> str | None:
    """The moment of an ISO 8601 text as a run spells it; without an offset it is UTC. None: it is no time.

    Texts of one moment become equal, and texts of this form are in the order of their moments.
    """
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
    except (ValueError, OverflowError):
        return None
