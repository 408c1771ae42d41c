"""The system schema: what this server knows of itself, as tables `vdw.*` that any statement may read and join.

They belong to a pseudo-source of that name. Its rows are made from the engine's state for the one who asks; no gate
stands before it, nothing of it is kept or shared, and what is asked beyond whole columns is computed in the canon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from connectors.base import Collation, Column, Profile, SourceQuery, Table
from connectors.errors import Error
from connectors.types import PgType
from views.catalog import SYSTEM, Source, covers

TEXT, INT, FLOAT, BOOL = PgType("text"), PgType("int8"), PgType("float8"), PgType("bool")
MOMENT = PgType("timestamptz")
Row = Mapping[str, Any]


def _table(name: str, comment: str, *columns: tuple[str, PgType, str]) -> Table:
    made = tuple(Column(n, kind, collation=Collation.BYTES, comment=told) for n, kind, told in columns)
    return Table(SYSTEM, None, name, made, comment=comment)


TABLES = (
    _table(
        "sources",
        "Each source: whether it answers, how busy it is, and what its owner allows.",
        ("name", TEXT, "Its name."),
        ("kind", TEXT, "postgresql, mariadb ..."),
        ("role", TEXT, "operational or warehouse."),
        ("state", TEXT, "up, down, or disabled by a switch."),
        ("reason", TEXT, "Why it is not up; or why it may have fewer statements at once than its owner allows."),
        ("breaker", TEXT, "closed, open or half-open; NULL where it has none."),
        ("in_flight", INT, "Statements of this server now at the source."),
        ("waiting", INT, "Statements of this server that wait for their turn."),
        ("limit_now", INT, "Statements at once that the source may have now: it follows the source's state."),
        ("concurrency", INT, "Statements at once that the owner allows."),
        ("rate", FLOAT, "Statements a second that the owner allows; NULL: any number."),
        ("lag", FLOAT, "Seconds that its replica is behind, where that is read."),
        ("running", INT, "Statements of anybody that run there, where that is read."),
        ("ttl", FLOAT, "Seconds that an answer may be kept."),
        ("statements", INT, "Statements that this server has sent since it started."),
        ("rows", INT, "Rows that came."),
        ("ms", FLOAT, "Milliseconds that they took."),
        ("errors", INT, "Statements that failed."),
    ),
    _table(
        "facts",
        "What sources told of themselves; what is not known is not relied on.",
        ("source", TEXT, "Which."),
        ("relation", TEXT, "Its table; NULL: the source itself."),
        ("column", TEXT, "Its column; NULL: the table, or the source."),
        ("fact", TEXT, "version, replica, read_only_login, keys, indexes, partitions, collation ..."),
        ("value", TEXT, "What it is; NULL: not known."),
    ),
    _table(
        "queries",
        "What runs now on this server: your own queries, or all of them for an administrator.",
        ("id", TEXT, "What `vdw cancel` takes."),
        ("username", TEXT, "Who asked."),
        ("protocol", TEXT, "sql, graphql, http, cli or watch."),
        ("fingerprint", TEXT, "The same for statements that differ in values only."),
        ("sql", TEXT, "The statement without its values."),
        ("relations", TEXT, "What it names, comma-separated."),
        ("sources", TEXT, "Sources that it asks, comma-separated."),
        ("started", MOMENT, "When it began."),
        ("ms", FLOAT, "Milliseconds since."),
        ("state", TEXT, "reading (at the sources) or sending (to the client)."),
        ("rows", INT, "Rows sent so far."),
    ),
    _table(
        "cache",
        "What the cache of this server holds; an answer counts under each source, table and view that it is made of.",
        ("kind", TEXT, "source, table, view, or total."),
        ("name", TEXT, "Which; empty for the total."),
        ("entries", INT, "Answers kept."),
        ("bytes", INT, "What they take."),
        ("hits", INT, "How often they were used."),
        ("oldest", FLOAT, "Seconds since the data of the oldest was read."),
        ("stale", INT, "Those past their time, which serve while a new one is fetched, or in place of an error."),
        ("saved_ms", FLOAT, "Milliseconds that the sources were spared by their uses."),
    ),
    _table(
        "receipts",
        "What sources were asked in the last 24 hours, minute by minute, by all servers of the project.",
        ("minute", MOMENT, "When the minute began."),
        ("source", TEXT, "Who was asked."),
        ("relations", TEXT, "The views and tables that the queries named, comma-separated."),
        ("username", TEXT, "Who asked; NULL where that is for administrators."),
        ("protocol", TEXT, "sql, graphql, http, cli or watch; empty for our own questions."),
        ("fingerprint", TEXT, "The same for statements that differ in values only."),
        ("kind", TEXT, "lookup, report, extract, chore (our own questions) or session (SET ...)."),
        ("sql", TEXT, "What the source was sent, without values."),
        ("statements", INT, "Statements sent."),
        ("rows", INT, "Rows that came."),
        ("bytes", INT, "Bytes of them, in Arrow."),
        ("ms", FLOAT, "Milliseconds at the source."),
        ("waited", FLOAT, "Milliseconds before, waiting for a turn."),
        ("errors", INT, "Statements that failed."),
        ("hits", INT, "Statements spared by kept answers."),
        ("shared", INT, "Statements spared as another asked the same at that moment."),
        ("stale", INT, "Statements spared by answers past their time."),
        ("contained", INT, "Statements spared by wider answers that were kept."),
        ("saved_ms", FLOAT, "What the spared statements would have taken."),
        ("refused", INT, "Statements that were not let through."),
        ("why_refused", TEXT, "Why, comma-separated."),
    ),
    _table(
        "switches",
        "What is disabled now.",
        ("kind", TEXT, "source, view, user or fingerprint."),
        ("name", TEXT, "Which."),
        ("reason", TEXT, "Why."),
        ("by", TEXT, "Who did it."),
        ("since", MOMENT, "Since when."),
        ("until", MOMENT, "Until when; NULL: until it is enabled."),
    ),
    _table(
        "views",
        "The views that you may read.",
        ("name", TEXT, "schema.view."),
        ("owner", TEXT, "Who to ask about it."),
        ("class", TEXT, "real_time, near_real_time or batch."),
        ("ttl", FLOAT, "Seconds that an answer may be kept; NULL: as the sources say."),
        ("reads", TEXT, "What it reads, comma-separated."),
        ("sources", TEXT, "The sources behind it, comma-separated."),
        ("state", TEXT, "served, or disabled by a switch."),
        ("description", TEXT, "What a row is."),
    ),
    _table(
        "watches",
        "The watches whose queries you may ask.",
        ("name", TEXT, "As its file is called."),
        ("description", TEXT, "What is watched for."),
        ("owner", TEXT, "Who to ask about it."),
        ("state", TEXT, "ok; partial or failed: its last answer changes nothing; waiting: not asked yet."),
        ("reason", TEXT, "Why it is not ok, or what it lacks."),
        ("since", MOMENT, "Since when it is in that state."),
        ("every", FLOAT, "Seconds between two questions."),
        ("username", TEXT, "With whose rights it asks."),
        ("asked", MOMENT, "When it was asked last."),
        ("relied", MOMENT, "When its answer could last be relied upon."),
        ("ms", FLOAT, "Milliseconds that the last answer took."),
        ("breaches", INT, "Breaches that last."),
        ("pending", INT, "Alerts that wait to be sent."),
        ("put_aside", INT, "Alerts that failed for good, or are held for a person to decide."),
        ("observe", BOOL, "Whether it is a dry run, of which nothing is sent."),
        ("silenced_until", MOMENT, "Until when nothing is told of it; NULL: it is."),
    ),
    _table(
        "breaches",
        "What watches have seen: what is in breach now, and what was, for 30 days.",
        ("id", INT, "Its number."),
        ("watch", TEXT, "Which watch saw it."),
        ("key", TEXT, "Which it is: the columns of the watch's key, as JSON."),
        ("since", MOMENT, "When it was seen first."),
        ("seen", MOMENT, "When it was there last."),
        ("cleared", MOMENT, "When it was over; NULL: it lasts."),
        ("acknowledged", MOMENT, "When somebody took it upon themselves."),
        ("acknowledged_by", TEXT, "Who."),
        ("data", TEXT, "The row, as JSON, when it was last another."),
    ),
    _table(
        "alerts",
        "What was told of breaches, or is to be: one row for each message to one address.",
        ("id", TEXT, "What its receiver knows it by, and what `vdw alert` takes."),
        ("breach", INT, "Of which breach: vdw.breaches.id."),
        ("watch", TEXT, "Which watch raised it."),
        ("key", TEXT, "Of what: the columns of the watch's key, as JSON."),
        ("event", TEXT, "breach, reminder or cleared."),
        ("number", INT, "Which reminder; 0 otherwise."),
        ("notifier", TEXT, "By which channel."),
        ("address", TEXT, "To whom; NULL where that is for administrators."),
        ("subject", TEXT, "Its subject."),
        ("text", TEXT, "What it says."),
        ("state", TEXT, "pending, sending, sent, failed, held, withdrawn, observed or dropped."),
        ("unsure", BOOL, "Whether it may have arrived although that is not certain."),
        ("attempts", INT, "How often it was tried."),
        ("error", TEXT, "Why the last attempt failed, or it was not sent; NULL where that is for administrators."),
        ("since", MOMENT, "When its breach was seen first."),
        ("created", MOMENT, "When it was raised."),
        ("due", MOMENT, "When it is tried next, while it is pending."),
        ("settled", MOMENT, "When it was sent, or put aside; NULL: it waits."),
        ("reference", TEXT, "What its receiver calls it, where it says so; NULL where that is for administrators."),
    ),
    _table(
        "rules",
        "The rules of the rule sets that you may read.",
        ("name", TEXT, "The rule set: schema.view."),
        ("decision", TEXT, "What it decides."),
        ("rule", TEXT, "Its name."),
        ("priority", INT, "Of those that fire, the highest is chosen."),
        ("condition", TEXT, "When it fires, as written."),
        ("outcome", TEXT, "What follows, as written."),
        ("subject", TEXT, "The view or table whose rows it is about."),
        ("facts", TEXT, "The subject's columns that it looks at, comma-separated."),
        ("origins", TEXT, "The sources' columns out of which these are made (a table alone: its rows are counted)."),
        ("sources", TEXT, "The sources of these, comma-separated."),
        ("valid_from", TEXT, "The first moment at which it is in force, in ISO; NULL: always was."),
        ("valid_until", TEXT, "The first moment at which it no longer is; NULL: always will be."),
        ("state", TEXT, "served, not served (a rule of its decision is at fault), or disabled by a switch."),
        ("reason", TEXT, "Why it is not served."),
        ("owner", TEXT, "Who to ask about it."),
        ("description", TEXT, "What it is for."),
        ("file", TEXT, "Where it stands: file:line."),
    ),
)
SOURCE = Source(SYSTEM, SYSTEM, Profile(SYSTEM), as_of={"kind": "live"}, role="warehouse")
_KINDS = {table.name: {column.name: column.type for column in table.columns} for table in TABLES}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who reads the system's tables: `reads` as in vdw.yml ("schema.name", "schema.*", "*"); an `admin` sees all."""

    name: str
    admin: bool = True
    reads: tuple[str, ...] = ("*",)

    def may_read(self, relation: str) -> bool:
        """Whether it (schema.name) is for the visitor.

        >>> Visitor("ada", False, ("crm.*",)).may_read("crm.customers")
        True
        """
        schema, _, name = relation.partition(".")
        return self.admin or schema == SYSTEM or covers(self.reads, schema, name)


