"""The kinds of statements that are ours to answer, and what becomes of each when it is bound."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from api.pgwire import packets, params, rows
from api.pgwire.backend import BIND, Reply
from api.pgwire.copyout import CopyOut
from api.pgwire.cursors import Cursor, Declared
from api.pgwire.packets import Bind, Described, Field, spread
from api.pgwire.portals import Listed, Portal, Relayed, Start, Streamed
from api.pgwire.rewrite import Road
from connectors.base import Bound, Cancel
from connectors.errors import QueryError
from connectors.types import PgType
from federation.canon.arrays import wire_type
from federation.canon.residual import BATCH, dumped, inputs, with_arrays
from federation.explain import Explanation
from federation.merge import held, why_canon
from planner.plan import Plan

if TYPE_CHECKING:
    from api.pgwire.session import Session
    from federation.prepare import Prepared
    from federation.result import Result
    from federation.steps import Fetched

_SIZES = {
    "bool": 1, "char": 1, "int2": 2, "int4": 4, "float4": 4, "date": 4, "oid": 4, "int8": 8, "float8": 8, "time": 8,
    "timestamp": 8, "timestamptz": 8, "money": 8, "macaddr": 6, "timetz": 12, "interval": 16, "uuid": 16, "name": 64,
    "unknown": -2,
}  # fmt: skip


def column_fields(columns: rows.Columns) -> list[Field]:
    """Columns as RowDescription tells them, where nothing is known of their tables."""
    return [Field(name.encode(), 0, 0, kind.type_oid, _SIZES.get(kind.name, -1), kind.mod) for name, kind in columns]


def quoted(name: str) -> str:
    """An identifier for SQL text."""
    return '"' + name.replace('"', '""') + '"'


class Ours:
    """A statement of ours: its text and declared types as the client sent them, and its plan."""

    def __init__(
        self,
        session: Session,
        way: Road,
        query: bytes,
        types: tuple[int, ...],
        prepared: Prepared,
        state: tuple[object, ...],
    ) -> None:
        self.session, self.way, self.query, self.types = session, way, query, types
        self.prepared, self.state = prepared, state

    @property
    def fleeting(self) -> bool:
        """Whether it has to be understood anew each time."""
        return self.prepared.statement.fleeting

    @property
    def result(self) -> object:
        """What may not change while the statement is prepared."""
        return self.prepared.statement.columns, self.prepared.statement.params

    async def described(self) -> Described:
        """Parameters and columns as the canon tells them."""
        return await self.session.handover.desk.describe(self.query, self.types)

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        """Take the values; `quiet` within a simple Query, where BindComplete is not said."""
        raise NotImplementedError

    # -- values -------------------------------------------------------------------------------------------------

    async def bounds(self, asked: Bind) -> list[Bound]:
        """The client's values for the sources."""
        kinds, encoding = self.prepared.statement.params, self.session.settings.encoding
        if len(asked.values) != len(kinds):
            name = asked.statement.decode(errors="replace")
            raise QueryError(
                f"bind message supplies {len(asked.values)} parameters, "
                f'but prepared statement "{name}" requires {len(kinds)}',
                sqlstate="08P01",
            )
        codes = spread(asked.formats, len(kinds))
        found: list[Bound | None] = []
        for raw, code, kind in zip(asked.values, codes, kinds, strict=True):
            try:
                found.append(params.decode(raw, code, kind, encoding))
            except params.Undecided:
                found.append(None)
        if None in found:
            await self._canonical(found, asked, codes)
        return [bound for bound in found if bound is not None]

    async def _canonical(self, found: list[Bound | None], asked: Bind, codes: Sequence[int]) -> None:
        """Ask the canon what the undecided values are."""
        places = [place for place, bound in enumerate(found) if bound is None]
        kinds = [self.prepared.statement.params[place] for place in places]
        listed = ", ".join(
            f"pg_catalog.to_json(${i}) #>> '{{}}'"
            if kind.name in ("date", "timestamp", "timestamptz")
            else f"${i}::text"
            for i, kind in enumerate(kinds, 1)
        )
        (cells,) = await self.session.handover.desk.ask(
            f"SELECT {listed}",
            [asked.values[place] for place in places],
            [codes[place] for place in places],
            [kind.type_oid for kind in kinds],
        )
        for place, kind, cell in zip(places, kinds, cells, strict=True):
            found[place] = params.canonical(cell, kind, self.session.settings.encoding)

    async def valued(self, asked: Bind) -> tuple[Prepared, list[Bound]]:
        """The client's values, and the statement under the plan that suits them."""
        bounds = await self.bounds(asked)
        return await self._chosen(bounds), bounds

    async def _chosen(self, bounds: Sequence[Bound]) -> Prepared:
        engine, own = self.session.server.engine, self.session.settings.session()
        assert engine is not None  # noqa: S101
        return await engine.chosen(self.prepared, bounds, own)

    def starting(self, prepared: Prepared, bounds: Sequence[Bound]) -> Start:
        """Runs it, when asked to."""
        engine, own = self.session.server.engine, self.session.settings.session()

        async def start(cancel: Cancel) -> Result:
            assert engine is not None  # noqa: S101
            result = await engine.run(prepared, bounds, own, cancel)
            await self.session.handover.account.tell(result.parts)
            return result

        return start

    # -- the canon's way ----------------------------------------------------------------------------------------

    async def gathered(self, prepared: Prepared, bounds: Sequence[Bound], cancel: Cancel) -> tuple[Prepared, Fetched]:
        """The rows of all fragments and the plan that they are of: another where values are such as no source has,
        or where a source is down that the views can do without. What is computed is of the session's own moment while
        it has a transaction."""
        engine, own = self.session.server.engine, self.session.settings.session()
        assert engine is not None  # noqa: S101

        async def compute(one: Prepared) -> list[Bound] | None:
            inside = bool(one.plan.computed) and self.session.backend.status == "T"
            return await self._computed(one, bounds) if inside else None

        with self.session.handover.desk.work(cancel):
            prepared, fetched = await engine.gather(prepared, bounds, own, cancel, compute)
        await self.session.handover.account.tell(fetched.parts)
        return prepared, fetched

    async def _computed(self, prepared: Prepared, bounds: Sequence[Bound]) -> list[Bound]:
        plan, settings = prepared.plan, self.session.settings
        listed = ", ".join(f"CAST({text} AS {kind.sql})::text" for text, kind in plan.computed)
        values = [dumped(bound) for bound in prepared.given(bounds)]
        types = [kind.type_oid for kind in plan.params]
        asked = f"SELECT {listed}".encode(settings.encoding)
        (cells,) = await self.session.handover.desk.ask(asked, values, (), types)
        pairs = zip(cells, plan.computed, strict=True)
        return held([params.canonical(cell, kind, settings.encoding) for cell, (_, kind) in pairs])

    async def relay(
        self,
        prepared: Prepared,
        asked: Bind,
        fetched: Fetched,
        fields: Sequence[Field] | None,
        quiet: bool,
        framed: bool,
    ) -> Relayed:
        """Bind the residual over those rows in the canon; `framed` within the statement that wants its rows."""
        with fetched.guarded():
            plan = _residual(prepared.plan)
            self._readable(fetched)
            few = fetched.rows < BATCH
            arrays, pieces = (
                inputs(plan, fetched.tables) if few else await asyncio.to_thread(inputs, plan, fetched.tables)
            )
            sql = with_arrays(plan, plan.residual or "", pieces)
            if framed:
                sql = self.frame(sql)
            kinds = [
                wire_type(kind).array.type_oid
                for fragment in plan.fragments
                for _ in range(pieces.get(fragment.id, 1))
                for kind in ([kind for _, kind in fragment.columns] or [PgType("bool")])
            ]
            desk, backend = self.session.handover.desk, self.session.backend
            name = desk.residual(sql, [kind.type_oid for kind in plan.params] + kinds)
            slots = [self._text(bound) for bound in prepared.slots]
            codes = [*spread(asked.formats, len(asked.values)), *([0] * len(slots)), *([1] * len(arrays))]
            raw = packets.bind(asked.portal, name, codes, [*asked.values, *slots, *arrays], asked.results)
            relayed = Relayed(self.session, asked.portal, fields, asked.results, fetched.query)
            unplaced = self.session.handover.unplaced
            backend.send(raw, Reply(BIND, shown=not quiet, loud=True, patch=unplaced, future=relayed.future()))
            return relayed

    def _text(self, bound: Bound) -> bytes | None:
        """A value in the client's encoding, in which its session reads text."""
        raw, encoding = dumped(bound), self.session.settings.encoding
        return raw if raw is None or encoding == "utf-8" else raw.decode().encode(encoding)

    def _readable(self, fetched: Fetched) -> None:
        """Text enters the canon in the client's encoding: only UTF-8 has all of it."""
        if self.session.settings.encoding != "utf-8":
            for table in fetched.tables.values():
                for column in table.columns:
                    if pa.types.is_string(column.type) and pc.all(pc.string_is_ascii(column)).as_py() is False:
                        raise QueryError(
                            f"this statement over virtual views cannot run with client_encoding "
                            f"{self.session.settings.values['client_encoding']}",
                            sqlstate="0A000",
                            hint="SET client_encoding TO 'UTF8'.",
                        )

    def frame(self, residual: str) -> str:
        """The statement around its query, which is put in the residual's place, columns named and typed as planned."""
        columns = self.prepared.plan.columns
        names = ", ".join(f"c{i}" for i in range(len(columns)))
        listed = ", ".join(f"q.c{i}{_typed(kind)} AS {quoted(name)}" for i, (name, kind) in enumerate(columns))
        inner = f"SELECT {listed} FROM ({residual}) AS q({names})" if columns else residual  # noqa: S608  (quoted)
        return f"{self.way.head}{inner}{self.way.tail}"


