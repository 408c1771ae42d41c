"""How a statement is answered, for people (text) and for tools (JSON, stable: keys are only ever added)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Bound
from federation import bind
from federation.merge import SMALL
from federation.result import Part, Result
from federation.terms import Terms
from planner.plan import BoundaryRef, ComputedRef, Fragment, KeysRef, ParamRef, Plan, Value


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan with its terms; `result` and `rows` where it was also run."""

    plan: Plan
    terms: Terms
    params: tuple[Bound, ...] = ()
    result: Result | None = None
    rows: int = 0

    @property
    def engine(self) -> str:
        """stream | canon | duckdb | staged; `by rows` where the number of rows will decide about the latter."""
        if self.result is not None:
            return self.result.engine
        if self.plan.streams:
            return "stream"
        return "by rows" if self.plan.stages and not self.plan.session else "canon"

    @property
    def why(self) -> str:
        """Why that engine."""
        if self.engine == "stream":
            return f"source {self.plan.fragments[0].source} answers the whole statement"
        if self.result is not None and self.result.why:
            return self.result.why
        if self.plan.session:
            return "it reads relations of the session itself"
        if not self.plan.stages:
            return self.plan.why_canon or "nothing of it is for DuckDB"
        few = f"the canon up to {SMALL:,} fetched rows"
        if self.plan.whole:
            return f"{few}, DuckDB beyond: every expression is proven equal there"
        return f"{few}, DuckDB and then the canon beyond: {self.plan.why_canon}"

    def text(self) -> str:
        """Lines for a terminal."""
        lines = [_headline(self.engine, self.why)]
        if self.result is not None:
            lines.append(f"  answer: {self.rows:,} rows{_merged(self.result)}")
        if not self.plan.streams:
            lines += self._merge_lines()
        lines.append(f"  kept for {self.terms.ttl:g} s" if self._kept else "  not kept: " + self._why_not_kept)
        for fragment in self.plan.fragments:
            lines += self._fragment_lines(fragment)
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        result = self.result
        return {
            "version": 1,
            "engine": self.engine,
            "why": self.why,
            "columns": [{"name": name, "type": kind.sql} for name, kind in self.plan.columns],
            "params": [kind.sql for kind in self.plan.params],
            "views": [f"{schema}.{name}" for schema, name in self.plan.views],
            "catalog": self.plan.catalog_version,
            "ttl": self.terms.ttl if self._kept else 0.0,
            "timeout": None if self.terms.timeout is None else self.terms.timeout[0],
            "merge": None if self.plan.streams else self._merge_json(),
            "fragments": [self._fragment_json(fragment) for fragment in self.plan.fragments],
            "actual": None
            if result is None
            else {"rows": self.rows, "cached": result.cached, "merge_ms": round(result.merge_ms, 3)},
        }

    @property
    def _kept(self) -> bool:
        return self.terms.ttl > 0 and (self.terms.cacheable or self.plan.streams)

    @property
    def _why_not_kept(self) -> str:
        if not self.plan.fragments:
            return "no source is asked"
        return "a source or view allows no age" if self.terms.ttl <= 0 else "the statement has another answer each time"

    def _merge_lines(self) -> list[str]:
        plan = self.plan
        if self.engine not in ("duckdb", "staged") or not plan.stages:
            return _indented("merge: ", plan.residual or "")
        if plan.rest is None:
            return _indented("merge: ", plan.stages[0].sql)
        stages = [line for stage in plan.stages for line in _indented(f"f{stage.id} in DuckDB: ", stage.sql)]
        return [*stages, *_indented("merge: ", plan.rest.residual or "")]

    def _merge_json(self) -> dict[str, Any]:
        plan = self.plan
        stages = [{"id": stage.id, "sql": stage.sql, "reads": list(stage.reads)} for stage in plan.stages]
        return {
            "canon": plan.residual,
            "duckdb": plan.stages[0].sql if plan.whole else None,
            "stages": stages,
            "rest": None if plan.rest is None else plan.rest.residual,
        }

    def _part(self, fragment: Fragment) -> Part | None:
        parts = self.result.parts if self.result is not None else []
        return next((part for part in parts if part.fragment == fragment.id), None)

    def _fragment_lines(self, fragment: Fragment) -> list[str]:
        lines = [f"f{fragment.id} @ {fragment.source}" + (", few rows expected" if fragment.small else "")]
        lines += _indented("", bind.text(fragment.text))
        for number, value in enumerate(fragment.text.params, 1):
            lines.append(f"  ${number} = {_value_text(value, self.plan, self.params)}")
        if fragment.full is not None:
            lines += _indented(f"past {bind.MOST_KEYS:,} keys: ", bind.text(fragment.full))
        for verdict in fragment.verdicts:
            lines.append(f"  {verdict.verdict:8} {verdict.what}" + (f": {verdict.reason}" if verdict.reason else ""))
        part = self._part(fragment)
        if part is not None and not part.statements and part.cache == "none":
            lines.append("  not asked: nothing there can match")
        elif part is not None:
            lines.append(f"  {part.rows:,} rows, {part.ms:.1f} ms, cache {part.cache}, {_asked(part.statements)}")
        return lines

    def _fragment_json(self, fragment: Fragment) -> dict[str, Any]:
        part = self._part(fragment)
        return {
            "id": fragment.id,
            "source": fragment.source,
            "sql": bind.text(fragment.text),
            "params": [_value_json(value, self.plan, self.params) for value in fragment.text.params],
            "full_sql": None if fragment.full is None else bind.text(fragment.full),
            "tables": list(fragment.tables),
            "after": sorted(fragment.after),
            "small": fragment.small,
            "columns": [{"name": name, "type": kind.sql} for name, kind in fragment.columns],
            "verdicts": [{"what": v.what, "verdict": v.verdict, "reason": v.reason} for v in fragment.verdicts],
            "actual": None if part is None else _part_json(part),
        }


