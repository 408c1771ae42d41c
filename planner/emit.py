"""The algebra to SQL of one dialect, as sqlglot's AST: blocks are merged while SQL's own order of clauses allows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlglot import exp

from connectors.capability.rules import wrap
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.keys import apart, indexed
from planner.scalar import Scalar

Env = Mapping[int, exp.Expr]


class Target(Protocol):
    """How scalars and leaves look in one dialect; `binds_once`: computed expressions are sent as values;
    `hashes_in`: only IN, not a correlated EXISTS, looks up what no index finds."""

    binds_once: bool
    hashes_in: bool

    def scalar(self, e: Scalar, args: list[exp.Expr]) -> exp.Expr:
        """A constant, parameter, call, aggregate or verbatim text over finished arguments."""
        ...

    def table(self, leaf: ir.Scan | ir.Cut) -> tuple[exp.Expr, list[str]]:
        """A leaf as a FROM item without alias, and the names of its columns in order."""
        ...

    def sort(self, e: exp.Expr, key: ir.SortKey) -> list[exp.Expr]:
        """One ORDER BY key as terms."""
        ...

    def bound(self, e: Scalar, args: list[exp.Expr], unbounded: int) -> exp.Expr:
        """The number of LIMIT or OFFSET; `unbounded` is what NULL means there."""
        ...


@dataclass(slots=True)
class Block:
    """One SELECT being built. `columns`: what stands for each id; `closed`: nothing but ORDER BY and LIMIT fits in."""

    source: exp.Expr | None = None
    joins: list[exp.Expr] = field(default_factory=list)
    where: list[exp.Expr] = field(default_factory=list)
    group: list[exp.Expr] = field(default_factory=list)
    order: list[exp.Expr] = field(default_factory=list)
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    distinct: exp.Distinct | None = None
    closed: bool = False
    ready: exp.Query | None = None  # a finished query that cannot be built upon: a set operation, VALUES, WITH
    columns: dict[int, exp.Expr] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether WHERE, GROUP BY and a new select list may still be added."""
        return not (self.closed or self.order or self.limit or self.offset or self.distinct or self.group or self.ready)

    @property
    def plain(self) -> bool:
        """Whether it is a FROM clause and columns of it, nothing more."""
        return self.open and not self.where and all(isinstance(c, exp.Column) for c in self.columns.values())


