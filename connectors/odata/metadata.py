"""$metadata of an OData service (CSDL 4.0 in XML): entity sets as tables, EDM types as PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.base import Collation, Column, ForeignKey, Table
from connectors.errors import SourceError
from connectors.types import PgType, numeric

_EDM = {
    "Edm.Boolean": "bool", "Edm.Byte": "int2", "Edm.SByte": "int2", "Edm.Int16": "int2", "Edm.Int32": "int4",
    "Edm.Int64": "int8", "Edm.Single": "float4", "Edm.Double": "float8", "Edm.String": "text", "Edm.Guid": "uuid",
    "Edm.Date": "date", "Edm.TimeOfDay": "time", "Edm.DateTimeOffset": "timestamptz", "Edm.Duration": "interval",
    "Edm.Binary": "bytea", "Edm.Decimal": "numeric",
}  # fmt: skip
_MOST_SCALE = 1000


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an entity: `edm` is its type there ('' for an object or a collection, which travels as JSON)."""

    name: str
    type: PgType
    edm: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity set; `links` are its navigation properties with referential constraints: (own, type, theirs)."""

    name: str
    type: str
    properties: tuple[Property, ...]
    key: tuple[str, ...]
    links: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = ()


@dataclass(slots=True)
class _Schemas:
    """What the document defines, by qualified name."""

    entities: dict[str, Element] = field(default_factory=dict)
    simple: dict[str, str] = field(default_factory=dict)  # type definitions and enumerations
    sets: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def full(self, name: str) -> str:
        """A type's name behind its namespace, not its alias."""
        space, _, last = name.rpartition(".")
        return f"{self.aliases.get(space, space)}.{last}"


def parsed(document: bytes) -> tuple[Entity, ...]:
    """The entity sets of a $metadata document; SourceError where it is none, or of another version than 4."""
    try:
        root = fromstring(document, forbid_dtd=True)
    except (ParseError, DefusedXmlException):
        raise SourceError("$metadata is no XML document", hint="check connection: url: in the source's file") from None
    if _local(root) != "Edmx" or not root.get("Version", "").startswith("4."):
        raise SourceError(
            "$metadata is not that of OData 4", hint="a service of OData 2 or 3 is described as kind: rest"
        )
    schemas = _schemas(root)
    return tuple(_entity(name, kind, schemas) for name, kind in schemas.sets.items() if kind in schemas.entities)


def table(source: str, entity: Entity, sets: Mapping[str, str]) -> Table:
    """The entity set as a table; `sets`: the set of each entity type that has one."""
    columns = tuple(
        Column(
            one.name,
            one.type,
            one.nullable,
            native=one.edm or "Edm.Untyped",
            collation=Collation.BYTES,
            exact=not (one.type.name == "numeric" and one.type.mod < 0),
        )
        for one in entity.properties
    )
    links = tuple(ForeignKey(own, sets[kind], theirs) for own, kind, theirs in entity.links if kind in sets)
    return Table(source, None, entity.name, columns, (entity.key,) if entity.key else (), foreign_keys=links)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _below(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element.iter() if _local(child) in names)


def _schemas(root: Element) -> _Schemas:
    found = _Schemas()
    for schema in _below(root, "Schema"):
        space = schema.get("Namespace", "")
        if schema.get("Alias"):
            found.aliases[schema.get("Alias", "")] = space
        for element in schema:
            name = f"{space}.{element.get('Name', '')}"
            if _local(element) == "EntityType":
                found.entities[name] = element
            elif _local(element) == "EnumType":
                found.simple[name] = "Edm.String"
            elif _local(element) == "TypeDefinition":
                found.simple[name] = element.get("UnderlyingType", "")
            elif _local(element) == "EntityContainer":
                found.sets |= {one.get("Name", ""): one.get("EntityType", "") for one in _below(element, "EntitySet")}
    found.sets = {name: found.full(kind) for name, kind in found.sets.items()}
    return found


def _entity(name: str, kind: str, schemas: _Schemas) -> Entity:
    properties: list[Property] = []
    links: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = []
    key: tuple[str, ...] = ()
    for element in _lineage(kind, schemas):
        for child in element:
            if _local(child) == "Property":
                properties.append(_property(child, schemas))
            elif _local(child) == "Key":
                key = tuple(ref.get("Name", "") for ref in _below(child, "PropertyRef"))
            elif _local(child) == "NavigationProperty":
                pairs = [
                    (c.get("Property", ""), c.get("ReferencedProperty", ""))
                    for c in _below(child, "ReferentialConstraint")
                ]
                if pairs:
                    own, theirs = zip(*pairs, strict=True)
                    links.append((own, schemas.full(child.get("Type", "")), theirs))
    keyed = tuple(Property(p.name, p.type, p.edm, p.nullable and p.name not in key) for p in properties)
    return Entity(name, kind, keyed, key if all("/" not in one for one in key) else (), tuple(links))


def _lineage(kind: str, schemas: _Schemas) -> list[Element]:
    """The type's base types first."""
    found: list[Element] = []
    while kind in schemas.entities and len(found) < 32:
        found.append(schemas.entities[kind])
        kind = schemas.full(found[-1].get("BaseType", "")) if found[-1].get("BaseType") else ""
    return found[::-1]


def _property(element: Element, schemas: _Schemas) -> Property:
    said = element.get("Type", "Edm.String")
    edm = schemas.simple.get(schemas.full(said), said)
    name, nullable = element.get("Name", ""), element.get("Nullable", "true") != "false"
    kind = _EDM.get(edm)
    if kind is None:  # complex types, collections, geography: their JSON
        return Property(name, PgType("json"), "", nullable)
    return Property(
        name, _decimal(element) if kind == "numeric" else PgType(kind), said if edm == said else "", nullable
    )


def _decimal(element: Element) -> PgType:
    """Of so many digits where the document says both; the scale is 0 where it is not said, as the standard has it."""
    precision, scale = element.get("Precision", ""), element.get("Scale", "0")
    if precision.isdigit() and scale.isdigit() and int(scale) <= min(int(precision), _MOST_SCALE):
        return numeric(int(precision), int(scale)) if 0 < int(precision) <= _MOST_SCALE else PgType("numeric")
    return PgType("numeric")
