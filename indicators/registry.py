"""All indicators. One declared in a module of ``FAMILIES`` is registered by being there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from . import (
    futures,
    momentum,
    patterns,
    profile,
    quality,
    structure,
    trend,
    trend_states,
    volatility,
    volume,
)
from .contract import Indicator

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES = (trend, trend_states, momentum, volatility, volume, profile, structure, patterns, futures, quality)


def _collect() -> dict[str, Indicator]:
    found: dict[str, Indicator] = {}
    tables: set[str] = set()
    for family in FAMILIES:
        for declared in vars(family).values():
            if isinstance(declared, Indicator):
                if declared.id in found or declared.table in tables:
                    raise ValueError(f"indicator {declared.id} ({declared.table}) is declared twice")
                found[declared.id] = declared
                tables.add(declared.table)
    return found


#: Indicators by id, in the order of their families and of their declaration there.
INDICATORS: Mapping[str, Indicator] = MappingProxyType(_collect())