class Emitter:
    """Emits one statement for one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.count = 0

    def query(self, rel: Rel, names: list[tuple[int, str]]) -> exp.Query:
        """The whole statement; its columns are `names` (id, output name) in that order."""
        return self._select(self._emit(rel, {}), names)

    # -- blocks

    def _emit(self, rel: Rel, outer: Env) -> Block:
        match rel:
            case ir.Scan() | ir.Cut():
                return self._leaf(rel)
            case ir.Filter():
                return self._filter(rel, outer)
            case ir.Project():
                return self._project(rel, outer)
            case ir.Join():
                return self._join(rel, outer)
            case ir.Aggregate():
                return self._aggregate(rel, outer)
            case ir.Window():
                return self._window(rel, outer)
            case ir.Distinct():
                return self._distinct(rel, outer)
            case ir.Sort():
                return self._sort(rel, outer)
            case ir.Limit():
                return self._limit(rel, outer)
            case ir.SetOp():
                return self._set_operation(rel, outer)
            case ir.Values():
                return self._values(rel, outer)
            case ir.Local():
                return self._local(rel, outer)
            case ir.CteRef():
                names = [f"c{i}" for i, _ in rel.columns]
                return self._named(exp.to_table(_cte(rel.id)), [i for i, _ in rel.columns], names, rename=True)
            case ir.Recursive():
                return self._recursive(rel, outer)
            case ir.Shared():
                return self._shared(rel, outer)
            case ir.Opaque():
                return self._opaque(rel)

    def _leaf(self, rel: ir.Scan | ir.Cut) -> Block:
        table, names = self.target.table(rel)
        return self._named(table, [i for i, _ in rel.columns], names)

    def _named(self, table: exp.Expr, ids: list[int], names: list[str], rename: bool = False) -> Block:
        self.count += 1
        alias = f"t{self.count}"
        columns = [exp.to_identifier(n, quoted=True) for n in names] if rename else None
        table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=False), columns=columns))
        made: dict[int, exp.Expr] = {i: _column(alias, n) for i, n in zip(ids, names, strict=True)}
        return Block(source=table, columns=made)

    def _derived(self, block: Block, rel: Rel, lateral: bool = False, more: tuple[int, ...] = ()) -> Block:
        """The block as a sub-select in FROM, its columns (and `more`) under their ids' names."""
        ids = [*(i for i, _ in ir.output(rel)), *more]
        query = self._select(block, [(i, f"c{i}") for i in ids])
        if not ids and isinstance(query, exp.Select):  # a select list may be empty only in PostgreSQL
            query.set("expressions", [exp.alias_(exp.Literal.number(1), "c0")])
        source: exp.Expr = exp.Subquery(this=query)
        if lateral:
            source = exp.Lateral(this=source)
        return self._named(source, ids, [f"c{i}" for i in ids])

    def _input(self, rel: Rel, outer: Env) -> Block:
        """The input as a block that WHERE and a select list can be added to."""
        block = self._emit(rel, outer)
        return block if block.open else self._derived(block, rel)

    def _filter(self, rel: ir.Filter, outer: Env) -> Block:
        block = self._input(rel.input, outer)
        env = {**outer, **block.columns}
        block.where += [self.scalar(p, env) for p in rel.predicates]
        return block

    def _project(self, rel: ir.Project, outer: Env) -> Block:
        block = self._emit(rel.input, outer)
        if block.closed or block.distinct or block.ready or block.group:
            renaming = all(isinstance(e, sc.Col) for _, e in rel.items)
            if not (renaming and not block.ready and not block.distinct):
                block = self._derived(block, rel.input)
        if not block.open and any(sc.special(e) for _, e in rel.items):
            block = self._derived(block, rel.input)
        env = {**outer, **block.columns}
        block.columns = {i: self.scalar(e, env) for i, e in rel.items}
        # A value that must be computed once, or whose place in the plan matters, is not copied into what reads it.
        if any(_once(e) for _, e in rel.items):
            block.closed = True
        return block

    def _half_join(self, rel: ir.Join, outer: Env) -> Block:
        """Semi and anti joins as EXISTS in WHERE, a mark as the value of EXISTS or IN."""
        block = self._input(rel.left, outer)
        env = {**outer, **block.columns}
        right = self._input(rel.right, env if rel.lateral else outer)
        both = {**env, **right.columns}
        if rel.compare:
            right.where += [self.scalar(p, both) for p in rel.on]
            found = self._in(rel, right, both)
        elif self.target.hashes_in and not indexed(rel) and (pairs := apart(rel)):
            right.columns, mine = {}, []
            for at, (a, b) in enumerate(pairs):
                mine.append(self.scalar(a, env))
                right.columns[at] = self.scalar(b, both)
            found = _member(mine, exp.Subquery(this=self._select(right, [(at, f"c{at}") for at in range(len(mine))])))
            if rel.kind != "semi":
                found = exp.Is(this=exp.Paren(this=found), expression=exp.true())
        else:
            right.where += [self.scalar(p, both) for p in rel.on]
            right.columns = {0: exp.Literal.number(1)}
            found = exp.Exists(this=self._select(right, [(0, "c0")]))
        if rel.kind == "mark":
            block.columns[rel.mark] = found
            block.closed = True
        else:
            block.where.append(exp.Not(this=wrap(found)) if rel.kind == "anti" else found)
        return block

    def _in(self, rel: ir.Join, right: Block, env: Env) -> exp.Expr:
        """`left IN (SELECT right ...)`: each comparison has the left side's expression first."""
        pairs = [(p.op, p.args[0], p.args[1]) for p in rel.compare if isinstance(p, sc.Call)]
        mine = [self.scalar(a, env) for _, a, _ in pairs]
        right.columns = {at: self.scalar(b, env) for at, (_, _, b) in enumerate(pairs)}
        query = exp.Subquery(this=self._select(right, [(at, f"c{at}") for at in range(len(pairs))]))
        if {op for op, _, _ in pairs} == {"="}:
            return _member(mine, query)
        return exp.Paren(
            this=exp.Var(this=f"{wrap(mine[0]).sql('postgres')} {pairs[0][0]} ANY {query.sql('postgres')}")
        )

    def _join(self, rel: ir.Join, outer: Env) -> Block:
        if not rel.widens:
            return self._half_join(rel, outer)
        left = self._emit(rel.left, outer)
        if not (left.open and (left.plain or (rel.kind == "inner" and _flat(left)))) or left.source is None:
            left = self._derived(left, rel.left)
        env = {**outer, **left.columns} if rel.lateral else outer
        right = self._emit(rel.right, env)
        if not right.plain or right.joins or right.source is None:
            right = self._derived(right, rel.right, rel.lateral)
        elif rel.lateral and isinstance(right.source, exp.Subquery):
            right.source = _lateral(right.source)
        both = {**left.columns, **right.columns}
        on = [self.scalar(p, {**outer, **both}) for p in rel.on]
        join = exp.Join(this=right.source)
        if rel.kind == "inner" and not on:
            join.set("kind", "CROSS")
        else:
            join.set("side", {"inner": None, "left": "LEFT", "full": "FULL"}[rel.kind])
            join.set("on", _conjunction(on) if on else exp.true())
        left.joins.append(join)
        left.columns = both
        return left

    def _aggregate(self, rel: ir.Aggregate, outer: Env) -> Block:
        block = self._input(rel.input, outer)
        computed = {i: e for i, e in rel.keys if not isinstance(e, sc.Col)}
        env: dict[int, exp.Expr] = {**outer, **block.columns}
        keys: dict[int, exp.Expr] = {}
        if computed or not all(
            isinstance(block.columns.get(e.id), exp.Column) for _, e in rel.keys if isinstance(e, sc.Col)
        ):
            # A key is grouped by its value, not by an expression that each mention would compute (and bind) again.
            block.columns.update({i: self.scalar(e, env) for i, e in rel.keys})
            block = self._derived(block, rel.input, more=tuple(i for i, _ in rel.keys))
            env = {**outer, **block.columns}
            keys = {i: block.columns[i] for i, _ in rel.keys}
        else:
            keys = {i: self.scalar(e, env) for i, e in rel.keys}
        # grouping() names keys, not the columns that they were computed from
        block.columns = {**keys, **{i: self.scalar(e, {**env, **keys}) for i, e in rel.aggs}}
        ordered = [keys[i] for i, _ in rel.keys]
        if rel.sets:
            text = "".join(p if isinstance(p, str) else ordered[p].sql("postgres") for p in rel.sets)
            block.group = [exp.Var(this=text)]
        elif ordered or not rel.aggs:
            block.group = [k.copy() for k in ordered] or [exp.Tuple()]
        block.closed = True
        return block

    def _window(self, rel: ir.Window, outer: Env) -> Block:
        block = self._input(rel.input, outer)
        env = {**outer, **block.columns}
        block.columns.update({i: self.scalar(e, env) for i, e in rel.items})
        block.closed = True
        return block

    def _distinct(self, rel: ir.Distinct, outer: Env) -> Block:
        block = self._emit(rel.input, outer)
        constants = rel.on is not None and any(isinstance(c, exp.Literal) for c in block.columns.values())
        if block.order or block.limit or block.offset or block.distinct or block.ready or constants:
            block = self._derived(block, rel.input)
        env = {**outer, **block.columns}
        if rel.on is not None:
            # By a constant all rows are alike, and it would be read as a position.
            on = [self.scalar(e, env) for e in rel.on if not isinstance(e, sc.Lit | sc.Param)]
            block.order = self._keys(rel.order, env)
            if on:
                block.distinct = exp.Distinct(on=exp.Tuple(expressions=on))
            else:
                block.limit = exp.Limit(expression=exp.Literal.number(1))
        else:
            block.distinct = exp.Distinct()
        block.closed = True
        return block

    def _keys(self, keys: tuple[ir.SortKey, ...], env: Env) -> list[exp.Expr]:
        """ORDER BY terms; a constant orders nothing and would be read as a position."""
        made = [(key, self.scalar(key.expr, env)) for key in keys if not isinstance(key.expr, sc.Lit | sc.Param)]
        return [term for key, e in made if not _constant(e) for term in self.target.sort(e, key)]

    def _sort(self, rel: ir.Sort, outer: Env) -> Block:
        block = self._emit(rel.input, outer)
        constants = any(not isinstance(c, exp.Column) for c in block.columns.values())
        if block.order or block.limit or block.offset or block.ready or block.distinct or (block.closed and constants):
            block = self._derived(block, rel.input)
        block.order = self._keys(rel.keys, {**outer, **block.columns})
        return block

    def _limit(self, rel: ir.Limit, outer: Env) -> Block:
        block = self._emit(rel.input, outer)
        if block.limit or block.offset or block.ready or (rel.ties and block.order):
            block = self._derived(block, rel.input)
        if rel.ties:
            block.order = self._keys(rel.ties, {**outer, **block.columns}) or [_ALIKE.copy()]
        if rel.count is not None:
            count = self._number(rel.count, outer, 2**63 - 1)
            options = exp.LimitOptions(rows=True, with_ties=True)
            tied = exp.Fetch(direction="FIRST", count=exp.Paren(this=count), limit_options=options)
            block.limit = tied if rel.ties else exp.Limit(expression=wrap(count))
        if rel.offset is not None:
            block.offset = exp.Offset(expression=wrap(self._number(rel.offset, outer, 0)))
        return block

    def _number(self, e: Scalar, outer: Env, unbounded: int) -> exp.Expr:
        if isinstance(e, sc.Sub):
            return self._sub(e, outer)
        return self.target.bound(e, [self.scalar(child, outer) for child in sc.children(e)], unbounded)

    def _set_operation(self, rel: ir.SetOp, outer: Env) -> Block:
        kind = {"union": exp.Union, "intersect": exp.Intersect, "except": exp.Except}[rel.kind]
        query: exp.Query | None = None
        for branch, ids in rel.inputs:
            names = [(i, f"c{o}") for i, (o, _) in zip(ids, rel.columns, strict=True)]
            block = self._emit(branch, outer)
            if block.distinct and not ir.ids(branch).issubset(ids):  # of all its columns, and not of those read here
                block = self._derived(block, branch)
            side = _arm(self._select(block, names), [n for _, n in names])
            query = side if query is None else kind(this=query, expression=side, distinct=not rel.all)
        return Block(ready=query, columns=_bare(rel.columns))

    def _values(self, rel: ir.Values, outer: Env) -> Block:
        if not rel.columns and len(rel.rows) == 1:
            return Block()
        if not rel.rows:
            typed = (
                (i, exp.Null() if kind is None else self.scalar(sc.Lit(None, kind), outer)) for i, kind in rel.columns
            )
            nulls = [exp.alias_(null, f"c{i}") for i, null in typed]
            return Block(ready=exp.select(*nulls).where(exp.false()), columns=_bare(rel.columns))
        rows = [exp.Tuple(expressions=[self.scalar(e, outer) for e in row]) for row in rel.rows]
        return self._named(
            exp.Subquery(this=exp.Values(expressions=rows)),
            [i for i, _ in rel.columns],
            [f"c{i}" for i, _ in rel.columns],
            rename=True,
        )

    def _local(self, rel: ir.Local, outer: Env) -> Block:
        text = "".join(_text(p, [self.scalar(a, outer) for a in rel.args]) for p in rel.parts)
        items = [
            exp.alias_(exp.column(exp.to_identifier(n, quoted=True), table="l"), f"c{i}") for i, n, _ in rel.columns
        ]
        query = exp.select(*(items or [exp.alias_(exp.Null(), "c0")])).from_(exp.Table(this=exp.Var(this=text)))
        ids = [i for i, _, _ in rel.columns]
        return self._named(exp.Subquery(this=query), ids, [f"c{i}" for i in ids])

    def _recursive(self, rel: ir.Recursive, outer: Env) -> Block:
        names = [f"c{i}" for i, _ in rel.columns]
        base, step = (
            _arm(self._select(self._emit(branch, outer), list(zip(ids, names, strict=True))), names)
            for branch, ids in ((rel.base, rel.base_ids), (rel.step, rel.step_ids))
        )
        body = exp.Union(this=base, expression=step, distinct=not rel.all)
        alias = exp.TableAlias(this=exp.to_identifier(_cte(rel.id)), columns=[exp.to_identifier(n) for n in names])
        query = exp.select(*(exp.column(n) for n in names)).from_(exp.to_table(_cte(rel.id)))
        query.set("with_", exp.With(expressions=[exp.CTE(this=body, alias=alias)], recursive=True))
        return Block(ready=query, columns=_bare(rel.columns))

    def _shared(self, rel: ir.Shared, outer: Env) -> Block:
        names = [f"c{i}" for i in rel.body_ids]
        body = self._select(self._emit(rel.body, outer), list(zip(rel.body_ids, names, strict=True)))
        ids = [i for i, _ in ir.output(rel.input)]
        query = self._select(self._emit(rel.input, outer), [(i, f"c{i}") for i in ids])
        alias = exp.TableAlias(this=exp.to_identifier(_cte(rel.id)), columns=[exp.to_identifier(n) for n in names])
        outerq = exp.select(*(exp.column(f"c{i}") for i in ids)).from_(
            exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("s")))
        )
        outerq.set("with_", exp.With(expressions=[exp.CTE(this=body, alias=alias, materialized=True)]))
        return Block(ready=outerq, columns=_bare(ir.output(rel.input)))

    def _opaque(self, rel: ir.Opaque) -> Block:
        ctes = []
        for label, branch, named in rel.inputs:
            query = self._select(self._emit(branch, {}), list(named))
            exact = _exactly(query, branch, named)
            ctes.append(f"{exp.to_identifier(label, quoted=True).sql('postgres')} AS ({exact.sql('postgres')})")
        body = exp.Subquery(this=exp.Var(this=rel.text), alias=exp.TableAlias(this=exp.to_identifier("q")))
        text = (f"WITH {', '.join(ctes)} " if ctes else "") + exp.select("*").from_(body).sql("postgres")
        names = [f"c{i}" for i, _ in rel.columns]
        source = exp.Subquery(this=exp.Var(this=text))
        return self._named(source, [i for i, _ in rel.columns], names, rename=True)

    # -- a finished SELECT

    def _select(self, block: Block, names: list[tuple[int, str]]) -> exp.Query:
        if block.ready is not None:
            same = [f"c{i}" for i in block.columns] == [n for _, n in names]
            if same and not (block.order or block.limit or block.offset or block.distinct):
                return block.ready
            alias = exp.TableAlias(this=exp.to_identifier("r"))
            source = exp.Subquery(this=block.ready, alias=alias)
            columns: dict[int, exp.Expr] = {i: _column("r", f"c{i}") for i in block.columns}
            return self._select(Block(source, columns=columns, limit=block.limit, offset=block.offset), names)
        items = [exp.Alias(this=block.columns[i], alias=exp.Identifier(this=n, quoted=True)) for i, n in names]
        select = exp.Select(expressions=items)
        if block.source is not None:
            select.set("from_", exp.From(this=block.source))
        if block.joins:
            select.set("joins", block.joins)
        if block.where:
            select.set("where", exp.Where(this=_conjunction(block.where)))
        if block.group:
            select.set("group", exp.Group(expressions=block.group))
        if block.distinct is not None:
            select.set("distinct", block.distinct)
        if block.order:
            select.set("order", exp.Order(expressions=block.order))
        if block.limit is not None:
            select.set("limit", block.limit)
        if block.offset is not None:
            select.set("offset", block.offset)
        return select

    # -- scalars

    def scalar(self, e: Scalar, env: Env) -> exp.Expr:
        """One scalar over what stands for its columns."""
        if isinstance(e, sc.Col):
            return env[e.id]  # nothing changes an expression once it is made, so that all places share it
        if isinstance(e, sc.Sub):
            return self._sub(e, env)
        if isinstance(e, sc.Once) and self.target.binds_once:
            return self.target.scalar(e, [])
        args = [self.scalar(child, env) for child in sc.children(e)]
        return self.target.scalar(e, args)

    def _sub(self, e: sc.Sub, env: Env) -> exp.Expr:
        query = self._select(self._emit(e.rel, env), [(i, f"c{i}") for i in e.columns])
        args = [self.scalar(a, env) for a in e.args]
        match e.kind:
            case "exists":
                return exp.Exists(this=query)
            case "scalar":
                return exp.Subquery(this=query)
            case "array":
                return exp.Array(expressions=[query])
            case "in":
                left = wrap(args[0]) if len(args) == 1 else exp.Tuple(expressions=args)
                return exp.In(this=left, query=exp.Subquery(this=query))
            case _:
                text = f" {e.op} {e.kind.upper()} ({query.sql('postgres')})"
                return exp.Paren(this=exp.Var(this=wrap(args[0]).sql("postgres") + text))


