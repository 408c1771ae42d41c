"""Tables that can only be read by given columns: which keys a fragment must have, in what order, or why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors.base import Collation
from connectors.errors import LimitExceeded
from planner import ir
from planner import scalar as sc
from planner.ir import Cut, Rel
from planner.lookup import keys_in
from planner.scalar import Call, Col, KeyIn, Scalar
from views.catalog import SourceTable

Drivers = Callable[[KeyIn], tuple[Cut, ...]]  # the fragments whose rows have the keys; () where none have


def needs(scan: ir.Scan) -> tuple[tuple[int, ...], ...]:
    """The sets of the scan's columns of which one must be given; () where it may be read whole. A column that the
    statement does not have is of no set that can be."""
    table = scan.table.table
    if table is None or not table.requires:
        return ()
    ids = {table.columns[at].name: i for i, at in scan.columns}
    return tuple(tuple(ids.get(name, -1) for name in names) for names in table.requires)


def restricted(rel: Rel) -> bool:
    """Whether such a table stands anywhere in a relation, in its sub-queries too."""
    if isinstance(rel, ir.Scan):
        return bool(needs(rel))
    subs = (sub.rel for e in ir.scalars(rel) for sub in sc.subs(e))
    return any(restricted(branch) for branch in (*ir.inputs(rel), *subs))


def given(rel: Rel) -> frozenset[int]:
    """Columns that the filters of a fragment compare with values, so that these are all that they may be."""
    own = frozenset(i for p in rel.predicates for i in _fixed(p)) if isinstance(rel, ir.Filter) else frozenset[int]()
    return own.union(*(given(branch) for branch in ir.inputs(rel)))


def _fixed(p: Scalar) -> frozenset[int]:
    if not isinstance(p, Call):
        return frozenset((p.id,)) if isinstance(p, Col) else frozenset()
    if p.op == "and":
        return frozenset[int]().union(*(_fixed(a) for a in p.args))
    if p.op == "or":
        return frozenset.intersection(*(_fixed(a) for a in p.args))
    if p.op in ("not", "is true", "is false") and isinstance(p.args[0], Col):
        return frozenset((p.args[0].id,))
    if p.op not in ("=", "in", "any"):
        return frozenset()
    columns = [sc.bare(a) for a in p.args if isinstance(sc.bare(a), Col)]
    others = [a for a in p.args if not isinstance(sc.bare(a), Col)]
    fixed = len(columns) == 1 and not any(sc.columns(a) for a in others)
    return frozenset(c.id for c in columns if isinstance(c, Col)) if fixed else frozenset()


class Requirements:
    """Of every fragment with such tables, the keys that it cannot do without; `chosen` by the fragment's identity."""

    def __init__(self, cuts: Sequence[Cut], drivers: Drivers) -> None:
        self.chosen: dict[int, tuple[KeyIn, ...]] = {}
        self._behind: dict[int, frozenset[int]] = {}
        waiting = {id(cut): cut for cut in cuts if restricted(cut.rel)}
        while waiting:
            found = {at: keys for at, cut in waiting.items() if (keys := _keys(cut.rel, drivers, waiting)) is not None}
            if not found:
                raise _unmet(next(iter(waiting.values())).rel, drivers, waiting)
            for at, keys in found.items():
                del waiting[at]
                self.chosen[at] = keys
                direct = {id(cut) for key in keys for cut in drivers(key)}
                self._behind[at] = frozenset(direct).union(*(self.before(cut) for cut in direct))

    def before(self, cut: int) -> frozenset[int]:
        """The fragments (by identity) that must have been read before that one, whatever else is chosen."""
        return self._behind.get(cut, frozenset())


def _keys(rel: Rel, drivers: Drivers, waiting: Mapping[int, Cut]) -> tuple[KeyIn, ...] | None:
    """Keys that together give all its tables what they must be given; None where there are none as yet."""
    known = given(rel)
    at_hand = [key for key in dict.fromkeys(keys_in(rel)) if _ready(key, drivers, waiting)]
    chosen: dict[KeyIn, None] = {}
    for scan in _scans(rel):
        sets = [[i for i in columns if i not in known] for columns in needs(scan)]
        if not sets:
            continue
        tried = (_covering(missing, at_hand) for missing in sets)
        found = sorted((keys for keys in tried if keys is not None), key=len)
        if not found:
            return None
        chosen.update(dict.fromkeys(found[0]))
    return tuple(chosen)


def _ready(key: KeyIn, drivers: Drivers, waiting: Mapping[int, Cut]) -> bool:
    found = drivers(key)
    return bool(found) and not any(id(cut) in waiting for cut in found)


def _covering(missing: Sequence[int], keys: Sequence[KeyIn]) -> tuple[KeyIn, ...] | None:
    """The fewest keys that have all these columns and no others, the combinations first."""
    left, chosen = set(missing), []
    for key in sorted(keys, key=lambda key: -len(key.args)):
        columns = {a.id for a in key.args if isinstance(a, Col)}
        if columns <= left:
            chosen.append(key)
            left -= columns
    return None if left else tuple(chosen)


def _scans(rel: Rel) -> Iterator[ir.Scan]:
    if isinstance(rel, ir.Scan):
        yield rel
    for branch in ir.inputs(rel):
        yield from _scans(branch)


def shared_out(rel: Rel, key: KeyIn) -> bool:
    """Whether keys that must be given may be cut up: no row answers to two of them."""
    columns = {i: scan.table.table.columns[at] for scan in _scans(rel) if scan.table.table for i, at in scan.columns}
    known = [columns.get(a.id) for a in key.args if isinstance(a, Col)]
    loose = ("text", "varchar", "bpchar")
    return len(known) == len(key.args) and not any(
        column is None or (column.type.name in loose and column.collation is Collation.LOOSE) for column in known
    )


def _unmet(rel: Rel, drivers: Drivers, waiting: Mapping[int, Cut]) -> LimitExceeded:
    """The error for the first table in a fragment that is not given what it must be."""
    for scan in _scans(rel):
        known = given(rel)
        at_hand = [key for key in keys_in(rel) if _ready(key, drivers, waiting)]
        sets = [[i for i in columns if i not in known] for columns in needs(scan)]
        if sets and all(_covering(missing, at_hand) is None for missing in sets):
            return unmet(scan.table)
    raise AssertionError("every table has what it needs")


def unmet(relation: SourceTable) -> LimitExceeded:
    """The error for a table that cannot be read as the statement wants it."""
    table = relation.table
    sets = table.requires if table is not None else ()
    wanted = " or ".join(" and ".join(names) for names in sets)
    first = sets[0][0] if sets and sets[0] else ""
    return LimitExceeded(
        f"table {relation.schema}.{relation.name} can only be read by given values of {wanted}",
        hint=f"Add WHERE {first} = ... (IN will do), or join it by {first} with rows that have it: not as the side of "
        f"an outer join that is kept whole, nor below LIMIT. The source asks for it: sources/{relation.schema}.yml.",
    )
