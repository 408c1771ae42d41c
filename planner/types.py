"""Types of what the planner understands: sqlglot's type nodes, constants, operators and aggregates."""

from __future__ import annotations

from sqlglot import exp

from connectors.capability import signatures
from connectors.types import PgType, bpchar, numeric, varchar

BOOL, INT2, INT4, INT8 = PgType("bool"), PgType("int2"), PgType("int4"), PgType("int8")
TEXT, NUMERIC, FLOAT8, DATE = PgType("text"), PgType("numeric"), PgType("float8"), PgType("date")
UNKNOWN = PgType("unknown")

_NAMES = {
    "BOOLEAN": "bool", "SMALLINT": "int2", "INT": "int4", "BIGINT": "int8", "REAL": "float4",
    "DOUBLE PRECISION": "float8", "DECIMAL": "numeric", "NUMERIC": "numeric", "TEXT": "text", "VARCHAR": "varchar",
    "CHAR": "bpchar", "BPCHAR": "bpchar", "DATE": "date", "TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamptz",
    "TIME": "time", "TIMETZ": "timetz", "INTERVAL": "interval", "UUID": "uuid", "JSON": "json", "JSONB": "jsonb",
    "BYTEA": "bytea", "INET": "inet", "CIDR": "cidr", "MACADDR": "macaddr", "MONEY": "money", "XML": "xml",
    "OID": "oid", "NAME": "name",
}  # fmt: skip

_RANK = {"int2": 0, "int4": 1, "int8": 2}
_COMPARISONS = signatures.HARMLESS - {"case", "coalesce", "nullif", "greatest", "least"}


def from_ast(node: exp.DataType) -> PgType | None:
    """PgType of a type node in canonical text; None for a type that is not known here."""
    text = node.sql("postgres", copy=False).upper()
    if text.endswith("[]"):
        inner = from_text(text[:-2])
        return inner.bare.array if inner is not None else None
    return from_text(text)


def from_text(text: str) -> PgType | None:
    """PgType of upper-case SQL such as VARCHAR(20)."""
    head, _, rest = text.partition("(")
    name = _NAMES.get(head.strip())
    if name is None:
        return None
    if not rest:
        return bpchar(1) if head == "CHAR" else PgType(name)
    numbers = [int(n) for n in rest.rstrip(") ").split(",") if n.strip().lstrip("-").isdigit()]
    if not numbers:
        return None
    if name == "numeric":
        return numeric(numbers[0], numbers[1] if len(numbers) > 1 else 0)
    if name == "varchar":
        return varchar(numbers[0])
    if name == "bpchar":
        return bpchar(numbers[0])
    return PgType(name, numbers[0]) if name in ("timestamp", "timestamptz", "time", "timetz") else None


def number(text: str) -> PgType:
    """The type PostgreSQL gives a numeric constant without cast."""
    if text.isdigit():
        value = int(text)
        if value < 2**31:
            return INT4
        if value < 2**63:
            return INT8
    return NUMERIC


def of_call(op: str, args: tuple[PgType | None, ...]) -> PgType | None:
    """Result type of an operator or function over those types; None where the planner does not know."""
    if op in _COMPARISONS:
        return BOOL
    if any(arg is None for arg in args):
        return None
    names = [arg.name for arg in args if arg is not None]
    if op in ("coalesce", "nullif", "greatest", "least"):
        return args[0].bare if args[0] is not None and len(set(names)) == 1 else None
    found = signatures.result(op, ("text" if name == "varchar" else name for name in names))
    return PgType(found) if found is not None else None


def of_aggregate(name: str, args: tuple[PgType | None, ...]) -> PgType | None:
    """Result type of an aggregate; None where the planner does not know the aggregate."""
    if name == "count":
        return INT8
    if len(args) != 1 or args[0] is None:
        return None
    kind = "text" if args[0].name in ("varchar", "name") else args[0].name
    found = signatures.AGGREGATES.get((name, kind))
    return PgType(found) if found is not None else None


def alike(a: PgType | None, b: PgType | None) -> bool:
    """Whether values of both types compare, sort and print the same: text and varchar do, numeric and int4 do not."""
    if a is None or b is None:
        return False
    return (a.name == b.name and (a.name != "bpchar" or a == b)) or {a.name, b.name} <= {"text", "varchar"}


def harmless_cast(source: PgType | None, target: PgType | None) -> bool:
    """Whether a cast within one family leaves every value as it is."""
    if source is None or target is None or target.mod >= 0:
        return False
    if source.name in _RANK and target.name in _RANK:
        return _RANK[source.name] <= _RANK[target.name]
    return source.name == target.name or {source.name, target.name} == {"text", "varchar"}