def _arm(made: exp.Query, names: list[str]) -> exp.Query:
    """A query as a side of UNION and the like: what has an order, a limit or its own WITH goes into parentheses."""
    if isinstance(made, exp.Select) and not any(made.args.get(k) for k in ("order", "limit", "offset", "with_")):
        return made
    source = exp.Subquery(this=made, alias=exp.TableAlias(this=exp.to_identifier("u")))
    return exp.select(*(exp.column(exp.to_identifier(name)) for name in names)).from_(source)


def _member(row: list[exp.Expr], query: exp.Subquery) -> exp.Expr:
    return exp.In(this=wrap(row[0]) if len(row) == 1 else exp.Tuple(expressions=row), query=query)


def _exactly(query: exp.Query, branch: Rel, named: tuple[tuple[int, str], ...]) -> exp.Query:
    """Columns with their lengths and scales, which fetched rows have lost: PostgreSQL looks at them when it reads a
    text (which side of USING needs no cast)."""
    kinds = dict(ir.output(branch))
    if not any(kind is not None and kind.mod >= 0 for kind in kinds.values()):
        return query
    items: list[exp.Expr] = []
    for i, name in named:
        kind, column = kinds.get(i), _column("e", name)
        typed = column if kind is None or kind.mod < 0 else exp.cast(column, kind.sql, dialect="postgres")
        items.append(exp.Alias(this=typed, alias=exp.Identifier(this=name, quoted=True)))
    return exp.select(*items).from_(exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("e"))))


