"""Which implementation of a kernel runs: NumPy over the series of a panel, or lanes over the windows of a series."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..windows import Sliding, Windows

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

#: Every kernel that has lanes, by name: the NumPy implementation.
OVER_PANELS: dict[str, Callable[..., Any]] = {}


def in_lanes(kernel: Callable[P, R]) -> Callable[P, R]:
    """The kernel, which hands the windows of a series over to the function of its name in ``lanes``.

    Both have the same arguments and, to the last bit, the same results. ``lanes`` is imported when it is first needed:
    a live run does without it, and without the compiler that it wants.
    """
    OVER_PANELS[kernel.__name__] = kernel

    @wraps(kernel)
    def dispatched(*args: P.args, **how: P.kwargs) -> R:
        if isinstance(args[0], Sliding | Windows):
            return lanes_of(kernel.__name__)(*args, **how)
        return kernel(*args, **how)

    return dispatched


def lanes_of(name: str) -> Callable[..., Any]:
    """The implementation of a kernel over the windows of a series."""
    found: Callable[..., Any] = getattr(import_module(".lanes", __package__), name)
    return found
