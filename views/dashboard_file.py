"""What dashboards/<name>.yml may say: parameters, and panels that each show the answer of one SELECT."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from views.files import Identifier, Positive
from views.values import Duration, Names, Section, fault

Kind = Literal["number", "line", "bar", "stacked", "pie", "table", "detail"]
ParameterType = Literal["text", "int4", "int8", "numeric", "date", "timestamptz", "bool"]
CHARTS = frozenset(("line", "bar", "stacked", "pie"))
WIDTHS: Mapping[str, int] = {"number": 1, "pie": 1, "table": 4}  # of 4 columns; all others 2
MOST_ROWS = 10_000
LEAST_REFRESH = 1.0  # seconds


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


def _title(value: str) -> str:
    if not value.strip():
        raise fault("is empty", "write what people should read there")
    return value


def _scalar(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise fault("a number with a fraction may lose digits here", f'quote it: "{value}"')
    return str(value) if isinstance(value, int) else value


def _choices(value: object) -> object:
    if isinstance(value, str):
        return value
    made = [_scalar(item) for item in value] if isinstance(value, list | tuple) else []
    if not made or not all(isinstance(item, str) for item in made):
        raise fault("is neither a list of values nor a SELECT", "write [a, b], or select value, label from ...")
    return tuple(made)


class _OneOrMore:
    """Tells the JSON Schema that one item may stand without its list."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        made = handler(core)
        return {"anyOf": [made["items"], made]}


_SCALAR = {"type": ["string", "integer", "boolean"]}
Title = Annotated[str, AfterValidator(_title)]
Scalar = Annotated[str, BeforeValidator(_scalar), WithJsonSchema(_SCALAR)]
ColumnList = Annotated[Names, BeforeValidator(_listed), Field(min_length=1), _OneOrMore()]
Choices = Annotated[
    str | tuple[str, ...],
    BeforeValidator(_choices),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]


class Parameter(Section):
    """A value that a dashboard is opened with; its panels' SQL has it as `:name`."""

    type: ParameterType = Field(default="text", description="PostgreSQL's type of it.")
    title: str = Field(default="", description="What people read beside it; the name where absent.")
    description: str = Field(default="", description="A sentence of help.")
    default: Scalar | None = Field(default=None, description="Its value where the address has none.")
    optional: bool = Field(
        default=False, description="May be empty: NULL. Else, and without a default, people have to choose first."
    )
    choices: Choices = Field(
        default=(),
        description="Values to choose from: a list, or a SELECT of one column (value) or two (value and label).",
    )


class Link(Section):
    """Where a row of a panel leads: another dashboard with parameters of this row."""

    dashboard: Identifier = Field(description="The dashboard that it leads to.")
    parameters: dict[Identifier, str] = Field(
        default={}, description="The other dashboard's parameter: column of this panel (or :name, a parameter of this)."
    )
    column: str | None = Field(
        default=None, description="Column of a table that is the link; the first of `parameters` where absent."
    )
    title: str = Field(default="", description="What the link is called; the other dashboard's title where absent.")


Links = Annotated[tuple[Link, ...], BeforeValidator(_listed), Field(strict=False), _OneOrMore()]


class ShownColumn(Section):
    """How one column is shown."""

    title: str = Field(default="", description="Its heading; the column's name in words where absent.")
    unit: str = Field(default="", description="As the panel's `unit`, for this column.")
    hidden: bool = Field(default=False, description="Not shown, but there for links and states.")


class Panel(Section):
    """One SELECT and how its answer is shown."""

    title: Title = Field(description="Its heading.")
    name: Identifier | None = Field(
        default=None, description="Its name in addresses; made of the title where absent. Unique in the file."
    )
    description: str = Field(default="", description="What it shows and how to read it.")
    kind: Kind = Field(description="number, line, bar, stacked, pie, table or detail.")
    sql: str = Field(min_length=1, description="One SELECT over views; `:name` stands for a parameter.")
    x: str | None = Field(default=None, description="Column along a chart's axis (or of a pie's slices).")
    y: ColumnList | None = Field(
        default=None, description="Column or columns of a chart's values; of a number: the value (the first column)."
    )
    series: str | None = Field(default=None, description="Column whose values split a chart into series.")
    unit: str = Field(
        default="",
        description="Of the values: an ISO currency (USD), percent (of a share from 0 to 1), % or a word behind them.",
    )
    columns: dict[str, ShownColumn] = Field(default={}, description="How single columns are shown.")
    state: str | None = Field(
        default=None, description="Column that holds good, warning, bad or NULL, by which a number or row is marked."
    )
    compare: str | None = Field(default=None, description="Column of a number's earlier value, to compare with.")
    better: Literal["up", "down"] | None = Field(
        default=None, description="Whether a number is better when it rises (up) or falls (down)."
    )
    link: Links = Field(default=(), description="Where a row leads: another dashboard with parameters; or a list.")
    width: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="Columns of four that it takes on a wide screen."
    )
    rows: Annotated[Positive, Field(le=MOST_ROWS)] = Field(
        default=1000, description="Rows that are shown at most; it says so where there are more."
    )
    timeout: Duration = Field(default=20.0, description="Time that its query may take.")

    @model_validator(mode="after")
    def _fits(self) -> Panel:
        if self.kind in CHARTS and (self.x is None or self.y is None):
            lacks = "x" if self.x is None else "y"
            raise fault(f"a panel of kind {self.kind} needs `{lacks}`", f"add {lacks}: <a column of its SELECT>")
        if self.series is not None and len(self.y or ()) > 1:
            raise fault("`series` and several columns in `y` exclude each other", "keep one of the two")
        if self.kind == "pie" and (self.series is not None or len(self.y or ()) > 1):
            raise fault("a pie has one column in `y` and no `series`", "use kind: stacked")
        return self

    @property
    def key(self) -> str:
        """Its name in addresses.

        >>> Panel(title="Solved in time, %", kind="table", sql="select 1").key
        'solved_in_time'
        """
        made = re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")[:60] or "panel"
        return self.name or (made if not made[0].isdigit() else f"_{made}")

    @property
    def span(self) -> int:
        """Columns of four that it takes."""
        return self.width or WIDTHS.get(self.kind, 2)

    def named(self) -> list[tuple[tuple[str | int, ...], str]]:
        """The columns of its SELECT that it names, each with where."""
        single = [((key,), getattr(self, key)) for key in ("x", "series", "state", "compare")]
        found: list[tuple[tuple[str | int, ...], str]] = [(path, name) for path, name in single if name is not None]
        found += [(("y", at) if len(self.y or ()) > 1 else ("y",), name) for at, name in enumerate(self.y or ())]
        found += [(("columns", name), name) for name in self.columns]
        for link in self.link:
            found += [
                (("link", "parameters", key), name) for key, name in link.parameters.items() if not name.startswith(":")
            ]
            found += [(("link", "column"), link.column)] if link.column is not None else []
        return found


class DashboardFile(Section):
    """`dashboards/<name>.yml`."""

    title: Title = Field(description="Its heading.")
    description: str = Field(default="", description="What it is for.")
    audience: str = Field(default="", description="Who opens it; dashboards are listed by it.")
    refresh: Annotated[Duration, Field(ge=LEAST_REFRESH)] | None = Field(
        default=None,
        description="How often panels ask again by themselves, but never before the ttl of what they show is over.",
    )
    parameters: dict[Identifier, Parameter] = Field(default={}, description="Values that it is opened with.")
    panels: list[Panel] = Field(min_length=1, description="What it shows, in order.")
