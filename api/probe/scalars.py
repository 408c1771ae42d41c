"""Operators, functions and casts: many calls in one statement, compared row by row with what PostgreSQL says."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from sqlglot import exp

from api.probe.cases import cases
from api.probe.derived import BOOL, INT4, Derived, Rows, final, said
from api.probe.verdicts import Verdicts
from connectors.base import Collation
from connectors.capability import claims
from connectors.capability.rules import V
from connectors.errors import SourceError
from connectors.types import PgType
from planner import ir
from planner.emit import Emitter
from planner.prove import prove
from planner.scalar import Call, Lit, Scalar, columns
from planner.targets import CanonTarget, find

BATCH = 40  # calls in one statement
FIRST = 9000  # the id of a statement's first value
HIDDEN = 16  # rows of each call, at most, that PostgreSQL refuses, which the source has to refuse too
UNSEEN = "no text that is made here compares as loosely as the source's columns may"
FEW = 60  # rows of those that PostgreSQL does not refuse, where it refuses some


@dataclass(slots=True)
class Trial:
    """A call that tries a claim; `right` are PostgreSQL's values by row, `bad` the rows that it refuses."""

    claim: str
    call: Call
    superset: bool
    names: tuple[str, ...]
    right: dict[int, str | None] = field(default_factory=dict)
    bad: tuple[int, ...] = ()

    @property
    def kind(self) -> PgType:
        assert self.call.type is not None  # noqa: S101
        return self.call.type


def try_scalars(site: Derived, verdicts: Verdicts) -> None:
    """All scalar claims of the site's table."""
    trials = list(_trials(site, verdicts))
    verdicts.due.update(trial.claim for trial in trials)
    filtered: set[str] = set()
    for group in _groups(trials):
        names = group[0].names
        rows = site.rows(names)
        for trial in group:
            _judge(site, rows, trial)
        clean = [trial for trial in group if not trial.bad]
        for at in range(0, len(clean), BATCH):
            _together(site, verdicts, rows, clean[at : at + BATCH])
        for trial in clean:
            if trial.kind == BOOL and verdicts.open(trial.claim) and trial.claim not in filtered:
                filtered.add(trial.claim)
                _filter(site, verdicts, rows, trial)
        for trial in group:
            if trial.bad and verdicts.open(trial.claim):
                _partly(site, verdicts, trial)
        verdicts.due.subtract(trial.claim for trial in group)


def _trials(site: Derived, verdicts: Verdicts) -> Iterator[Trial]:
    at = {n: name for name, n in site.ids.items()}
    for signature in site.cap.scalars:
        if signature[0] == "truth":
            continue
        for call in cases(site, signature):
            proof = prove(call, site.cap, site.facts, condition=call.type == BOOL)
            claim = claims.scalar(signature, _collation(signature, call, site))
            if proof.verdict is V.NO or call.type is None:
                verdicts.untried(claim, proof.reason or "no type")
            elif proof.verdict is V.EXACT and signature[0] in claims.COLLATED and unseen(site, columns(call)):
                verdicts.untried(claim, UNSEEN)
            elif claim in verdicts.every:
                names = tuple(sorted(at[n] for n in columns(call)))
                yield Trial(claim, call, proof.verdict is V.SUPERSET, names)


def unseen(site: Derived, read: Iterable[int]) -> bool:
    """Whether these columns are to compare loosely, and do not: of such, nothing exact can be seen."""
    return any(site.facts[n].collation is Collation.LOOSE and n not in site.loose for n in read)


