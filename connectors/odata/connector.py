"""OData 4 services as sources: tables from $metadata, filters and columns as $filter and $select, pages by nextLink.

What the service filters is a superset for us: every row is checked again here, by DuckDB. So only comparisons are sent
that every service understands alike.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pyarrow as pa
from pydantic import Field

from connectors.asked import Asked, asked, label, policies, sparing, values
from connectors.base import PING, Cancel, Profile, SourceQuery, Table, Unfit
from connectors.errors import SourceError
from connectors.evaluated import Evaluator
from connectors.fetched import Fetched
from connectors.json_rows import Field as JsonField
from connectors.json_rows import Layout
from connectors.json_values import among
from connectors.link import Link
from connectors.odata.metadata import Entity, Property, parsed, table
from connectors.rest.options import Paging, WebOptions
from connectors.rest.paging import Pager
from connectors.types import PgType
from connectors.web import Asking, Question, Web

_PATIENCE = 60.0  # seconds for our own questions
_OPS = {"=": "eq", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_NEXT = Paging(kind="next", at="/@odata.nextLink")
_JSON = (("Accept", "application/json;odata.metadata=minimal;IEEE754Compatible=true"), ("OData-MaxVersion", "4.01"))
# Types that every service compares alike by equality.
_INTEGERS = frozenset(("Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64"))
_EQUAL = _INTEGERS | {"Edm.String", "Edm.Guid", "Edm.Boolean", "Edm.Date", "Edm.DateTimeOffset"}
_SAFE = 2**53  # whole numbers up to here are the same as a double, which many services compute in
_SECOND = dt.timedelta(seconds=1)


class OdataOptions(WebOptions):
    """The `connection:` of a source of kind odata; `url` is the service's root."""

    page: int | None = Field(default=None, ge=1, le=100_000, description="rows of a page that are asked for")
    values: int = Field(default=20, ge=1, le=500, description="values of one request for which a column is asked")
    sets: tuple[str, ...] = Field(default=(), description="entity sets to read; all where absent")


class OdataConnector:
    """One OData service; see `connectors.base.Connector`."""

    Options = OdataOptions
    paged = True
    orphaned = 0.0  # a request that nobody waits for any more is over for the service

    def __init__(self, name: str, options: OdataOptions) -> None:
        self.name = name
        self._options = options
        self._web = Web(name, options)
        self._evaluator = Evaluator(name, options.memory_limit)
        self._lock = threading.Lock()
        self._entities: dict[str, Entity] = {}
        self.tally = self._web.tally

    def profile(self) -> Profile:
        """Nothing but the protocol's version, which $metadata has shown."""
        self._known()
        return Profile("rest", (4,))

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The entity sets, by $metadata, read now."""
        entities = self._read() if not schemas else {}
        sets = {one.type: one.name for one in entities.values()}
        return tuple(table(self.name, one, sets) for name, one in entities.items() if not tables or name in tables)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Request after request, as far as rows are still wanted."""
        shape = asked(query.parts)
        with self._web.asking(timeout, cancel) as asking:
            entity = self._known().get(shape.table)
            if entity is None:
                raise SourceError(f"there is no entity set {shape.table}", sqlstate="HV00R")
            left, faults = Counter[str](), dict[str, SourceError]()
            rows = _rows(entity, shape, query, asking, self._options, left, faults)
            yield from Fetched(shape, query, self._evaluator, left, faults).batches(rows, asking)

    def link(self, timeout: float = PING) -> Link:
        """See Connector."""
        return self._web.link(Question("", headers=_JSON), timeout)

    def ping(self, timeout: float = PING) -> None:
        """The service document."""
        with self._web.asking(timeout, Cancel()) as asking:
            asking.ask(Question("", headers=_JSON))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()
        self._evaluator.close()

    def _known(self) -> dict[str, Entity]:
        return self._entities or self._read()

    def _read(self) -> dict[str, Entity]:
        with self._lock, self._web.asking(_PATIENCE, Cancel()) as asking:
            reply = asking.ask(Question("$metadata", headers=(("Accept", "application/xml"),)))
            if reply.status == 404:
                raise SourceError("the service has no $metadata", sqlstate="08001", hint="check connection: url:")
            found = {entity.name: entity for entity in parsed(reply.body)}
            wanted = self._options.sets or tuple(found)
            if missing := [name for name in wanted if name not in found]:
                raise SourceError(
                    f"there is no entity set {missing[0]}", sqlstate="HV00R", hint=f"there are: {', '.join(found)}"
                )
            self._entities = {name: found[name] for name in wanted}
            return self._entities


