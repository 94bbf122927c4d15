"""Functions that are compiled when they are called first: the loops of lanes.

``numba`` is imported when the first of them is called, and each is compiled when it is.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_folder: list[Path] = []


def keep_in(folder: Path) -> None:
    """Keep what is compiled from now on in a folder, and take from there what is kept."""
    _folder[:] = [folder]


class Compiled:
    """A function that is compiled when it is first called, for one signature."""

    def __init__(self, function: Callable[..., None], signature: str) -> None:
        self.function = function
        self.signature = signature
        self._machine: Callable[..., None] | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run it."""
        if self._machine is None:
            self._machine = _compile(self.function, self.signature)
        self._machine(*arguments)


def compiled(signature: str) -> Callable[[Callable[..., None]], Compiled]:
    """Compile the decorated function, see ``Compiled``.

    The signature has a letter for the type of each argument (f float, i integer, b boolean) with the dimensions of an
    array behind it; a capital is one that is written to.
    """
    return lambda function: Compiled(function, signature)


def quotient(value: float, divisor: float) -> float:
    """``value / divisor``, in compiled loops over many values without a division for each.

    The quotient is guessed by the divisor's inverse to less than an ulp, and its remainder, which a fused
    multiplication and addition leaves whole, decides: then it is the nearest double, as that of a division is. That
    holds where the inverse, the quotient and the remainder are 0 or normal, and none overflows.

    Source: Markstein, Computation of elementary functions on the IBM RISC System/6000 processor (1990).
    """
    return value / divisor


@cache
def _teach_quotient() -> None:
    """Tell the compiler what to make of ``quotient``."""
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic
    def fused(_, a, b, c):  # type: ignore[no-untyped-def]  # noqa: ARG001
        # a * b + c, rounded once.
        def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            return builder.fma(*arguments)

        return types.float64(types.float64, types.float64, types.float64), code

    @overload(quotient)
    def compiled_quotient(value, divisor):  # type: ignore[no-untyped-def]  # noqa: ARG001
        def without_division(value, divisor):  # type: ignore[no-untyped-def]
            # Both are of the divisor alone, and made once for a loop in which it stays as it is.
            inverse = 1.0 / divisor
            lacking = fused(-divisor, inverse, 1.0) * inverse
            guess = fused(value, inverse, value * lacking)
            return fused(fused(-divisor, guess, value), inverse, guess)

        return without_division


def _compile(function: Callable[..., None], signature: str) -> Callable[..., None]:
    from numba import njit, types

    _teach_quotient()
    kinds = {"f": types.float64, "i": types.int64, "b": types.boolean}

    def of(word: str) -> Any:
        kind = kinds[word[0].lower()]
        return types.Array(kind, int(word[1:]), "C", readonly=word[0].islower()) if word[1:] else kind

    def machine(*, kept: bool) -> Callable[..., None]:
        with _pointed_to_the_folder() if kept else nullcontext():
            # No fastmath: it would reorder. Without the checks of Python's division, as NumPy divides.
            dispatcher = njit(nogil=True, error_model="numpy", cache=kept)(function)
        dispatcher.compile(types.void(*map(of, signature.split())))
        dispatcher.disable_compile()
        found: Callable[..., None] = dispatcher
        return found

    if _folder:
        # Whatever is wrong with what is kept, or with keeping it: it can be made anew.
        with suppress(Exception):
            return machine(kept=True)
    return machine(kept=False)


@contextmanager
def _pointed_to_the_folder() -> Iterator[None]:
    """Have numba keep in our folder the functions that are decorated meanwhile, and no others."""
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(_folder[0])
    try:
        yield
    finally:
        config.CACHE_DIR = before
