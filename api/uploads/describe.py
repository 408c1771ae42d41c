"""What a client says of the table that it sends: attributes with types, roles, units and rules for missing values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from connectors.errors import QueryError
from views.files import Identifier
from views.validate import validate
from views.values import Section, fault

TYPES = ("text", "integer", "decimal(p,s)", "float", "boolean", "date", "timestamp")
RULES = ("keep", "drop", "mean", "median", "mode", "constant", "flag")
_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
Model = TypeVar("Model", bound=BaseModel)


def _type(value: str) -> str:
    found = _DECIMAL.fullmatch(value)
    if value not in _ARROW and (not found or not 1 <= int(found[1]) <= 38 or int(found[2]) > int(found[1])):
        raise fault(f'"{value}" is not a type', f"known: {', '.join(TYPES)}, with p up to 38 and s up to p")
    return value.replace(" ", "")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Type = Annotated[str, AfterValidator(_type)]
Tokens = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(strict=False, max_length=50)]


class Missing(Section):
    """What a segmentation does where an attribute has no value; the table itself keeps NULL."""

    rule: Literal["drop", "mean", "median", "mode", "constant", "flag"]
    value: float | str | None = Field(default=None, description="For `constant`.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"rule": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _constant(self) -> Missing:
        if (self.rule == "constant") != (self.value is not None):
            raise fault(
                "`value` goes with the rule constant, and only with it", 'write {"rule": "constant", "value": 0}'
            )
        return self


class Attribute(Section):
    """One column."""

    name: Identifier
    type: Type
    role: Literal["key", "attribute", "label", "ignore"] = Field(
        default="attribute", description="key: identifies a row; label: kept, not segmented by; ignore: not kept."
    )
    source: str = Field(default="", description="What the file calls it, where that is not `name`.")
    unit: str = ""
    description: str = ""
    required: bool = Field(default=False, description="Whether a missing value is an error; always so for a key.")
    missing: Missing | None = None
    missing_values: Tokens | None = Field(default=None, description="Texts that mean no value; the table's by default.")

    @property
    def called(self) -> str:
        """Its name in the file."""
        return self.source or self.name

    @property
    def kept(self) -> bool:
        return self.role != "ignore"

    @property
    def must(self) -> bool:
        """Whether a row without it is an error."""
        return self.required or self.role == "key"

    @property
    def arrow(self) -> pa.DataType:
        """The type of its column in the table."""
        found = _DECIMAL.fullmatch(self.type)
        return pa.decimal128(int(found[1]), int(found[2])) if found else _ARROW[self.type]

    @property
    def comment(self) -> str:
        """What the catalog says of it."""
        return self.description + (f" ({self.unit})" if self.unit else "")


class Csv(Section):
    """How a CSV file is written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    encoding: Literal["utf-8", "latin-1", "cp1252", "utf-16"] = "utf-8"


class Description(Section):
    """A table that is sent."""

    description: str = ""
    attributes: tuple[Attribute, ...] = Field(min_length=1, strict=False)
    missing_values: Tokens = Field(default=("",), description="Texts that mean no value.")
    other_columns: Literal["error", "ignore"] = Field(
        default="error", description="What becomes of columns of the file that are not described."
    )
    csv: Csv = Csv()

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: object) -> object:
        """`{"attributes": {"age": "integer", "city": {"type": "text"}}}` is short for the list."""
        given = value.get("attributes") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(given, Mapping):
            return value
        listed = [
            {"name": k, **({"type": v} if isinstance(v, str) else v if isinstance(v, Mapping) else {})}
            for k, v in given.items()
        ]
        return {**value, "attributes": listed}

    @model_validator(mode="after")
    def _sane(self) -> Description:
        for what, names in (
            ("name", [a.name for a in self.attributes]),
            ("source", [a.called for a in self.attributes]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise fault(f'attribute {what} "{twice[0]}" stands twice', "give each attribute a name of its own")
        if not any(a.kept for a in self.attributes):
            raise fault("no attribute is kept", "give at least one a role other than ignore")
        if sum(a.role == "key" for a in self.attributes) > 1:
            raise fault("more than one attribute is the key", "give one of them the role key")
        return self

    @property
    def kept(self) -> tuple[Attribute, ...]:
        """The table's columns, in order."""
        return tuple(a for a in self.attributes if a.kept)

    @property
    def key(self) -> Attribute | None:
        """What identifies a row; None where nothing is said to."""
        return next((a for a in self.attributes if a.role == "key"), None)

    @property
    def schema(self) -> pa.Schema:
        """Of the table."""
        return pa.schema([pa.field(a.name, a.arrow) for a in self.kept])

    def tokens(self, attribute: Attribute) -> frozenset[str]:
        """Texts that mean no value in that column."""
        given = attribute.missing_values
        return frozenset(self.missing_values if given is None else given)


def read(model: type[Model], value: Any, what: str) -> Model:
    """The model of a client's JSON; QueryError 22023 tells all that is wrong with it."""
    if not isinstance(value, dict):
        raise QueryError(f"{what} must be a JSON object", sqlstate="22023")
    found, wrong = validate(model, value, what, {})
    if found is None:
        first, *others = wrong
        raise QueryError(
            f"{what}: {first.message}",
            sqlstate="22023",
            hint=first.remedy or None,
            detail="; ".join(one.message for one in others[:20]) or None,
        )
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it: decimals and moments as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def digits(kind: pa.DataType) -> tuple[int, Decimal]:
    """Precision, and the quantum of the last digit, of a decimal type."""
    return kind.precision, Decimal(1).scaleb(-kind.scale)