def _collation(signature: tuple[str, ...], call: Call, site: Derived) -> Collation | None:
    """The collation of the texts that a call is about; None where it is about none."""
    if not claims.textual(signature[1:]):
        return None
    read = [site.facts[n].collation for n in columns(call) if site.facts[n].collation is not Collation.BYTES]
    return read[0] if read else Collation.BYTES


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Those over the same columns together."""
    made: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        made.setdefault(trial.names, []).append(trial)
    return list(made.values())


def _judge(site: Derived, rows: Rows, trial: Trial) -> None:
    """What PostgreSQL says of every row."""
    items: list[tuple[int, Scalar]] = [(i, ir.col((i, INT4))) for i, _ in rows.numbers]
    items.append((FIRST, trial.call))
    rel, ids = ir.Project(rows.rel, tuple(items)), [i for i, _ in items]
    try:
        found = site.canon(rel, ids)
    except psycopg.DataError:
        trial.bad = tuple(sorted(_refused(site, rows, rel, ids)))
        return
    trial.right = {rows.number(row): row[-1] for row in found}


def _refused(site: Derived, rows: Rows, rel: ir.Rel, ids: Sequence[int]) -> frozenset[int]:
    number = " + ".join(f"z.c{n} * {weight}" for n, (_, weight) in enumerate(rows.numbers))
    inner = site.canon_text(rel, ids)
    return site.oracle.refused(f"SELECT {number} AS c0, z.c{len(ids) - 1} AS c1 FROM ({inner}) AS z", rows.count)  # noqa: S608


def _value(site: Derived, trial: Trial) -> tuple[Call, PgType]:
    """The call as a value: a condition of an engine without booleans is 1 or 0."""
    if trial.kind == BOOL and "conditions" in site.cap.features:
        return Call("truth", (trial.call,), INT4), INT4
    return trial.call, trial.kind


def _together(site: Derived, verdicts: Verdicts, rows: Rows, batch: Sequence[Trial]) -> None:
    """One statement for many calls; where the source has an error, for half of them each."""
    batch = [trial for trial in batch if verdicts.open(trial.claim)]
    if not batch:
        return
    values = [_value(site, trial) for trial in batch]
    numbers = [(i, INT4) for i, _ in rows.numbers]
    items: list[tuple[int, Scalar]] = [(i, ir.col((i, kind))) for i, kind in numbers]
    items += [(FIRST + n, value) for n, (value, _) in enumerate(values)]
    outputs = [*numbers, *((FIRST + n, kind) for n, (_, kind) in enumerate(values))]
    try:
        found = site.ask(ir.Project(rows.rel, tuple(items)), outputs)
    except SourceError as error:
        if final(error):
            raise
        if len(batch) == 1:
            verdicts.tried(batch[0].claim, f"{shown(site, batch[0].call)}: the source has an error: {said(error)}")
            return
        middle = len(batch) // 2
        _together(site, verdicts, rows, batch[:middle])
        _together(site, verdicts, rows, batch[middle:])
        return
    for n, trial in enumerate(batch):
        got = {rows.number(row): row[len(numbers) + n] for row in found}
        verdicts.tried(trial.claim, _differs(site, rows, trial, got))


def _filter(site: Derived, verdicts: Verdicts, rows: Rows, trial: Trial) -> None:
    """The call as a filter, which engines plan otherwise than a value: ranges are taken out of it, casts are moved."""
    numbers = [(i, INT4) for i, _ in rows.numbers]
    chosen = ir.Project(ir.Filter(rows.rel, (trial.call,)), tuple((i, ir.col((i, kind))) for i, kind in numbers))
    wanted = {number for number, right in trial.right.items() if right == "t"}
    try:
        got = {rows.number(row) for row in site.ask(chosen, numbers)}
    except SourceError as error:
        if final(error):
            raise
        verdicts.tried(trial.claim, f"WHERE {shown(site, trial.call)}: the source has an error: {said(error)}")
        return
    wrong = sorted(wanted - got if trial.superset else wanted ^ got)
    given = _given(site, trial.names, site.split(rows, trial.names, wrong[0])) if wrong else ""
    told = f"WHERE {shown(site, trial.call)}: {'missing' if wrong and wrong[0] in wanted else 'too many'}, of {given}"
    verdicts.tried(trial.claim, told if wrong else "")


def _partly(site: Derived, verdicts: Verdicts, trial: Trial) -> None:
    """A call that PostgreSQL refuses for some rows: the values of others, and an error for a few of those."""
    bad, names = set(trial.bad), [*trial.names]
    chance = random.Random(f"{site.seed} {shown(site, trial.call)}")  # noqa: S311 -- no secret
    whole = site.rows(names)
    good = sorted(set(range(whole.count)) - bad)
    if len(names) > 2:
        verdicts.untried(trial.claim, "PostgreSQL has an error for some rows of so many columns")
        return
    if good:
        chosen = sorted(chance.sample(good, min(len(good), FEW)))
        rows = site.listed(names, [site.split(whole, names, number) for number in chosen])
        part = Trial(trial.claim, trial.call, trial.superset, trial.names)
        _judge(site, rows, part)
        _together(site, verdicts, rows, [part])
    shuffled = chance.sample(trial.bad, len(trial.bad))
    for places in _covering(site.split(whole, names, number) for number in shuffled):
        if verdicts.open(trial.claim):
            _hidden(site, verdicts, trial, places)


def _covering(rows: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Some of the rows, so that each value of each column that is in any is in one of them."""
    chosen: list[tuple[int, ...]] = []
    seen: set[tuple[int, int]] = set()
    for places in rows:
        own = {*enumerate(places)}
        if own - seen and len(chosen) < HIDDEN:
            chosen.append(places)
            seen |= own
    return chosen


