"""What a work file holds and whose it is: kept as the comment of its bars, for whoever goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, get_origin, get_type_hints

from ...indicators.profiles import PARITY
from ..base.marker import DESK, Marker
from ..record import WITHOUT_CANDLES
from ..source.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..record import Record
    from ..settings import Settings


#: Names that a message lists.
_LISTED = 5


@dataclass(frozen=True)
class Provenance:
    """Where the bars of a pass come from.

    Attributes:
        source: its URL, without the password.
        as_of: the moment that the pass looked from.
        every_symbol: whether all symbols were asked for.
        left_out: rows that were skipped, for whatever reason.
        demo: whether the prices are the demo's, which are invented.
        profile: of the indicators' values.
        choice: a digest of how the symbols were chosen.
        symbols: those that have bars.
        intervals: those that have bars.
        indicators: those that have rows.
    """

    source: str
    exchange: str
    as_of: datetime
    lookback: int
    closed_only: bool
    every_symbol: bool
    left_out: int
    demo: bool = False
    profile: str = PARITY
    choice: str = ""
    symbols: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()

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
            demo=settings.marker.demo,
            profile=settings.marker.profile,
            choice=sha256(repr((settings.symbols, settings.symbol_rules)).encode(errors="replace")).hexdigest(),
        )

    def lacks(self, before: Provenance) -> list[str]:
        """What another work file holds beyond this one, in words.

        Symbols do not count where they were chosen in the same way: what ``auto`` chooses changes by itself.
        """
        found = []
        for what in ("symbols", "intervals", "indicators"):
            less = [name for name in getattr(before, what) if name not in set(getattr(self, what))]
            if less and not (what == "symbols" and self.choice == before.choice):
                found.append(f"the {what} {listed(less)}")
        if self.exchange != before.exchange:
            found.append(f"the exchange {before.exchange}")
        if self.lookback < before.lookback:
            found.append(f"bars beyond the newest {self.lookback} of each series")
        if self.as_of < before.as_of:
            found.append(f"what came after {self.as_of.isoformat(timespec='seconds')}")
        return found

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), default=datetime.isoformat, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str | None) -> Provenance:
        """What ``as_text`` has made. Raises ValueError for anything else, as an older version has left it."""
        try:
            plain = json.loads(text or "")
            lists = {name: tuple(map(str, value)) for name, value in plain.items() if isinstance(value, list)}
            found = cls(**{**plain, **lists, "as_of": datetime.fromisoformat(plain["as_of"])})
            kinds = {name: get_origin(kind) or kind for name, kind in get_type_hints(cls).items()}
            typed = all(isinstance(getattr(found, name), kind) for name, kind in kinds.items())
            if not typed or found.as_of.tzinfo is None:
                raise ValueError("something else stands there")
        except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
            raise ValueError("it does not say what its bars are") from error
        return found


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def marker_of(text: str | None) -> Marker:
    """The marker of a work file whose candles have that comment."""
    try:
        plain = json.loads(text or "")
        return Marker(bool(plain.get("demo", DESK.demo)), str(plain.get("profile", DESK.profile)))
    except (ValueError, AttributeError, RecursionError):
        return DESK
