"""The C library's heap: few arenas, so that what a window needed for a moment goes back to the system.

glibc gives each thread an arena of its own, and never gives back what lies between two living blocks of one.
With workers in threads that come and go the process grew hour by hour (docs/evidence/soak.md); with two it
stays (soak-after.md). The image says the same by `MALLOC_ARENA_MAX`.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h
ARENAS = 2


def keep_few_arenas() -> bool:
    """Ask glibc for at most `ARENAS` arenas, before the first thread; False where it is another library."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):
        return False
