"""JSON Schemas of the three files, for editors, made from the models that validate them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from views.files import ProjectFile, ViewHeader
from views.source_file import SourceFile

FILES: Mapping[str, type[BaseModel]] = {"project": ProjectFile, "source": SourceFile, "view": ViewHeader}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES = {
    "project": "vdw.yml, the project",
    "source": "sources/<name>.yml, one source",
    "view": "header of views/<schema>/<name>.view.sql",
}


def schema(which: str) -> dict[str, Any]:
    """The JSON Schema of "project", "source" or "view"; KeyError for anything else."""
    made = FILES[which].model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_clean(made), "title": _TITLES[which]}


def text(which: str) -> str:
    """The same as text, as it stands in docs/schema."""
    return json.dumps(schema(which), indent=2, ensure_ascii=False) + "\n"


def _clean(node: Any) -> Any:
    """The schema without what says nothing to a writer: generated titles, and defaults in another unit."""
    if isinstance(node, Mapping):
        return {key: _clean(value) for key, value in node.items() if not _noise(key, value)}
    return [_clean(item) for item in node] if isinstance(node, list) else node


def _noise(key: str, value: Any) -> bool:
    if key == "title":
        return isinstance(value, str)
    return key == "default" and (
        value is None or (isinstance(value, dict | list | float | int) and not isinstance(value, bool))
    )
