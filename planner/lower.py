"""Canonical text to the algebra: FROM, WHERE, grouping, windows, ordering; views spliced where they are named."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from connectors.types import PgType
from planner import ir, types
from planner import scalar as sc
from planner.canonical import written
from planner.expressions import Expressions, name
from planner.grouping import Grouping
from planner.ir import Rel
from planner.relabel import relabel
from planner.scalar import Call, Col, Scalar, Verbatim
from planner.scope import Columns, Counter, Cte, LocalColumns, Names, Scope, Unmodelled
from views.catalog import Relation, SourceTable

# Names that residuals give to fragments and CTEs.
_OURS = re.compile(r"[fw]\d+$")

Resolve = Callable[[str, str], "tuple[Rel, Columns] | None"]


def scan(relation: Relation, table: SourceTable, next_id: Counter) -> tuple[Rel, Columns]:
    """A source's table as a Scan of all its columns."""
    ids = tuple((next_id(), at) for at in range(len(relation.columns)))
    named = tuple((n, i, kind) for (i, _), (n, kind) in zip(ids, relation.columns, strict=True))
    return ir.Scan(table, ids), named


class Lowering:
    """Lowers one statement; `resolve` gives the relation that a qualified name means, under fresh ids."""

    def __init__(self, resolve: Resolve, next_id: Counter) -> None:
        self.resolve = resolve
        self.next_id = next_id
        self.expressions = Expressions(self)
        self.ctes: list[dict[str, Cte]] = [{}]
        # Columns of session relations are known only by being read: a first pass collects, a second one has them.
        self.seen: list[LocalColumns] = []
        self.learned: dict[int, tuple[str, ...]] = {}

    def statement(self, node: exp.Expr) -> tuple[Rel, Columns]:
        """A whole statement."""
        made = self.query(node, None)
        self.learned = {at: tuple(n for _, n, _ in found.columns) for at, found in enumerate(self.seen)}
        if not any(self.learned.values()):
            return made
        self.seen = []
        return self.query(node, None)

    def query(self, node: exp.Expr, parent: Scope | None) -> tuple[Rel, Columns]:
        """A query expression of any kind, with its WITH, ORDER BY and LIMIT."""
        node = node.unnest() if isinstance(node, exp.Subquery) and _bare(node) else node
        self.ctes.append(dict(self.ctes[-1]))
        shared: list[tuple[int, Rel, tuple[int, ...]]] = []
        try:
            self._with(node, parent, shared)
            rel, columns = self._body(node, parent)
        finally:
            self.ctes.pop()
        for handle, body, ids in reversed(shared):
            rel = ir.Shared(handle, body, ids, rel)
        return rel, columns

    def _body(self, node: exp.Expr, parent: Scope | None) -> tuple[Rel, Columns]:
        if isinstance(node, exp.Select):
            return self.select(node, parent)
        if isinstance(node, exp.SetOperation):
            return self._order_output(node, *self._set_operation(node, parent), parent)
        if isinstance(node, exp.Subquery):
            return self._order_output(node, *self.query(node.this, parent), parent)
        if isinstance(node, exp.Values):
            return self._order_output(node, *self._values(node, parent), parent)
        raise Unmodelled(type(node).__name__)

    # -- WITH

    def _with(self, node: exp.Expr, parent: Scope | None, shared: list[tuple[int, Rel, tuple[int, ...]]]) -> None:
        clause = node.args.get("with_")
        if clause is None:
            return
        for cte in clause.expressions:
            alias = name(cte.args["alias"].this)
            names = tuple(name(c) for c in cte.args["alias"].args.get("columns") or ())
            if clause.args.get("recursive") and _refers(cte.this, alias):
                self.ctes[-1][alias] = self._recursive(alias, names, cte.this, parent)
                continue
            rel, columns = self.query(cte.this, parent)
            columns = _rename(columns, names)
            if ir.volatile_rel(rel) or (ir.unsteady(rel) and _references(node, alias) > 1):
                handle = self.next_id()
                shared.append((handle, rel, tuple(i for _, i, _ in columns)))
                self.ctes[-1][alias] = Cte(None, columns, handle)
            else:
                self.ctes[-1][alias] = Cte(rel, columns)

    def _recursive(self, alias: str, names: tuple[str, ...], node: exp.Expr, parent: Scope | None) -> Cte:
        if not isinstance(node, exp.Union) or any(node.args.get(k) for k in ("order", "limit", "offset", "with_")):
            raise Unmodelled("recursion other than UNION")
        base, base_columns = self.query(node.this, parent)
        handle = self.next_id()
        columns = tuple((n, self.next_id(), kind) for n, _, kind in _rename(base_columns, names))
        self.ctes.append({**self.ctes[-1], alias: Cte(None, columns, handle)})
        try:
            step, step_columns = self.query(node.expression, parent)
        finally:
            self.ctes.pop()
        ids, step_ids = (tuple(i for _, i, _ in cols) for cols in (base_columns, step_columns))
        output = tuple((i, kind) for _, i, kind in columns)
        rel = ir.Recursive(handle, not node.args.get("distinct"), base, ids, step, step_ids, output)
        return Cte(rel, columns)

    def _reference(self, cte: Cte) -> tuple[Rel, Columns]:
        if cte.rel is None:
            columns = tuple((n, self.next_id(), kind) for n, _, kind in cte.columns)
            return ir.CteRef(cte.shared or 0, tuple((i, kind) for _, i, kind in columns)), columns
        rel, at = relabel(cte.rel, self.next_id)
        return rel, tuple((n, at[i], kind) for n, i, kind in cte.columns)

    # -- SELECT

    def select(self, node: exp.Select, parent: Scope | None) -> tuple[Rel, Columns]:
        """One SELECT block: FROM, WHERE, grouping, windows, output, DISTINCT, ORDER BY, LIMIT."""
        if node.args.get("locks") or node.args.get("into"):
            raise Unmodelled("FOR UPDATE or INTO")
        scope = Scope(parent, windows={name(w.this): w for w in node.args.get("windows") or ()})
        rel = self._from(node, scope)
        where = node.args.get("where")
        if where is not None:
            predicate = self.expressions.lower(where.this, scope)
            if sc.special(predicate) == "aggregate":
                raise Unmodelled("an aggregate of an enclosing query")
            rel = ir.Filter(rel, sc.conjuncts(predicate))
        outputs = self._outputs(node, scope)
        having = node.args.get("having")
        condition = self.expressions.lower(having.this, scope) if having is not None else None
        order = self._order(node, scope, outputs)
        group = Grouping(self, node.args.get("group"), scope)
        rel, change = group.apply(rel, [e for _, e in outputs], condition, [key.expr for key in order])
        if condition is not None:
            rel = ir.Filter(rel, sc.conjuncts(change(condition)))
        outputs = [(alias, change(e)) for alias, e in outputs]
        order = [ir.SortKey(change(k.expr), k.desc, k.nulls_first, k.using) for k in order]
        return self._finish(node, rel, outputs, order, scope)

    def _outputs(self, node: exp.Select, scope: Scope) -> list[tuple[str, Scalar]]:
        """The select list; `*` is there only where sqlglot made a SELECT of a bare VALUES."""
        found: list[tuple[str, Scalar]] = []
        for e in node.expressions:
            if isinstance(e, exp.Star):
                found += [pair for names in scope.relations.values() for pair in names.known.items()]
            elif isinstance(e, exp.Alias):
                found.append((name(e.args["alias"]), self.expressions.lower(e.this, scope)))
            else:
                label = name(e.this) if isinstance(e, exp.Column) else ""
                found.append((label, self.expressions.lower(e, scope)))
        return found

    def _finish(
        self, node: exp.Select, rel: Rel, outputs: list[tuple[str, Scalar]], order: list[ir.SortKey], scope: Scope
    ) -> tuple[Rel, Columns]:
        items = [(self.next_id(), e) for _, e in outputs]
        visible = tuple((alias, i, e.type) for (alias, _), (i, e) in zip(outputs, items, strict=True))
        by_value = {e: Col(i, e.type) for i, e in reversed(items) if not sc.volatile(e)}
        distinct = node.args.get("distinct")
        on: tuple[Scalar, ...] | None = None
        if distinct is not None and distinct.args.get("on") is not None:
            tuple_ = distinct.args["on"]
            nodes = tuple_.expressions if isinstance(tuple_, exp.Tuple) else [tuple_]
            on = tuple(self._output_key(n, scope, outputs) for n in nodes)

        def hidden(e: Scalar) -> Scalar:
            if e not in by_value:
                items.append((self.next_id(), e))
                by_value[e] = Col(items[-1][0], e.type)
            return by_value[e]

        keys = tuple(ir.SortKey(hidden(k.expr), k.desc, k.nulls_first, k.using) for k in order)
        on = tuple(hidden(e) for e in on) if on is not None else None
        rel = ir.Project(rel, tuple(items))
        if distinct is not None:
            rel = ir.Distinct(rel, on, keys if on is not None else ())
        rel = self._limit(node, ir.Sort(rel, keys) if keys else rel, keys, scope)
        if len(items) > len(visible):
            renamed = tuple((self.next_id(), Col(i, kind)) for _, i, kind in visible)
            rel = ir.Project(rel, renamed)
            visible = tuple((n, i, kind) for (n, _, kind), (i, _) in zip(visible, renamed, strict=True))
        return rel, visible

    def _order(self, node: exp.Expr, scope: Scope, outputs: list[tuple[str, Scalar]]) -> list[ir.SortKey]:
        clause = node.args.get("order")
        items = clause.expressions if clause is not None else ()
        return [_sort_key(item, self._output_key(item.this, scope, outputs)) for item in items]

    def _output_key(self, node: exp.Expr, scope: Scope, outputs: list[tuple[str, Scalar]]) -> Scalar:
        """An ORDER BY or DISTINCT ON item: a position, an expression, or the name of an output column."""
        if isinstance(node, exp.Literal) and not node.args.get("is_string"):
            return outputs[int(node.name) - 1][1]
        try:
            return self.expressions.lower(node, scope)
        except Unmodelled:
            named = [e for alias, e in outputs if isinstance(node, exp.Column) and alias == name(node.this)]
            if not named:
                raise
            return named[0]

    def _order_output(self, node: exp.Expr, rel: Rel, columns: Columns, parent: Scope | None) -> tuple[Rel, Columns]:
        """ORDER BY and LIMIT behind a set operation, parentheses or VALUES: only output columns can be named."""
        scope = Scope(parent)
        outputs = [(n, Col(i, kind)) for n, i, kind in columns]
        scope.relations[""] = Names(dict(outputs))
        keys = tuple(self._order(node, scope, list(outputs)))
        return self._limit(node, ir.Sort(rel, keys) if keys else rel, keys, scope), columns

    def _limit(self, node: exp.Expr, rel: Rel, keys: tuple[ir.SortKey, ...], scope: Scope) -> Rel:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is None and offset is None:
            return rel
        ties: tuple[ir.SortKey, ...] = ()
        amount = limit.args.get("expression") if isinstance(limit, exp.Limit) else None
        if isinstance(limit, exp.Fetch):
            amount = limit.args.get("count")
            options = limit.args.get("limit_options")
            if options is not None and options.args.get("percent"):
                raise Unmodelled("FETCH PERCENT")
            ties = keys if options is not None and options.args.get("with_ties") else ()
            if ties and isinstance(rel, ir.Sort):
                rel = rel.input
        count = self.expressions.lower(amount, scope) if amount is not None else None
        if isinstance(count, sc.Lit) and count.value is None:
            count = None
        skip = self.expressions.lower(offset.expression, scope) if offset is not None else None
        return ir.Limit(rel, count, skip, ties)

    # -- set operations and VALUES

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> tuple[Rel, Columns]:
        kind = {exp.Union: "union", exp.Intersect: "intersect", exp.Except: "except"}[type(node)]
        every = not node.args.get("distinct")
        branches = [self.query(side, parent) for side in (node.this, node.expression)]
        first = branches[0][1]
        kinds = [
            {cols[at][2].bare if cols[at][2] is not None else None for _, cols in branches}  # type: ignore[union-attr]
            for at in range(len(first))
        ]
        columns = tuple(
            (n, self.next_id(), kind if kind is not None and len(found) == 1 and _same(branches, at) else _only(found))
            for at, ((n, _, kind), found) in enumerate(zip(first, kinds, strict=True))
        )
        inputs: list[tuple[Rel, tuple[int, ...]]] = []
        for rel, cols in branches:
            ids = tuple(i for _, i, _ in cols)
            if kind == "union" and every and isinstance(rel, ir.SetOp) and (rel.kind, rel.all) == (kind, every):
                inputs.extend(_reorder(rel, ids))
            else:
                inputs.append((rel, ids))
        return ir.SetOp(kind, every, tuple(inputs), tuple((i, kind) for _, i, kind in columns)), columns

    def _values(self, node: exp.Values, parent: Scope | None) -> tuple[Rel, Columns]:
        scope = parent or Scope()
        rows = []
        for row in node.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [row.unnest()]
            rows.append(tuple(self.expressions.lower(cell, scope) for cell in cells))
        if any(sc.special(cell) or sc.has_sub(cell) for row in rows for cell in row):
            raise Unmodelled("VALUES of sub-queries")
        columns = []
        for at in range(len(rows[0])):
            kinds = {row[at].type for row in rows if row[at].type != types.UNKNOWN}
            columns.append((f"column{at + 1}", self.next_id(), kinds.pop() if len(kinds) == 1 else None))
        return ir.Values(tuple(rows), tuple((i, kind) for _, i, kind in columns)), tuple(columns)

    # -- FROM

    def _from(self, node: exp.Select, scope: Scope) -> Rel:
        clause = node.args.get("from_")
        if clause is None:
            return ir.Values(((),), ())
        return self._joined(clause.this, node.args.get("joins") or (), scope)

    def _joined(self, first: exp.Expr, joins: list[exp.Join] | tuple[()], scope: Scope) -> Rel:
        rel, aliases = self._item(first, scope)
        for join in joins:
            rel, aliases = self._join(rel, aliases, join, scope)
        return rel

    def _join(self, left: Rel, aliases: list[str], join: exp.Join, scope: Scope) -> tuple[Rel, list[str]]:
        side = str(join.args.get("side") or "").upper()
        right, more = self._item(join.this, scope)
        lateral = bool(ir.outer_columns(right) & ir.ids(left))
        on: tuple[Scalar, ...] = ()
        using = _shared_names(aliases, more, scope) if join.args.get("method") else join.args.get("using")
        if using:
            on = self._using(using, aliases, more, side, scope)
        elif join.args.get("on") is not None:
            on = sc.conjuncts(self.expressions.lower(join.args["on"], scope))
        if side in ("LEFT", "FULL"):
            scope.nullable.update(more)
        if side in ("RIGHT", "FULL"):
            scope.nullable.update(aliases)
        both = [*aliases, *more]
        if side == "RIGHT":
            return ir.Join("left", right, left, on), both
        return ir.Join({"LEFT": "left", "FULL": "full"}.get(side, "inner"), left, right, on, lateral), both

    def _using(
        self, names: list[exp.Expr], left: list[str], right: list[str], side: str, scope: Scope
    ) -> tuple[Scalar, ...]:
        on = []
        for identifier in names:
            column = name(identifier)
            a, b = (self._member(aliases, column, scope) for aliases in (left, right))
            on.append(Call("=", (a, b), sc.BOOL))
            merged: Scalar = a
            if side == "RIGHT":
                merged = b
            elif side == "FULL":
                merged = Call("coalesce", (a, b), types.of_call("coalesce", (a.type, b.type)))
            if a.type != b.type:
                merged = _common(merged, a, b)
            scope.merged[column] = frozenset((*left, *right)), merged
        return tuple(on)

    def _member(self, aliases: list[str], column: str, scope: Scope) -> Scalar:
        if column in scope.merged and scope.merged[column][0] <= frozenset(aliases):
            return scope.merged[column][1]
        found = [s for s in (scope.relations[a].get(column) for a in aliases) if s is not None]
        if len(found) != 1:
            raise Unmodelled(f"USING ({column})")
        return found[0]

    def _item(self, node: exp.Expr, scope: Scope) -> tuple[Rel, list[str]]:
        """One item of FROM; its aliases enter the scope."""
        joins = node.args.get("joins") or ()
        if joins:
            bare, before = node.copy(), set(scope.relations)
            bare.set("joins", None)
            inner = self._joined(bare, joins, scope)
            return inner, [a for a in scope.relations if a not in before]
        if isinstance(node, exp.Subquery) and _is_join(node):
            return self._parenthesised(node, scope)
        if node.args.get("sample") or node.args.get("pivots") or node.args.get("only"):
            raise Unmodelled("TABLESAMPLE or ONLY")
        alias = node.args.get("alias")
        rel, columns, offered = self._relation(node, scope)
        label = name(alias.this) if alias is not None and alias.this is not None else ""
        if not label and isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            label = name(node.this)
        if not label:
            label = f"?{self.next_id()}"
        if offered is None:
            given = tuple(name(c.this if isinstance(c, exp.ColumnDef) else c) for c in _alias_columns(alias))
            offered = Names({n: Col(i, kind) for n, i, kind in _rename(columns, given)})
        scope.relations[label] = offered
        return rel, [label]

    def _parenthesised(self, node: exp.Subquery, scope: Scope) -> tuple[Rel, list[str]]:
        """A join in parentheses; with an alias of its own its columns are only known by that."""
        alias = node.args.get("alias")
        inner = Scope(scope.parent, windows=scope.windows) if alias is not None else scope
        before = set(inner.relations)
        rel, _ = self._item(node.this, inner)
        if alias is None:
            return rel, [a for a in scope.relations if a not in before]
        known: dict[str, Scalar] = {column: value for column, (_, value) in inner.merged.items()}
        for names in inner.relations.values():
            if names.fresh is not None:
                raise Unmodelled("an aliased join of session relations")
            for column, value in names.known.items():
                known.setdefault(column, value)
        if _alias_columns(alias):
            raise Unmodelled("an aliased join with column names")
        scope.relations[name(alias.this)] = Names(known)
        return rel, [name(alias.this)]

    def _relation(self, node: exp.Expr, scope: Scope) -> tuple[Rel, Columns, Names | None]:
        if isinstance(node, exp.Lateral):
            if isinstance(node.this, exp.Subquery):
                return (*self.query(node.this, scope), None)
            return self._local(node, scope)
        if isinstance(node, exp.Subquery):
            return (*self.query(_without_alias(node), scope.parent), None)
        if isinstance(node, exp.Values):
            return (*self._values(node, scope.parent), None)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Values):
            return (*self._values(node.this, scope.parent), None)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            table, schema = name(node.this), name(node.args.get("db"))
            if not schema and table in self.ctes[-1]:
                return (*self._reference(self.ctes[-1][table]), None)
            found = self.resolve(schema, table) if schema else None
            if found is not None:
                return (*found, None)
        return self._local(node, scope)

    def _local(self, node: exp.Expr, scope: Scope) -> tuple[Rel, Columns, Names]:
        """A function or a relation of the session: the canon produces it, whatever it is."""
        source, names, listed = _without_columns(node)
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) and _OURS.match(name(source.this)):
            # A temporary table named as a fragment is: canonical text has both bare.
            source.set("db", exp.to_identifier("pg_temp"))
        text = self.expressions.verbatim(source, scope)
        parts = (*text.parts, f" AS l({listed})" if listed else " AS l")
        at = len(self.seen)
        self.seen.append(LocalColumns(self.next_id))
        columns = tuple((self.next_id(), n, None) for n in (names or self.learned.get(at, ())))
        offered = Names({n: Col(i, None) for i, n, _ in columns}, None if names else self.seen[at])
        return ir.Local(parts, text.args, columns, text.volatile), (), offered

    def row_of(self, table: str, scope: Scope) -> Scalar:
        """`alias.*` as a value: a row with its columns' names."""
        names, nullable = scope.alias(table)
        if names.fresh is not None or nullable or not names.known:
            raise Unmodelled("a whole row that may be NULL or is the session's")
        parts: list[str | int] = ["(SELECT r FROM (SELECT "]
        for at, column in enumerate(names.known):
            quoted = exp.to_identifier(column, quoted=True).sql("postgres")
            parts += [at, f" AS {quoted}, " if at < len(names.known) - 1 else f" AS {quoted}"]
        parts.append(") AS r)")
        return Verbatim(tuple(parts), tuple(names.known.values()))


