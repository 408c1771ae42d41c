"""What a gate is asked for and hands out: the right to run one statement, which counts what comes; and their sum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pyarrow as pa

from federation.gate import refusals
from federation.gate.shadow_queue import Shade
from federation.gate.turns import OWN, Kind, Lane, Seat
from views.catalog import Limits


class Wish(NamedTuple):
    """To run one statement: until `deadline` (loop time), for `tenant` (who shares turns with others of their own), of
    which kind; `alone`: heavy, so that no other such runs meanwhile; `shape`: fingerprint, for its usual time;
    `prober`: it only tries whether the source is back; `shared`: others with later deadlines may come to wait for it,
    so that it is not given up at this one; `holding`: not to run a statement, but to hold a state for several."""

    deadline: float = math.inf
    tenant: str = ""
    kind: Kind = "report"
    alone: bool = False
    shape: str = ""
    prober: bool = False
    shared: bool = False
    holding: bool = False

    @property
    def lane(self) -> Lane:
        """Where it waits."""
        return "heavy" if self.alone else self.kind


ANY = Wish()


@dataclass(slots=True)
class Load:
    """What a source was asked by us since the start; `ms` is the time its statements took together, `refused` counts
    those that never got there, by reason."""

    in_flight: int = 0
    waiting: int = 0
    statements: int = 0
    requests: int = 0  # that statements took besides their first
    rows: int = 0
    bytes: int = 0
    ms: float = 0.0
    errors: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    peak: int = 0  # in flight, since somebody asked for the peaks
    peak_waiting: int = 0

    def peaks(self) -> tuple[int, int]:
        """The most that were in flight and that waited since the last call."""
        told = self.peak, self.peak_waiting
        self.peak, self.peak_waiting = self.in_flight, self.waiting
        return told


class Issuer(Protocol):
    """The gate."""

    source: str
    limits: Limits

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds."""
        ...

    def done(self, permit: Permit, error: BaseException | None) -> None:
        """The permit's statement has ended."""
        ...


@dataclass(slots=True, eq=False)
class Permit:
    """The right to run one statement; give it back with `leave`, once the source has nothing left to do for it.

    `waited` are the milliseconds until it was given; `started` the gate's clock then.
    """

    gate: Issuer
    lane: Lane = "report"
    seat: Seat = OWN
    shape: str = ""
    started: float = 0.0
    waited: float = 0.0
    rows: int = 0
    bytes: int = 0
    first: float = 0.0  # the gate's clock when the first rows came; 0.0: none did
    left: bool = False
    inside: bool = False  # it runs where a holding permit has a place
    holding: bool = False
    shade: Shade | None = None

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
        """The batches as they come; LimitExceeded (53400) at the first that is past the owner's rows or bytes.

        Closing it closes `batches`. May run in any thread.
        """
        limits, clock = self.gate.limits, self.gate.clock
        one = limits.query
        rows, size = _least(limits.rows, one.rows), _least(limits.bytes, one.bytes)
        try:
            for batch in batches:
                self.first = self.first or clock()
                self.rows += batch.num_rows
                self.bytes += batch.nbytes
                if rows is not None and self.rows > rows:
                    raise refusals.too_many_rows(self.gate.source, rows, rows < limits.rows)
                if size is not None and self.bytes > size:
                    raise refusals.too_many_bytes(self.gate.source, size, size != limits.bytes)
                yield batch
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()

    def leave(self, error: BaseException | None = None) -> None:
        """Let the next statement in; `error` is what this one ended with. Idempotent; only from the loop's thread."""
        if not self.left:
            self.left = True
            self.gate.done(self, error)


def _least(one: int | None, other: int | None) -> int | None:
    return min((most for most in (one, other) if most is not None), default=None)
