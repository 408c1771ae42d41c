"""COPY (query) TO STDOUT of a virtual query: rows as they come, in any of COPY's formats, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from api.pgwire import packets, rows
from api.pgwire.backend import BIND, CLOSE, EXECUTE, PARSE
from api.pgwire.copying import CopyFormat, copy_rows
from connectors.base import Bound, Cancel
from connectors.errors import QueryError
from connectors.types import PgType
from federation.canon.residual import dumped

if TYPE_CHECKING:
    from api.pgwire.statements import Copy
    from federation.prepare import Prepared

COPY = b"_vdw_copy"
PIECE = 4_096  # rows at once, of what the canon merges in the session's backend


class CopyOut:
    """The portal of a COPY."""

    def __init__(self, copy: Copy, prepared: Prepared, bounds: Sequence[Bound]) -> None:
        self._copy, self._prepared, self._bounds = copy, prepared, bounds
        self._session = copy.session

    def describe(self, quiet: bool = False) -> None:
        if not quiet:
            self._session.backend.say(packets.NO_DATA)

    async def execute(self, limit: int) -> None:  # noqa: ARG002
        """All of it; a COPY knows no row limit."""
        columns = self._prepared.plan.columns
        form = CopyFormat.of(self._copy.way.options, [name for name, _ in columns])
        if str(self._copy.way.options.get("encoding", "UTF8")).upper().replace("-", "") not in ("UTF8", "UNICODE"):
            raise QueryError("COPY of a virtual view is in UTF8 only", sqlstate="0A000")
        head = await self._head()
        session = self._session
        if not await session.backend.settle():
            return
        session.write(head)
        cancel, count = Cancel(), 0
        with session.handover.desk.work(cancel):
            begin = form.begin()
            async for data, many in self._encoded(form, cancel):
                if not data:
                    continue
                # A binary COPY's header shares the first row's message.
                session.write(_shared(begin, data))
                begin = b""
                await session.client.drain()
                cancel.check()
                count += many
        session.write(_shared(begin, form.end()) + packets.COPY_DONE + packets.complete(f"COPY {count}"))

    async def _head(self) -> bytes:
        """CopyOutResponse and the header line, from the canon's own COPY of no rows: it also checks the options."""
        columns, way = self._prepared.plan.columns, self._copy.way
        listed = ", ".join(f"NULL::{kind.bare.sql} AS {_quoted(name)}" for name, kind in columns)
        sql = f"{way.head}SELECT {listed} WHERE false{way.tail}".encode(self._session.settings.encoding)
        kept = await self._session.backend.ask(
            (packets.close(b"P", COPY), CLOSE),  # what failed is still there
            (packets.close(b"S", COPY), CLOSE),
            (packets.parse(COPY, sql), PARSE),
            (packets.bind(COPY, COPY, (), (), ()), BIND),
            (packets.execute(COPY), EXECUTE),
            (packets.close(b"P", COPY), CLOSE),
            (packets.close(b"S", COPY), CLOSE),
        )
        binary = str(way.options.get("format", "")).lower() == "binary"
        return b"".join(raw for kind, raw in kept if kind == ord("H") or (kind == ord("d") and not binary))

    async def _encoded(self, form: CopyFormat, cancel: Cancel) -> AsyncIterator[tuple[bytes, int]]:
        plan, settings = self._prepared.plan, self._session.settings
        code = 1 if form.kind == "binary" else 0
        moment = bool(plan.computed) and self._session.backend.status == "T"
        if plan.session or moment or not rows.supports(plan.columns, settings.values, (code,)):
            async for piece in self._merged(code, cancel):
                yield _from_cells(piece, form), piece.num_rows
            return
        engine = self._session.server.engine
        assert engine is not None  # noqa: S101
        result = await engine.run(self._prepared, self._bounds, settings.session(), cancel)
        await self._session.handover.account.tell(result.parts)
        try:
            async for batch in result.batches:
                for piece in rows.slices(batch):
                    yield await asyncio.to_thread(copy_rows, piece, plan.columns, form, settings.values), piece.num_rows
            await self._session.handover.account.ended(result.parts)
        finally:
            await result.aclose()

    async def _merged(self, code: int, cancel: Cancel) -> AsyncIterator[pa.RecordBatch]:
        """Rows of the residual in the session's own backend, as cells that the canon wrote."""
        copy = self._copy
        prepared, fetched = await copy.gathered(self._prepared, self._bounds, cancel)
        asked = packets.Bind(COPY, b"", (), [dumped(bound) for bound in self._bounds], (code,))
        relayed = await copy.relay(prepared, asked, fetched, None, True, framed=False)
        try:
            async for piece in self._pieces():
                yield piece
            if relayed.query is not None:
                relayed.query.end()
        finally:
            relayed.abandon()

    async def _pieces(self) -> AsyncIterator[pa.RecordBatch]:
        backend = self._session.backend
        width = len(self._prepared.plan.columns)
        more = True
        while more:
            kept = await backend.ask((packets.execute(COPY, PIECE), EXECUTE))
            cells = [packets.read_data_row(raw[5:]) for kind, raw in kept if kind == ord("D")]
            more = any(kind == ord("s") for kind, _ in kept)
            columns = [pa.array([row[i] for row in cells], pa.binary()) for i in range(width)]
            if cells:
                yield pa.record_batch(columns, names=[f"c{i}" for i in range(width)])
        await backend.ask((packets.close(b"P", COPY), CLOSE))

    async def close(self) -> None:
        """Nothing outlives execute."""

    def abandon(self) -> None:
        """Nothing outlives execute."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shared(begin: bytes, data: bytes) -> bytes:
    """`begin`, a CopyData message, put into the first of `data`."""
    if not begin:
        return data
    if not data:
        return begin
    (length,) = packets.INT.unpack_from(data, 1)
    return packets.message(b"d", begin[5:], data[5 : 1 + length]) + data[1 + length :]


def _from_cells(piece: pa.RecordBatch, form: CopyFormat) -> bytes:
    """COPY's form of cells that are written already."""
    nothing: Mapping[str, str] = {}
    if form.kind == "binary":
        columns = [(name, PgType("bytea")) for name in piece.schema.names]
        return rows.data_rows(piece, columns, (1,), nothing, b"d")
    texts = pa.record_batch([column.cast(pa.string()) for column in piece.columns], names=piece.schema.names)
    return copy_rows(texts, [(name, PgType("text")) for name in piece.schema.names], form, nothing)
