"""Runs cases through the engine over one placement, and says exactly where an answer differs from the oracle's."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import random
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from connectors.base import Bound
from connectors.conformance.texts import column_texts
from connectors.errors import Error
from connectors.statistics import ColumnStatistics, Estimate, TableStatistics
from connectors.types import PgType
from federation import bind, merge
from federation.prepare import Preparer
from federation.session import Session
from planner.plan import Copies, Plan
from planner.planner import RULES, plan
from planner.statement import Statement
from planner.values import Values
from tests.differential.cases import Case
from tests.differential.loaders import drop_all, load_all
from tests.differential.oracle import Answer
from tests.differential.placements import Placement, write_project
from tests.servers import Server
from tests.serving import Serving
from views.catalog import Catalog

FLOATS = {700: 1e-6, 701: 1e-12}  # relative tolerance of float aggregates, by the column's type
OWN = 16384  # FirstNormalObjectId
SHOWN = 4
PATIENCE = 60.0  # seconds for one query
Row = tuple[str | None, ...]


# Other ways to the same answer: (module, attribute, value) to set while a query runs.
VARIANTS: dict[str, tuple[tuple[ModuleType, str, Any], ...]] = {
    "as planned": (),
    "merged in DuckDB": ((merge, "SMALL", -1),),
    "keys in small batches": ((bind, "KEYS_A_STATEMENT", 3),),
    "without keys": ((bind, "MOST_KEYS", 0),),
}


# What besides may be set while a query runs; the differential suite has enough with the above.
KNOBS: dict[str, tuple[tuple[ModuleType, str, Any], ...]] = {
    **VARIANTS,
    "merged in the canon": ((merge, "SMALL", 10**12),),
    "keys one by one": ((bind, "KEYS_A_STATEMENT", 1),),
    "keys by seven": ((bind, "KEYS_A_STATEMENT", 7),),
}
# Everything that a planner can leave out, by name.
RULE_NAMES = (*dict(RULES), "computed")
# The same with one rule of the planner left out: what a rule does must never change an answer.
RULELESS = {f"without the rule {name}": frozenset((name,)) for name in RULE_NAMES}


@dataclass(frozen=True, slots=True)
class How:
    """A way to the answer: rules left out, KNOBS by name, a seed of lies about the tables' sizes (0: none), and
    sources that are taken as empty."""

    off: frozenset[str] = frozenset()
    knobs: tuple[str, ...] = ()
    lies: int = 0
    absent: frozenset[str] = frozenset()

    def __str__(self) -> str:
        said = [*(f"without {name}" for name in sorted(self.off)), *self.knobs]
        said += [f"source {name} empty" for name in sorted(self.absent)]
        return ", ".join([*said, f"lies {self.lies}"] if self.lies else said) or "as planned"


def named(variant: str) -> How:
    """The way that a variant's name means."""
    return How(off=RULELESS[variant]) if variant in RULELESS else How(knobs=(variant,))


LIES = (1e-4, 1e-2, 1.0, 1e2, 1e4)


def _lying(catalog: Catalog, seed: int) -> Catalog:
    """The catalog with false statistics: sizes up to 10,000 times too small or too large, bounds the wrong way round.

    They may decide how fast an answer comes, never which it is.
    """
    chance = random.Random(seed)
    known = catalog.statistics
    tables = {key: _false(known.tables.get(key), chance) for key in catalog.tables}
    return replace(catalog, statistics=replace(known, tables=tables, measured={}, epoch=known.epoch + seed))


def _false(true: TableStatistics | None, chance: random.Random) -> TableStatistics:
    true = true or TableStatistics(Estimate.exactly(1000.0))
    columns = {name: _false_column(column, chance) for name, column in true.columns.items()}
    return replace(true, rows=_times(true.rows, chance.choice(LIES)), columns=columns, distinct={})


def _false_column(true: ColumnStatistics, chance: random.Random) -> ColumnStatistics:
    distinct = _times(true.distinct, chance.choice(LIES))
    lie = replace(true, distinct=distinct, most_common={}, nulls=chance.choice((None, 0.0, 1.0)))
    return replace(lie, low=true.high, high=true.low) if chance.random() < 0.3 else lie


def _times(number: Estimate, factor: float) -> Estimate:
    return Estimate.exactly(math.ceil(min(number.likely, 1e9) * factor))


