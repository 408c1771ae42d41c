"""What a server's operator holds in hand: the ledger, the kill switches, the queries that run, the system schema."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from connectors.errors import Error, QueryError
from connectors.tally import Counted, Tally
from federation.operations import system_rows
from federation.operations.ledger import SAVED, Ledger
from federation.operations.ledger_store import Record, Shape
from federation.operations.masked import masked
from federation.operations.receipt import DRY_RUN, Receipt, visible
from federation.operations.switches import Switch, Switches
from federation.operations.system import System, Visitor
from federation.query import LEFT, Query
from federation.watch import Sent

if TYPE_CHECKING:
    from federation.engine import Engine
    from federation.gate.gates import Gates
    from federation.prepare import Prepared

OPERATOR = "vdw"  # who asks by the project's own commands; no user can have the name
Accounts = Callable[[], Mapping[str, Visitor]]  # of the project's users; none: everybody is an administrator


class Control:
    """Of one engine. `state`: the folder for what survives a restart; None keeps it in memory."""

    def __init__(self, engine: Engine, state: Path | None, accounts: Accounts = dict) -> None:
        self._engine, self.accounts = engine, accounts
        self._connectors: WeakSet[Any] = WeakSet()  # retired ones may still end what they do
        self.ledger = Ledger(state, peaks=self._peaks, told=self._told, chores=self._chores)
        self.switches = Switches(state, changed=self._switched)
        engine.watch.listeners.append(self)
        engine.running.guard = self._guard
        engine.system = System(system_rows.makers(engine, self), self.visitor)
        self.switches.look()
        self._tasks = [asyncio.create_task(work) for work in (self.ledger.run(), self.switches.run())]

    async def close(self) -> None:
        """Stop looking, and write what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ledger.close()

    def visitor(self, user: str) -> Visitor:
        """What a user may see."""
        accounts = self.accounts()
        if not accounts or user == OPERATOR:
            return Visitor(user)
        return accounts.get(user) or Visitor(user, False, ())

    # -- what happens (federation.watch.Listener)

    def sent(self, sent: Sent) -> None:
        """Enter a statement, or that it was refused."""
        shape = _shape(sent.query, sent.source, sent.fingerprint, sent.kind)
        if not sent.refused:
            failed = sent.outcome not in ("ok", LEFT)
            self.ledger.statement(
                shape, sent.sql, sent.rows, sent.bytes, sent.ms, sent.waited, failed, sent.started + sent.waited / 1000
            )
        elif sent.outcome != LEFT:
            self.ledger.refused(shape, sent.sql, sent.refused)

    def ended(self, query: Query) -> None:
        """Enter what did not have to be sent."""
        for part in query.parts:
            if part.spared:
                how = part.cache if part.cache in SAVED else "hit"
                shape = _shape(query, part.source, part.fingerprint, part.kind)
                for _ in range(part.spared):
                    self.ledger.saved(shape, part.sql, how)

    # -- receipts

    async def receipt(self, source: str, seconds: float, visitor: Visitor) -> Receipt:
        """What the source was asked in the last so many seconds, as far as the visitor may know it."""
        now = time.time()
        known = self._engine.catalog.sources.get(source)
        record = await self.record(now - seconds, visitor)
        if known is None and not any(shape[0] == source for _, shape, _ in record.spent):
            raise Error(f'there is no source "{source}", and none was asked', sqlstate="42704")
        return Receipt.of(record, source, now - seconds, now, known.limits if known is not None else None)

    async def record(self, since: float, visitor: Visitor) -> Record:
        """The ledger from then (seconds since the epoch) until now, as far as the visitor may know it."""
        try:
            return visible(await self.ledger.read(since // 60 * 60, time.time() + 60), visitor)
        except sqlite3.Error as error:
            raise Error(f"the ledger cannot be read: {error}", sqlstate="58030") from None

    def _peaks(self) -> Iterator[tuple[str, int, int]]:
        for source, gate in self._engine.gates.items():
            yield source, *gate.load.peaks()

    def _told(self) -> Iterator[tuple[str, str, Any]]:
        for source, gate in self._engine.gates.items():
            if gate.shadow is not None:
                yield source, DRY_RUN, gate.shadow.report()

    def _chores(self) -> Iterator[tuple[str, str, Counted]]:
        self._connectors.update(self._engine.connectors.values())
        for connector in self._connectors:
            tally: Tally | None = getattr(connector, "tally", None)
            for what, counted in tally.take().items() if tally is not None else ():
                yield connector.name, what, counted

    # -- what runs

    def running(self, visitor: Visitor) -> list[dict[str, Any]]:
        """The queries that run now and that the visitor may know of, the oldest first."""
        now = time.perf_counter()
        return [
            {
                "id": query.id,
                "username": query.session.user,
                "protocol": query.session.protocol,
                "fingerprint": query.fingerprint,
                "sql": masked(query.sql),
                "relations": list(query.views),
                "sources": list(query.sources),
                "started": query.started,
                "ms": round((now - query.began) * 1000, 3),
                "state": query.state,
                "rows": query.rows,
            }
            for query in self._engine.running.queries.values()
            if visitor.admin or query.session.user == visitor.name
        ]

    async def cancel(self, id: str, visitor: Visitor) -> bool:
        """Stop a query; False where none of that id runs, QueryError 42501 where it is another user's."""
        query = self._engine.running.queries.get(id)
        if query is None:
            return False
        if not visitor.admin and query.session.user != visitor.name:
            raise QueryError("permission denied: the query is another user's", sqlstate="42501")
        by = "" if query.session.user == visitor.name else visitor.name
        return await asyncio.to_thread(self._engine.running.cancel, id, by)

    # -- switches

    def switched(self) -> list[dict[str, Any]]:
        """What is disabled now."""
        return [
            {
                "kind": one.kind,
                "name": one.name,
                "reason": one.reason,
                "by": one.by,
                "since": one.since,
                "until": one.until,
            }
            for one in self.switches
        ]

    async def disable(self, kind: str, name: str, reason: str, by: str, seconds: float | None = None) -> Switch:
        """See Switches; in force on return."""
        switch = await asyncio.to_thread(self.switches.disable, kind, name, reason, by, seconds)
        self.switches.look()
        return switch

    async def enable(self, kind: str, name: str) -> bool:
        """See Switches; in force on return."""
        done = await asyncio.to_thread(self.switches.enable, kind, name)
        self.switches.look()
        return done

    def _guard(self, query: Query, prepared: Prepared) -> None:
        """Refuse what is disabled; each source that it would have asked has it in its receipt."""
        if not self.switches.on:
            return
        named = {*prepared.plan.views, *prepared.statement.relations}
        try:
            self.switches.check(query.session.user, named, (query.fingerprint, *query.fragments))
        except QueryError:
            for step in prepared.terms.steps:
                shape = _shape(query, step.fragment.source, step.fingerprint, step.kind)
                self.ledger.refused(shape, step.sql, "disabled")
            raise

    def _switched(self, new: list[Switch], gone: list[Switch]) -> None:
        """Close and open gates, and stop what runs and may no more."""
        gates = self._engine.gates
        for switch in gone:
            if switch.kind == "source":
                gates.of(switch.name).closed = None
        for switch in new:
            if switch.kind == "source":
                gates.of(switch.name).closed = switch.told
                self._engine.stop(switch.name, switch.error())
            else:
                self._stop(switch)

    def _stop(self, switch: Switch) -> None:
        for query in list(self._engine.running.queries.values()):
            if self._concerns(switch, query):
                task = asyncio.get_running_loop().run_in_executor(None, query.cancel.fire, switch.error())
                task.add_done_callback(lambda done: done.exception())

    def _concerns(self, switch: Switch, query: Query) -> bool:
        if switch.kind == "user":
            return query.session.user == switch.name
        if switch.kind == "fingerprint":
            return switch.name in (query.fingerprint, *query.fragments)
        named = [(schema, name) for schema, _, name in (view.partition(".") for view in query.views)]
        behind = (f"{view.schema}.{view.name}" for view in self._engine.catalog.views_behind(named))
        return switch.name in query.views or switch.name in behind

    # -- the cache

    def forget(self, name: str = "", key: Mapping[str, Any] | None = None, refresh: bool = False) -> int:
        """Forget what is kept of a source, table or view (of everything without a name), or of a view's rows with these
        values of its key's columns; with `refresh` it is read again at once. How many answers these were."""
        if name:
            return self._engine.invalidate(name, key, refresh)
        if refresh:
            names = [source.name for source in self._engine.catalog.sources.values() if not source.system]
            return sum(self._engine.invalidate(source, None, True) for source in names)
        count = self._engine.cache.entries
        self._engine.cache.clear()
        return count


def _shape(query: Query | None, source: str, fingerprint: str, kind: str) -> Shape:
    if query is None:
        return source, "", "", "", fingerprint, kind
    session = query.session
    return source, ", ".join(query.views), session.user, session.protocol, fingerprint, kind


def shut(gates: Gates, state: Path) -> None:
    """Close the gates of sources that are disabled, before anything is asked of them."""
    switches = Switches(state)
    switches.look()
    for switch in switches:
        if switch.kind == "source":
            gates.of(switch.name).closed = switch.told
