"""The outbox: what waits to be sent, in which order, and what became of it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from api.watches.tables import transaction
from views.notifier_file import Retry

YIELDS = 5  # failures after which an alert lets those behind it, to the same address, go ahead
_LANES = """SELECT min(seq) AS head, min(iif(attempts < ?, seq, NULL)) AS fresh, address FROM delivery
WHERE notifier = ? AND state IN ('pending', 'sending') GROUP BY address
HAVING max(state = 'sending') = 0 AND min(due) <= ? ORDER BY head"""
_LANE = """SELECT min(seq) AS head, min(iif(attempts < ?, seq, NULL)) AS fresh, address FROM delivery
WHERE notifier = ? AND address = ? AND state IN ('pending', 'sending') GROUP BY address
HAVING max(state = 'sending') = 0 AND min(due) <= ?"""
_HEAD = """SELECT min(seq), due FROM delivery WHERE notifier = ? AND state IN ('pending', 'sending'){} GROUP BY address
HAVING sum(state = 'sending') = 0"""  # due is that of the least seq
_NEXT = f"""SELECT min(due) FROM ({_HEAD.format("")} UNION ALL {_HEAD.format(" AND attempts < ?")})
WHERE due > ?"""  # noqa: S608
_READY = """SELECT d.* FROM delivery AS d WHERE d.seq = ? AND d.due <= ?
AND NOT EXISTS (SELECT 1 FROM delivery AS e WHERE e.breach = d.breach AND e.notifier = d.notifier
  AND e.address = d.address AND e.seq < d.seq AND e.state = 'pending')
AND NOT EXISTS (SELECT 1 FROM silence AS s WHERE s.watch = d.watch AND s.key IN ('', d.key) AND s.until > ?)"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert to one address. `id` is what the receiver knows it by, `first` the id of the breach's first alert there;
    `document` the row as JSON; times in seconds since the epoch; `attempts` those that were begun before."""

    id: str
    watch: str
    key: str
    event: str
    number: int
    notifier: str
    address: str
    subject: str
    text: str
    document: str
    since: float
    created: float
    attempts: int
    unsure: bool
    first: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `state`: sent; retry; refused (for good); gone (there was none, as it was not to be sent
    any more). `sure` is false where the receiver may have it all the same; `after` seconds are the least until the
    next attempt, `all` says that they hold for the whole notifier."""

    state: str
    why: str = ""
    sure: bool = True
    after: float = 0.0
    all: bool = False
    reference: str = ""


