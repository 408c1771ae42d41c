"""An engine with traps that stand in no table: derived tables of parameters, cast to the source's own types."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from api.probe import traps
from api.probe.cases import LISTS
from api.probe.kinds import Kind
from api.probe.oracle import Oracle, Row
from api.probe.traps import Trap
from connectors.base import Bound, SourceQuery, Table
from connectors.base import Column as SourceColumn
from connectors.capability import Capability
from connectors.capability.generic import template
from connectors.capability.rules import Rule, family
from connectors.errors import SourceError
from connectors.types import PgType
from planner import ir
from planner.emit import Emitter
from planner.plan import SourceText
from planner.prove import Fact, Facts
from planner.scalar import Call, Col, Lit, Scalar
from planner.targets import SourceTarget, python_value
from views.catalog import SourceTable

INT4, BOOL, TEXT = PgType("int4"), PgType("bool"), PgType("text")
NUMBERED = 10_000  # the first id of row numbers
MIXED = 120  # rows where more than two columns meet
KEPT = 0.5  # of the traps must a type hold to be tried
_NUMBERS = ("int", "numeric")
_UNFIT = "it gives back numbers that its declared type cannot hold"
_FROM = {"oracle": exp.to_table("DUAL")}
Ask = Callable[[SourceQuery, Callable[[], list[Row]]], list[Row]]


@dataclass(frozen=True, slots=True)
class Rows:
    """A relation of `count` rows; a row's number is the sum of these columns by their weights."""

    rel: ir.Rel
    numbers: tuple[tuple[int, int], ...]
    count: int
    places: tuple[tuple[int, ...], ...] = ()  # of each row in the columns' values; () where each meets each

    def number(self, row: Sequence[str | None]) -> int:
        """The number of a row whose first columns are the numbers'."""
        return sum(int(value or 0) * weight for value, (_, weight) in zip(row, self.numbers, strict=False))


@dataclass(slots=True)
class _Content:
    """A derived table: its columns' kinds, and its rows' places in these kinds' values."""

    kinds: list[Kind]
    rows: list[tuple[int, ...]]
    number: int


