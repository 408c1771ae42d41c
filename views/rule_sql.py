"""A rule set as SQL: one pass over the subject's relation, every rule a branch of a CASE, each text traceable to the
place where it was written.

The texts of a project's file stay as they are, between parentheses: PostgreSQL alone reads them, and its positions in
them are positions in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from views.expressions import Condition, at_instant
from views.project import KeyPath

NUMBER = "vdw_rule"  # the rule's place in the file: the one column that is joined to the subject's own
SUBJECT = "vdw_subject"
FACTS = 40  # pairs that one jsonb_build_object takes here; PostgreSQL takes 50


@dataclass(frozen=True, slots=True)
class Part:
    """A text of the file, or a piece of one: the value at `path`, from `offset` on."""

    text: str
    path: KeyPath
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """One rule, read: `number` is its place in the file, from 1; `facts` are the columns that it shows.

    `reasons` are templates, cut into plain texts and expressions. `begins` and `ends` are moments as ISO text.
    """

    number: int
    name: str
    decision: str
    priority: int
    when: Part
    conditions: tuple[Condition, ...]
    outcome: Part
    reasons: tuple[tuple[str | Part, ...], ...]
    facts: tuple[Part, ...]
    begins: str | None = None
    ends: str | None = None
    now: str = "now()"

    def at(self, instant: str) -> Clause:
        """The same with a moment (ISO text) in place of the clock; Refused where that cannot be."""
        return replace(
            self,
            when=_at(self.when, instant),
            conditions=tuple(replace(one, asked=at_instant(one.text, instant)) for one in self.conditions),
            outcome=_at(self.outcome, instant),
            reasons=tuple(
                tuple(_at(piece, instant) if isinstance(piece, Part) else piece for piece in reason)
                for reason in self.reasons
            ),
            now=_instant(instant),
        )


def _at(part: Part, instant: str) -> Part:
    return replace(part, text=at_instant(part.text, instant))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the characters from `start` to `end` of a statement come from."""

    start: int
    end: int
    part: Part


