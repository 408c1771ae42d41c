"""The fragments of a placed statement: numbered, equal ones once, drivers before those that need their keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.base import Profile
from connectors.capability import Capability, capability
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.absent import absences, both
from planner.access import expected
from planner.context import Context
from planner.emit import Emitter
from planner.ir import Cut, Rel
from planner.keys import one_group, unique_keys
from planner.lookup import arranged, keys_in, taken
from planner.misfits import misfits
from planner.plan import Fragment, KeysRef, SourceText, Verdict
from planner.region import region
from planner.required import Requirements, shared_out
from planner.scalar import BOOL, Boundary, Call, Col, KeyIn, Scalar
from planner.targets import OPTIONAL, SourceTarget
from planner.types import INT8, TEXT


def cuts_in(rel: Rel) -> Iterator[Cut]:
    """The fragments of a relation, those in sub-queries too."""
    if isinstance(rel, Cut):
        yield rel
        return
    for e in ir.scalars(rel):
        for sub in sc.subs(e):
            yield from cuts_in(sub.rel)
    for branch in ir.inputs(rel):
        yield from cuts_in(branch)


# What a predicate over keys becomes in a statement: itself, its columns one by one, or nothing; each with its keys.
Refs = Mapping[KeyIn, Mapping[KeyIn, tuple[KeysRef, ...]]]


class Book:
    """Numbers the fragments: drivers before those that need their keys, equal ones once.

    `run_time`: there are values that only a run knows, so fragments say when they need not be asked.
    """

    def __init__(self, context: Context, rel: Rel, run_time: bool) -> None:
        cuts = list(cuts_in(rel))
        self.catalog = context.catalog
        self.estimator = context.estimator
        self.renames = dict(_renames(rel))
        self.owner = {i: cut for cut in cuts for i, _ in cut.columns}
        self.numbers: dict[int, int] = {}
        self.made: list[Fragment] = []
        self.shapes: dict[object, int] = {}
        self.absent = absences(rel) if run_time else {}
        self.required = Requirements(cuts, self._read_of)
        for cut in sorted(cuts, key=lambda cut: id(cut) not in self.required.chosen):  # what others need goes behind
            self._number(cut, ())

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """All that were numbered."""
        return tuple(self.made)

    def boundaries(self, cuts: Sequence[Cut], wanted: frozenset[int]) -> tuple[int, ...]:
        """Number the boundaries that are wanted, behind all others; what others bind is not read stands as -1."""
        Requirements([cuts[at] for at in wanted], lambda _: ())
        for at in sorted(wanted):
            self.numbers[-1 - at] = self._add(cuts[at], self._capability(cuts[at]), {})
        return tuple(self.numbers.get(-1 - at, -1) for at in range(len(cuts)))

    def _drivers(self, column: int) -> tuple[tuple[Cut, int], ...]:
        """The fragments and positions whose columns a driver's id is, through renaming projections and UNION; () where
        it is anything else too."""
        cut = self.owner.get(column)
        if cut is not None:
            return ((cut, [i for i, _ in cut.columns].index(column)),)
        branches = [self._drivers(i) for i in self.renames.get(column, ())]
        return tuple(dict.fromkeys(each for branch in branches for each in branch)) if all(branches) else ()

    def _number(self, cut: Cut, waiting: tuple[int, ...]) -> int:
        """The fragment's number; `waiting` are those that need it, which it cannot need in turn."""
        if id(cut) in self.numbers:
            return self.numbers[id(cut)]
        waiting = (*waiting, id(cut))
        cap = self._capability(cut)
        refs: dict[KeyIn, dict[KeyIn, tuple[KeysRef, ...]]] = {}
        for key in dict.fromkeys(keys_in(cut.rel)):
            if key in self.required.chosen.get(id(cut), ()):
                refs[key] = {key: tuple(replace(ref, must=True) for ref in self._refs(cut, key, cap, waiting))}
                continue
            whole = arranged(key, cut.rel)
            found = {part: self._refs(cut, part, cap, waiting) for part in (whole,)}
            if len(key.args) > 1 and not found[whole]:
                found = {part: self._refs(cut, part, cap, waiting) for part in key.singly}
            refs[key] = {part: keys for part, keys in found.items() if keys}
        return self._add(cut, cap, refs)

    def _read_of(self, key: KeyIn) -> tuple[Cut, ...]:
        """The fragments whose rows have the keys; () where none have, or not together."""
        found = [self._drivers(i) for i in key.drivers]
        if not all(found) or (
            len(found) > 1 and (any(len(each) > 1 for each in found) or len({id(e[0][0]) for e in found}) > 1)
        ):
            return ()
        kinds = {driver.columns[at][1].bare for driver, at in found[0]}
        return tuple(driver for driver, _ in found[0]) if len(found) > 1 or _common(kinds) is not None else ()

    def _refs(self, cut: Cut, key: KeyIn, cap: Capability, waiting: tuple[int, ...]) -> tuple[KeysRef, ...]:
        """What stands for the keys in the statement; () where no fragments have them, or one waits for this one."""
        found = [self._drivers(i) for i in key.drivers]
        behind = frozenset(id(driver) for each in found for driver, _ in each)
        behind = behind.union(*(self.required.before(driver) for driver in behind))
        if not all(found) or not behind.isdisjoint(waiting):
            return ()
        if len(found) == 1:
            return self._one(cut, key, found[0], waiting)
        if not _of_one(found):
            return ()
        drivers = [each[0] for each in found]
        driver = drivers[0][0]
        number, at = self._number(driver, waiting), tuple(position for _, position in drivers)
        most, cut_up = self._taken(cut, key)
        if "keys as json" in cap.features:
            return (KeysRef(number, -1, TEXT, most, cut_up, at),)
        return tuple(KeysRef(number, i, driver.columns[i][1].bare.array, most, cut_up, at) for i in at)

    def _one(
        self, cut: Cut, key: KeyIn, drivers: Sequence[tuple[Cut, int]], waiting: tuple[int, ...]
    ) -> tuple[KeysRef, ...]:
        """One column's keys, of one fragment or of several that make a UNION."""
        kind = _common({driver.columns[at][1].bare for driver, at in drivers})
        if kind is None:
            return ()
        most, cut_up = self._taken(cut, key)
        (number, column), *others = [(self._number(driver, waiting), at) for driver, at in drivers]
        return (KeysRef(number, column, kind.array, most, cut_up, (), tuple(others)),)

    def _taken(self, cut: Cut, key: KeyIn) -> tuple[int, bool]:
        """How many keys go there, and whether several statements may share them out."""
        if key in self.required.chosen.get(id(cut), ()):
            return sys.maxsize, shared_out(cut.rel, key)
        return taken(cut.rel, key, self.estimator)

    def _capability(self, cut: Cut) -> Capability:
        source = self.catalog.sources[cut.source]
        return capability(source.profile or Profile("?"))

    def _add(self, cut: Cut, cap: Capability, refs: Refs) -> int:
        rel = ir.rewrite(cut.rel, lambda node: _with_keys(node, refs)) if refs else cut.rel
        keys = {part: own for parts in refs.values() for part, own in parts.items()}
        text = write(cut, rel, cap, keys)
        kinds = tuple((f"c{at}", kind) for at, (_, kind) in enumerate(cut.columns))
        shape = (cut.source, text.parts, text.params, kinds)
        absent = self.absent.get(id(cut))
        if shape in self.shapes:
            known = self.made[self.shapes[shape]]
            self.made[known.id] = replace(known, absent=both(known.absent, absent))
        else:
            self.shapes[shape] = len(self.made)
            small = any(not key for key in unique_keys(cut.rel)) or one_group(cut.rel) or _short(cut.rel)
            tables = tuple(dict.fromkeys(_tables(cut.rel)))
            costs = expected(rel, self.estimator)
            small = small or any(refs.values())
            number, notes = len(self.made), _notes(cut)
            policies = misfits(cut.rel)
            spared = tuple((at, *policies[i]) for at, (i, _) in enumerate(cut.columns) if i in policies)
            # rows that are taken of others would not tell how much was left out of them
            asks = None if spared else region(rel, [i for i, _ in cut.columns], keys)
            made = Fragment(number, cut.source, text, kinds, notes, small, tables, costs, absent, asks, spared)
            self.made.append(made)
        self.numbers[id(cut)] = self.shapes[shape]
        return self.shapes[shape]


