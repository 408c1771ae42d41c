"""Why a subject is decided about as it is: every rule with what held and what did not, the facts and their ages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from api import formats
from api.params import bound
from api.pgwire.rows import text_columns
from connectors.base import Cancel
from connectors.errors import QueryError
from federation.engine import Engine
from federation.freshness import provenance
from federation.freshness.provenance import Fact as Source
from federation.session import Session
from planner.lineage import origins
from views.catalog import View
from views.rule_sql import quoted
from views.rules import WHY
from views.validate import did_you_mean

JSON = ("outcome_json", "reasons", "conditions", "facts")
ASKED = (
    "SELECT decision, rule, priority, state, chosen_rule, outcome_json, to_jsonb(reasons) AS reasons, conditions, "
    "facts, valid_from, valid_until FROM "
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one rule: `state` is chosen, outranked, failed, unknown or not in force."""

    rule: str
    decision: str
    state: str
    priority: int
    chosen: str | None
    outcome: Any
    reasons: tuple[str, ...]
    conditions: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]
    valid_from: str | None
    valid_until: str | None

    @property
    def failed(self) -> tuple[str, ...]:
        """The conditions that were evaluated and do not hold."""
        return tuple(one["condition"] for one in self.conditions if one["evaluated"] and not one["holds"])

    @property
    def fired(self) -> bool:
        return self.state in ("chosen", "outranked")

    def json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "rule": self.rule,
            "state": self.state,
            "priority": self.priority,
            "outranked_by": self.chosen if self.state == "outranked" else None,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "conditions": [dict(one) for one in self.conditions],
            "failed": list(self.failed),
            "facts": dict(self.facts),
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
        }


@dataclass(frozen=True, slots=True)
class Known:
    """A fact: its value, the columns of sources that it is made of, and the oldest of these sources' account."""

    name: str
    value: Any
    origins: tuple[str, ...]
    sources: tuple[Source, ...]

    @property
    def age(self) -> float | None:
        """Seconds that it may be old; None where a source does not tell, or nothing was asked."""
        ages = [source.age for source in self.sources]
        known = [age for age in ages if age is not None]
        return max(known) if known and len(known) == len(ages) else None

    @property
    def missing(self) -> tuple[str, ...]:
        """Sources that the answer does without."""
        return tuple(source.source for source in self.sources if source.missing)

    def json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        moments = [source.as_of for source in self.sources if source.as_of is not None]
        return {
            "value": self.value,
            "origins": list(self.origins),
            "sources": [source.source for source in self.sources],
            "age": None if self.age is None else round(self.age, 3),
            "as_of": provenance.moment(min(moments)) if moments and self.age is not None else None,
            "missing": list(self.missing),
        }


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer about one subject. `aside`: decisions that are not served, and why."""

    view: str
    key: Mapping[str, str]
    rules: tuple[Tried, ...]
    facts: tuple[Known, ...]
    sources: tuple[Source, ...]
    aside: Mapping[str, str] = field(default_factory=dict)

    def decisions(self) -> Iterator[tuple[str, list[Tried]]]:
        """The rules by decision, those that count most first."""
        for decision in dict.fromkeys(one.decision for one in self.rules):
            yield decision, [one for one in self.rules if one.decision == decision]

    def json(self) -> dict[str, Any]:
        """As JSON-ready values; keys are only ever added."""
        made = []
        for decision, rules in self.decisions():
            chosen = next((one for one in rules if one.state == "chosen"), None)
            told = {"rule": chosen.rule, "outcome": chosen.outcome, "reasons": list(chosen.reasons)} if chosen else None
            made.append({"decision": decision, "chosen": told, "rules": [one.json() for one in rules]})
        told = {
            "version": 1,
            "view": self.view,
            "key": dict(self.key),
            "decisions": made,
            "facts": {fact.name: fact.json() for fact in self.facts},
            "provenance": [source.json() for source in self.sources],
            "not_served": dict(self.aside),
        }
        return dict(plain(told))


async def why(
    engine: Engine, canon: Any, name: str, key: Mapping[str, str], session: Session, cancel: Cancel
) -> Why | None:
    """Why one subject, by the columns of the rule set's key, is decided about as it is; None where there is no such
    subject. QueryError for what is no rule set, another key, a value that is not of its type, or no right to read."""
    view, columns = _set(engine, name), tuple(key)
    own = view.key_columns[:-2]  # behind them come decision and rule
    if set(columns) != set(own):
        wrong = [column for column in columns if column not in own]
        message = f"{name} has no key column {wrong[0]}" if wrong else f"{name} needs its whole key"
        raise QueryError(message, sqlstate="42703", hint=f"give {', '.join(f'{column}=VALUE' for column in own)}")
    conditions = " AND ".join(f"{quoted(column)} = ${at}" for at, column in enumerate(columns, 1))
    relation = f"{quoted(view.schema)}.{quoted(view.name + WHY)}"
    rows, sources = await asked(engine, canon, f"{relation} WHERE {conditions}", key, session, cancel)
    if not rows:
        return None
    rules = tuple(sorted((tried(row) for row in rows), key=_order))
    return Why(name, dict(key), rules, tuple(_known(engine, view, rules, sources)), sources, dict(view.aside))


def _set(engine: Engine, name: str) -> View:
    schema, _, relation = name.partition(".")
    view = engine.catalog.views.get((schema, relation))
    if view is None or not view.rules:
        sets = [f"{one.schema}.{one.name}" for one in engine.catalog.views.values() if one.rules]
        raise QueryError(f'there is no rule set "{name}"', sqlstate="42P01", hint=did_you_mean(name, sets))
    return view


async def asked(
    engine: Engine, canon: Any, relation: str, values: Mapping[str, str], session: Session, cancel: Cancel
) -> tuple[list[dict[str, Any]], tuple[Source, ...]]:
    """The rows of a `_why` view, by column, and where they came from; `relation` is what follows FROM, with
    parameters."""
    prepared = await engine.prepare(ASKED + relation, session)
    params = await bound(canon, prepared.statement.params, tuple(values.values()))
    result = await engine.run(prepared, params, session, cancel)
    names = [name for name, _ in result.columns]
    rows: list[dict[str, Any]] = []
    try:
        async for batch in result.batches:
            texts = zip(*text_columns(batch, result.columns, formats.SETTINGS), strict=True)
            rows += [_row(dict(zip(names, row, strict=True))) for row in texts]
    finally:
        await result.aclose()
    return rows, provenance.facts(result.parts)


def _row(row: Mapping[str, str | None]) -> dict[str, Any]:
    """JSON as values, everything else as PostgreSQL's text."""
    return {name: value(text) if name in JSON and text is not None else text for name, text in row.items()}