_ALIKE = exp.cast(exp.Null(), "int")  # an order in which all rows tie


def _constant(e: exp.Expr) -> bool:
    """Whether ORDER BY would read the term as a position."""
    bare = e.unnest()
    return isinstance(bare.this if isinstance(bare, exp.Neg) else bare, exp.Literal | exp.Parameter)


def _column(alias: str, name: str) -> exp.Column:
    return exp.Column(this=exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=alias, quoted=False))


def _bare(columns: tuple[tuple[int, object], ...]) -> dict[int, exp.Expr]:
    return {i: exp.column(f"c{i}") for i, _ in columns}


def _cte(handle: int) -> str:
    return f"w{handle}"


def _conjunction(predicates: list[exp.Expr]) -> exp.Expr:
    made = wrap(predicates[0]) if len(predicates) > 1 else predicates[0]
    for predicate in predicates[1:]:
        made = exp.And(this=made, expression=wrap(predicate))
    return made


def _lateral(source: exp.Subquery) -> exp.Lateral:
    alias = source.args.get("alias")
    source.set("alias", None)
    return exp.Lateral(this=source, alias=alias)


def _once(e: Scalar) -> bool:
    """Whether a value is computed where it stands: volatile, set-returning, or dear."""
    return bool(e.traits & (sc.SUB | sc.VERBATIM))


def _flat(block: Block) -> bool:
    return all(isinstance(c, exp.Column) for c in block.columns.values())


def _text(part: str | int, args: list[exp.Expr]) -> str:
    return part if isinstance(part, str) else wrap(args[part]).sql("postgres")