def _typed(kind: PgType) -> str:
    return f"::{kind.sql}" if kind.mod >= 0 else ""


def _residual(plan: Plan) -> Plan:
    """The plan with a residual, where its first fragment's rows are the answer."""
    if plan.residual is not None:
        return plan
    first = next(fragment for fragment in plan.fragments if not fragment.id)
    names = ", ".join(f"c{i}" for i in range(len(first.columns)))
    return replace(plan, residual=f"SELECT {names} FROM f0")  # noqa: S608  (c0, c1 ...)


class Select(Ours):
    """Rows for the client: as they stream, or of a merge in DuckDB, or relayed from the canon."""

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        prepared, bounds = await self.valued(asked)
        backend, plan = self.session.backend, prepared.plan
        fields = column_fields(plan.columns) if quiet else (await self.described()).fields
        ours = rows.supports(plan.columns, self.session.settings.values, asked.results)
        moment = bool(plan.computed) and backend.status == "T"
        if plan.streams and ours and not moment:
            portal = Streamed(self.session, fields or [], plan.columns, asked.results, self.starting(prepared, bounds))
        else:
            cancel = Cancel()
            prepared, fetched = await self.gathered(prepared, bounds, cancel)
            plan = prepared.plan
            foreign = self.session.settings.encoding != "utf-8" and not (plan.session or moment)
            if not ours or plan.streams or (why_canon(plan, fetched, self.session.settings.session()) and not foreign):
                return await self.relay(prepared, asked, fetched, fields, quiet, framed=False)
            starting = self._merging(prepared, fetched, bounds)
            portal = Streamed(self.session, fields or [], plan.columns, asked.results, starting, cancel)
        if not quiet:
            backend.say(packets.BIND_COMPLETE)
        return portal

    def _merging(self, prepared: Prepared, fetched: Fetched, bounds: Sequence[Bound]) -> Start:
        engine, own = self.session.server.engine, self.session.settings.session()

        async def start(cancel: Cancel) -> Result:
            assert engine is not None  # noqa: S101
            return await engine.merge(prepared, fetched, bounds, own, cancel)

        return start