def write(cut: Cut, rel: Rel, cap: Capability, keys: Mapping[KeyIn, tuple[KeysRef, ...]]) -> SourceText:
    """The fragment's statement, `rel` being its relation with the keys that have a driver."""
    target = SourceTarget(cap, keys)
    rel = ir.rewrite(rel, _marked) if _unsure(rel) else rel
    names = [(i, f"c{at}") for at, (i, _) in enumerate(cut.columns)]
    return target.finish(Emitter(target).query(rel, names))


def _unsure(rel: Rel) -> bool:
    """Whether it compares with boundaries that may have several rows."""
    own = rel.predicates if isinstance(rel, ir.Filter) else ()
    return any(map(_doubtful, own)) or any(_unsure(branch) for branch in ir.inputs(rel))


def _doubtful(p: Scalar) -> bool:
    return any(isinstance(e, Boundary) and not e.sure for e in sc.walk(p))


def _marked(node: Rel) -> Rel:
    """A filter whose comparisons with boundaries that may have several rows can be left out."""
    if not isinstance(node, ir.Filter):
        return node
    marked = (Call(OPTIONAL, (p,), BOOL) if _doubtful(p) else p for p in node.predicates)
    return ir.Filter(node.input, tuple(marked))


def _with_keys(node: Rel, refs: Refs) -> Rel:
    if not isinstance(node, ir.Filter):
        return node
    kept: list[Scalar] = []
    for p in node.predicates:
        kept += refs.get(p, ()) if isinstance(p, KeyIn) else (p,)
    return ir.Filter(node.input, tuple(kept)) if kept else node.input


