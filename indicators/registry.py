"""All indicators. One that is declared in a module of this package is registered by being there."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from .contract import FAMILIES, Indicator
from .fields import METRICS_ROWS
from .service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FOUND: dict[str, Indicator] = {}
#: Indicators by id: by family, those of the replaced service first, in the order of its table, then by name.
INDICATORS: Mapping[str, Indicator] = MappingProxyType(_FOUND)


def register(declared: Indicator) -> Indicator:
    """Add an indicator, with the names that the replaced service has for it, and return it so.

    Raises ValueError where its id or the name of its table is taken, or it reads more metrics than a pass does.
    """
    if declared.id in _FOUND:
        raise ValueError(f"indicator {declared.id} is declared twice: give it another id")
    if declared.source == "metrics" and declared.bars_read() > METRICS_ROWS:
        raise ValueError(
            f"indicator {declared.id} reads {declared.bars_read()} rows of metrics, a pass {METRICS_ROWS}: "
            "raise METRICS_ROWS in indicators/fields.py"
        )
    line = SERVICE.get(declared.id)
    named = replace(declared, stored=line) if line else declared
    taken = [known.id for known in _FOUND.values() if known.table == named.table]
    if taken:
        raise ValueError(f"indicator {named.id} has the table {named.table} of {taken[0]}: give it another")
    _FOUND[named.id] = named
    return named


def _declared() -> Iterator[Indicator]:
    """The declarations in the modules beside this one."""
    package = __package__ or ""
    seen: set[int] = set()
    for module in pkgutil.iter_modules(import_module(package).__path__):
        if module.ispkg or module.name == "registry":
            continue
        for declared in vars(import_module(f"{package}.{module.name}")).values():
            if isinstance(declared, Indicator) and id(declared) not in seen:
                seen.add(id(declared))
                yield declared


def _place(declared: Indicator) -> tuple[int, int, str]:
    known = list(SERVICE)
    order = known.index(declared.id) if declared.id in SERVICE else len(known)
    return FAMILIES.index(declared.family), order, declared.id


for _indicator in sorted(_declared(), key=_place):
    register(_indicator)