@dataclass(slots=True)
class Text:
    """A statement as it is put together."""

    pieces: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    length: int = 0

    def add(self, *pieces: str | Part) -> Text:
        for piece in pieces:
            text = piece
            if isinstance(piece, Part):
                self.origins.append(Origin(self.length, self.length + len(piece.text), piece))
                text = piece.text
            assert isinstance(text, str)  # noqa: S101
            self.pieces.append(text)
            self.length += len(text)
        return self

    def __str__(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is decided about: `relation` is what stands in FROM, `key` the columns that identify a row."""

    relation: Part
    key: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.text for part in self.key)


def decisions(subject: Subject, rules: Sequence[Clause]) -> Text:
    """The rules that fire: one row a subject and rule."""
    keys = [quoted(name) for name in subject.names]
    text = Text().add(f"SELECT {', '.join(keys)}, decision, rule, made ->> 0 AS outcome, made -> 0 AS outcome_json, ")
    text.add(f"priority, row_number() OVER ({_partition(keys)} ORDER BY priority DESC, number) = 1 AS chosen, ")
    text.add("reasons, facts, valid_from, valid_until FROM (SELECT ")
    _keys(text, subject)
    text.add(_ABOUT)
    _case(text, rules, _made, "made")
    _case(text, rules, _reasons, "reasons")
    _case(text, rules, _facts, "facts", last=True)
    _from(text, subject, rules)
    text.add(" WHERE ")
    _case(text, rules, _in_force, "", last=True)
    return text.add(") AS fired")


def explained(subject: Subject, rules: Sequence[Clause]) -> Text:
    """Every rule about every subject: one row each, with what held and what did not."""
    keys = [quoted(name) for name in subject.names]
    order = f"({_partition(keys)} ORDER BY holds IS TRUE DESC, priority DESC, number)"
    text = Text().add(
        f"SELECT {', '.join(keys)}, decision, rule, priority, CASE WHEN NOT in_force THEN 'not in force' "
    )
    text.add("WHEN holds IS NULL THEN 'unknown' WHEN NOT holds THEN 'failed' ")
    text.add(f"WHEN row_number() OVER {order} = 1 THEN 'chosen' ELSE 'outranked' END AS state, ")
    text.add(f"CASE WHEN holds THEN first_value(rule) OVER {order} END AS chosen_rule, ")
    text.add("made ->> 0 AS outcome, made -> 0 AS outcome_json, reasons, conditions, failed, facts, ")
    text.add("valid_from, valid_until FROM (SELECT ")
    _keys(text, subject)
    text.add(_ABOUT, "vdw_in_force AS in_force, vdw_holds AS holds, ")
    _case(text, rules, _made, "made", where="vdw_holds")
    _case(text, rules, _reasons, "reasons", where="vdw_holds")
    _case(text, rules, _conditions, "conditions", where="vdw_in_force")
    _case(text, rules, _failed, "failed", where="vdw_in_force")
    _case(text, rules, _facts, "facts", last=True)
    text.add(" FROM (SELECT *, ")
    _case(text, rules, _when, "vdw_holds", where="vdw_in_force", last=True)
    text.add(" FROM (SELECT *, ")
    _case(text, rules, _validity, "vdw_in_force", last=True)
    _from(text, subject, rules)
    return text.add(") AS valid) AS tried) AS told")


def probe(subject: Subject, rule: Clause) -> Text:
    """A statement that is at fault exactly where the rule is; only one row's expressions, so no aggregate."""
    text = Text().add("SELECT 1 AS one FROM ", subject.relation, f" AS {SUBJECT} WHERE CASE WHEN ")
    _when(text, rule)
    text.add(" THEN (")
    _made(text, rule)
    text.add(") IS NOT NULL AND (")
    _reasons(text, rule)
    text.add(") IS NOT NULL AND (")
    _facts(text, rule)
    return text.add(") IS NOT NULL END")


def stand(subject: Subject) -> Text:
    """A statement that is at fault where the subject or its key is."""
    text = Text().add("SELECT ")
    _keys(text, subject)
    return text.add("1 AS one FROM ", subject.relation, f" AS {SUBJECT}")


_ABOUT = (
    f"vdw_decision AS decision, vdw_name AS rule, vdw_priority AS priority, {NUMBER} AS number, "
    "vdw_valid_from AS valid_from, vdw_valid_until AS valid_until, "
)


def _keys(text: Text, subject: Subject) -> None:
    for part in subject.key:
        text.add(Part(quoted(part.text), part.path), ", ")


def _from(text: Text, subject: Subject, rules: Sequence[Clause]) -> None:
    text.add(" FROM ", subject.relation, f" AS {SUBJECT} CROSS JOIN (VALUES ")
    text.add(", ".join(_row(rule) for rule in rules))
    text.add(f") AS vdw_rules({NUMBER}, vdw_decision, vdw_name, vdw_priority, vdw_valid_from, vdw_valid_until)")


def _row(rule: Clause) -> str:
    texts = f"{literal(rule.decision)}::text, {literal(rule.name)}::text"
    return f"({rule.number}, {texts}, {rule.priority}, {_instant(rule.begins)}, {_instant(rule.ends)})"


def _instant(moment: str | None) -> str:
    return f"{literal(moment)}::timestamptz" if moment is not None else "NULL::timestamptz"


Branch = Callable[[Text, Clause], None]


def _case(
    text: Text, rules: Iterable[Clause], branch: Branch, name: str, *, where: str = "", last: bool = False
) -> None:
    """A CASE by the rule's number; with `where`, only where that is true."""
    text.add(f"CASE WHEN {where} THEN " if where else "", f"CASE {NUMBER}")
    for rule in rules:
        text.add(f" WHEN {rule.number} THEN ")
        branch(text, rule)
    text.add(" END", " END" if where else "", f" AS {name}" if name else "", "" if last else ", ")


def _when(text: Text, rule: Clause) -> None:
    text.add("(", rule.when, "\n)")  # the text may end in a comment


def _in_force(text: Text, rule: Clause) -> None:
    """Whether it fires; a rule that is not in force is not evaluated, as it may be wrong about the facts of today."""
    limited = rule.begins is not None or rule.ends is not None
    if limited:
        text.add("CASE WHEN ")
        _validity(text, rule)
        text.add(" THEN ")
    _when(text, rule)
    text.add(" END" if limited else "")


def _validity(text: Text, rule: Clause) -> None:
    bounds = [f"{rule.now} >= {_instant(rule.begins)}"] if rule.begins is not None else []
    bounds += [f"{rule.now} < {_instant(rule.ends)}"] if rule.ends is not None else []
    text.add(" AND ".join(bounds) or "TRUE")


def _made(text: Text, rule: Clause) -> None:
    """The outcome in an array, since a constant alone has no type to make JSON of."""
    text.add("jsonb_build_array((", rule.outcome, "\n))")


def _reasons(text: Text, rule: Clause) -> None:
    text.add("ARRAY[")
    for index, reason in enumerate(rule.reasons):
        text.add(", " if index else "", "concat(''")
        for piece in reason:
            text.add(*(", (", piece, "\n)") if isinstance(piece, Part) else (", ", literal(piece)))
        text.add(")")
    text.add("]::text[]")


def _facts(text: Text, rule: Clause) -> None:
    for at in range(0, len(rule.facts), FACTS):
        text.add(" || " if at else "", "jsonb_build_object(")
        for index, fact in enumerate(rule.facts[at : at + FACTS]):
            text.add(", " if index else "", literal(fact.text), ", ", Part(quoted(fact.text), fact.path))
        text.add(")")
    text.add("" if rule.facts else "'{}'::jsonb")


def _conditions(text: Text, rule: Clause) -> None:
    """Each condition with its truth, and whether it was evaluated: see `_guard`."""
    text.add("jsonb_build_array(")
    for index, one in enumerate(rule.conditions):
        text.add(", " if index else "", f"jsonb_build_object('condition', {literal(one.text)}, 'holds', ")
        end = _guard(text, rule, index)
        text.add("(", _part(rule, one), f"\n)::boolean{end}, 'evaluated', ")
        end = _guard(text, rule, index)
        text.add(f"TRUE{end})")
    text.add(")")


def _failed(text: Text, rule: Clause) -> None:
    """The texts of those that were evaluated and do not hold."""
    text.add("array_remove(ARRAY[")
    for index, one in enumerate(rule.conditions):
        text.add(", " if index else "")
        end = _guard(text, rule, index)
        text.add("CASE WHEN (", _part(rule, one), f"\n)::boolean THEN NULL ELSE {literal(one.text)} END{end}")
    text.add("]::text[], NULL)")


def _guard(text: Text, rule: Clause, index: int) -> str:
    """Where the condition at `index` might fail, begins a CASE of all before it, which may be there to protect it; and
    what ends that."""
    before = () if rule.conditions[index].safe else rule.conditions[:index]
    for at, other in enumerate(before):
        text.add(" AND " if at else "CASE WHEN ", "(", _part(rule, other), "\n)")
    text.add(" THEN " if before else "")
    return " END" if before else ""


def _part(rule: Clause, condition: Condition) -> Part:
    return Part(condition.sql, rule.when.path, rule.when.offset + condition.start)


def _partition(keys: Sequence[str]) -> str:
    return f"PARTITION BY {', '.join(keys)}, decision"


def literal(text: str) -> str:
    """A text as PostgreSQL's literal."""
    return exp.Literal.string(text).sql(dialect="postgres")


def quoted(name: str) -> str:
    """A name as PostgreSQL's identifier."""
    return exp.to_identifier(name, quoted=True).sql(dialect="postgres")
