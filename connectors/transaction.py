"""A transaction on one connection as a snapshot: what the engines have in common (see connectors.base.Snapshot)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pyarrow as pa

from connectors.base import Cancel, SourceQuery
from connectors.leases import Lease

Run = Callable[[SourceQuery, float, Cancel], Iterator[pa.RecordBatch]]


class Transaction:
    """`begin` a transaction on the connection that `leased` gives; it says how to read the same state beside it, if
    that can be. `run` runs a statement there, `end` ends the transaction."""

    def __init__(
        self,
        leased: AbstractContextManager[Lease],
        begin: Callable[[Lease], Run | None],
        run: Callable[[Lease, SourceQuery, float, Cancel], Iterator[pa.RecordBatch]],
        end: Callable[[Lease], None],
    ) -> None:
        self._run, self._end = run, end
        with contextlib.ExitStack() as stack:
            self._lease = stack.enter_context(leased)
            self._beside = begin(self._lease)
            self._lease.reused = False  # what is lost from now on cannot be begun anew
            self._stack = stack.pop_all()

    @property
    def parallel(self) -> bool:
        """See Snapshot."""
        return self._beside is not None

    def execute(
        self, query: SourceQuery, *, timeout: float, cancel: Cancel, beside: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """See Snapshot."""
        if beside and self._beside is not None:
            yield from self._beside(query, timeout, cancel)
            return
        try:
            yield from self._run(self._lease, query, timeout, cancel)
        except BaseException:
            self._lease.broken = True
            raise

    def close(self) -> None:
        """See Snapshot. A connection that is broken, or on which the transaction does not end, is closed."""
        with self._stack:
            if not self._lease.broken:
                self._lease.broken = True
                with contextlib.suppress(Exception):
                    self._end(self._lease)
                    self._lease.broken = False
