"""Reads rules/<schema>/<name>.yml: each rule by itself, so that one at fault leaves the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from views import expressions, rule_sql
from views.catalog import RuleFacts
from views.marks import Marked
from views.project import Diagnostic, KeyPath, ViewDraft, place_of
from views.reading import Reading
from views.rule_file import MOST, Rule, RuleSet, RuleSetFile, RuleTest
from views.rule_sql import Clause, Part, Subject
from views.rules import OWN, OWN_WHY, WHY, Rules, drafts
from views.text import Refused
from views.validate import did_you_mean

FOLDER = "rules"


def read(reading: Reading) -> tuple[ViewDraft, ...]:
    """The views of all rule sets that have no fault as a whole."""
    root = reading.folder / FOLDER
    found: list[ViewDraft] = []
    for path in sorted(path for path in root.rglob("*") if path.suffix in (".yml", ".yaml", ".sql")):
        file = reading.relative(path)
        if path.suffix != ".yml":
            reading.error(file, 1, "a rule set's file ends in .yml", f"rename it to {path.stem}.yml")
        elif len(path.relative_to(root).parts) != 2:
            reading.error(file, 1, "a rule set stands in rules/<schema>/<name>.yml", "move the file")
        else:
            made = _file(reading, path, file)
            found += made
            if not made:
                reading.broken |= {(path.parent.name, path.stem + end): file for end in ("", WHY)}
    return tuple(found)


def _file(reading: Reading, path: Path, file: str) -> tuple[ViewDraft, ...]:
    schema, name = path.parent.name, path.stem
    usable = reading.usable(file, schema, "schema", schema=True) and reading.usable(
        file, name, "rule set", schema=False
    )
    content = reading.text(path) if usable else None
    marked = reading.marked(content, file) if content is not None else None
    rules = _Reader(reading, file, f"{schema}.{name}", marked).rules() if marked is not None else None
    if rules is None:
        return ()
    return drafts(rules, file, reading.places[file])


class _Reader:
    """One file's reading: each rule by itself, so that one at fault leaves the others."""

    def __init__(self, reading: Reading, file: str, name: str, marked: Marked) -> None:
        self.reading, self.file, self.name, self.marked = reading, file, name, marked
        self.places = reading.places[file]
        self.aside: dict[str, str] = {}
        self.lost = False  # a fault that may be of any decision

    def rules(self) -> Rules | None:
        """The set; None, and errors, where it cannot be served at all."""
        value = self.marked.value
        if not isinstance(value, dict) or not isinstance(value.get("rules"), list) or not value["rules"]:
            self.reading.valid(RuleSetFile, value, self.file)
            return None
        about = self.reading.valid(RuleSet, {k: v for k, v in value.items() if k not in ("rules", "tests")}, self.file)
        if len(value["rules"]) > MOST:
            self._error(("rules",), f"more than {MOST} rules in one set", "split it")
            return None
        found = {index: self._rule(index, one) for index, one in enumerate(value["rules"])}
        if about is None:
            return None
        known = {index: rule for index, rule in found.items() if rule is not None}
        self._names(known)
        self._decisions(about, known)
        clauses = {index: self._clause(index, rule) for index, rule in known.items()}
        tests = self._tests(value.get("tests", []), known)
        if self._columns_clash(about) or self.lost:
            return None
        rules = Rules(
            name=self.name,
            about=about,
            subject=_subject(about),
            clauses=tuple(clause for clause in clauses.values() if clause is not None),
            facts=tuple(self._facts(index, rule, about, clauses[index]) for index, rule in known.items()),
            tests=tests,
            values=dict(_texts(value)),
            texts=self.marked.written,
            aside=self.aside,
        ).without({})
        return rules if rules.clauses else None

    def _error(self, path: KeyPath, message: str, remedy: str, at: tuple[int, int] | None = None) -> None:
        line, column = at or place_of(self.places, path)
        self.reading.error(self.file, line, f"{self.name}: {message}", remedy, column)

    def _fault(self, path: KeyPath, rule: Rule, message: str, remedy: str, at: tuple[int, int] | None = None) -> None:
        """A rule is at fault, and with it its decision."""
        self.aside.setdefault(rule.decision, f"rule {rule.name} is at fault: {message}")
        self._error(path, f"rule {rule.name}: {message}: decision {rule.decision} is not served", remedy, at)

    def _rule(self, index: int, value: Any) -> Rule | None:
        rule = self.reading.valid(Rule, value, self.file, ("rules", index))
        if rule is None:
            decision = value.get("decision") if isinstance(value, dict) else None
            if isinstance(decision, str):
                self.aside.setdefault(
                    decision, f"its rule in line {place_of(self.places, ('rules', index))[0]} is at fault"
                )
                self._error(("rules", index), f"decision {decision} is not served", "correct the rule")
            else:
                self.lost = True
                self._error(("rules", index), "not served: a rule does not tell its decision", "correct the rule")
        return rule

    def _names(self, rules: Mapping[int, Rule]) -> None:
        for name, count in Counter(rule.name for rule in rules.values()).items():
            if count > 1:
                first, *more = [index for index, rule in rules.items() if rule.name == name]
                line = place_of(self.places, ("rules", first, "name"))[0]
                for index in more:
                    self._fault(
                        ("rules", index, "name"), rules[index], f"defined twice (first in line {line})", "rename one"
                    )
                self.aside.setdefault(rules[first].decision, f"rule {name} is defined twice")

    def _decisions(self, about: RuleSet, rules: Mapping[int, Rule]) -> None:
        for index, rule in rules.items():
            if about.decisions and rule.decision not in about.decisions:
                message = f'there is no decision "{rule.decision}"'
                self._fault(("rules", index, "decision"), rule, message, did_you_mean(rule.decision, about.decisions))
        for decision in about.decisions.keys() - {rule.decision for rule in rules.values()} - self.aside.keys():
            line, column = place_of(self.places, ("decisions", decision))
            message = f"{self.name}: no rule decides {decision}"
            self.reading.diagnostics.append(Diagnostic("warning", self.file, line, message, "add one", column))

    def _columns_clash(self, about: RuleSet) -> bool:
        taken = [column for column in about.key if column in (*OWN, *OWN_WHY)]
        if taken:
            self._error(("key",), f'key column "{taken[0]}" has the name of a column of every rule view', "rename it")
        return bool(taken)

    def _clause(self, index: int, rule: Rule) -> Clause | None:
        path: KeyPath = ("rules", index)
        try:
            when = self._expression(Part(rule.when, (*path, "when")))
            outcome = self._expression(Part(rule.outcome, (*path, "outcome")))
            reasons = tuple(self._template((*path, "reasons", at), text) for at, text in enumerate(rule.reasons))
            pieces = [self._expression(piece) for one in reasons for piece in one if isinstance(piece, Part)]
        except _Fault as fault:
            self._fault(fault.path, rule, fault.message, fault.remedy, fault.at)
            return None
        used = [one.columns for one in (when, outcome, *pieces)]
        if any(columns is None for columns in used) and not rule.facts:
            self._fault(path, rule, "which columns it uses cannot be told", "list them below `facts`")
            return None
        listed = {name: (*path, "facts", at) for at, name in enumerate(rule.facts)}
        named = dict.fromkeys(sorted(frozenset().union(*(one or () for one in used))), path)
        return Clause(
            number=index + 1,
            name=rule.name,
            decision=rule.decision,
            priority=rule.priority,
            when=Part(rule.when, (*path, "when")),
            conditions=when.conditions,
            outcome=Part(rule.outcome, (*path, "outcome")),
            reasons=reasons,
            facts=tuple(Part(name, at) for name, at in {**named, **listed}.items()),
            begins=rule.valid.from_.isoformat() if rule.valid.from_ is not None else None,
            ends=rule.valid.until.isoformat() if rule.valid.until is not None else None,
        )

    def _expression(self, part: Part) -> expressions.Expression:
        try:
            return expressions.read(part.text)
        except Refused as refused:
            raise self._at(part, refused.offset, refused.message, refused.remedy) from None

    def _at(self, part: Part, offset: int, message: str, remedy: str) -> _Fault:
        scalar, value = self.marked.written.get(part.path), _found(self.marked.value, part.path)
        at = scalar.at(value, part.offset + offset) if scalar is not None and isinstance(value, str) else None
        return _Fault(part.path, f"`{part.path[2]}`: {message}", remedy, at)

    def _template(self, path: KeyPath, text: str) -> tuple[str | Part, ...]:
        try:
            return tuple(p if isinstance(p, str) else Part(p[0], path, p[1]) for p in expressions.template(text))
        except Refused as refused:
            raise self._at(Part(text, path), refused.offset, refused.message, refused.remedy) from None

    def _tests(self, value: Any, rules: Mapping[int, Rule]) -> tuple[RuleTest, ...]:
        """The tests that can be tried; one at fault is an error, and takes nothing else with it."""
        if not isinstance(value, list):
            self._error(("tests",), "`tests` must be a list ([a, b])", "")
            return ()
        found = []
        names = {rule.name: rule for rule in rules.values()}
        decisions = {rule.decision for rule in rules.values()} | self.aside.keys()
        for index, one in enumerate(value):
            test = self.reading.valid(RuleTest, one, self.file, ("tests", index))
            if test is None:
                continue
            for decision, expected in test.expect.items():
                path: KeyPath = ("tests", index, "expect", decision)
                if decision not in decisions:
                    self._error(path, f'there is no decision "{decision}"', did_you_mean(decision, decisions))
                for name in {expected.rule, *(expected.fired or ())} - {None}:
                    if name not in names and not self.aside:
                        self._error(path, f'there is no rule "{name}"', did_you_mean(str(name), names))
            found.append(test)
        return tuple(found)

    def _facts(self, index: int, rule: Rule, about: RuleSet, clause: Clause | None) -> RuleFacts:
        schema, _, name = about.subject.partition(".")
        return RuleFacts(
            subject=(schema, name),
            facts=tuple(fact.text for fact in clause.facts) if clause is not None else rule.facts,
            name=rule.name,
            decision=rule.decision,
            condition=rule.when,
            outcome=rule.outcome,
            priority=rule.priority,
            valid_from=rule.valid.from_.isoformat() if rule.valid.from_ is not None else "",
            valid_until=rule.valid.until.isoformat() if rule.valid.until is not None else "",
            description=rule.description,
            owner=rule.owner or about.owner,
            line=place_of(self.places, ("rules", index))[0],
        )


class _Fault(Exception):
    """What is wrong with a text of a rule, and where."""

    def __init__(self, path: KeyPath, message: str, remedy: str, at: tuple[int, int] | None) -> None:
        super().__init__(message)
        self.path, self.message, self.remedy, self.at = path, message, remedy, at


def _subject(about: RuleSet) -> Subject:
    schema, _, name = about.subject.partition(".")
    relation = f"{rule_sql.quoted(schema)}.{rule_sql.quoted(name)}"
    key = tuple(Part(column, ("key", index)) for index, column in enumerate(about.key))
    return Subject(Part(relation, ("subject",)), key)


def _texts(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))
    elif isinstance(value, str):
        yield path, value


def _found(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value
