"""candlemill: candles into technical indicators.

``candlemill.compute("bollinger", bars, interval="1h")`` computes an indicator over a table in memory;
``candlemill.register`` adds one of your own. The command line is ``candlemill``.

The packages ``indicators`` and ``pipeline`` and the statements in ``sql`` are parts of this one, so that a desk's own
folders of these names never stand in their way. In a checkout they lie beside it, and links lead there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .indicators.contract import (
        Indicator,
        Panel,
        Parameters,
        Values,
        difference,
        indicator,
        integer,
        moment,
        number,
        price,
        text,
    )
    from .indicators.registry import INDICATORS
    from .library import compute, register

__all__ = [
    "INDICATORS", "Indicator", "Panel", "Parameters", "Values", "compute", "difference", "indicator", "integer",
    "moment", "number", "price", "register", "text",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """A part of the library. They are imported when they are asked for: commands need few of them, and start fast."""
    if name in ("compute", "register"):
        return getattr(import_module(".library", __name__), name)
    if name == "INDICATORS":
        return import_module(".indicators.registry", __name__).INDICATORS
    if name in __all__:
        return getattr(import_module(".indicators.contract", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
