"""strawberry as the runtime: its executor with one method changed, so that a root field is one SQL statement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson
import pyarrow as pa
import strawberry
from graphql import GraphQLError, GraphQLField, GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

from api.errors import fields as error_fields
from api.graphql import encode
from api.graphql.compile import Compiled, compile_rows
from api.graphql.documents import Document, Documents
from api.graphql.freshness import demanded
from api.graphql.limits import Limits
from api.graphql.provenance import Provenance, of
from api.graphql.schema import EXTENSION, Built, Root
from api.graphql.selection import rows
from api.graphql.values import NeedsValue, bind, marked
from connectors.base import Bound, Cancel
from connectors.errors import LimitExceeded, QueryError, SourceError
from federation.result import Result
from federation.session import Session

SMALL = 100  # rows up to which the canon's own JSON is faster than Arrow and a native writer
MAX_BYTES = 64 * 2**20


class Queries(Protocol):
    """What is needed of `federation.engine.Engine`."""

    async def prepare(self, sql: str, session: Session) -> Any: ...

    async def run(self, prepared: Any, params: list[Bound], session: Session, cancel: Cancel) -> Result: ...


@dataclass(slots=True)
class Request:
    """One HTTP request's context; the executor leaves `provenance` in it, a field at a time."""

    engine: Queries
    document: Document
    session: Session
    may_read: Callable[[tuple[str, str]], bool]
    cancel: Cancel = field(default_factory=Cancel)
    provenance: list[Provenance] = field(default_factory=list)


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Answers the root fields that are views whole; introspection goes its usual way."""

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, details: FieldDetailsList, path: Path, position: Any
    ) -> Any:
        """The field's JSON as a fragment, or whatever graphql-core makes of a field that is no view."""
        definition = self.schema.get_field(parent_type, details[0].node.name.value)
        root = definition.extensions.get(EXTENSION) if definition else None
        if definition is None or not isinstance(root, Root):
            return super().execute_field(parent_type, source, details, path, position)
        return self._view(root, definition, details, path)

    async def _view(self, root: Root, definition: GraphQLField, details: FieldDetailsList, path: Path) -> Any:
        request: Request = self.context_value
        try:
            compiled = self._compiled(root, definition, details, path)
            values, session = self.variable_values.coerced, self._session(details)
            parts: list[bytes] = [piece async for piece in _pieces(request, session, compiled, values, str(path.key))]
        except Exception as error:
            self.handle_field_error(located(error), definition.type, details, path)
            return None
        return orjson.Fragment(parts[0] if len(parts) == 1 else b"".join(parts))

    def _session(self, details: FieldDetailsList) -> Session:
        """The request's session, with what the field or its operation says of its data's age."""
        session: Session = self.context_value.session
        said = demanded(self.operation, [each.node for each in details], self.variable_values)
        return session if said is None else replace(session, max_age=said)

    def _compiled(self, root: Root, definition: GraphQLField, details: FieldDetailsList, path: Path) -> Compiled:
        document: Document = self.context_value.document
        values = self.variable_values
        while True:
            name, compiled = document.plan((self.operation_key, str(path.key)), values.coerced)
            if compiled is not None:
                return compiled
            marks = VariableValues(values.sources, marked(values.coerced, document.structural))
            try:
                tree = rows(self.collect_subfields, marks, definition, details)
                compiled = compile_rows(tree, root.by_key, self.schema.extensions[EXTENSION].entities)
            except NeedsValue as missing:
                document.fix(missing.path)
                continue
            document.keep(name, compiled)
            return compiled

    @property
    def operation_key(self) -> str:
        """The operation's name, empty where it has none."""
        return self.operation.name.value if self.operation.name else ""