def _renames(rel: Rel) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(column, those that it has the values of)"""
    if isinstance(rel, ir.Project | ir.Aggregate):  # groups have no keys that their rows have not
        items = rel.items if isinstance(rel, ir.Project) else rel.keys
        yield from ((i, (e.id,)) for i, e in items if isinstance(e, Col) and e.id != i)
    if isinstance(rel, ir.SetOp) and rel.kind == "union":
        for at, (i, _) in enumerate(rel.columns):
            yield i, tuple(ids[at] for _, ids in rel.inputs)
    for e in ir.scalars(rel):
        for sub in sc.subs(e):
            yield from _renames(sub.rel)
    if not isinstance(rel, Cut):
        for branch in ir.inputs(rel):
            yield from _renames(branch)


def _of_one(found: Sequence[Sequence[tuple[Cut, int]]]) -> bool:
    """Whether several columns are of one fragment's rows, so that there are combinations of them."""
    return all(len(each) == 1 for each in found) and len({id(each[0][0]) for each in found}) == 1


def _common(kinds: set[PgType]) -> PgType | None:
    """A type that holds the keys of all these."""
    if len(kinds) == 1:
        return next(iter(kinds))
    names = {kind.name for kind in kinds}
    if names <= {"text", "varchar"}:
        return TEXT
    return INT8 if names <= {"int2", "int4", "int8"} else None


def _short(rel: Rel) -> bool:
    """Whether a small LIMIT bounds the fragment."""
    while isinstance(rel, ir.Project):
        rel = rel.input
    if not isinstance(rel, ir.Limit) or not isinstance(rel.count, sc.Lit) or rel.count.value is None:
        return False
    return int(rel.count.value) <= 1000


def _tables(rel: Rel) -> Iterator[str]:
    if isinstance(rel, ir.Scan):
        yield rel.table.name
    for branch in ir.inputs(rel):
        yield from _tables(branch)


def _notes(cut: Cut) -> tuple[Verdict, ...]:
    return tuple(dict.fromkeys(cut.verdicts))
