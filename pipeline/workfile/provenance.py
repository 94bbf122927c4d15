"""What the bars in a work file are: kept with them, as the comment of their table, for whoever goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, get_type_hints

from ..record import WITHOUT_CANDLES
from ..source.urls import redacted

if TYPE_CHECKING:
    from ..record import Record
    from ..settings import Settings


@dataclass(frozen=True)
class Provenance:
    """Where the bars of a pass come from.

    Attributes:
        source: its URL, without the password.
        as_of: the moment that the pass looked from.
        every_symbol: whether all symbols were asked for.
        left_out: rows that were skipped, for whatever reason.
    """

    source: str
    exchange: str
    as_of: datetime
    lookback: int
    closed_only: bool
    every_symbol: bool
    left_out: int

    @classmethod
    def of(cls, settings: Settings, record: Record, every_symbol: bool) -> Provenance:
        """Of the bars that a pass has read."""
        return cls(
            source=redacted(settings.source),
            exchange=settings.exchange,
            as_of=settings.as_of,
            lookback=settings.lookback,
            closed_only=settings.closed_only,
            every_symbol=every_symbol,
            left_out=record.skipped.total() - record.skipped[WITHOUT_CANDLES],
        )

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), default=datetime.isoformat, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str | None) -> Provenance:
        """What ``as_text`` has made. Raises ValueError for anything else, as an older version has left it."""
        try:
            plain = json.loads(text or "")
            found = cls(**{**plain, "as_of": datetime.fromisoformat(plain["as_of"])})
            typed = all(isinstance(getattr(found, name), kind) for name, kind in get_type_hints(cls).items())
            if not typed or found.as_of.tzinfo is None:
                raise ValueError("something else stands there")
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise ValueError("it does not say what its bars are") from error
        return found
