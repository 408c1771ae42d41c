"""JSON over HTTP as a source: endpoints as tables, what they must be given as access patterns, pages as batches.

What a service filters itself is taken as a superset: every row is checked again here, by DuckDB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from connectors.asked import Asked, asked, label, policies, sparing
from connectors.base import PING, Cancel, Collation, Column, Profile, SourceQuery, Table, Unfit
from connectors.errors import SourceError
from connectors.evaluated import Evaluator
from connectors.fetched import Fetched
from connectors.json_rows import Field, Layout, segments
from connectors.json_values import among, bound
from connectors.link import Link
from connectors.rest.options import RestColumn, RestOptions, RestTable
from connectors.rest.paging import Pager
from connectors.rest.requests import Call, calls
from connectors.types import PgType, known
from connectors.web import Asking, Question, Web

_NOTHING = RestColumn()


class RestConnector:
    """One REST service; see `connectors.base.Connector`."""

    Options = RestOptions
    paged = True
    orphaned = 0.0  # a request that nobody waits for any more is over for the service

    def __init__(self, name: str, options: RestOptions) -> None:
        self.name = name
        self._options = options
        self._web = Web(name, options)
        self._evaluator = Evaluator(name, options.memory_limit)
        self.tally = self._web.tally

    def profile(self) -> Profile:
        """Nothing is asked of the service: what it can do stands in the source's file."""
        return Profile("rest")

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The tables of the source's file."""
        found = self._options.tables.items() if not schemas else ()
        return tuple(_table(self.name, name, one) for name, one in found if not tables or name in tables)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Request after request, as far as rows are still wanted."""
        shape = asked(query.parts)
        table = self._options.tables.get(shape.table)
        if table is None:
            raise SourceError(f"there is no table {shape.table}", sqlstate="HV00R", place=f'source "{self.name}"')
        endpoint = _Endpoint(shape.table, table, shape, policies(shape, query))
        with self._web.asking(timeout, cancel) as asking:
            rows = endpoint.rows(asking, query)
            yield from Fetched(shape, query, self._evaluator, endpoint.left, endpoint.faults).batches(rows, asking)

    def link(self, timeout: float = PING) -> Link:
        """See Connector."""
        return self._web.link(Question(self._options.ping), timeout)

    def ping(self, timeout: float = PING) -> None:
        """One request, whose answer does not matter."""
        with self._web.asking(timeout, Cancel()) as asking:
            asking.ask(Question(self._options.ping))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()
        self._evaluator.close()


class _Endpoint:
    """A table as far as one statement reads it."""

    def __init__(self, name: str, table: RestTable, shape: Asked, unfit: Mapping[str, Unfit]) -> None:
        self._name, self._table, self._asked, self._unfit = name, table, shape, unfit
        self.left = Counter[str]()  # values that are NULL because they did not fit, by column
        self.faults: dict[str, SourceError] = {}  # as Layout's

    def rows(self, asking: Asking, query: SourceQuery) -> Iterator[pa.Table]:
        """The rows of all requests, page by page; those that a request was not for are left out."""
        most = self._most(query)
        for call in calls(self._name, self._table, self._asked, query):
            missing_ok = self._table.not_found == "empty"
            layout = self._layout(call)
            spared, unread = sparing(self._asked, call.equal, (one.name for one in layout.fields))
            pager = Pager(
                asking, layout, self._table.paging, self._table.key, missing_ok=missing_ok, spared=spared, unread=unread
            )
            for page, columns in pager.pages(Question(call.path, call.params, call.body), most):
                yield self._own(columns, call, len(page.rows))

    def _most(self, query: SourceQuery) -> int | None:
        """Rows of which no more are wanted, whichever they are."""
        one = self._asked
        if one.filtered or not one.rowwise or one.limit is None:
            return None
        count = query.params[one.limit].value
        before = query.params[one.offset].value if one.offset is not None else 0
        return None if count is None else int(count) + int(before or 0)

    def _layout(self, call: Call) -> Layout:
        table = self._table
        wanted = dict.fromkeys((*self._asked.columns, *call.equal, *table.key))
        own = (name for name in wanted if name in table.columns)
        fields = [
            replace(_field(name, table.columns[name], self._unfit.get(name, "error")), label=label(self._asked, name))
            for name in own
        ]
        paging = table.paging
        at = {} if paging is None else {"next": paging.at, "total": paging.total}
        extras = {name: segments(one) for name, one in at.items() if one is not None}
        return Layout(segments(table.rows), fields, extras, self.left, self.faults)

    def _own(self, columns: Mapping[str, pa.Array], call: Call, count: int) -> pa.Table:
        """The page as a table, with the columns that only the request has; what other requests ask for left out."""
        made = dict(columns)
        for name in self._asked.columns:
            if name not in made:
                made[name] = pa.repeat(bound(call.given.get(name), known(self._table.all_columns[name])), count)
        rows = pa.table(made) if made else pa.table({"": pa.nulls(count)})
        kept = among(columns, call.equal)
        return rows if kept is None else rows.filter(kept)


def _field(name: str, column: RestColumn, unfit: Unfit) -> Field:
    at = (name,) if column.at is None else segments(column.at)
    form = "" if column.format in (None, "iso") else column.format
    if unfit == "text":
        return Field(name, at, PgType("text"), "", column.nullable)
    return Field(name, at, known(column.type), form, column.nullable, unfit)


def _table(source: str, name: str, said: RestTable) -> Table:
    columns = []
    for column, text in said.all_columns.items():
        one, kind = said.columns.get(column, _NOTHING), known(text)
        columns.append(
            Column(
                column,
                kind,
                nullable=one.nullable and column in said.columns,
                native=text,
                collation=Collation.BYTES,
                comment=one.comment,
                exact=not _loose(kind),
            )
        )
    keys = (said.key,) if said.key else ()
    return Table(
        source, None, name, tuple(columns), keys, requires=said.demands, row_count=said.row_count, comment=said.comment
    )


def _loose(kind: PgType) -> bool:
    """Whether its values do not compare in DuckDB as in PostgreSQL: a number of any digits travels as text."""
    return kind.name == "numeric" and kind.arrow == pa.string()