class Outbox:
    """Over the connection of a store, of the same thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def recover(self, now: float, hold: Sequence[str]) -> int:
        """After a start: what was being sent may have arrived, or not. It is sent again under the same id, but put
        aside for notifiers of `hold`. How many these were."""
        marks = ", ".join("?" for _ in hold)
        with transaction(self._connection) as connection:
            connection.execute(
                f"UPDATE delivery SET state = 'held', unsure = 1, settled = ?, error = ? "  # noqa: S608
                f"WHERE state = 'sending' AND notifier IN ({marks})",
                (now, "vdw was stopped while it was sent: it may have arrived", *hold),
            )
            return connection.execute(
                "UPDATE delivery SET state = 'pending', unsure = 1, due = ? WHERE state = 'sending'", (now,)
            ).rowcount

    def ready(self, notifier: str, now: float, most: int, busy: Collection[str] = ()) -> list[Delivery]:
        """What may be sent now, the oldest first: one to an address, and none to those that are `busy`."""
        found: list[Delivery] = []
        for lane in self._connection.execute(_LANES, (YIELDS, notifier, now)).fetchall():
            if len(found) >= most:
                break
            one = self._first(lane, now) if lane["address"] not in busy else None
            found += [one] if one is not None else []
        return found

    def following(self, notifier: str, address: str, now: float) -> Delivery | None:
        """The next to that address."""
        lane = self._connection.execute(_LANE, (YIELDS, notifier, address, now)).fetchone()
        return self._first(lane, now) if lane is not None else None

    def _first(self, lane: sqlite3.Row, now: float) -> Delivery | None:
        """The first of an address that has not failed too often; else the first, where it is due again."""
        for seq in dict.fromkeys((lane["fresh"], lane["head"])):
            row = self._connection.execute(_READY, (seq, now, now)).fetchone()
            if row is not None:
                return Delivery(*(row[name] for name in Delivery.__slots__))
        return None

    def next_due(self, notifier: str, now: float) -> float | None:
        """When the next is due of those that are not yet, and that nothing stands before."""
        (found,) = self._connection.execute(_NEXT, (notifier, notifier, YIELDS, now)).fetchone()
        return None if found is None else float(found)

    def begin(self, id: str) -> bool:
        """From here on it may have arrived. False where it is not to be sent any more."""
        done = self._connection.execute(
            "UPDATE delivery SET state = 'sending', attempts = attempts + 1 WHERE id = ? AND state = 'pending'", (id,)
        )
        return done.rowcount == 1

    def settle(self, id: str, outcome: Outcome, now: float, retry: Retry, hold: bool = False) -> str:
        """Enter how an attempt ended; the state that the delivery has now."""
        with transaction(self._connection) as connection:
            row = connection.execute(
                "SELECT d.*, b.cleared FROM delivery AS d JOIN breach AS b ON b.id = d.breach WHERE d.id = ?", (id,)
            ).fetchone()
            unsure = bool(row["unsure"]) or not outcome.sure
            state, why, settled = self._next(row, outcome, now, retry, unsure, hold)
            begun = row["state"] == "sending"
            attempts = row["attempts"] if begun else row["attempts"] + (outcome.state != "sent")
            due = now + max(outcome.after, pause(attempts, retry))
            connection.execute(
                "UPDATE delivery SET state = ?, unsure = ?, attempts = ?, due = ?, settled = ?, error = ?, "
                "reference = ? WHERE id = ?",
                (state, unsure and state != "sent", attempts, due, settled, why, outcome.reference, id),
            )
            if state == "sent":
                self._revived(row["notifier"], now)
            if state == "withdrawn":
                connection.execute(
                    "UPDATE delivery SET state = 'withdrawn', settled = ?, error = ? WHERE breach = ? AND notifier = ? "
                    "AND address = ? AND state = 'pending' AND event = 'cleared'",
                    (now, "nothing was told of the breach", row["breach"], row["notifier"], row["address"]),
                )
        return state

    def _next(
        self, row: sqlite3.Row, outcome: Outcome, now: float, retry: Retry, unsure: bool, hold: bool
    ) -> tuple[str, str, float | None]:
        if outcome.state == "sent":
            return "sent", "", now
        if outcome.state == "refused":
            return "failed", outcome.why, now
        if unsure and hold:
            return "held", f"{outcome.why}: it may have arrived", now
        if row["cleared"] is not None and row["late"] == "withdraw" and not unsure and row["event"] != "cleared":
            return "withdrawn", "the breach was over before it was sent", now
        if now - row["created"] >= retry.give_up:
            return "failed", f"given up: {outcome.why}", now
        return "pending", outcome.why, None

    def _revived(self, notifier: str, now: float) -> None:
        """The channel works: what waited because it did not need wait no longer, and goes in its order."""
        self._connection.execute(
            "UPDATE delivery SET due = ? WHERE notifier = ? AND state = 'pending' AND due > ? AND attempts < ?",
            (now, notifier, now, YIELDS),
        )


def pause(attempts: int, retry: Retry) -> float:
    """Seconds until the next attempt: doubled with each, bounded, and shortened by chance so that not all come at
    once."""
    whole: float = min(retry.most, retry.first * 2.0 ** min(max(attempts - 1, 0), 40))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 -- nothing secret
