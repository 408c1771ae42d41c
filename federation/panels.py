"""Checks panels of dashboards against what the canon says of their SQL: columns that they name, and their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.statement import Statement
from views.dashboard_file import CHARTS
from views.dashboards import Dashboard, Drawn, links
from views.project import Diagnostic, KeyPath
from views.validate import did_you_mean

NUMBERS = frozenset(("int2", "int4", "int8", "numeric", "float4", "float8", "oid"))
TEXTS = frozenset(("text", "varchar", "bpchar", "name", "unknown"))
Statements = Mapping[tuple[str, KeyPath], Statement]


def checked(found: Mapping[str, Dashboard], statements: Statements) -> tuple[dict[str, Dashboard], list[Diagnostic]]:
    """The dashboards with panels at fault set aside, and what is wrong.

    `statements` are those that the canon accepts. A panel whose SQL is not among them stays, and tells why when it is
    asked: it may only wait for a source that is down.
    """
    dashboards: dict[str, Dashboard] = {}
    wrong: list[Diagnostic] = []
    for name, dashboard in found.items():
        faults: dict[str, Diagnostic] = {}
        for panel in dashboard.drawn:
            statement = statements.get(panel.statement.written.key)
            told = list(_columns(panel, statement)) if statement is not None else []
            wrong += told
            faults |= {panel.key: told[0]} if told else {}
        wrong += _choices(dashboard, statements)
        dashboards[name] = dashboard.without(faults)
    return dashboards, [*wrong, *links(dashboards)]


def _columns(panel: Drawn, made: Statement) -> Iterator[Diagnostic]:
    """Columns that it names and its SELECT does not have, or that cannot be shown so."""
    types, who = {name: kind.name for name, kind in made.columns}, f"panel {panel.key}"
    if len(types) < len(made.columns):
        names = [name for name, _ in made.columns]
        twice = next(name for name in names if names.count(name) > 1)
        yield panel.diagnostic(("sql",), f'{who} has the column "{twice}" twice', "name them with AS")
    for path, name in panel.panel.named():
        if name not in types:
            yield panel.diagnostic(path, f'{who} has no column "{name}"', did_you_mean(name, types))
    for name in panel.panel.y or () if panel.panel.kind in CHARTS else ():
        if types.get(name, "int4") not in NUMBERS:
            message = f'{who} draws "{name}", which is {types[name]} and no number'
            yield panel.diagnostic(("y",), message, f"cast it: {name}::numeric")
    if types.get(panel.panel.state or "", "text") not in TEXTS:
        remedy = "write a CASE that gives one of them"
        yield panel.diagnostic(("state",), f"{who}: `state` has to be text: good, warning, bad or NULL", remedy)


def _choices(dashboard: Dashboard, statements: Statements) -> Iterator[Diagnostic]:
    for one in dashboard.choices.values():
        made = statements.get(one.written.key)
        if made is not None and len(made.columns) > 2:
            message = f"{len(made.columns)} columns, where a value and a label are wanted"
            yield one.written.diagnostic(message, "select one or two columns")
