"""What `vdw sources` and `vdw views` print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from api import console, interrupt
from api.ask import listed
from api.project import Runtime, open_project
from connectors.base import Cancel, Connector
from connectors.member import Member
from federation.facts import facts
from views.catalog import Catalog, Source, View


def sources(project: Path, as_json: bool) -> int:
    """Print the sources; exit code 3 where one cannot be reached."""

    def show(runtime: Runtime) -> int:
        catalog = runtime.engine.catalog
        by = runtime.engine.connectors
        found = [_source(one, catalog, by.get(one.name)) for one in catalog.sources.values() if not one.system]
        for one in found:
            one["servers"] = servers(by.get(one["name"]))
        if as_json:
            typer.echo(listed(found))
        else:
            rows = [
                [
                    *(_text(one[key]) for key in ("name", "kind", "server")),
                    role(one["facts"]),
                    *(_text(one[key]) for key in ("tables", "ttl", "limits", "state")),
                ]
                for one in found
            ]
            for row, one in zip(rows, found, strict=True):
                row[-1] = "; ".join([row[-1], *map(server, one["servers"])])
            headers = ("source", "kind", "server", "role", "tables", "ttl", "limits", "state")
            console.table(headers, rows, (False, False, False, False, True, True))
        return 3 if any(one["state"] != "up" for one in found) else 0

    return _with(project, show)


def views(project: Path, as_json: bool) -> int:
    """Print the views that are served."""

    def show(runtime: Runtime) -> int:
        found = [_view(view) for view in runtime.engine.catalog.views.values()]
        if as_json:
            typer.echo(listed(found))
        else:
            rows = [
                [one["view"], str(len(one["columns"])), _text(one["ttl"]), ", ".join(one["reads"]), one["description"]]
                for one in found
            ]
            console.table(("view", "columns", "ttl", "reads", "description"), rows, (False, True, True))
        return 0

    return _with(project, show)


def _with(project: Path, show: Callable[[Runtime], int]) -> int:
    async def work(_cancel: Cancel) -> int:
        async with console.progress(True) as state, open_project(project) as runtime:
            errors = sum(one.severity == "error" for one in runtime.diagnostics)
            await state.end()
            code = show(runtime)
        console.unserved(errors)
        return code

    return interrupt.run(work)


def _source(source: Source, catalog: Catalog, connector: Connector | None) -> dict[str, Any]:
    profile, limits = source.profile, source.limits
    version = ".".join(map(str, profile.version)) if profile else ""
    return {
        "name": source.name,
        "kind": source.kind,
        "server": f"{profile.engine} {version}".strip() if profile else "",
        "tables": sum(schema == source.name for schema, _ in catalog.tables),
        "ttl": source.ttl,
        "limits": {"concurrency": limits.concurrency, "timeout": limits.timeout, "rows": limits.rows},
        "state": source.fault or "up",
        "facts": {one.name: one.value for one in facts(catalog, source.name, connector) if one.relation is None},
    }


def servers(connector: Connector | None) -> list[dict[str, Any]]:
    """Those of a source of several."""
    members: Sequence[Member] = getattr(connector, "members", ())
    return [
        {
            "server": one.name,
            "role": one.role,
            "state": one.looked(),
            "lag": None if one.lag is None else round(one.lag, 3),
        }
        for one in members
    ]


def server(told: dict[str, Any]) -> str:
    behind = (
        ""
        if told["role"] == "primary"
        else ", lag not known"
        if told["lag"] is None
        else f", {told['lag']:.1f} s behind"
    )
    return f"{told['role']} {told['server']} {told['state']}{behind if told['state'] == 'up' else ''}"


def role(known: Mapping[str, str | None]) -> str:
    """What is behind it, and whether we could do harm there."""
    place = {"yes": "replica", "no": "primary"}.get(known.get("replica") or "", "not known")
    login = {"yes": "read-only login", "no": "login that may write"}.get(known.get("read_only_login") or "", "")
    return ", ".join(filter(None, (place, login)))


def _view(view: View) -> dict[str, Any]:
    return {
        "view": f"{view.schema}.{view.name}",
        "columns": [{"name": name, "type": kind.sql} for name, kind in view.columns],
        "ttl": view.ttl,
        "reads": [".".join(name) for name in view.depends],
        "description": view.comment,
        "file": view.file,
    }


def _text(value: Any) -> str:
    if value is None:
        return "the sources'"
    if isinstance(value, dict):
        return f"{value['concurrency']} at once, {value['timeout']:g} s, {value['rows']:,} rows"
    return f"{value:g} s" if isinstance(value, float) else str(value)
