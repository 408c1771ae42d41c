"""Which core does what: a source and its own load on the first, we and our clients on the second.

The promise is about the load on a source, not about a machine that it would share with us.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_ALL = sorted(os.sched_getaffinity(0))
SOURCE, OWN = {_ALL[0]}, set(_ALL[1:2]) or {_ALL[0]}


@contextlib.contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """This thread, and the processes that it starts, there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def told() -> str:
    """For the figures."""
    return f"source and its load on core {min(SOURCE)}, vdw and its clients on core {min(OWN)}"