def _shared_names(left: list[str], right: list[str], scope: Scope) -> list[exp.Expr]:
    """The columns that a NATURAL join compares."""
    sides = [[scope.relations[alias] for alias in aliases] for aliases in (left, right)]
    if any(names.fresh is not None for side in sides for names in side):
        raise Unmodelled("NATURAL join of session relations")
    mine, theirs = ({column for names in side for column in names.known} for side in sides)
    return [exp.to_identifier(column, quoted=True) for column in sorted(mine & theirs)]


_WIDTHS = ("int2", "int4", "int8")


def _common(merged: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """The merged column of USING in the type that PostgreSQL finds for both sides."""
    kind = types.of_call("coalesce", (a.type, b.type))
    names = {e.type.name if e.type is not None else "" for e in (a, b)}
    if kind is None and names <= set(_WIDTHS):
        kind = PgType(max(names, key=_WIDTHS.index))
    if kind is None:
        raise Unmodelled("USING over unlike types")
    return merged if merged.type == kind else Call("cast", (merged,), kind)


def _is_join(node: exp.Subquery) -> bool:
    """Whether the parentheses hold a join or a FROM item, not a query."""
    inner = node.this
    if isinstance(inner, exp.Subquery):
        return bool(inner.args.get("joins") or inner.args.get("alias")) or _is_join(inner)
    return not isinstance(inner, exp.Query) or bool(inner.args.get("joins") and isinstance(inner, exp.Values))


def _bare(node: exp.Subquery) -> bool:
    return not any(node.args.get(k) for k in ("order", "limit", "offset", "with_", "alias", "joins"))


def _without_alias(node: exp.Subquery) -> exp.Expr:
    if node.args.get("alias") is None:
        return node
    copy = node.copy()
    copy.set("alias", None)
    return copy


def _alias_columns(alias: exp.Expr | None) -> list[exp.Expr]:
    return list(alias.args.get("columns") or ()) if alias is not None else []


def _without_columns(node: exp.Expr) -> tuple[exp.Expr, list[str], str]:
    """A FROM item without its alias; the names of its columns; its column list as text."""
    copy = node.copy()
    alias = copy.args.get("alias")
    columns = _alias_columns(alias)
    offset = copy.args.get("offset")
    copy.set("alias", None)
    if isinstance(offset, exp.Identifier):
        columns = [*columns, offset]
        copy.set("offset", True)
    source = copy.this if isinstance(copy, exp.Lateral) and not copy.args.get("ordinality") else copy
    if isinstance(source, exp.Lateral):
        source = exp.Table(this=source.this, ordinality=True)
    names = [name(c.this if isinstance(c, exp.ColumnDef) else c) for c in columns]
    return source, names, ", ".join(written(c) for c in columns)


def _rename(columns: Columns, names: tuple[str, ...]) -> Columns:
    return (*((n, i, kind) for n, (_, i, kind) in zip(names, columns, strict=False)), *columns[len(names) :])


def _sort_key(node: exp.Expr, value: Scalar) -> ir.SortKey:
    desc = bool(node.args.get("desc"))
    first = node.args.get("nulls_first")
    if node.args.get("with_fill") or node.args.get("using"):
        raise Unmodelled("ORDER BY USING")
    return ir.SortKey(value, desc, bool(first) if first is not None else desc)


def _references(node: exp.Expr, alias: str) -> int:
    """How often the statement reads the CTE, counted by name."""
    tables = (t for t in node.find_all(exp.Table) if not t.args.get("db") and isinstance(t.this, exp.Identifier))
    return sum(name(t.this) == alias for t in tables)


def _refers(node: exp.Expr, alias: str) -> bool:
    return any(not t.args.get("db") and isinstance(t.this, exp.Identifier) and name(t.this) == alias
               for t in node.find_all(exp.Table))  # fmt: skip


def _same(branches: list[tuple[Rel, Columns]], at: int) -> bool:
    return len({cols[at][2] for _, cols in branches}) == 1


def _only(found: set[PgType | None]) -> PgType | None:
    """The one type of a column's branches; text where text and varchar meet."""
    if {kind.name if kind is not None else "" for kind in found} == {"text", "varchar"}:
        return types.TEXT
    return next(iter(found)) if len(found) == 1 else None


def _reorder(rel: ir.SetOp, ids: tuple[int, ...]) -> list[tuple[Rel, tuple[int, ...]]]:
    """The branches of a nested UNION ALL, their columns in the order in which the outer one takes them."""
    at = [next(p for p, (i, _) in enumerate(rel.columns) if i == wanted) for wanted in ids]
    return [(branch, tuple(own[p] for p in at)) for branch, own in rel.inputs]
