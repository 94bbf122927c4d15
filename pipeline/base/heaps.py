"""The heaps of the C library: it gives threads one each, and what a thread has freed there, no other can use."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_M_ARENA_MAX = -8
#: More of them cost memory (100 MiB of a run over 200 symbols, whose statements have threads of their own) and no time
#: was gained.
_HEAPS = 2


def keep_few() -> None:
    """Let threads share two heaps. Other C libraries than glibc have nothing of the kind, and nothing happens there."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)