def _headline(engine: str, why: str) -> str:
    what = {
        "stream": "Streamed",
        "canon": "Merged in the canon",
        "duckdb": "Merged in DuckDB",
        "staged": "Merged in DuckDB and the canon",
    }
    return f"{what.get(engine, 'Merged where it is faster')}: {why}"


def _merged(result: Result) -> str:
    if result.cached:
        return ", from the cache"
    return "" if result.engine == "stream" else f", merged in {result.merge_ms:.1f} ms"


def _asked(statements: int) -> str:
    return "1 statement" if statements == 1 else f"{statements} statements"


def _indented(label: str, text: str) -> list[str]:
    first, *others = text.splitlines() or [""]
    return [f"  {label}{first}", *(f"  {' ' * len(label)}{line}" for line in others)]


def _given(value: ParamRef, params: Sequence[Bound]) -> Bound | None:
    return params[value.index] if value.index < len(params) else None


def _boundary(value: BoundaryRef, plan: Plan) -> str:
    several = "" if value.sure else "; where it has several rows, the comparison is left to the merge"
    return f"the value of f{plan.boundaries[value.index]}, as {value.type.sql}, read once{several}"


def _value_text(value: Value, plan: Plan, params: Sequence[Bound]) -> str:
    if isinstance(value, KeysRef):
        return f"the keys in c{value.column} of f{value.fragment}, as {value.type.sql}"
    if isinstance(value, ParamRef):
        given = _given(value, params)
        return f"the client's ${value.index + 1}, as {value.type.sql}" + (
            "" if given is None else f": {_literal(given)}"
        )
    if isinstance(value, BoundaryRef):
        return _boundary(value, plan)
    if isinstance(value, ComputedRef):
        return f"{plan.computed[value.index][0]}, as {value.type.sql}, computed once in the canon"
    return f"{_literal(value)}::{value.type.sql}"


def _literal(value: Bound) -> str:
    """A value as SQL has it."""
    plain = _plain(value.value)
    if plain is None or isinstance(plain, bool | int | float):
        return "NULL" if plain is None else str(plain).lower()
    return "'" + str(plain).replace("'", "''") + "'"


def _value_json(value: Value, plan: Plan, params: Sequence[Bound]) -> dict[str, Any]:
    if isinstance(value, KeysRef):
        return {"type": value.type.sql, "keys_of": value.fragment, "column": value.column}
    if isinstance(value, ParamRef):
        given = _given(value, params)
        known = None if given is None else _plain(given.value)
        return {"type": value.type.sql, "param": value.index + 1, "value": known}
    if isinstance(value, BoundaryRef):
        return {"type": value.type.sql, "boundary": plan.boundaries[value.index]}
    if isinstance(value, ComputedRef):
        return {"type": value.type.sql, "computed": plan.computed[value.index][0]}
    return {"type": value.type.sql, "value": _plain(value.value)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [_plain(item) for item in value] if isinstance(value, list) else str(value)


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "rows": part.rows,
        "ms": round(part.ms, 3),
        "cache": part.cache,
        "statements": part.statements,
        "read_at": part.read_at,
        "as_of": part.as_of,
        "ttl": part.ttl,
        "sql": part.sql,
    }
