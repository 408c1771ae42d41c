"""JSON Schemas of the files, for editors, made from the models that validate them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from views.dashboard_file import DashboardFile
from views.files import ProjectFile, ViewHeader
from views.profile_file import ProfileFile
from views.rule_file import RuleSetFile
from views.source_file import SourceFile
from views.watch_file import WatchFile

FILES: Mapping[str, type[BaseModel]] = {
    "project": ProjectFile,
    "source": SourceFile,
    "view": ViewHeader,
    "dashboard": DashboardFile,
    "watch": WatchFile,
    "rules": RuleSetFile,
    "profile": ProfileFile,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES = {
    "project": "vdw.yml, the project",
    "source": "sources/<name>.yml, one source",
    "view": "header of views/<schema>/<name>.view.sql",
    "dashboard": "dashboards/<name>.yml, one dashboard",
    "watch": "watches/<name>.yml, one watch",
    "rules": "rules/<schema>/<name>.yml, one rule set",
    "profile": "profiles/<source>.yml, what vdw probe has proven of a source",
}


def schema(which: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file (`FILES`); KeyError for anything else."""
    made = FILES[which].model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_clean(made), "title": _TITLES[which]}


def text(which: str) -> str:
    """The same as text, as it stands in docs/schema."""
    return json.dumps(schema(which), indent=2, ensure_ascii=False) + "\n"


def _clean(node: Any, named: bool = False) -> Any:
    """The schema without what says nothing to a writer: generated titles, and defaults in another unit. `named`: the
    keys are those of the file."""
    if isinstance(node, Mapping):
        kept = {key: value for key, value in node.items() if named or not _noise(key, value)}
        return {key: _clean(value, named=key == "properties" and not named) for key, value in kept.items()}
    return [_clean(item) for item in node] if isinstance(node, list) else node


def _noise(key: str, value: Any) -> bool:
    if key == "title":
        return isinstance(value, str)
    return key == "default" and (
        value is None or (isinstance(value, dict | list | float | int) and not isinstance(value, bool))
    )
