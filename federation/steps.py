"""A plan's fragments on their way: what is to be asked, for whom, and the rows that came."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from cache.results import Keep
from connectors.base import Bound, Cancel, Served, SourceQuery
from federation import bind
from federation.channel import Channel
from federation.deadline import Deadline
from federation.gate.turns import Kind
from federation.query import Query
from federation.result import Part
from federation.snapshots import Snapshots
from planner.plan import Fragment

# Bytes that keeping a value costs besides its rows: its key, tags, and what it takes to read it again. Measured: 6,965
# for a lookup of one source, 6,200 for one of four.
OVERHEAD = 7 << 10


@dataclass(frozen=True, slots=True)
class Step:
    """A fragment with what the catalog says about fetching it: `ttl` seconds that its rows may be kept; `heavy`: it
    is past its source's budget of examined rows, so that one such statement at a time runs there; `kind`: lookup |
    report | extract | chore; `views` are those of the statement that read its source; `revalidate` and `on_error`:
    seconds past the ttl in which old rows serve while they are read again, and where they cannot be; `tags`: what the
    rows are of, to invalidate them by; `originals`: tables (schema.name) whose copies it reads.

    `keep` (these terms for the cache), `sql`, `schema` (Arrow), `signature` (all of it that a cache key needs),
    `fingerprint` (of the SQL) and the sources whose data it has (`speaks_for`) are worked out once.
    """

    fragment: Fragment
    ttl: float
    version: str
    heavy: bool = False
    kind: Kind = "report"
    views: tuple[str, ...] = ()
    revalidate: float = 0.0
    on_error: float = 0.0
    tags: frozenset[str] = frozenset()
    originals: tuple[str, ...] = ()
    keep: Keep = field(init=False)
    sql: str = field(init=False)
    schema: pa.Schema = field(init=False)
    signature: str = field(init=False)
    fingerprint: str = field(init=False)
    speaks_for: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        kinds = [kind for _, kind in self.fragment.columns]
        sql = bind.text(self.fragment.text)
        keep = Keep(self.ttl, self.revalidate, self.on_error, tags=self.tags)
        object.__setattr__(self, "keep", keep)
        object.__setattr__(self, "sql", sql)
        object.__setattr__(self, "schema", pa.schema([pa.field(f"c{i}", kind.arrow) for i, kind in enumerate(kinds)]))
        types = ",".join(f"{kind.name}:{kind.mod}:{kind.oid}" for kind in kinds)
        object.__setattr__(self, "signature", "\0".join((self.fragment.source, self.version, types, sql)))
        sources = (self.fragment.source, *(name.partition(".")[0] for name in self.originals))
        object.__setattr__(self, "speaks_for", tuple(dict.fromkeys(sources)))
        told = f"{self.fragment.source}\0{sql}".encode()
        object.__setattr__(self, "fingerprint", hashlib.sha256(told).hexdigest()[:16])

    def sql_of(self, query: SourceQuery) -> str:
        """The text of one of this fragment's statements."""
        return self.sql if query.parts is self.fragment.text.parts else query.sql


@dataclass(slots=True)
class Rows:
    """What one run read: everything, or (`complete` is false) the first batches and a channel for the rest.

    `read_at` is the time of day, `born` the cache's clock, both when the statement was sent; `as_of` the source's own
    word for its data's age at that time.
    """

    batches: list[pa.RecordBatch]
    complete: bool
    read_at: float
    born: float
    ms: float
    rest: Channel | None = None
    as_of: str = ""
    waited: float = 0.0  # ms at the source's gate
    contained: str = ""  # of which kept rows these were taken, and what was checked for that
    statements: int = 1  # that were sent for them
    order: int = 0  # how much had been invalidated when they were read
    lasting: bool = True  # they may be kept
    served: Served | None = None  # which of the source's servers they are of, where it has several
    snapshot: int = 0  # of which state of the source they are; 0: one of their own

    @property
    def count(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    @property
    def bytes(self) -> int:
        """Bytes of the batches at hand, in Arrow."""
        return sum(batch.nbytes for batch in self.batches)

    @property
    def size(self) -> int:
        """Bytes that keeping them costs; an incomplete answer is never kept."""
        return self.bytes + OVERHEAD if self.complete and self.lasting else sys.maxsize

    def claim(self) -> Channel | None:
        """The rest, for the first who asks."""
        rest, self.rest = self.rest, None
        return rest

    def drop(self) -> None:
        """Stop the rest, where nobody claimed it."""
        rest = self.claim()
        if rest is not None:
            rest.close()


@dataclass(slots=True)
class Fetched:
    """The rows of a plan's fragments; `born` is the cache's clock when the oldest of them was read, `until` when the
    first of them stop to be fresh; `computed` are the values that were computed for it; `query` for which they were
    read, where it goes on elsewhere."""

    tables: dict[int, pa.Table]
    parts: list[Part]
    born: float = math.inf
    until: float = math.inf
    computed: Sequence[Bound] = ()
    query: Query | None = None

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """An error of the body ends the query, where it goes on elsewhere."""
        try:
            yield
        except BaseException as error:
            if self.query is not None:
                self.query.end(error)
            raise

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


@dataclass(slots=True)
class Asked:
    """For which query rows are fetched, with which values, and until when: shared work has no client's deadline nor
    cancel."""

    query: Query
    given: bind.Given
    deadline: Deadline
    cancel: Cancel
    ready: Fetched | None = None  # what was read before all others
    snapshots: Snapshots | None = None  # the sources' states that it reads
