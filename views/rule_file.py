"""What rules/<schema>/<name>.yml may say: rules over one relation, the decisions they are about, and their tests."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from views.files import Columns, Down, Freshness, Guard, Identifier, RelationTo, ViewHeader
from views.values import FullName, Names, Section, fault

LONGEST = 10_000  # characters of one expression
MOST = 200  # rules of one set: their statement has to stay within what one over views may have


def _moment(value: object) -> dt.datetime:
    """An ISO day or moment; one without a zone is of UTC."""
    try:
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        raise fault(
            "neither a day nor a moment", 'write 2026-01-31 or "2026-01-31T12:00:00+01:00" (without a zone: UTC)'
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _sql(value: object) -> str:
    if isinstance(value, bool | int | float):
        return repr(value).lower()
    if not isinstance(value, str) or not value.strip():
        raise fault("there is no SQL expression", "write one over the subject's columns")
    if len(value) > LONGEST:
        raise fault(f"longer than {LONGEST:,} characters", "bring what it computes into the subject's view")
    return value


def _outcome(value: object) -> str:
    """SQL text: numbers and truth values stand for themselves."""
    return "NULL" if value is None else _sql(value)


def _expected(value: object) -> object:
    return {"rule": value} if value is None or isinstance(value, str) else value


_SQL_SCHEMA = {"type": "string", "minLength": 1}
Moment = Annotated[dt.datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "examples": ["2026-01-31"]})]
Condition = Annotated[str, PlainValidator(_sql), WithJsonSchema({"type": ["string", "boolean"], "minLength": 1})]
Outcome = Annotated[str, PlainValidator(_outcome), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]
Template = Annotated[str, PlainValidator(_sql), WithJsonSchema(_SQL_SCHEMA)]


class Validity(Section):
    """When a rule is in force."""

    from_: Moment | None = Field(default=None, alias="from", description="The first moment at which it is in force.")
    until: Moment | None = Field(default=None, description="The first moment at which it no longer is.")

    @model_validator(mode="after")
    def _order(self) -> Validity:
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise fault("it ends before it begins", "write an `until` that comes after `from`", ("until",))
        return self


class Rule(Section):
    """One rule: when it holds for a subject, what follows, and why."""

    name: Identifier = Field(description="Its name, once in the set.")
    decision: Identifier = Field(description="What it decides: credit, next_offer ... One rule of each is chosen.")
    when: Condition = Field(description="SQL condition over the subject's columns; the rule fires where it is true.")
    outcome: Outcome = Field(description="SQL expression over the subject's columns, or a number or truth value.")
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(
        default=0, description="The highest that fires is chosen; of equals the one that stands first."
    )
    reasons: Annotated[tuple[Template, ...], Field(strict=False, max_length=50)] = Field(
        default=(), description='Texts for people, with SQL expressions in braces: "{orders} orders in {days} days".'
    )
    facts: Names = Field(
        default=(), description="Columns of the subject to show with it, besides those that it names itself."
    )
    valid: Validity = Field(default=Validity(), description="When it is in force; always, unless it says so.")
    description: str = Field(default="", description="What it is for.")
    owner: str = Field(default="", description="Who to ask about it; the set's owner, unless it says so.")


class Expected(Section):
    """What is expected of one decision about the given subject."""

    rule: Identifier | None = Field(default=None, description="The rule that is chosen; null: none fires.")
    outcome: Any = Field(default=None, description="Its outcome, as a value; not looked at where it is not written.")
    fired: Names | None = Field(default=None, description="All rules that fire, in any order.")
    reasons: Annotated[tuple[str, ...] | None, Field(strict=False)] = Field(
        default=None, description="The chosen rule's reasons, as texts."
    )


class RuleTest(Section):
    """A subject that is made up, and what the rules have to say of it."""

    name: str = Field(min_length=1, description="What it shows.")
    at: Moment | None = Field(default=None, description="The moment that the rules take for now; else the present.")
    given: dict[str, Any] = Field(description="The subject's columns; those that are not written are NULL.")
    expect: dict[Identifier, Annotated[Expected, BeforeValidator(_expected)]] = Field(
        min_length=1, description="By decision: the chosen rule's name, null where none fires, or more of it."
    )


class RuleSet(Section):
    """A rule set's file, except for its rules."""

    description: str = Field(default="", description="What is decided.")
    owner: str = Field(default="", description="Who to ask about it.")
    subject: FullName = Field(description="The view or table whose rows are decided about: schema.name.")
    key: Columns = Field(description="Columns that identify a subject.")
    decisions: dict[Identifier, str] = Field(
        default={}, description="The decisions and what each is about; where written, rules may name no others."
    )
    freshness: Freshness = Field(default=Freshness(), description="How old answers may be.")
    on_source_down: dict[str, Down] = Field(
        default={}, description="Per source what happens while it is down, as in a view's header."
    )
    guard: Guard = Field(default=Guard(), description="Bounds of the queries over the view.")
    relations: dict[Identifier, RelationTo] = Field(default={}, description="Named links to other views and tables.")


class RuleSetFile(RuleSet):
    """rules/<schema>/<name>.yml."""

    rules: Annotated[list[Rule], Field(min_length=1, max_length=MOST)] = Field(description="The rules.")
    tests: list[RuleTest] = Field(default=[], description="What `vdw test` tries.")


def header(rules: RuleSet, description: str, key: tuple[str, ...]) -> ViewHeader:
    """The header of a view that such a file becomes."""
    return ViewHeader(
        owner=rules.owner,
        description=description,
        key=key or None,
        freshness=rules.freshness,
        on_source_down=rules.on_source_down,
        guard=rules.guard,
        relations=rules.relations,
    )
