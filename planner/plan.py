"""What planning gives: fragments for the sources, and one residual statement over their rows."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.base import Bound, Unfit
from connectors.statistics import ANY, Estimate
from connectors.types import PgType

KeySet = tuple[tuple[int, tuple[int, ...]], ...]  # (fragment, its columns): whose rows keys are taken of
Copies = tuple[tuple[tuple[str, str], tuple[str, str]], ...]  # (original, its copy), each a (source, table)


@dataclass(frozen=True, slots=True)
class ParamRef:
    """The client's parameter number `index` (from 0), as a fragment's parameter of `type`.

    `bound` is set where it bounds rows (LIMIT, OFFSET): the value that a NULL stands for; a negative value is the
    error 2201W there.
    """

    index: int
    type: PgType
    bound: int | None = None


@dataclass(frozen=True, slots=True)
class KeysRef:
    """The distinct non-null values of column `column` of fragment `fragment`'s rows, and of those of `others`
    (fragment, column), where the rows that drive it are a UNION: a bind join's keys.

    Past `most` keys the statement goes without them, unless it `must` have them: the table cannot be read otherwise.
    `cut`: several statements may share them out, since an index serves each and no row answers to two keys. A
    combination of `columns` is several parameters, of `column` each; or one, as a JSON array of arrays, where `column`
    is -1.
    """

    fragment: int
    column: int
    type: PgType  # an array type, or text for JSON
    most: int = 10_000
    cut: bool = False
    columns: tuple[int, ...] = ()
    others: tuple[tuple[int, int], ...] = ()
    must: bool = False

    @property
    def keys(self) -> KeySet:
        """The fragments and the columns that the keys are made of."""
        own = (self.fragment, self.columns or (self.column,))
        return own, *((fragment, (column,)) for fragment, column in self.others)


@dataclass(frozen=True, slots=True)
class ComputedRef:
    """The value of `Plan.computed[index]`, which the canon computes before the fragments run."""

    index: int
    type: PgType


@dataclass(frozen=True, slots=True)
class BoundaryRef:
    """The value that fragment `Plan.boundaries[index]` has: NULL without rows; not known where it has several."""

    index: int
    type: PgType
    sure: bool


Value = Bound | ParamRef | KeysRef | ComputedRef | BoundaryRef


@dataclass(frozen=True, slots=True)
class Beyond:
    """True where `low` is above `high`, or equal to it and `open`, or either is NULL; without `high`: `low` is NULL."""

    low: Value
    high: Value | None
    open: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where any of the parts is."""

    parts: tuple[Absent, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are."""

    parts: tuple[Absent, ...]


Absent = Beyond | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a predicate (or operator) went to the source or stayed: EXACT | SUPERSET | NO and a reason."""

    what: str
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SourceText:
    """SQL for a source, cut at its parameters, and what stands for them.

    `optional`: (first, past the last) of the parts that make a predicate for which TRUE may stand: where a bind join
    has too many keys, where a boundary has several rows.
    """

    parts: tuple[str | int, ...]
    params: tuple[Value, ...]
    optional: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """An expression or predicate in canonical text, by which it is known again in other plans; `values` stand in its
    places, in order."""

    text: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A predicate that can be checked again over fetched rows, by their column `column` of type `kind`.

    `op` is one of = <> < <= > >= in notin any null notnull; the values of `any` are one array.
    """

    column: Term
    kind: PgType
    op: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """Which rows a fragment asks for: those of `frame` that meet all `conditions`, of each its `columns`, in `order`
    where that is not None. Two regions of one frame differ in nothing else, so that the rows of one may answer the
    other. `repeated`: a table stands in it more than once."""

    frame: Term
    columns: tuple[Term, ...]
    conditions: tuple[Condition, ...] = ()
    order: Term | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a fragment is thought to cost: `rows` that come of `width` bytes each, rows `examined` at the source;
    `sequential` are the tables that no index we know of serves. `fingerprint` knows the fragment again with other
    values; '' where it needs keys of other fragments."""

    rows: Estimate = ANY
    examined: Estimate = ANY
    width: float = 0.0
    sequential: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One sub-query against one source.

    `columns` are (name, type); the rows come as c0, c1 ... in that order. Under the values for which `absent` is true,
    no row of it can matter, and it is not asked.
    """

    id: int
    source: str
    text: SourceText
    columns: tuple[tuple[str, PgType], ...]
    verdicts: tuple[Verdict, ...] = ()
    small: bool = False  # at most a few rows: a unique key is fixed, or a small limit is pushed
    tables: tuple[str, ...] = ()
    expected: Expected = Expected()
    absent: Absent | None = None
    region: Region | None = None  # where another's rows may answer it, or its rows another
    unfit: tuple[tuple[int, Unfit, str], ...] = ()  # columns of which values that do not fit are no error; their names

    @property
    def after(self) -> frozenset[int]:
        """Fragments whose keys this one needs."""
        refs = [value for value in self.text.params if isinstance(value, KeysRef)]
        return frozenset(fragment for ref in refs for fragment, _ in ref.keys)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A part of the statement that can have no row and is asked of nobody: the tables in it, and what contradicts."""

    tables: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A source that is not asked because it is down: those of its tables that the statement reads are read as empty."""

    source: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the merge that DuckDB provably computes as PostgreSQL does: its SELECT over relations f0, f1 ...

    Its rows are relation f`id` to `Plan.rest`; `columns` are their exact types, `reads` the fragments that it reads.
    """

    id: int
    sql: str
    columns: tuple[PgType, ...]
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer one statement.

    `residual` is PostgreSQL's SQL over relations f0, f1 ... (fragment i with columns c0, c1 ...); the client's
    parameters stand in it as $1, $2 .... It is None where fragment 0's rows, in their order, are the answer.
    `stages` are the parts of the residual that DuckDB may compute, for when many rows are to be merged, and `rest` is
    the statement over their rows and the fragments that it still reads: a plan whose fragments are both. It is None
    where the only stage's rows, in their order, are the answer; else `why_canon` says what is not proven in DuckDB.
    `computed` expressions are evaluated in the canon, in the session's settings, before
    fragments run; the client's parameters stand in them as $1 ... too. `columns` are the names and types of the answer,
    `views` all that are read, directly or through others. `copies` were read in place of their originals.
    """

    fragments: tuple[Fragment, ...]
    columns: tuple[tuple[str, PgType], ...]
    params: tuple[PgType, ...] = ()
    residual: str | None = None
    stages: tuple[Stage, ...] = ()
    rest: Plan | None = None
    why_canon: str = ""
    views: tuple[tuple[str, str], ...] = ()
    session: bool = False
    catalog_version: str = ""
    pruned: tuple[Pruned, ...] = ()
    computed: tuple[tuple[str, PgType], ...] = ()  # SQL without columns (now() - '3 days'), evaluated once per query
    boundaries: tuple[int, ...] = ()  # fragments of one value, read before all others
    volatile: bool = False  # two runs may differ on the same data: no answer of it is kept
    copies: Copies = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether one fragment's rows are the answer as they come."""
        return self.residual is None

    @property
    def whole(self) -> bool:
        """Whether DuckDB may compute all of the merge."""
        return bool(self.stages) and self.rest is None
