"""Names in canonical text: which column of which relation a name means."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.types import PgType
from planner.ir import Rel
from planner.scalar import Col, Scalar


class Unmodelled(Exception):
    """The statement holds something that the algebra has no node for; it then runs whole in the canon."""


Columns = tuple[tuple[str, int, PgType | None], ...]


class Names:
    """The columns that an alias offers. Of a relation that only the canon knows, names are taken on trust."""

    def __init__(self, known: dict[str, Scalar], fresh: LocalColumns | None = None) -> None:
        self.known = known
        self.fresh = fresh

    def get(self, name: str) -> Scalar | None:
        """The scalar of that name, or None."""
        if name not in self.known and self.fresh is not None:
            self.known[name] = self.fresh.add(name)
        return self.known.get(name)


@dataclass(slots=True)
class LocalColumns:
    """Collects the columns that a statement reads of a relation of the session."""

    next_id: Counter
    columns: list[tuple[int, str, PgType | None]] = field(default_factory=list)

    def add(self, name: str, kind: PgType | None = None) -> Col:
        """A column that was not named before."""
        self.columns.append((self.next_id(), name, kind))
        return Col(self.columns[-1][0], kind)


class Counter:
    """Column ids, unique within one plan."""

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def __call__(self) -> int:
        self.value += 1
        return self.value


@dataclass(slots=True)
class Scope:
    """One SELECT's relations by alias; `parent` is the enclosing one, for correlation."""

    parent: Scope | None = None
    relations: dict[str, Names] = field(default_factory=dict)
    merged: dict[str, tuple[frozenset[str], Scalar]] = field(default_factory=dict)  # by USING: (aliases, value)
    nullable: set[str] = field(default_factory=set)  # aliases on the null-supplying side of an outer join
    windows: dict[str, object] = field(default_factory=dict)

    def find(self, table: str, name: str) -> Scalar:
        """The column `name` of alias `table` ('' for a bare name); Unmodelled where it is not known."""
        scope: Scope | None = self
        while scope is not None:
            found = scope._own(table, name)
            if found is not None:
                return found
            scope = scope.parent
        raise Unmodelled(f"column {table}.{name}")

    def _own(self, table: str, name: str) -> Scalar | None:
        if table:
            names = self.relations.get(table)
            return names.get(name) if names is not None else None
        if name in self.merged:
            return self.merged[name][1]
        known = [n.known[name] for n in self.relations.values() if name in n.known]
        if known:
            return known[0] if len(known) == 1 else None
        if len(self.relations) == 1:
            return next(iter(self.relations.values())).get(name)
        return None

    def alias(self, table: str) -> tuple[Names, bool]:
        """The columns of an alias and whether it may be null-extended."""
        scope: Scope | None = self
        while scope is not None:
            if table in scope.relations:
                return scope.relations[table], table in scope.nullable
            scope = scope.parent
        raise Unmodelled(f"row of {table}")


@dataclass(frozen=True, slots=True)
class Cte:
    """A CTE's definition: cloned at each reference, or referred to by `shared` id."""

    rel: Rel | None
    columns: Columns
    shared: int | None = None
