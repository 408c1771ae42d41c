"""How a server that runs for long takes and gives back memory: bulk answers must not leave it swollen."""

from __future__ import annotations

import contextlib
import ctypes

import pyarrow as pa

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # glibc's M_MMAP_THRESHOLD and M_ARENA_MAX
LARGE = 256 << 10  # bytes; what is as large is given back to the system once it is freed


def settle() -> None:
    """For the whole process, before its threads start.

    Batches are made in one thread, passed on and freed in another. glibc's heap for each thread, and the pools that
    Arrow brings along, keep most of what was freed so: 10 million rows left 300 MB behind, and 60 MB with this.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):  # another C library has no mallopt, and none of the trouble
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGE)
        mallopt(_ARENA_MAX, 2)
