"""What the page is told of dashboards before it asks for data: titles, parameters, panels, and what is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from views.dashboard_file import Link, Panel, Parameter
from views.dashboards import Broken, Dashboard, Drawn, leads_nowhere
from views.project import Diagnostic

Dashboards = Mapping[str, Dashboard]


def index(project: Mapping[str, str], dashboards: Dashboards, diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """The list of all; files that cannot be read are in it, with what is wrong."""
    listed = [
        {
            "name": name,
            "title": one.file.title,
            "description": one.file.description,
            "audience": one.file.audience,
            "panels": len(one.panels),
            "asks": [title(key, facts) for key, facts in one.file.parameters.items() if required(facts)],
            "broken": len(one.panels) - len(one.drawn),
        }
        for name, one in sorted(dashboards.items())
    ]
    return {**project, "dashboards": listed, "broken": _unread(dashboards, diagnostics)}


def _unread(dashboards: Dashboards, diagnostics: Sequence[Diagnostic]) -> list[dict[str, str]]:
    """The first fault of each dashboard's file of which nothing can be shown."""
    found: dict[str, dict[str, str]] = {}
    for one in diagnostics:
        folder, _, file = one.file.partition("/")
        if folder == "dashboards" and one.severity == "error" and file.removesuffix(".yml") not in dashboards:
            found.setdefault(one.file, {"file": one.file, **fault(one)})
    return list(found.values())


def required(parameter: Parameter) -> bool:
    """Whether people have to choose a value first."""
    return parameter.default is None and not parameter.optional


def title(name: str, facts: Parameter) -> str:
    """What people read beside a parameter."""
    return facts.title or words(name)


def fault(found: Diagnostic) -> dict[str, str]:
    """A diagnostic for people who see the page."""
    return {"message": found.message, "place": f"{found.file}:{found.line}", "hint": found.remedy}


def dashboard(one: Dashboard, dashboards: Dashboards) -> dict[str, Any]:
    """One dashboard. SQL is not in it: it comes with each panel's answer, for those who may read what it reads."""
    told = {
        "name": one.name,
        "title": one.file.title,
        "description": one.file.description,
        "audience": one.file.audience,
        "refresh": one.file.refresh,
        "parameters": [_parameter(name, facts, name in one.choices) for name, facts in one.file.parameters.items()],
        "panels": [_panel(panel, dashboards) for panel in one.panels],
    }
    return {**told, "version": hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]}


def _parameter(name: str, facts: Parameter, asked: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": facts.type,
        "title": title(name, facts),
        "description": facts.description,
        "default": facts.default,
        "required": required(facts),
        "choices": list(facts.choices) if not isinstance(facts.choices, str) else [],
        "asked": asked,
    }


def _panel(one: Drawn | Broken, dashboards: Dashboards) -> dict[str, Any]:
    if isinstance(one, Broken):
        return {"name": one.key, "title": one.title, "fault": fault(one.fault)}
    panel = one.panel
    return {
        "name": one.key,
        "title": panel.title,
        "description": panel.description,
        "kind": panel.kind,
        "x": panel.x,
        "y": list(panel.y or ()),
        "series": panel.series,
        "unit": panel.unit,
        "columns": {name: _column(panel, name) for name in panel.columns},
        "state": panel.state,
        "compare": panel.compare,
        "better": panel.better,
        "links": [_link(link, dashboards) for link in panel.link if leads_nowhere(link, dashboards) is None],
        "width": panel.span,
        "uses": list(one.statement.named.names),
    }


def _column(panel: Panel, name: str) -> dict[str, Any]:
    shown = panel.columns[name]
    return {"title": shown.title, "unit": shown.unit, "hidden": shown.hidden}


def _link(link: Link, dashboards: Dashboards) -> dict[str, Any]:
    columns = [name for name in link.parameters.values() if not name.startswith(":")]
    return {
        "dashboard": link.dashboard,
        "parameters": link.parameters,
        "column": link.column or (columns[0] if columns else None),
        "title": link.title or dashboards[link.dashboard].file.title,
    }


def words(name: str) -> str:
    """A column's or parameter's name for people.

    >>> words("customer_id")
    'Customer id'
    """
    return name.replace("_", " ").strip().capitalize()
