"""How a statement is answered, for people (text) and for tools (JSON, stable: keys are only ever added)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Bound
from connectors.statistics import Estimate
from federation import bind
from federation.explain_values import value_json, value_text
from federation.freshness import provenance
from federation.freshness.freshness import said
from federation.merge import SMALL
from federation.prepare import Prepared
from federation.result import Part, Result
from planner.plan import Fragment, Plan
from planner.reasons import code
from planner.show import show
from views.catalog import CLASSES, Catalog, Limits
from views.max_age import MaxAge


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prepared statement with the values of all of its plan's parameters, as far as they are known; `result` and
    `rows` where it was also run, in `ms`; `max_age` is how old its data may be, `as_of` how old sources say that their
    copies are."""

    prepared: Prepared
    params: tuple[Bound, ...] = ()
    result: Result | None = None
    rows: int = 0
    ms: float = 0.0
    max_age: MaxAge | None = None
    as_of: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan that suits the values; where sources turned out to be down, the one without them."""
        return self.result.plan if self.result is not None and self.result.plan.left_out else self.prepared.plan

    @property
    def catalog(self) -> Catalog:
        """What it was planned over."""
        return self.prepared.family.catalog

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
        lines = [_headline(self.engine, self.why), *self._time_lines()]
        if not self.plan.streams:
            lines += self._merge_lines()
        lines.append(f"  kept for {self.prepared.terms.ttl:g} s" if self._kept else "  not kept: " + self._why_not_kept)
        lines += self._age_lines()
        for pruned in self.plan.pruned:
            lines.append(f"  not asked: {', '.join(pruned.tables) or 'a part'}, as no row has {pruned.why}")
        for source, policy in self._policies.items():
            lines.append(f"  while {source} is down: {policy}")
        lines += [f"  {fact.warning}: {fact.why}" for fact in self._missing]
        for fragment in self.plan.fragments:
            lines += self._fragment_lines(fragment)
        if self.prepared.terms.refused is not None:
            lines.append(f"Refused when it is run: {self.prepared.terms.refused.message}")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        result, terms, plan = self.result, self.prepared.terms, self.plan
        return {
            "version": 1,
            "engine": self.engine,
            "why": self.why,
            "fully_pushed_down": plan.streams,
            "columns": [{"name": name, "type": kind.sql} for name, kind in plan.columns],
            "params": [kind.sql for kind in plan.params],
            "views": [f"{schema}.{name}" for schema, name in plan.views],
            "catalog": plan.catalog_version,
            "ttl": terms.ttl if self._kept else 0.0,
            "max_age": None if self.max_age is None else str(self.max_age),
            "class": self._class or None,
            "timeout": None if terms.timeout is None else terms.timeout[0],
            "refused": None if terms.refused is None else terms.refused.message,
            "planning": {
                "ms": round(self.prepared.planning_ms, 3),
                "guards": self._guards,
                "variants": len(self.prepared.family.variants),
                "slots": len(self.prepared.slots),
            },
            "computed": [{"sql": sql, "type": kind.sql} for sql, kind in plan.computed],
            "pruned": [{"tables": list(pruned.tables), "why": pruned.why} for pruned in plan.pruned],
            "on_source_down": self._policies,
            "missing": [fact.json() for fact in self._missing],
            "merge": None if plan.streams else self._merge_json(),
            "fragments": [self._fragment_json(fragment) for fragment in plan.fragments],
            "actual": None
            if result is None
            else {
                "rows": self.rows,
                "ms": round(self.ms, 3),
                "cached": result.cached,
                "fetched_rows": sum(part.rows for part in result.parts),
                "fetched_bytes": sum(part.bytes for part in result.parts),
                "statements": sum(part.statements for part in result.parts),
                "merge_ms": round(result.merge_ms, 3),
            },
        }

    @property
    def _policies(self) -> dict[str, str]:
        """What the views allow, where that is more than to fail."""
        found = {source: policy.ways for source, policy in self.prepared.terms.policies.items()}
        return {source: ", ".join(ways) for source, ways in sorted(found.items()) if ways != ("fail",)}

    @property
    def _missing(self) -> list[provenance.Fact]:
        parts = self.result.parts if self.result is not None else []
        return [fact for fact in provenance.facts(parts) if fact.missing]

    @property
    def _guards(self) -> list[str]:
        words = {frozenset((-1,)): "<", frozenset((0,)): "=", frozenset((1,)): ">", frozenset((-1, 0)): "<="}
        return [f"{show(g.a, {})} {words.get(g.signs, '?')} {show(g.b, {})}" for g in self.prepared.guards]

    def _time_lines(self) -> list[str]:
        lines = [f"  planned in {self.prepared.planning_ms:.1f} ms"]
        if self._guards:
            lines[0] += ", for values with " + " and ".join(self._guards)
        if self.result is not None:
            parts = self.result.parts
            rows, size = sum(part.rows for part in parts), sum(part.bytes for part in parts)
            lines.append(f"  answer: {self.rows:,} rows in {self.ms:.1f} ms{_merged(self.result)}")
            lines.append(f"  fetched: {rows:,} rows, {_size(size)}, {_asked(sum(p.statements for p in parts))}")
        return lines

    @property
    def _class(self) -> str:
        """The strictest class of freshness among the views."""
        views = (self.catalog.views.get(key) for key in self.plan.views)
        said = {view.freshness_class for view in views if view is not None}
        return next((name for name in CLASSES if name in said), "")

    def _age_lines(self) -> list[str]:
        lines = [f"  class {self._class}: nothing older is kept"] if self._class else []
        return lines if self.max_age is None else [*lines, f"  data: {said(self.max_age)}, as whoever asks wants it"]

    @property
    def _kept(self) -> bool:
        if self.plan.left_out:
            return False
        return self.prepared.terms.ttl > 0 and (self.prepared.terms.cacheable or self.plan.streams)

    @property
    def _why_not_kept(self) -> str:
        if not self.plan.fragments:
            return "no source is asked"
        if self.plan.left_out:
            return "a source is left out"
        ttl = self.prepared.terms.ttl
        return "a source or view allows no age" if ttl <= 0 else "the statement has another answer each time"

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

    def _limits(self, source: str) -> Limits:
        known = self.catalog.sources.get(source)
        return known.limits if known is not None else Limits()

    def _fragment_lines(self, fragment: Fragment) -> list[str]:
        lines = [f"f{fragment.id} @ {fragment.source}" + (", few rows expected" if fragment.small else "")]
        lines += _indented("", bind.text(fragment.text))
        for number, value in enumerate(fragment.text.params, 1):
            lines.append(f"  ${number} = {value_text(value, self.plan, self.params)}")
        for ref in bind.drivers(fragment):
            whose = " and ".join(f"f{at}" for at, _ in ref.keys)
            lines.append(f"  past {ref.most:,} keys of {whose}: without them")
        for verdict in fragment.verdicts:
            lines.append(f"  {verdict.verdict:8} {verdict.what}" + (f": {verdict.reason}" if verdict.reason else ""))
        originals = self._originals(fragment)
        if originals:
            as_of = self.as_of.get(fragment.source, "")
            lines.append(f"  copy of {', '.join(originals)}" + (f", as of {as_of}" if as_of else ""))
        expected = fragment.expected
        missing = f", no index for {', '.join(expected.sequential)}" if any(expected.sequential) else ""
        lines.append(f"  expected: {_about(expected.rows)} rows of {_about(expected.examined)} examined{missing}")
        if any(step.heavy and step.fragment.id == fragment.id for step in self.prepared.terms.steps):
            lines.append("  past limits.examined_rows: one such statement at a time runs there")
        part = self._part(fragment)
        if part is not None and not part.statements and part.cache == "none":
            lines.append("  not asked: nothing there can match")
        elif part is not None:
            limits = self._limits(fragment.source)
            lines.append(
                f"  actual: {part.rows:,} rows of the {limits.rows:,} allowed, {_size(part.bytes)}, {part.ms:.1f} ms, "
                f"cache {part.cache}, {_asked(part.statements)}" + (f", data as of {part.as_of}" if part.as_of else "")
            )
            lines += [f"  contained in: {part.contained}"] if part.contained else []
            lines += [f"  of snapshot {part.snapshot}"] if part.snapshot else []
            lines += [f"  answered by {', '.join(part.servers)}"] if part.servers else []
        return lines

    def _originals(self, fragment: Fragment) -> tuple[str, ...]:
        steps = self.prepared.terms.steps
        return next((step.originals for step in steps if step.fragment.id == fragment.id), ())

    def _fragment_json(self, fragment: Fragment) -> dict[str, Any]:
        part, expected, limits = self._part(fragment), fragment.expected, self._limits(fragment.source)
        return {
            "id": fragment.id,
            "source": fragment.source,
            "sql": bind.text(fragment.text),
            "params": [value_json(value, self.plan, self.params) for value in fragment.text.params],
            "full_sql": bind.text(bind.without(fragment.text)) if fragment.text.optional else None,
            "tables": list(fragment.tables),
            "copies": list(self._originals(fragment)),
            "after": sorted(fragment.after),
            "small": fragment.small,
            "columns": [{"name": name, "type": kind.sql} for name, kind in fragment.columns],
            "verdicts": [
                {"what": v.what, "verdict": v.verdict, "reason": v.reason, "code": code(v.reason)}
                for v in fragment.verdicts
            ],
            "expected": {
                "rows": _estimate_json(expected.rows),
                "examined": _estimate_json(expected.examined),
                "bytes_a_row": round(expected.width, 1),
                "sequential": [table for table in expected.sequential if table],
            },
            "budget": {
                "rows": limits.rows,
                "examined_rows": limits.examined_rows,
                "statements": limits.statements,
                "timeout": limits.timeout,
                "on_budget": limits.on_budget,
            },
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


def _about(rows: Estimate) -> str:
    if rows.high == float("inf") and rows.low == 0:
        return f"about {rows.likely:,.0f}" if rows.likely < float("inf") else "any number of"
    if rows.low == rows.high:
        return f"{rows.likely:,.0f}"
    high = f"{rows.high:,.0f}" if rows.high < float("inf") else "any"
    return f"{rows.likely:,.0f} ({rows.low:,.0f} to {high})"


def _estimate_json(rows: Estimate) -> dict[str, float | None]:
    """The interval; None for no bound."""
    told = {"low": rows.low, "likely": rows.likely, "high": rows.high}
    return {name: None if number == float("inf") else round(number, 1) for name, number in told.items()}


def _size(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 100_000 else f"{size / 1_000:,.1f} kB"


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "rows": part.rows,
        "bytes": part.bytes,
        "ms": round(part.ms, 3),
        "cache": part.cache,
        "statements": part.statements,
        "read_at": part.read_at,
        "as_of": part.as_of,
        "ttl": part.ttl,
        "origin": part.origin,
        "why": part.why or None,
        "sql": part.sql,
        "contained": part.contained or None,
        "snapshot": part.snapshot or None,
        "servers": list(part.servers) or None,
    }