def value(text: str) -> Any:
    """A JSON value, with numbers that no float holds exactly as Decimal."""
    return json.loads(text, parse_float=Decimal)


def plain(made: Any) -> Any:
    """The same for JSON: what no float holds exactly is its text."""
    if isinstance(made, Mapping):
        return {key: plain(item) for key, item in made.items()}
    if isinstance(made, list | tuple):
        return [plain(item) for item in made]
    if isinstance(made, Decimal):
        return float(made) if Decimal(repr(float(made))) == made else str(made)
    return made


def shown(made: Any) -> str:
    """A value of JSON for people."""
    if isinstance(made, str | Decimal):
        return str(made)
    return json.dumps(made, ensure_ascii=False, default=str)


def tried(row: Mapping[str, Any]) -> Tried:
    """A row of a `_why` view."""
    return Tried(
        rule=row["rule"],
        decision=row["decision"],
        state=row["state"],
        priority=int(row["priority"]),
        chosen=row["chosen_rule"],
        outcome=row["outcome_json"],
        reasons=tuple(row["reasons"] or ()),
        conditions=tuple(row["conditions"] or ()),
        facts=row["facts"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
    )


def _order(one: Tried) -> tuple[str, int, int, str]:
    return one.decision, ("chosen", "outranked").index(one.state) if one.fired else 2, -one.priority, one.rule


def _known(engine: Engine, view: View, rules: Iterable[Tried], sources: Sequence[Source]) -> Iterator[Known]:
    made = origins(view.rules[0].subject, engine.catalog)
    found = {name: value for rule in rules for name, value in rule.facts.items()}
    for name, value in sorted(found.items()):
        behind = {origin.partition(".")[0] for origin in made.get(name, ())}
        yield Known(name, value, made.get(name, ()), tuple(one for one in sources if one.source in behind))
