"""An answer: its exact types, its rows as they come, and where they came from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.types import PgType
from planner.plan import Plan


@dataclass(slots=True)
class Part:
    """What one fragment did: `cache` is hit | miss | shared | contained (taken from kept rows of a statement that asked
    for more, which `contained` tells) | none (no statement was needed), `statements` how many were sent to the source
    for us; `read_at` seconds since the epoch when its rows were
    read at the source; `as_of` the source's own word for its data's age (ISO text) or ''; rows, bytes (in Arrow) and
    ms of the fetch, `waited` of these at the source's gate. `origin` is live | cache | stale | copy | missing, `why`
    says why it is stale or missing. A source that is missing has a part (fragment -1) with the tables that were taken
    as empty, and the `policy` that allows it: nulls | partial. `views` are those of the statement that read the source,
    `originals` the tables (schema.name) that copies stood for. `left_out` are the values that are NULL as they did not
    fit (`unfit` in the source's file), their number by table.column. `spared` statements did not have to be sent, as
    their answers were at hand; `fingerprint` and `kind` are those of its statements. Parts of one `snapshot` (a number,
    0: none) were read of one state of their source, which was that of `read_at`. `servers` are those of a source
    of several that answered, each with how far it was behind; `as_of` then is as old as the one furthest behind
    can have been.
    """

    fragment: int
    source: str
    sql: str
    rows: int = 0
    bytes: int = 0
    ms: float = 0.0
    cache: str = "miss"
    read_at: float = 0.0
    as_of: str = ""
    ttl: float = 0.0
    statements: int = 1
    waited: float = 0.0
    origin: str = "live"
    why: str = ""
    contained: str = ""
    policy: str = ""
    tables: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    spared: int = 0
    fingerprint: str = ""
    kind: str = "report"
    originals: tuple[str, ...] = ()
    snapshot: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """What one stage of a merge did in DuckDB: rows that it read and gave, and the ms until they were there."""

    stage: int
    read: int
    rows: int
    ms: float


@dataclass(slots=True)
class Result:
    """Rows in Arrow batches whose types are `PgType.arrow` of `columns`, columns named as in `columns`.

    Iterate `batches` to its end or call `aclose`; both free what the answer holds. `parts` is complete
    once the last batch has come. `engine` is stream | canon | duckdb | staged (DuckDB first, then the canon).
    """

    columns: tuple[tuple[str, PgType], ...]
    batches: AsyncIterator[pa.RecordBatch]
    plan: Plan
    engine: str = "stream"
    cached: bool = False
    parts: list[Part] = field(default_factory=list)
    merge_ms: float = 0.0
    why: str = ""  # why that engine merged
    stages: Sequence[Ran] = ()  # of engine `staged`

    async def aclose(self) -> None:
        """Stop the work that is still going on for this answer."""
        close = getattr(self.batches, "aclose", None)
        if close is not None:
            await close()

    async def table(self) -> pa.Table:
        """All rows at once; for small answers."""
        schema = pa.schema([pa.field(f"c{i}", kind.arrow) for i, (_, kind) in enumerate(self.columns)])
        batches = [batch async for batch in self.batches]
        table = pa.Table.from_batches([b.rename_columns(schema.names) for b in batches], schema)
        return table.rename_columns([name for name, _ in self.columns])