def applies(variant: str, plan: Plan) -> bool:
    """Whether the variant can change how this plan runs."""
    if variant == "as planned":
        return True
    if variant == "merged in DuckDB":
        return bool(plan.stages)
    return any(fragment.after for fragment in plan.fragments)


class Running(Serving):
    """A project that is served, and asked as the cases want it."""

    def __init__(self, folder: Path, zone: str = "UTC") -> None:
        self.session = Session("differential", {"TimeZone": zone})
        super().__init__(folder, PATIENCE)

    def ask(self, case: Case, how: How | str = "as planned", path: tuple[str, ...] = ("public",)) -> Answer:
        """What the engine says to a case, in PostgreSQL's texts, with bare names looked up along `path`."""
        with self.going(named(how) if isinstance(how, str) else how):
            return self.wait(self._ask(case, replace(self.session, search_path=path)))

    @contextlib.contextmanager
    def going(self, how: How) -> Iterator[None]:
        """While inside, every case is answered in this way, and planned once for all that differ in knobs alone."""
        engine = self.runtime.engine
        with contextlib.ExitStack() as stack:
            for knob in how.knobs:
                for module, name, value in KNOBS[knob]:
                    stack.enter_context(patch.object(module, name, value))
            if not how.off and not how.lies and not how.absent:
                yield
                return
            # Plans made in this way are not for others.
            kept, engine._preparer = engine._preparer, Preparer(engine.analyser, partial(_planned, how), engine.catalog)
            try:
                yield
            finally:
                engine._preparer = kept

    def variants(self, case: Case, rules: bool = False) -> list[str]:
        """The variants that can change how this case is answered; with `rules` also those with a rule left out."""
        if case.error:
            return ["as planned"]

        async def prepared() -> Plan:
            return (await self.runtime.engine.prepare(case.sql, self.session)).plan

        try:
            found = self.wait(prepared())
        except Exception:  # what is wrong with it is told when it is asked
            return ["as planned"]
        return [*(variant for variant in VARIANTS if applies(variant, found)), *(RULELESS if rules else ())]

    async def _ask(self, case: Case, session: Session) -> Answer:
        try:
            result = await self.runtime.engine.query(case.sql, session, bound(case))
            table = await result.table()
        except Error as error:
            return Answer(error=error.sqlstate, message=f"{type(error).__name__}: {error} {error.detail or ''}")
        except Exception as error:  # our own bug, or a driver's error that nobody translated
            return Answer(error="XX000", message=f"{type(error).__name__}: {error}")
        columns = tuple((name, kind.type_oid, kind.mod) for name, kind in result.columns)
        texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
        rows = tuple(zip(*texts, strict=True)) if texts else ((),) * table.num_rows
        return Answer(columns, rows)

    def explain(self, case: Case, how: How | None = None, path: tuple[str, ...] = ("public",)) -> str:
        """The plan's text, for the report of a failure."""

        async def text() -> str:
            session = replace(self.session, search_path=path)
            return (await self.runtime.engine.explain(case.sql, session, bound(case))).text()

        try:
            with self.going(how or How()):
                return str(self.wait(text()))
        except Exception as error:
            return f"no plan: {type(error).__name__}: {error}"


@contextlib.contextmanager
def served(
    name: str,
    placements: Sequence[Placement],
    views: Iterable[tuple[str, str]],
    servers: dict[str, Server],
    tag: str,
) -> Iterator[Running]:
    """A project over what the placements put where, with their views and `views`; all is dropped in the end."""
    with tempfile.TemporaryDirectory(prefix=f"vdw-{name}-") as folder:
        pieces = [piece for placement in placements for piece in placement.all]
        connections = load_all(Path(folder), pieces, servers, tag)
        try:
            own = [view for placement in placements for view in placement.views]
            write_project(Path(folder), name, connections, [*own, *views])
            running = Running(Path(folder))
            try:
                yield running
            finally:
                running.close()
        finally:
            drop_all(connections, servers)


def _planned(
    how: How,
    statement: Statement,
    catalog: Catalog,
    off: frozenset[str],
    values: Values,
    copies: Copies = (),
    absent: frozenset[str] = frozenset(),
) -> Plan:
    told = _lying(catalog, how.lies) if how.lies else catalog
    return plan(statement, told, off | how.off, values, copies, absent | how.absent)


