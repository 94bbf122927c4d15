"""Memory, as a program uses it that ends soon: the heaps of the C library, and Python's collector of garbage."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

# Of glibc's malloc.h.
_M_ARENA_MAX = -8
#: More of them cost memory (100 MiB of a run over 200 symbols, whose statements have threads of their own) and no time
#: was gained.
_HEAPS = 2
#: New objects after which Python looks for garbage. What is imported is none, and by default a tenth of the time of the
#: imports goes into looking at it.
_NEW_OBJECTS = 50_000


def collect_seldom() -> None:
    """Let Python look for garbage less often than it would."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def keep_few() -> None:
    """Let threads share two heaps of the C library, which gives them one each: what a thread has freed, others can use.

    Other libraries than glibc have nothing of the kind, and nothing happens there.
    """
    if set_option := _of_glibc("mallopt"):
        set_option(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Give the system back what is free in the heaps, which they keep between what is not: it takes 2 ms.

    A run over 200 symbols needs 40 MiB less for it. As in ``keep_few``, it is glibc's.
    """
    if trim := _of_glibc("malloc_trim"):
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of that library, which takes and returns whole numbers; None: there is another one."""
    return getattr(ctypes.CDLL(None), name, None)