@dataclass(slots=True)
class Derived:
    """A source as cases want it; `ask` sends one statement (and says what a dry run takes for its answer)."""

    cap: Capability
    oracle: Oracle
    ask_source: Ask
    seed: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    held: list[Trap] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    values: dict[str, list[str | None]] = field(default_factory=dict)
    loose: set[int] = field(default_factory=set)  # columns that do call unlike texts equal
    _content: dict[str, _Content] = field(default_factory=dict)
    _leaves: dict[str, ir.Scan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        truth = template("CASE WHEN {0} THEN 1 WHEN NOT {0} THEN 0 END", self.cap.dialect)
        self.cap = replace(self.cap, scalars={**self.cap.scalars, ("truth", "bool"): Rule(truth)})

    # -- columns

    def column(self, name: str) -> Col:
        """A column of traps."""
        return Col(self.ids[name], self.kinds[name.rpartition("_")[0]].type)

    def add(self, kind: Kind) -> str:
        """Take a kind with the values that the source really gives back; why not, where it has too few of them."""
        self.kinds[kind.name] = kind
        sent = self.values[kind.name] = _wanted(kind)
        near = sum(1 for value in sent if value not in traps.FAR.get(kind.pool, ()))
        found, why = self._fetched(kind, list(range(near)))
        found += self._fetched(kind, list(range(near, len(sent))))[0]
        known = list(dict.fromkeys((None, *(value for value in found if value is not None))))
        if family(kind.type) in _NUMBERS and not {*known} <= {*sent}:
            why = "it gives back other numbers than it was given"
        elif len(known) >= near * KEPT and why != _UNFIT:
            self.values[kind.name] = known
            self._hold(kind)
            return ""
        del self.kinds[kind.name], self.values[kind.name]
        return why or "it holds too few of the values that are tried"

    def drop(self, kind: Kind) -> None:
        """Try nothing of a kind."""
        self.held = [trap for trap in self.held if trap.name.rpartition("_")[0] != kind.name]
        for side in "ab":
            self.ids.pop(f"{kind.name}_{side}", None)

    def _hold(self, kind: Kind) -> None:
        facts = dict(self.facts)
        for side in "ab":
            name = f"{kind.name}_{side}"
            self.ids[name] = 1 + max(self.facts, default=0) + (side == "b")
            self.held.append(Trap(name, kind.pool, kind.type))
            facts[self.ids[name]] = Fact(True, kind.collation)
        self.facts = facts

    def _fetched(self, kind: Kind, places: list[int]) -> tuple[list[str | None], str]:
        """The values at these places as the source gives them back, without those that it refuses; and why."""
        if not places:
            return [], ""
        content = _Content([kind], [(place,) for place in places], -1)
        scan, ids = self._scan("pool", content), (NUMBERED, NUMBERED + 1)
        items = ((ids[0], INT4), (ids[1], kind.type))
        self._content["pool"] = content
        sent = [self.values[kind.name][place] for place in places]
        try:
            rows = self.ask(scan, items, lambda: [(str(n), value) for n, value in enumerate(sent)])
        except SourceError as error:
            if final(error):
                raise
            if len(places) == 1:
                return [], _UNFIT if error.sqlstate == "HV004" and family(kind.type) in _NUMBERS else said(error)
            middle = len(places) // 2
            halves = self._fetched(kind, places[:middle]), self._fetched(kind, places[middle:])
            why = [half[1] for half in halves if half[1]]
            return halves[0][0] + halves[1][0], _UNFIT if _UNFIT in why else "".join(why[:1])
        return [value for _, value in sorted(rows, key=lambda row: int(row[0] or 0))], ""

    def look(self, kind: Kind) -> None:
        """Whether the values of a kind really compare loosely: the source may give them another collation than the
        column's after which they are made, and what is then seen says nothing of that column."""
        a, b = (self.column(f"{kind.name}_{side}") for side in "ab")
        rows = self.rows([f"{kind.name}_a", f"{kind.name}_b"])
        equal = ir.Filter(rows.rel, (Call("=", (a, b), BOOL),))
        try:
            found = self.ask(ir.Project(equal, ((1, a), (2, b))), [(1, kind.type), (2, kind.type)])
        except SourceError as error:
            if final(error):
                raise
            return
        if any(one != other for one, other in found):
            self.loose |= {a.id, b.id}

    # -- relations

    def rows(self, names: Iterable[str]) -> Rows:
        """Rows in which the values of these columns meet: each with each where they are two, else by chance."""
        chosen = sorted(names)
        if len(chosen) > 2:
            return self.mixed(chosen)
        leaves = [self._pool(name) for name in chosen or [self.held[0].name]]
        counts = [len(self.values[name.rpartition("_")[0]]) for name in chosen or [self.held[0].name]]
        numbers = [(ir.output(leaf)[0][0], 1) for leaf in leaves]
        if len(leaves) == 1:
            return Rows(leaves[0], tuple(numbers), counts[0])
        weighed = ((numbers[0][0], counts[1]), numbers[1])
        return Rows(ir.Join("inner", leaves[0], leaves[1], ()), weighed, counts[0] * counts[1])

    def mixed(self, names: Sequence[str], count: int = MIXED) -> Rows:
        """Rows of any number of columns: each value of each occurs, with others by chance."""
        chance = random.Random(f"{self.seed} {' '.join(names)}")  # noqa: S311 -- no secret
        columns = []
        for name in names:
            places = list(range(len(self.values[name.rpartition("_")[0]])))
            shuffled = [place for _ in range(-(-count // len(places))) for place in chance.sample(places, len(places))]
            columns.append(shuffled[:count])
        return self.listed(names, list(zip(*columns, strict=True)))

    def listed(self, names: Sequence[str], places: list[tuple[int, ...]]) -> Rows:
        """Rows of just these places in the columns' values."""
        key = f"{' '.join(names)} {hash(tuple(places))}"
        leaf = self._leaf(key, names, places)
        return Rows(leaf, ((ir.output(leaf)[0][0], 1),), len(places), tuple(places))

    def split(self, rows: Rows, names: Sequence[str], number: int) -> tuple[int, ...]:
        """The places in the columns' values of a row."""
        if rows.places:
            return rows.places[number]
        if len(names) < 2:
            return (number,)
        return divmod(number, len(self.values[names[1].rpartition("_")[0]]))

    def _pool(self, name: str) -> ir.Scan:
        count = len(self.values[name.rpartition("_")[0]])
        return self._leaf(name, [name], [(place,) for place in range(count)])

    def _leaf(self, key: str, names: Sequence[str], places: list[tuple[int, ...]]) -> ir.Scan:
        if key not in self._leaves:
            kinds = [self.kinds[name.rpartition("_")[0]] for name in names]
            content = self._content[key] = _Content(kinds, places, len(self._leaves))
            self._leaves[key] = self._scan(key, content, [self.ids[name] for name in names])
            texts = [
                (str(n), *(self.values[k.name][p] for k, p in zip(kinds, row, strict=True)))
                for n, row in enumerate(places)
            ]
            self.oracle.fill(f"f{content.number}", [INT4, *(k.type for k in kinds)], texts)
        return self._leaves[key]

    def _scan(self, key: str, content: _Content, ids: Sequence[int] = (NUMBERED + 1,)) -> ir.Scan:
        names = ("i", *(f"v{n}" for n in range(len(content.kinds))))
        types = (INT4, *(kind.type for kind in content.kinds))
        columns = tuple(SourceColumn(name, kind) for name, kind in zip(names, types, strict=True))
        table = SourceTable("x", key, tuple(zip(names, types, strict=True)), table=Table("x", None, key, columns))
        row = NUMBERED if key == "pool" else NUMBERED + 2 + content.number
        return ir.Scan(table, ((row, 0), *((i, n) for n, i in enumerate(ids, 1))))

    # -- statements

    def text(self, rel: ir.Rel, ids: Sequence[int]) -> SourceText:
        """The relation in the source's words."""
        target = _Target(self)
        return target.finish(Emitter(target).query(rel, [(i, f"c{n}") for n, i in enumerate(ids)]))

    def ask(
        self, rel: ir.Rel, outputs: Sequence[tuple[int, PgType]], dry: Callable[[], list[Row]] | None = None
    ) -> list[Row]:
        """The source's rows as PostgreSQL's texts; SourceError as connectors have it."""
        ids = [i for i, _ in outputs]
        text = self.text(rel, ids)
        params = tuple(v if isinstance(v, Bound) else LISTS[v.index] for v in text.params)  # type: ignore[union-attr]
        query = SourceQuery(text.parts, params, tuple(kind for _, kind in outputs))
        return self.ask_source(query, dry or (lambda: self.canon(rel, ids)))

    def canon(self, rel: ir.Rel, ids: Sequence[int]) -> list[Row]:
        """PostgreSQL's rows; psycopg's error where it has one."""
        return self.oracle.rows(self.canon_text(rel, ids))

    def canon_text(self, rel: ir.Rel, ids: Sequence[int]) -> str:
        """The relation in PostgreSQL's words."""
        tables = {id(leaf): self._content[key].number for key, leaf in self._leaves.items()}
        return self.oracle.text(_without_truth(rel), ids, tables)

    def derived(self, key: str, bind: Callable[[Bound], exp.Expr]) -> exp.Expr:
        """The derived table of a leaf."""
        content = self._content[key]
        selects = [self._like(kind) for kind in content.kinds if kind.like is not None and len(content.kinds) == 1]
        for n, places in enumerate(content.rows):
            cells: list[exp.Expr] = [exp.Literal.number(n)]
            for kind, place in zip(content.kinds, places, strict=True):
                value = self.values[kind.name][place]
                given = "NULL" if value is None else bind(_bound(value, kind.type)).sql(self.cap.dialect)
                cells.append(exp.Var(this=f"CAST({given} AS {kind.sql})"))
            selects.append(_selected(cells, _FROM.get(self.cap.dialect)))
        union: exp.Query = selects[0]
        for select in selects[1:]:
            union = exp.Union(this=union, expression=select, distinct=False)
        return exp.Subquery(this=union)

    def _like(self, kind: Kind) -> exp.Select:
        """No row of the column whose type and collation the values are to have."""
        assert kind.like is not None  # noqa: S101
        table, column = kind.like
        named = exp.Table(this=exp.to_identifier(table.name, quoted=True))
        if table.schema:
            named.set("db", exp.to_identifier(table.schema, quoted=True))
        cells: list[exp.Expr] = [exp.Literal.number(-1), exp.Column(this=exp.to_identifier(column.name, quoted=True))]
        return _selected(cells, named).where("1 = 0")


class _Target(SourceTarget):
    """The source's dialect; leaves are derived tables."""

    def __init__(self, site: Derived) -> None:
        super().__init__(site.cap)
        self.site = site

    def table(self, leaf: ir.Scan | ir.Cut) -> tuple[exp.Expr, list[str]]:
        """The rows of a leaf."""
        assert isinstance(leaf, ir.Scan) and leaf.table.table is not None  # noqa: S101
        table = leaf.table.table
        made = self.site.derived(table.name, lambda bound: self._bind(bound, bound.type))
        return made, [table.columns[at].name for _, at in leaf.columns]


def _selected(cells: Sequence[exp.Expr], table: exp.Table | None) -> exp.Select:
    """One row: i, v0, v1 ..."""
    names = ("i", *(f"v{n}" for n in range(len(cells) - 1)))
    aliased = [exp.Alias(this=c, alias=exp.to_identifier(n, quoted=True)) for n, c in zip(names, cells, strict=True)]
    made = exp.Select(expressions=aliased)
    return made if table is None else made.from_(table.copy())


def _bound(text: str, kind: PgType) -> Bound:
    """The value; as a text where Python has none, which the source may read or refuse."""
    try:
        return Bound(kind.bare, python_value(Lit(text, kind.bare)))
    except ValueError:
        return Bound(TEXT, text)


def _wanted(kind: Kind) -> list[str | None]:
    """NULL and the traps; those that lie beyond what most engines hold come last."""
    return [None, *traps.VALUES[kind.pool], *traps.FAR.get(kind.pool, ())]


def final(error: SourceError) -> bool:
    """Whether it says nothing about the statement, but that the source is not to be had."""
    return error.sqlstate[:2] in ("08", "53", "57")


def said(error: SourceError) -> str:
    """The server's words on a statement of ours: no value of the user's stands in it."""
    return " ".join(f"{error.message} {error.detail or ''}".split())[:200]


def _without_truth(rel: ir.Rel) -> ir.Rel:
    """PostgreSQL has booleans: 1 and 0 are made of them where the source has none."""

    def plain(e: Scalar) -> Scalar:
        if isinstance(e, Call) and e.op == "truth":
            return Call("cast", e.args, INT4)
        return e

    if isinstance(rel, ir.Project):
        return ir.Project(_without_truth(rel.input), tuple((i, plain(e)) for i, e in rel.items))
    return rel