def _rows(
    entity: Entity,
    shape: Asked,
    query: SourceQuery,
    asking: Asking,
    options: OdataOptions,
    left: Counter[str],
    faults: dict[str, SourceError],
) -> Iterator[pa.Table]:
    """The rows of all requests, page by page."""
    properties = {one.name: one for one in entity.properties}
    wanted = [properties[name] for name in dict.fromkeys((*shape.columns, *entity.key)) if name in properties]
    unfit = policies(shape, query)
    fields = [replace(_field(one, unfit.get(one.name, "error")), label=label(shape, one.name)) for one in wanted]
    layout = Layout(("value",), fields, {"next": ("@odata.nextLink",)}, left, faults)
    for conditions, equal in _requests(entity, shape, query, options.values):
        most = _most(shape, query)
        params = [("$select", ",".join(one.name for one in wanted))] if wanted else []
        params += [("$filter", " and ".join(conditions))] if conditions else []
        params += [("$top", str(most))] if most is not None and not shape.filtered else []
        headers = (*_JSON, ("Prefer", f"odata.maxpagesize={options.page}")) if options.page else _JSON
        spared, unread = sparing(shape, equal, (one.name for one in wanted))
        pager = Pager(asking, layout, _NEXT, entity.key, missing_ok=False, spared=spared, unread=unread)
        for page, columns in pager.pages(Question(entity.name, tuple(params), headers=headers)):
            rows = pa.table(columns) if columns else pa.table({"": pa.nulls(len(page.rows))})
            kept = among(columns, equal)
            yield rows if kept is None else rows.filter(kept)


def _field(one: Property, unfit: Unfit) -> JsonField:
    if unfit == "text":
        return JsonField(one.name, (one.name,), PgType("text"))
    form = "base64url" if one.edm == "Edm.Binary" else ""
    return JsonField(one.name, (one.name,), one.type, form, unfit=unfit)


def _most(shape: Asked, query: SourceQuery) -> int | None:
    """Rows of which no more are wanted, whichever they are."""
    if not shape.rowwise or shape.limit is None:
        return None
    count = query.params[shape.limit].value
    before = query.params[shape.offset].value if shape.offset is not None else 0
    return None if count is None else int(count) + int(before or 0)


def _requests(
    entity: Entity, shape: Asked, query: SourceQuery, most: int
) -> Iterator[tuple[list[str], dict[str, tuple[Any, ...]]]]:
    """$filter's conjuncts of each request, and what its rows must be; none where no row can be wanted."""
    properties = {one.name: one for one in entity.properties}
    fixed: list[str] = []
    lists: dict[str, list[Any]] = {}
    for one in shape.conditions:
        known = properties.get(one.columns[0])
        if one.op in ("=", "in", "any", "true", "false"):
            found = values(query, one)
            if not found:
                return
            for at, column in enumerate(one.columns):
                if all(_plain(row[at], properties[column]) for row in found):
                    own = list(dict.fromkeys(row[at] for row in found))
                    lists[column] = [v for v in lists.get(column, own) if v in own]
            continue
        value = query.params[one.params[0]].value
        if value is None:
            return
        if known is not None and (test := bound(known, one.op, value)):
            fixed.append(test)
    yield from _cut(lists, fixed, properties, most)


def _cut(
    lists: dict[str, list[Any]], fixed: list[str], properties: dict[str, Property], most: int
) -> Iterator[tuple[list[str], dict[str, tuple[Any, ...]]]]:
    """The longest list shared out among requests; the others as they are where they are short, else checked here."""
    longest = max(lists, key=lambda column: len(lists[column]), default=None)
    short = [_either(c, found, properties[c]) for c, found in lists.items() if c != longest and len(found) <= most]
    if longest is None:
        yield fixed, {}
        return
    found = lists[longest]
    for at in range(0, len(found), most):
        part = found[at : at + most]
        yield [*fixed, *short, _either(longest, part, properties[longest])], {longest: tuple(part)}


def _plain(value: Any, known: Property) -> bool:
    """Whether every service finds a value that equals it: neither its fractions nor its digits may be cut."""
    if known.edm in _INTEGERS:
        return isinstance(value, int) and abs(value) <= _SAFE
    return known.edm in _EQUAL and not getattr(value, "microsecond", 0)


def bound(known: Property, op: str, value: Any) -> str | None:
    """A comparison that is true wherever `op` is, also where a service rounds fractions; None: none is sent."""
    low, strict = op in (">", ">="), op in (">", "<")
    if known.edm in _INTEGERS or known.edm == "Edm.Decimal":
        number = Decimal(value)
        whole = number.to_integral_value(ROUND_FLOOR if low else ROUND_CEILING) if number.is_finite() else None
        if whole is None or abs(whole) > _SAFE:
            return None
        strict = strict and whole == number and known.edm in _INTEGERS
        return f"{known.name} {_OPS[op if strict else '>=' if low else '<=']} {whole}"
    if known.edm == "Edm.Date":
        return f"{known.name} {_OPS[op]} {written(value, known)}"
    if known.edm == "Edm.DateTimeOffset" and isinstance(value, dt.datetime):
        whole_second = value.replace(microsecond=0)
        whole_second += _SECOND if not low and value.microsecond else dt.timedelta()
        return f"{known.name} {'ge' if low else 'le'} {written(whole_second, known)}"
    return None


def _either(column: str, found: Sequence[Any], known: Property) -> str:
    """`in` came with 4.01: every service of 4.0 has `or`."""
    parts = [f"{column} eq {written(value, known)}" for value in found]
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


def written(value: Any, known: Property) -> str:
    """A value as a literal of its type: 'it''s', 12.50, 2024-01-31, 2024-01-31T10:00:00Z, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if known.edm == "Edm.String":
        return "'" + str(value).replace("'", "''") + "'"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat() if isinstance(value, dt.date) else str(value)
