"""The GraphQL query that stands nearest to a panel's SQL, to go on from in GraphiQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import orjson

from api.graphql.entities import Entity, Model, model
from views.catalog import Catalog

FIRST = 20  # rows
COLUMNS = 40


class Nearest:
    """Writes queries over one catalog after another."""

    def __init__(self) -> None:
        self._model = lru_cache(maxsize=1)(_model)

    def query(
        self, catalog: Catalog, relations: Sequence[tuple[str, str]], values: Mapping[str, str | None]
    ) -> str | None:
        """All columns of each view that is read, by its key where the parameters tell it; None where none is."""
        entities = self._model(_Versioned(catalog)).entities
        fields = [_field(entities[key], values) for key in relations if key in entities and entities[key].field]
        return "{\n" + "".join(fields) + "}\n" if fields else None


class _Versioned:
    """A catalog that is equal to another of its version."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def __hash__(self) -> int:
        return hash(self.catalog.version)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Versioned) and other.catalog.version == self.catalog.version


def _model(versioned: _Versioned) -> Model:
    return model(versioned.catalog)


def _field(entity: Entity, values: Mapping[str, str | None]) -> str:
    names = [attribute.name for attribute in entity.attributes.values()][:COLUMNS]
    selected = "".join(f"    {name}\n" for name in names)
    keys = [(attribute.name, values.get(attribute.column)) for attribute in entity.identity]
    if entity.by_key and keys and all(value is not None for _, value in keys):
        arguments = ", ".join(f"{name}: {orjson.dumps(value).decode()}" for name, value in keys)
        return f"  {entity.by_key}({arguments}) {{\n{selected}  }}\n"
    return f"  {entity.field}(limit: {FIRST}) {{\n{selected}  }}\n"
