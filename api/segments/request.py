"""What a client wants segmented, by what, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from api.uploads.describe import Missing
from views.files import Identifier
from views.values import FullName, Section, fault

SAMPLE = 5_000  # rows of which the silhouette is computed, where there are more
METHODS = ("kmeans", "som", "quantiles")


def _short(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _range(value: object) -> object:
    return {"from": value, "to": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Outliers(Section):
    """What becomes of values far out: they are moved to the bounds, or their rows left out of the fit."""

    rule: Literal["clip", "drop"] = "clip"
    low: Annotated[float, Field(ge=0, lt=0.5)] = Field(default=0.01, description="Quantile below which a value is out.")
    high: Annotated[float, Field(gt=0.5, le=1)] = Field(default=0.99, description="Quantile above which it is.")

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"rule": value} if isinstance(value, str) else value


class By(Section):
    """One attribute that is segmented by."""

    name: str = Field(min_length=1)
    kind: Literal["number", "category", "boolean", "date"] | None = Field(
        default=None, description="As its type says where absent: text is a category."
    )
    missing: Missing | None = None
    transform: Literal["none", "log1p"] = "none"
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    lower_is_better: bool = Field(default=False, description="For quantiles: the least value is in the highest one.")
    categories: Annotated[int, Field(ge=1, le=100)] = Field(
        default=20, description="Categories that count for themselves, the most frequent ones; the rest are one."
    )


class Count(Section):
    """Segments: as many, or as many of a range as give the best silhouette."""

    from_: Annotated[int, Field(ge=2, le=100)] = Field(default=2, alias="from")
    to: Annotated[int, Field(ge=2, le=100)] = 8

    @model_validator(mode="after")
    def _order(self) -> Count:
        if self.from_ > self.to:
            raise fault("`from` is more than `to`", 'write {"from": 2, "to": 8}')
        if self.to - self.from_ > 20:
            raise fault("the range is too wide", "try 20 numbers of segments at most")
        return self


class From(Section):
    """Where the customers stand: an upload, a view or table, or a SELECT."""

    upload: Identifier | None = None
    view: FullName | None = None
    sql: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None

    @model_validator(mode="after")
    def _one(self) -> From:
        if sum(one is not None for one in (self.upload, self.view, self.sql)) != 1:
            raise fault("name exactly one of upload, view and sql", 'write {"view": "sales.lifetime_value"}')
        return self


class Request(Section):
    """A segmentation that is asked for."""

    source: From = Field(alias="from")
    description: str = ""
    key: str | None = Field(default=None, description="The column that identifies a customer; an upload's own key.")
    by: Annotated[tuple[Annotated[By, BeforeValidator(_short)], ...], Field(min_length=1, strict=False)]
    method: Literal["kmeans", "som", "quantiles"] = "kmeans"
    segments: Annotated[Count, BeforeValidator(_range)] = Count()
    scaling: Literal["standard", "minmax", "robust", "none"] = "standard"
    missing: Missing = Missing(rule="median")
    outliers: Outliers | None = None
    quantiles: Annotated[int, Field(ge=2, le=100)] = Field(default=5, description="For the method quantiles.")
    combine: Literal["cells", "total"] = Field(
        default="cells", description="For quantiles: a segment is a cell (5-1-3), or a sum of these numbers (9)."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    starts: Annotated[int, Field(ge=1, le=50)] = Field(
        default=10, description="k-means: starts, of which the best is kept."
    )
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="SOM: rows shown to the map; five times all rows where absent, 1,000 to 50,000."
    )
    sample: Annotated[int, Field(ge=100, le=20_000)] = Field(
        default=SAMPLE, description="Rows of which the silhouette is computed, where there are more."
    )
    silhouette: bool = Field(default=True, description="Whether it is computed; a range of segments needs it.")

    @model_validator(mode="after")
    def _sane(self) -> Request:
        names = [one.name for one in self.by]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise fault(f'attribute "{twice[0]}" stands twice in `by`', "name each once")
        if self.key in names:
            raise fault(f'the key "{self.key}" identifies a customer', "do not segment by it")
        ranged = self.method != "quantiles" and self.segments.from_ < self.segments.to
        if ranged and not self.silhouette:
            raise fault("a range of segments is decided by the silhouette", "say how many, or leave silhouette: true")
        return self

    def rule(self, by: By) -> Missing:
        """What is done where that attribute has no value."""
        return by.missing or self.missing

    def told(self) -> dict[str, Any]:
        """As it was written."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
