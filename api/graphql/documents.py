"""Documents as they are kept between requests: parsed, checked, validated, and the SQL compiled of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    specified_rules,
    validate,
)
from graphql.validation import ASTValidationRule, MaxIntrospectionDepthRule

from api.graphql.compile import Compiled
from api.graphql.freshness import FreshnessRule
from api.graphql.limits import Limits, read
from api.graphql.values import Path, skeleton

MAX_ERRORS = 10
CACHED_CHARACTERS = 4_000_000
PLANS = 64


class Invalid(Exception):
    """A document that cannot be run, and why; `writes` tells that it would have changed something."""

    def __init__(self, errors: list[GraphQLError], writes: bool = False) -> None:
        super().__init__(errors[0].message)
        self.errors = errors
        self.writes = writes


class Document:
    """A valid document. `plans` holds compiled fields by response key and the variables' skeleton."""

    def __init__(self, node: DocumentNode, size: int) -> None:
        self.node = node
        self.size = size
        self.operations = {
            (d.name.value if d.name else None): d for d in node.definitions if isinstance(d, OperationDefinitionNode)
        }
        self.structural: frozenset[Path] = frozenset()
        self._plans: LRUCache[Any, Compiled] = LRUCache(PLANS)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run; Invalid where the name does not tell which."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is not None and name in self.operations:
            return self.operations[name]
        message = (
            f'Unknown operation named "{name}".'
            if name is not None
            else "Must provide operation name if query contains multiple operations."
        )
        raise Invalid([GraphQLError(message)])

    def plan(self, key: tuple[str, ...], variables: Mapping[str, Any]) -> tuple[Any, Compiled | None]:
        """The name under which a field's SQL is kept for variables of this structure, and the SQL if it is."""
        name = (*key, skeleton(variables, self.structural))
        return name, self._plans.get(name)

    def keep(self, name: Any, compiled: Compiled) -> None:
        """Keep a field's SQL."""
        self._plans[name] = compiled

    def fix(self, path: Path) -> None:
        """From now on the value at this path counts as structure."""
        self.structural |= {path}


class Documents:
    """The documents of one schema."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, introspection: bool) -> None:
        self._schema = schema
        self._limits = limits
        self._rules: tuple[type[ASTValidationRule], ...] = (*specified_rules, MaxIntrospectionDepthRule, FreshnessRule)
        if not introspection:
            self._rules = (*self._rules, NoSchemaIntrospectionCustomRule)
        self._cache: LRUCache[str, Document] = LRUCache(CACHED_CHARACTERS, getsizeof=lambda document: document.size)

    def get(self, text: str) -> Document:
        """The document of that text; Invalid where it does not parse, asks too much or does not fit the schema."""
        found = self._cache.get(text)
        if found is None:
            found = self._read(text)
            if len(text) * 10 < CACHED_CHARACTERS:
                self._cache[text] = found
        return found

    def _read(self, text: str) -> Document:
        try:
            node = read(text, self._limits)
        except GraphQLError as error:
            raise Invalid([error]) from None
        errors = validate(self._schema, node, self._rules, max_errors=MAX_ERRORS)
        if errors:
            kinds = [d.operation for d in node.definitions if isinstance(d, OperationDefinitionNode)]
            raise Invalid(errors, writes=OperationType.MUTATION in kinds)
        return Document(node, len(text))
