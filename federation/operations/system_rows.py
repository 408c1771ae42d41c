"""The rows of the system schema, out of the engine's state, for one who asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cache.results import Kept
from federation.facts import facts
from federation.operations.ledger_store import FIGURES, Record
from federation.operations.system import Maker, Row, Visitor
from planner.lineage import origins
from views.catalog import Source, View

if TYPE_CHECKING:
    from federation.engine import Engine
    from federation.gate.gate import Gate
    from federation.operations.control import Control

DAY = 86_400.0  # seconds that vdw.receipts reaches back


def makers(engine: Engine, control: Control) -> Mapping[str, Maker]:
    """By the tables' names."""

    async def receipts(visitor: Visitor) -> Iterable[Row]:
        return _receipts(await control.record(time.time() - DAY, visitor), visitor)

    return {
        "sources": lambda visitor: _sources(engine, control, visitor),
        "facts": lambda visitor: _facts(engine, visitor),
        "queries": lambda visitor: control.running(visitor),
        "cache": lambda visitor: _cache(engine, visitor),
        "receipts": receipts,
        "switches": lambda visitor: _switches(control, visitor),
        "views": lambda visitor: _views(engine, control, visitor),
        "rules": lambda visitor: _rules(engine, control, visitor),
    }


def _sources(engine: Engine, control: Control, visitor: Visitor) -> Iterator[Row]:
    for source in engine.catalog.sources.values():
        if source.system or not _any(visitor, source.name, engine):
            continue
        gate = engine.gates.of(source.name)
        load, pressure, breaker = gate.load, gate.adaptive.pressure, gate.breaker
        state, reason = _state(source, gate, control)
        yield {
            "name": source.name,
            "kind": source.kind,
            "role": "operational" if source.operational else "warehouse",
            "state": state,
            "reason": reason,
            "breaker": None if breaker is None else breaker.state,
            "in_flight": load.in_flight,
            "waiting": load.waiting,
            "limit_now": gate.most,
            "concurrency": source.limits.concurrency,
            "rate": source.limits.rate,
            "lag": pressure.lag,
            "running": pressure.running,
            "ttl": source.ttl,
            "statements": load.statements,
            "rows": load.rows,
            "ms": load.ms,
            "errors": load.errors,
        }


def _facts(engine: Engine, visitor: Visitor) -> Iterator[Row]:
    """Of sources that the visitor may read of, and of their tables that may be read."""
    for source in engine.catalog.sources.values():
        if source.system or not _any(visitor, source.name, engine):
            continue
        for one in facts(engine.catalog, source.name, engine.connectors.get(source.name)):
            if one.relation is None or visitor.may_read(f"{source.name}.{one.relation}"):
                yield {
                    "source": one.source,
                    "relation": one.relation,
                    "column": one.column,
                    "fact": one.name,
                    "value": one.value,
                }


def _any(visitor: Visitor, source: str, engine: Engine) -> bool:
    """Whether the visitor may read anything of the source, by a table of its own or a view over it."""
    if visitor.admin or {"*", f"{source}.*"} & set(visitor.reads):
        return True
    return any(
        visitor.may_read(f"{schema}.{name}")
        for schema, name in [*(key for key in engine.catalog.tables if key[0] == source), *engine.catalog.views]
        if schema == source or source in _behind(engine, engine.catalog.views[schema, name])
    )


def _state(source: Source, gate: Gate, control: Control) -> tuple[str, str | None]:
    switch = control.switches.find("source", source.name)
    if switch is not None:
        return "disabled", switch.told
    if source.fault:
        return "down", source.fault
    if gate.breaker is not None and gate.breaker.state != "closed":
        return "down", gate.breaker.why
    return "up", gate.adaptive.why or None


def _cache(engine: Engine, visitor: Visitor) -> Iterator[Row]:
    """Only for administrators: how much others ask is theirs to know."""
    if not visitor.admin:
        return
    groups: dict[tuple[str, str], list[Kept]] = {("total", ""): []}
    for kept in engine.cache.kept():
        for tag in ("total:", *kept.tags):
            kind, _, name = tag.partition(":")
            groups.setdefault((kind, name), []).append(kept)
    for (kind, name), found in sorted(groups.items()):
        yield {
            "kind": kind,
            "name": name,
            "entries": len(found),
            "bytes": sum(one.size for one in found),
            "hits": sum(one.hits for one in found),
            "oldest": max((one.age for one in found), default=None),
            "stale": sum(one.stale for one in found),
            "saved_ms": sum(one.hits * one.cost for one in found),
        }


def _switches(control: Control, visitor: Visitor) -> Iterator[Row]:
    for one in control.switched():
        mine = one["kind"] != "user" or one["name"] == visitor.name
        if visitor.admin or (mine and (one["kind"] != "view" or visitor.may_read(one["name"]))):
            yield one


def _views(engine: Engine, control: Control, visitor: Visitor) -> Iterator[Row]:
    for view in engine.catalog.views.values():
        name = f"{view.schema}.{view.name}"
        if visitor.may_read(name):
            yield {
                "name": name,
                "owner": view.header.get("owner") or None,
                "class": view.freshness_class or None,
                "ttl": view.ttl,
                "reads": [".".join(key) for key in view.depends],
                "sources": _behind(engine, view),
                "state": "served" if control.switches.find("view", name) is None else "disabled",
                "description": view.comment or None,
            }


def _rules(engine: Engine, control: Control, visitor: Visitor) -> Iterator[Row]:
    for view in engine.catalog.views.values():
        name = f"{view.schema}.{view.name}"
        if not view.rules or not visitor.may_read(name):
            continue
        switch = control.switches.find("view", name)
        known = origins(view.rules[0].subject, engine.catalog)
        for rule in view.rules:
            made = sorted({origin for fact in rule.facts for origin in known.get(fact, ())})
            yield {
                "name": name,
                "decision": rule.decision,
                "rule": rule.name,
                "priority": rule.priority,
                "condition": rule.condition,
                "outcome": rule.outcome,
                "subject": ".".join(rule.subject),
                "facts": rule.facts,
                "origins": made,
                "sources": sorted({origin.partition(".")[0] for origin in made}),
                "valid_from": rule.valid_from or None,
                "valid_until": rule.valid_until or None,
                "state": "not served" if rule.fault else "served" if switch is None else "disabled",
                "reason": rule.fault or (None if switch is None else switch.told),
                "owner": rule.owner or None,
                "description": rule.description or None,
                "file": f"{view.file}:{rule.line}",
            }


def _behind(engine: Engine, view: View) -> list[str]:
    catalog = engine.catalog
    read = (key for one in catalog.views_behind([view.key]) for key in one.depends)
    return sorted({schema for schema, name in read if (schema, name) in catalog.tables})


def _receipts(record: Record, visitor: Visitor) -> Iterator[Row]:
    refused: dict[tuple[int, Any], dict[str, int]] = {}
    for minute, shape, why, count in record.refused:
        refused.setdefault((minute, shape), {})[why] = count
    for minute, shape, spent in record.spent:
        source, views, user, protocol, fingerprint, kind = shape
        whys = refused.get((minute, shape), {})
        yield {
            "minute": minute,
            "source": source,
            "relations": views,
            "username": user or None if visitor.admin or user == visitor.name else None,
            "protocol": protocol,
            "fingerprint": fingerprint,
            "kind": kind,
            "sql": record.texts.get(fingerprint),
            **{name: getattr(spent, name) for name in FIGURES},
            "refused": sum(whys.values()),
            "why_refused": sorted(whys) or None,
        }