class Written(Ours):
    """Rows for a temporary table: CREATE TABLE AS, SELECT INTO, INSERT ... SELECT."""

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        prepared, bounds = await self.valued(asked)
        fields = None if quiet else (await self.described()).fields
        prepared, fetched = await self.gathered(prepared, bounds, Cancel())
        return await self.relay(prepared, asked, fetched, fields, quiet, framed=True)


class Declare(Ours):
    """A cursor: the canon's over fetched rows, or one of ours that streams, beside an empty one of the canon's."""

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        prepared, bounds = await self.valued(asked)
        plan, flags = prepared.plan, self.way.flags
        code = 1 if "binary" in flags else 0
        plain = not flags & {"hold", "scroll"} and not plan.computed
        forms = all(rows.supports(plan.columns, self.session.settings.values, (one,)) for one in {0, code})
        if not (plan.streams and plain and forms and not plan.fragments[0].small):
            prepared, fetched = await self.gathered(prepared, bounds, Cancel())
            return await self.relay(prepared, asked, fetched, None, quiet, framed=True)
        start = self.starting(prepared, bounds)
        fields = column_fields(plan.columns)
        stream = Streamed(self.session, fields, plan.columns, (code,), start)
        relayed, twin = self._empty(asked, quiet)
        cursor = Cursor(self.session, self.way.name, fields, (code,), stream, twin)
        return Declared(relayed, cursor)

    def _empty(self, asked: Bind, quiet: bool) -> tuple[Relayed, str]:
        """The canon's own cursor of that name, with the right columns and no rows: it knows when the cursor ends."""
        columns = self.prepared.plan.columns
        listed = ", ".join(f"NULL::{kind.sql} AS c{i}" for i, (_, kind) in enumerate(columns))
        sql = self.frame(f"SELECT {listed} WHERE false")
        desk, backend = self.session.handover.desk, self.session.backend
        name = desk.residual(sql, [kind.type_oid for kind in self.prepared.statement.params])
        raw = packets.bind(asked.portal, name, asked.formats, asked.values, asked.results)
        backend.send(raw, Reply(BIND, shown=not quiet, loud=True, patch=self.session.handover.unplaced))
        return Relayed(self.session, asked.portal, None, ()), sql