_PYTHON: dict[str, Callable[[Any], Any]] = {
    "bool": lambda value: value in (True, "t"),
    "int2": int,
    "int4": int,
    "int8": int,
    "float4": float,
    "float8": float,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "time": dt.time.fromisoformat,
    "date": dt.date.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
    "timestamptz": dt.datetime.fromisoformat,
    "uuid": uuid.UUID,
    "interval": lambda text: dt.timedelta(days=int(text.split()[0])),
}


def bound(case: Case) -> list[Bound]:
    """The case's parameters as the engine takes them."""
    return [Bound(PgType(kind), _python(kind, value)) for kind, value in case.params]


def _python(kind: str, value: Any) -> Any:
    convert: Callable[[Any], Any] | None = _PYTHON.get(kind)
    return value if value is None or convert is None else convert(value)


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is wrong | refused; `text` tells it to a person."""

    kind: str
    text: str


def compare(case: Case, wanted: Answer, got: Answer) -> Difference | None:
    """None where the answers are equal: names, exact types, values, and order where the case has one."""
    if case.error:
        if got.error == case.error:
            return None
        return Difference(
            "wrong", f"error {case.error} expected, got {got.error or f'{len(got.rows)} rows'} {got.message}"
        )
    if wanted.error:
        return Difference("wrong", f"the oracle itself fails: {wanted.error} {wanted.message}")
    if got.error:
        return Difference("refused", f"{got.error} {got.message}")
    if _types(got) != _types(wanted):
        pairs = zip(_types(wanted), _types(got), strict=False)
        told = [pair for pair in pairs if pair[0] != pair[1]]
        return Difference("wrong", f"columns (name, oid, typmod) wanted/got: {told} of {len(got.columns)}")
    text = _rows_differ(case, wanted, got)
    return Difference("wrong", text) if text else None


def _types(answer: Answer) -> list[tuple[str, int, int]]:
    """Columns, with one oid for all types that are not PostgreSQL's own (row types): those differ by database."""
    return [(name, min(oid, OWN), mod) for name, oid, mod in answer.columns]


def _rows_differ(case: Case, wanted: Answer, got: Answer) -> str:
    if case.approx:
        return _approximately(case, wanted, got)
    if case.ordered:
        pairs = [(i, w, g) for i, (w, g) in enumerate(zip(wanted.rows, got.rows, strict=False)) if w != g]
        if not pairs and len(wanted.rows) == len(got.rows):
            return ""
        return f"{len(wanted.rows)} rows wanted, {len(got.rows)} got; first differences: {pairs[:SHOWN]}"
    missing = Counter(wanted.rows) - Counter(got.rows)
    extra = Counter(got.rows) - Counter(wanted.rows)
    return _lists(len(wanted.rows), len(got.rows), list(missing.elements()), list(extra.elements()))


def _lists(wanted: int, got: int, missing: Sequence[Row], extra: Sequence[Row]) -> str:
    if not missing and not extra:
        return ""
    head = f"{wanted} rows wanted, {got} got; {len(missing)} missing, {len(extra)} too many"
    return f"{head}\n  missing: {list(missing[:SHOWN])}\n  extra:   {list(extra[:SHOWN])}"


def _approximately(case: Case, wanted: Answer, got: Answer) -> str:
    tolerances = [FLOATS.get(oid, 0.0) for _, oid, _ in wanted.columns]

    def exact_part(row: Row) -> tuple[object, ...]:
        return tuple((value is None, value or "") for value, loose in zip(row, tolerances, strict=True) if not loose)

    def rounded(row: Row) -> tuple[object, ...]:
        return tuple(
            (v is None, float(f"{float(v):.9g}") if v else 0) for v, loose in zip(row, tolerances, strict=True) if loose
        )

    def key(row: Row) -> tuple[object, ...]:
        return exact_part(row), rounded(row)

    ours, theirs = (
        (list(got.rows), list(wanted.rows))
        if case.ordered
        else (sorted(got.rows, key=key), sorted(wanted.rows, key=key))
    )
    if len(ours) != len(theirs):
        return f"{len(theirs)} rows wanted, {len(ours)} got"
    bad = [(w, g) for w, g in zip(theirs, ours, strict=True) if not all(map(_close, w, g, tolerances))]
    return f"beyond the tolerance: {bad[:SHOWN]}" if bad else ""


def _close(wanted: str | None, got: str | None, tolerance: float) -> bool:
    if wanted is None or got is None or not tolerance:
        return wanted == got
    one, other = float(wanted), float(got)
    return wanted == got or math.isclose(one, other, rel_tol=tolerance, abs_tol=0.0) or one == other