def _hidden(site: Derived, verdicts: Verdicts, trial: Trial, places: tuple[int, ...]) -> None:
    """The source, too, has to have an error."""
    names = [*trial.names]
    rows = site.listed(names, [places])
    other = compared(trial.call)
    told = replace(trial, call=other if find(site.cap, other) is not None else trial.call)
    call, kind = _value(site, told)
    try:
        got = site.ask(ir.Project(rows.rel, ((FIRST, call),)), [(FIRST, kind)], _refuse)
    except SourceError as error:
        if final(error):
            raise
        verdicts.tried(trial.claim)
        return
    value = got[0][0] if got else None
    given = _given(site, names, places)
    verdicts.tried(trial.claim, f"{shown(site, told.call)}: {value!r}, PostgreSQL has an error, of {given}")


_OTHERS = {
    "numeric": "5.5", "date": "2001-02-03", "timestamp": "2001-02-03 04:05:06", "text": "q", "float8": "5.5",
    "timestamptz": "2001-02-03 04:05:06+00", "int2": "5", "int4": "5", "int8": "5",
}  # fmt: skip


def compared(call: Call) -> Call:
    """Something that cannot be told without the value, and that any value can be told of."""
    other = _OTHERS.get(call.type.name) if call.type is not None else None
    if other is None or call.type is None:
        return call
    return Call("<>", (call, Lit(other, call.type.bare)), BOOL)


def _refuse() -> list[tuple[str | None, ...]]:
    raise SourceError("an error, as PostgreSQL has one", sqlstate="22000")


def _differs(site: Derived, rows: Rows, trial: Trial, got: dict[int, str | None]) -> str:
    """'' where the source's values are PostgreSQL's, or, of a superset, no true one is missing; else an example."""
    if trial.kind == BOOL:
        got = {number: {"1": "t", "0": "f"}.get(value or "", value) for number, value in got.items()}
    for number, right in trial.right.items():
        value = got.get(number, "no row")
        wrong = right == "t" and value != "t" if trial.superset else not same(value, right, trial.kind)
        if wrong:
            given = _given(site, trial.names, site.split(rows, trial.names, number))
            return f"{shown(site, trial.call)}: {value!r}, PostgreSQL {right!r}, of {given}"
    return "" if trial.superset or len(got) == len(trial.right) else f"{shown(site, trial.call)}: {len(got)} rows"


def _given(site: Derived, names: Sequence[str], places: Sequence[int]) -> str:
    if len(names) != len(places):
        return "several columns"
    values = (site.values[name.rpartition("_")[0]][place] for name, place in zip(names, places, strict=True))
    return ", ".join("NULL" if value is None else repr(value) for value in values)


def shown(site: Derived, e: Scalar) -> str:
    """The call in PostgreSQL's words, its columns by their names."""
    names: dict[int, exp.Expr] = {n: exp.column(name) for name, n in site.ids.items()}
    return Emitter(CanonTarget({})).scalar(e, names).sql("postgres")


def same(got: str | None, want: str | None, kind: PgType) -> bool:
    """The same text, or the same double: of two texts that read back as it, either may be printed."""
    if got is not None and want is not None and kind.name.startswith("float"):
        return repr(float(got)) == repr(float(want))
    return got == want