class Explain(Ours):
    """EXPLAIN: our plan, not the canon's."""

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        options = self.way.options
        form = str(options.get("format", "text")).lower()
        if form not in ("text", "json"):
            raise QueryError(
                f"EXPLAIN of a virtual view has no format {form.upper()}", sqlstate="0A000", hint="Use TEXT or JSON."
            )
        analyze = str(options.get("analyze", "false")).lower() in ("", "true", "on", "1")
        prepared = self.prepared
        bounds = await self.bounds(asked) if asked.values or not prepared.statement.params else []
        if bounds or not prepared.statement.params:
            prepared = await self._chosen(bounds)
        told = await self._told(prepared, bounds, analyze)
        lines = [json.dumps([told.json()], indent=2, default=str)] if form == "json" else told.text().split("\n")
        kind = PgType("json" if form == "json" else "text")
        if not quiet:
            self.session.backend.say(packets.BIND_COMPLETE)
        return Listed(self.session, column_fields([("QUERY PLAN", kind)]), lines, asked.results, "EXPLAIN")

    async def _told(self, prepared: Prepared, bounds: Sequence[Bound], analyze: bool) -> Explanation:
        engine, own = self.session.server.engine, self.session.settings.session()
        assert engine is not None  # noqa: S101
        given = tuple(prepared.given(bounds)) if bounds or not prepared.statement.params else ()
        told = await engine.aged(Explanation(prepared, given), own)
        if not analyze:
            return told
        if prepared.statement.session:
            raise QueryError("EXPLAIN ANALYZE cannot read the session's own relations", sqlstate="0A000")
        cancel, began = Cancel(), time.perf_counter()
        with self.session.handover.desk.work(cancel):
            answer = await engine.run(prepared, bounds, own, cancel)
            count = sum([batch.num_rows async for batch in answer.batches])
        return replace(told, result=answer, rows=count, ms=(time.perf_counter() - began) * 1000)


class Copy(Ours):
    """COPY (query) TO STDOUT."""

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        prepared, bounds = await self.valued(asked)
        if not quiet:
            self.session.backend.say(packets.BIND_COMPLETE)
        return CopyOut(self, prepared, bounds)


class Executed(Ours):
    """SQL's EXECUTE of a statement of ours."""

    def __init__(self, session: Session, way: Road, inner: Ours) -> None:
        super().__init__(session, way, inner.query, inner.types, inner.prepared, inner.state)
        self.inner = inner

    async def described(self) -> Described:
        return Described((), (await self.inner.described()).fields)

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        kinds = self.prepared.statement.params
        if len(self.way.arguments) != len(kinds):
            raise QueryError(
                f'wrong number of parameters for prepared statement "{self.way.name}"',
                sqlstate="42601",
                detail=f"Expected {len(kinds)} parameters but got {len(self.way.arguments)}.",
            )
        values: list[bytes | None] = []
        if kinds:
            pairs = zip(self.way.arguments, kinds, strict=True)
            listed = ", ".join(f"CAST(({text}) AS {kind.sql})" for text, kind in pairs)
            (values,) = await self.session.handover.desk.ask(f"SELECT {listed}".encode(self.session.settings.encoding))
        return await self.inner.bind(packets.Bind(asked.portal, b"", (), values, asked.results), quiet)
