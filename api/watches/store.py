"""What is remembered of breaches, and the outbox: written in one transaction with what was seen."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from api.watches.machine import Breach, Changes, Planned, Row, Told, step
from api.watches.tables import opened, transaction
from views.watch_file import WatchFile

_HEARD = "(d.state IN ('sent', 'sending', 'observed') OR d.unsure OR (d.state = 'pending' AND d.late = 'send'))"
_TOLD = f"""SELECT d.breach, d.notifier, d.address, d.number, d.state, coalesce(d.settled, d.created) AS at,
max({_HEARD}) OVER (PARTITION BY d.breach, d.notifier, d.address) AS heard
FROM delivery AS d JOIN breach AS b ON b.id = d.breach
WHERE b.watch = ? AND b.cleared IS NULL AND d.event <> 'cleared' AND (d.state <> 'observed' OR ?)
ORDER BY d.seq"""  # noqa: S608
_FORMER = """SELECT DISTINCT b.key FROM breach AS b JOIN delivery AS d ON d.breach = b.id
WHERE b.watch = ? AND b.cleared IS NOT NULL AND (d.state = 'sent' OR d.unsure)"""
_INSERT = """INSERT INTO delivery (id, breach, watch, key, event, number, notifier, address, subject, text, document,
since, created, late, state, due, first) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_WITHDRAW = """UPDATE delivery SET state = 'withdrawn', settled = ?, error = 'the breach was over before it was sent'
WHERE breach = ? AND state = 'pending' AND NOT unsure AND event <> 'cleared' AND late = 'withdraw'"""

_GONE = """INSERT INTO gone SELECT id FROM breach AS b WHERE watch NOT IN (SELECT value FROM json_each(?2))
AND (cleared < ?1 OR (cleared IS NULL AND seen < ?1 AND watch NOT IN (SELECT value FROM json_each(?3))))
AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.breach = b.id
AND (d.state IN ('pending', 'sending', 'held', 'failed') OR d.created > ?1))"""