async def _pieces(
    request: Request, session: Session, compiled: Compiled, values: Mapping[str, Any], path: str
) -> AsyncIterator[bytes]:
    for key in compiled.reads:
        if not request.may_read(key):
            raise QueryError(f"permission denied for view {key[0]}.{key[1]}", sqlstate="42501")
    params = [bind(slot, values) for slot in compiled.slots]
    prepared, flat = await _choose(request, compiled)
    result = await request.engine.run(prepared, params, session, request.cancel)
    size = 0
    try:
        async for piece in _encoded(result, compiled, flat):
            size += len(piece)
            if size > MAX_BYTES:
                raise LimitExceeded(
                    f'the answer to "{path}" is larger than {MAX_BYTES >> 20} MB: give it a smaller `limit`'
                )
            yield piece
    finally:
        await result.aclose()
    request.provenance.append(of(path, result.parts))


async def _choose(request: Request, compiled: Compiled) -> tuple[Any, bool]:
    """The statement to run, and whether it is the flat one: rows that a source streams need no canon to become JSON."""
    if compiled.flat:
        prepared = await request.engine.prepare(compiled.flat, request.session)
        if prepared.plan.streams or compiled.limit is None or compiled.limit > SMALL:
            return prepared, True
    return await request.engine.prepare(compiled.json, request.session), False


def _encoded(result: Result, compiled: Compiled, flat: bool) -> AsyncIterator[bytes]:
    if compiled.single:
        return _single(result, compiled, flat)
    return encode.chunks(result.batches, compiled.outputs) if flat else _value(result.batches)


async def _value(batches: AsyncIterator[pa.RecordBatch]) -> AsyncIterator[bytes]:
    async for batch in batches:
        for row in range(batch.num_rows):
            yield batch.column(0)[row].as_buffer().to_pybytes()


async def _single(result: Result, compiled: Compiled, flat: bool) -> AsyncIterator[bytes]:
    found: list[bytes] = []
    async for batch in result.batches:
        if flat and batch.num_rows:
            found.append(encode.array(batch.slice(0, 1), compiled.outputs)[1:-1])
        elif batch.num_rows:
            found.append(batch.column(0)[0].as_buffer().to_pybytes())
        if len(found) > 1 or batch.num_rows > 1:
            raise QueryError("several rows have that key: the view's `key` does not identify a row", sqlstate="21000")
    yield found[0] if found else b"null"


def located(error: Exception) -> GraphQLError:
    """The error as a client may see it; graphql-core adds where it happened."""
    if isinstance(error, GraphQLError):
        return error
    told = error_fields(error)
    if told["sqlstate"] == "21000" and "subquery" in told["message"]:
        told["message"] = "a relation without `many: true` leads to several rows"
    # A source's own words (`detail`) are for its owner, not for an application.
    shown = ("hint",) if isinstance(error, SourceError) else ("detail", "hint")
    extensions = {"code": told["sqlstate"], **{key: told[key] for key in shown if key in told}}
    return GraphQLError(told["message"], extensions=extensions)


class Schema(strawberry.Schema):
    """A finished graphql-core schema under strawberry's runtime, with its documents."""

    def __init__(self, built: Built, limits: Limits, introspection: bool) -> None:
        # Not super().__init__: it would make types of Python classes.
        self.query = self.mutation = self.subscription = None  # type: ignore[assignment]
        self.extensions, self.directives, self.schema_directives, self.exception_handlers = (), (), [], ()
        self.config = StrawberryConfig()
        self.execution_context_class = Executor
        self.schema_converter = GraphQLCoreConverter(self.config, {}, {}, get_fields=self.get_fields)
        self._schema = built.schema
        self._schema._strawberry_schema = self  # type: ignore[attr-defined]
        self._schema.extensions[EXTENSION] = built.model
        self.version = built.version
        self.notes = built.model.notes
        self.documents = Documents(built.schema, limits, introspection)

    async def _prepare_operation_async(self, context: Any, extensions_runner: Any) -> None:  # noqa: ARG002
        # Parsed and validated already, see `Documents`.
        context.graphql_document = context.context.document.node

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Leave the log alone: what is our own fault is logged where it is masked."""
