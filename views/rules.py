"""Rule sets as views: rules/<schema>/<name>.yml becomes <schema>.<name>, and <name>_why, which tells of every rule.

Where one rule is at fault, its decision stands aside as a whole: without it another rule would be chosen in its place,
and nobody could tell. The other decisions of the set do not depend on it and are served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.errors import QueryError
from connectors.types import PgType
from views import rule_sql
from views.catalog import RuleFacts, View
from views.marks import Scalar
from views.project import Diagnostic, KeyPath, Places, ViewDraft, place_of
from views.rule_file import RuleSet, RuleTest, header
from views.rule_sql import Clause, Part, Subject, Text

WHY = "_why"
OWN = ("decision", "rule", "outcome", "outcome_json", "priority", "chosen", "reasons", "facts", "valid_from")
OWN_WHY = ("state", "chosen_rule", "conditions", "failed", "valid_until")
_TOLD = {
    "decision": "What is decided",
    "rule": "The rule",
    "outcome": "What the rule decides, as text",
    "outcome_json": "The same with its type: number, text, truth value or more",
    "priority": "Of the rules that fire, the highest is chosen",
    "chosen": "Whether it is the one rule of the subject's decision that counts",
    "reasons": "Why, for people",
    "facts": "The subject's columns that the rule looked at, with their values",
    "valid_from": "The first moment at which the rule is in force",
    "valid_until": "The first moment at which it no longer is",
    "state": "chosen, outranked (by chosen_rule), failed, unknown (a fact is missing) or not in force",
    "chosen_rule": "The rule that is chosen, where this one fires",
    "conditions": "Each condition, whether it holds (null: unknown), and whether it was evaluated",
    "failed": "The conditions that do not hold",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule set as read. `clauses` are those that can be asked, `facts` tell of all that are known, `texts` where
    each text of the file stands; `aside` has why a decision is not served."""

    name: str
    about: RuleSet
    subject: Subject
    clauses: tuple[Clause, ...]
    facts: tuple[RuleFacts, ...]
    tests: tuple[RuleTest, ...]
    values: Mapping[KeyPath, str]
    texts: Mapping[KeyPath, Scalar]
    aside: Mapping[str, str] = field(default_factory=dict)

    def place(self, part: Part, offset: int, places: Places) -> tuple[int, int]:
        """Line and column of a character of a part."""
        scalar = self.texts.get(part.path)
        if scalar is None:
            return place_of(places, part.path)
        return scalar.at(self.values.get(part.path, part.text), part.offset + offset)

    def without(self, faults: Mapping[int, str]) -> Rules:
        """The set less the decisions of the rules (by number) at fault, each with why."""
        aside = dict(self.aside)
        for clause in self.clauses:
            if clause.number in faults:
                aside.setdefault(clause.decision, f"rule {clause.name} is at fault: {faults[clause.number]}")
        facts = tuple(replace(one, fault=one.fault or aside.get(one.decision, "")) for one in self.facts)
        clauses = tuple(clause for clause in self.clauses if clause.decision not in aside)
        return replace(self, clauses=clauses, facts=facts, aside=aside)


@dataclass(frozen=True, slots=True)
class RuleDraft(ViewDraft):
    """A view that a rule set becomes; `why` is the one that tells of every rule."""

    rules: Rules | None = None
    why: bool = False

    @property
    def set(self) -> Rules:
        assert self.rules is not None  # noqa: S101
        return self.rules

    def place(self, position: int | None) -> tuple[int, int]:
        return self.placed(self._text, position)

    def placed(self, text: Text, position: int | None) -> tuple[int, int]:
        """Where in the file a position of a statement comes from."""
        return _place(self.set, text, position, self.places)

    def stand(self) -> Text:
        """A statement that is at fault where the subject or its key is."""
        return rule_sql.stand(self.set.subject)

    @property
    def expressions(self) -> Iterator[str]:
        """The SQL of all rules."""
        for clause in self.set.clauses:
            yield from (clause.when.text, clause.outcome.text)
            yield from (piece.text for reason in clause.reasons for piece in reason if isinstance(piece, Part))

    def probes(self) -> Iterator[tuple[Clause, Text]]:
        """A statement for each rule that is at fault exactly where the rule is."""
        return ((clause, rule_sql.probe(self.set.subject, clause)) for clause in self.set.clauses)

    def fault(self, text: Text, clause: Clause, error: QueryError) -> Diagnostic:
        """What a rule's own statement found, at its place."""
        line, column = _place(self.set, text, error.position, self.places, clause.when.path[:2])
        told = f"{self.set.name}: rule {clause.name}: {error.message}: decision {clause.decision} is not served"
        remedy = (error.hint or "").replace(f"{rule_sql.SUBJECT}.", "")
        constant = clause.outcome.text.strip()
        if error.sqlstate == "42703" and f'"{constant}"' in error.message:
            remedy = f"""a text is quoted twice: outcome: "'{constant}'\""""
        return Diagnostic("error", self.file, line, told, remedy, column)

    def without(self, faults: Mapping[int, str]) -> RuleDraft | None:
        """The view less the decisions of the rules at fault; None where nothing would be left."""
        rules = self.set.without(faults)
        return _draft(self, rules, self.why) if rules.clauses else None

    def view(self, columns: tuple[tuple[str, PgType], ...], text: str, depends: tuple[tuple[str, str], ...]) -> View:
        view = ViewDraft.view(self, columns, text, depends)
        return replace(view, rules=() if self.why else self.set.facts, aside=tuple(self.set.aside.items()))

    @property
    def _text(self) -> Text:
        return (rule_sql.explained if self.why else rule_sql.decisions)(self.set.subject, self.set.clauses)


def drafts(rules: Rules, file: str, places: Places) -> tuple[RuleDraft, RuleDraft]:
    """The two views of a rule set."""
    schema, _, name = rules.name.partition(".")
    subject, _, relation = rules.about.subject.partition(".")
    reads = frozenset([(subject, relation)])
    base = RuleDraft(schema, name, header(rules.about, "", ()), "", file, 1, places=places, reads=reads)
    return _draft(base, rules, False), _draft(base, rules, True)


def _draft(base: RuleDraft, rules: Rules, why: bool) -> RuleDraft:
    """One of the two views of a rule set."""
    schema, _, name = rules.name.partition(".")
    about, key = rules.about, rules.subject.names
    told = about.description or f"Decisions about {about.subject}"
    made = header(about, told if not why else f"{told} - each rule, fired or not, and why", (*key, "decision", "rule"))
    columns = _columns(key, why)
    draft = replace(
        base,
        schema=schema,
        name=name + WHY if why else name,
        header=made,
        rules=rules,
        why=why,
        columns=columns,
        column_comments={column: _TOLD[column] for column in columns if column in _TOLD},
    )
    return replace(draft, query=str(draft._text))


def _columns(key: Sequence[str], why: bool) -> tuple[str, ...]:
    if not why:
        return (*key, *OWN, "valid_until")
    listed = ("decision", "rule", "priority", "state", "chosen_rule", "outcome", "outcome_json", "reasons")
    return (*key, *listed, "conditions", "failed", "facts", "valid_from", "valid_until")


def _place(
    rules: Rules, text: Text, position: int | None, places: Places, otherwise: KeyPath = ("rules",)
) -> tuple[int, int]:
    """Where in the file a 1-based position of a statement comes from."""
    at = (position or 0) - 1
    origin = next((one for one in text.origins if one.start <= at < one.end), None)
    if origin is None:
        return place_of(places, otherwise)
    return rules.place(origin.part, at - origin.start, places)