class Store:
    """The breaches of one state folder (None: in memory), of one thread at a time."""

    def __init__(self, folder: Path | None) -> None:
        self.connection = opened(folder)
        (instance,) = self.connection.execute("SELECT value FROM meta WHERE name = 'instance'").fetchone()
        self._instance = uuid.UUID(instance)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def take(
        self, name: str, watch: WatchFile, rows: Sequence[Row], now: float, room: Mapping[str, int] | None = None
    ) -> Changes:
        """Enter a whole answer of a watch: the breaches, and what is to be told of them, all or (sqlite3.Error)
        nothing. `room` has the most that may wait for each notifier: what is beyond it is planned another time.
        Gives what was planned."""
        with transaction(self.connection):
            changes = self.plan(name, watch, rows, now)
            self._write(name, changes, now)
            left = {notifier: most - self.waiting(notifier) for notifier, most in (room or {}).items()}
            changes.planned = list(_within(changes.planned, left))
            self._plan(name, watch, changes, now)
        return changes

    def plan(self, name: str, watch: WatchFile, rows: Sequence[Row], now: float) -> Changes:
        """What would follow from an answer, with nothing written."""
        known = self._known(name, watch, now)
        former: set[str] = set()
        if watch.again == "never":
            former = {key for (key,) in self.connection.execute(_FORMER, (name,))}
        quiet = self._quiet(name, now)

        def fresh(key: str) -> Breach:
            return Breach(now, now, silenced=bool({"", key} & quiet), mute=key in former)

        for key, breach in known.items():
            breach.silenced, breach.mute = bool({"", key} & quiet), key in former
        return step(name, watch, known, rows, now, fresh)

    def _known(self, name: str, watch: WatchFile, now: float) -> dict[str, Breach]:
        found = self.connection.execute("SELECT * FROM breach WHERE watch = ? AND cleared IS NULL", (name,))
        known = {
            row["key"]: Breach(
                row["since"],
                row["seen"],
                row["absent"],
                row["acknowledged"],
                values=json.loads(row["row"]),
                document=row["document"],
                id=row["id"],
                written=(row["absent"], row["row"], row["document"]),
            )
            for row in found
        }
        by_id = {breach.id: breach for breach in known.values()}
        for row in self.connection.execute(_TOLD, (name, watch.observe)):
            told = Told(min(row["at"], now), row["number"], row["state"], bool(row["heard"]))
            by_id[row["breach"]].told[row["notifier"], row["address"]] = told
        return known

    def _quiet(self, name: str, now: float) -> set[str]:
        found = self.connection.execute("SELECT key FROM silence WHERE watch = ? AND until > ?", (name, now))
        return {key for (key,) in found}

    def _write(self, name: str, changes: Changes, now: float) -> None:
        insert = "INSERT INTO breach (watch, key, since, seen, row, document) VALUES (?, ?, ?, ?, ?, ?)"
        update = "UPDATE breach SET seen = ?, absent = ?, row = ?, document = ? WHERE id = ?"
        known = []
        for key, breach in changes.breaches.items():
            values = json.dumps(breach.values, ensure_ascii=False)
            written = (breach.absent, values, breach.document)
            if not breach.id:
                found = self.connection.execute(insert, (name, key, breach.since, breach.seen, values, breach.document))
                breach.id = found.lastrowid or 0
            elif written != breach.written:
                known.append((breach.seen, *written, breach.id))
        self.connection.executemany(update, known)
        for breach in changes.over.values():
            self.connection.execute("UPDATE breach SET cleared = ? WHERE id = ?", (now, breach.id))
            self.connection.execute(_WITHDRAW, (now, breach.id))

    def _plan(self, name: str, watch: WatchFile, changes: Changes, now: float) -> None:
        state = "observed" if watch.observe else "pending"
        rows = []
        for one in changes.planned:
            breach = changes.breaches[one.key]
            id, first = self._id(breach.id, one), self._id(breach.id, one, first=True)
            told = (one.event, one.number, *one.whom, one.subject, one.text, one.document)
            rows.append((id, breach.id, name, one.key, *told, breach.since, now, watch.late, state, now, first))
        if not watch.observe:  # what was only observed was never sent: its id is free
            free = "DELETE FROM delivery WHERE id = ? AND state = 'observed'"
            self.connection.executemany(free, [row[:1] for row in rows])
        self.connection.executemany(_INSERT, rows)

    def _id(self, breach: int, one: Planned, first: bool = False) -> str:
        """What a receiver knows the alert by, however often it is sent; `first`: that of the breach's first."""
        event, number = ("breach", 0) if first else (one.event, one.number)
        return str(uuid.uuid5(self._instance, json.dumps([breach, *one.whom, event, number])))

    def waiting(self, notifier: str) -> int:
        """Alerts that have not left."""
        (count,) = self.connection.execute(
            "SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending') AND notifier = ?", (notifier,)
        ).fetchone()
        return int(count)

    def asked(self, name: str, now: float, state: str, reason: str, ms: float) -> None:
        """Enter how a question went: `state` is ok, or why its answer does not count: partial or failed."""
        relied = now if state == "ok" else None
        self.connection.execute(
            """INSERT INTO watch VALUES (?1, ?2, ?3, ?4, ?5, ?2, ?6) ON CONFLICT DO UPDATE SET asked = ?2,
            relied = coalesce(?3, relied), since = iif(state = ?4, since, ?2), state = ?4, reason = ?5, ms = ?6""",
            (name, now, relied, state, reason, ms),
        )

    def last(self, name: str) -> float:
        """When the watch was asked last; 0 if never."""
        found = self.connection.execute("SELECT asked FROM watch WHERE name = ?", (name,)).fetchone()
        return float(found[0] or 0.0) if found else 0.0

    def prune(self, before: float, watches: Mapping[str, WatchFile]) -> None:
        """Forget breaches that were over before then, unless something of them waits or is put aside, or they are to
        be told only once; those that last as well, where their watch is none of the project's any more."""
        kept = json.dumps([name for name, watch in watches.items() if watch.again == "never"])
        with transaction(self.connection) as connection:
            connection.execute("""CREATE TEMP TABLE IF NOT EXISTS gone AS SELECT id FROM breach LIMIT 0""")
            connection.execute("DELETE FROM gone")
            connection.execute(_GONE, (before, kept, json.dumps(list(watches))))
            connection.execute("DELETE FROM delivery WHERE breach IN (SELECT id FROM gone)")
            connection.execute("DELETE FROM breach WHERE id IN (SELECT id FROM gone)")
            connection.execute("DELETE FROM silence WHERE until < ?", (before,))


def _within(planned: Iterable[Planned], room: dict[str, int]) -> Iterator[Planned]:
    for one in planned:
        notifier = one.whom[0]
        if notifier in room:
            if room[notifier] <= 0 and one.event != "cleared":
                continue
            room[notifier] -= 1
        yield one
