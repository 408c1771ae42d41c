"""The tests of rule sets: the rules evaluated by the canon on made-up subjects. No source is asked for a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from api import formats
from api.project import Runtime
from api.rules.why import Tried, asked, shown, tried, value
from connectors.base import Cancel
from connectors.errors import Error, QueryError
from connectors.types import PgType
from federation.session import Session
from views import rule_sql
from views.catalog import View
from views.project import place_of
from views.rule_file import Expected, RuleTest
from views.rule_sql import Part, Subject
from views.rules import RuleDraft
from views.text import Refused
from views.validate import did_you_mean

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A test that was tried: `faults` are lines for people, none where it passed."""

    place: str
    set: str
    name: str
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.faults

    def json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "place": self.place,
            "rules": self.set,
            "test": self.name,
            "passed": self.passed,
            "faults": [*self.faults],
        }


async def tests(runtime: Runtime, only: Sequence[str] = ()) -> list[Outcome]:
    """Every test of the project's rule sets (of those named `only`), tried. QueryError for a name that is none."""
    sets = {draft.full_name: draft for draft in runtime.project.views if isinstance(draft, RuleDraft) and not draft.why}
    for name in only:
        if name not in sets:
            why = next(
                (one.message for one in runtime.diagnostics if one.file == f"rules/{name.replace('.', '/')}.yml"), ""
            )
            raise QueryError(
                f'there is no rule set "{name}"' + (f": {why}" if why else ""), hint=did_you_mean(name, sets)
            )
    return [one for name, draft in sets.items() if not only or name in only for one in await _set(runtime, draft)]


async def _set(runtime: Runtime, draft: RuleDraft) -> list[Outcome]:
    view = runtime.engine.catalog.views.get(draft.key)
    made = []
    for index, test in enumerate(draft.set.tests):
        line, _ = place_of(draft.places, ("tests", index))
        found = Outcome(f"{draft.file}:{line}", draft.full_name, test.name)
        try:
            faults = await _test(runtime, draft, view, test) if view is not None else [_absent(runtime, draft)]
        except Refused as refused:
            faults = [f"`at` cannot be kept: {refused.message} ({refused.remedy})"]
        except Error as error:
            faults = [f"error: {error.message}"]
        made.append(replace(found, faults=tuple(faults)))
    return made


def _absent(runtime: Runtime, draft: RuleDraft) -> str:
    found = next((one for one in runtime.diagnostics if one.file == draft.file and one.severity == "error"), None)
    return f"{draft.full_name} is not served" + (f": {found.message}" if found is not None else "")


async def _test(runtime: Runtime, draft: RuleDraft, view: View, test: RuleTest) -> list[str]:
    """What is wrong; nothing where all is as expected."""
    columns = dict(runtime.engine.catalog.relation(*view.rules[0].subject).columns)
    unknown = [name for name in test.given if name not in columns]
    if unknown:
        return [f'{draft.set.about.subject} has no column "{unknown[0]}": {did_you_mean(unknown[0], columns)}']
    aside = dict(view.aside)
    clauses = [clause for clause in draft.set.clauses if clause.decision not in aside]
    if test.at is not None:
        clauses = [clause.at(test.at.isoformat()) for clause in clauses]
    subject = Subject(Part(_row(columns, test.given), ()), draft.set.subject.key)
    relation = f"({rule_sql.explained(subject, clauses)}) AS explained"
    session = Session("vdw", formats.SETTINGS, timeout=TIMEOUT, protocol="cli")
    rows, _ = await asked(runtime.engine, runtime.canon, relation, {}, session, Cancel())
    rules = [tried(row) for row in rows]
    faults: list[str] = []
    for decision, expected in test.expect.items():
        if decision in aside:
            faults.append(f"{decision} is not served: {aside[decision]}")
        else:
            faults += _compared(decision, expected, [one for one in rules if one.decision == decision])
    return faults


def _row(columns: Mapping[str, PgType], given: Mapping[str, Any]) -> str:
    """A relation of one row."""
    made = []
    for name, kind in columns.items():
        text = _text(name, kind, given.get(name))
        shown = "NULL" if text is None else rule_sql.literal(text)
        made.append(f"{shown}::{kind.sql} AS {rule_sql.quoted(name)}")
    return f"(SELECT {', '.join(made)})"


def _text(name: str, kind: PgType, given: Any) -> str | None:
    """A value of the file as PostgreSQL's text."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, bool | int | float):
        return str(given).lower()
    if kind.name in ("json", "jsonb"):
        return json.dumps(given)
    raise QueryError(
        f"`given.{name}` is no value of type {kind.sql}", hint="write it as PostgreSQL's text, such as '{a,b}'"
    )


def _compared(decision: str, expected: Expected, rules: Sequence[Tried]) -> list[str]:
    chosen = next((one for one in rules if one.state == "chosen"), None)
    wanted: dict[str, Any] = {"rule": expected.rule}
    got: dict[str, Any] = {"rule": chosen.rule if chosen is not None else None}
    if "outcome" in expected.model_fields_set:
        wanted["outcome"], got["outcome"] = _exact(expected.outcome), chosen.outcome if chosen is not None else None
    if expected.fired is not None:
        wanted["fired"], got["fired"] = sorted(expected.fired), sorted(one.rule for one in rules if one.fired)
    if expected.reasons is not None:
        wanted["reasons"], got["reasons"] = list(expected.reasons), list(chosen.reasons) if chosen is not None else None
    if wanted == got:
        return []
    named = {expected.rule, *(expected.fired or ()), got["rule"]} - {None}
    return [
        f"{decision}:",
        *_difference(wanted, got),
        *(line for one in rules if one.rule in named for line in _told(one)),
    ]


def _exact(given: Any) -> Any:
    """A value of the file as the canon's JSON is read."""
    return value(json.dumps(given))


def _difference(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    for key in wanted:
        same = wanted[key] == got[key]
        yield f"    {key}: {shown(wanted[key])}" if same else f"  - {key}: {shown(wanted[key])}"
        if not same:
            yield f"  + {key}: {shown(got[key])}"


def _told(one: Tried) -> Iterator[str]:
    """What became of a rule, in a line; with what did not hold."""
    facts = ", ".join(f"{name} = {shown(fact)}" for name, fact in one.facts.items())
    if one.state in ("failed", "unknown"):
        yield f"    {one.rule} {one.state}: {'; '.join(one.failed)} ({facts})"
    elif one.state == "not in force":
        yield f"    {one.rule} is not in force: from {one.valid_from}, until {one.valid_until}"
    else:
        yield f"    {one.rule} fires, priority {one.priority}, outcome {shown(one.outcome)} ({facts})"