Maker = Callable[[Visitor], Any]  # rows for a visitor, perhaps awaitable


@dataclass(slots=True)
class System:
    """Makes the tables' rows: each maker is given who asks. `visitor` says what a user may see."""

    makers: Mapping[str, Maker] = field(default_factory=dict)
    visitor: Callable[[str], Visitor] = Visitor

    async def batch(self, query: SourceQuery, user: str) -> pa.RecordBatch:
        """The rows of one fragment, as `user` may see them."""
        name, columns = _scan(query.sql)
        maker = self.makers.get(name)
        made = maker(self.visitor(user)) if maker is not None else ()
        rows: list[Row] = list(await made if hasattr(made, "__await__") else made)
        kinds = _KINDS[name]
        arrays = [pa.array([_value(row.get(c), kinds[c]) for row in rows], kinds[c].arrow) for c in columns]
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=query.schema)


@lru_cache(256)
def _scan(sql: str) -> tuple[str, tuple[str, ...]]:
    """The table and columns of a fragment; of this source nothing but whole columns is asked."""
    tree = sqlglot.parse_one(sql, dialect="postgres")
    tables = list(tree.find_all(exp.Table))
    listed = [one.unalias() for one in tree.expressions] if isinstance(tree, exp.Select) else []
    others = {key for key, value in tree.args.items() if value} - {"expressions", "from_", "from", "kind"}
    if others or len(tables) != 1 or not all(isinstance(one, exp.Column) for one in listed):
        raise Error(f"the system schema cannot be asked: {sql}", sqlstate="XX000")
    return tables[0].name, tuple(one.name for one in listed)


def _value(value: Any, kind: PgType) -> Any:
    if value is None:
        return None
    if kind is MOMENT:
        return datetime.fromtimestamp(value, UTC)
    if kind is TEXT:
        return value if isinstance(value, str) else ", ".join(value)
    return int(value) if kind is INT else value
