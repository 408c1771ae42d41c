"""Checks a source's kind and `connection` against the connector's own model, before anything connects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import ConfigError
from connectors.registry import kinds, options_model
from views.project import Diagnostic, KeyPath, Places, place_of
from views.source_file import SourceFile
from views.validate import did_you_mean, validate
from views.values import is_reference


def connection_diagnostics(source: SourceFile, file: str, places: Places) -> tuple[Diagnostic, ...]:
    """Errors at the keys of a source file that its connector will not accept; secrets are not read for it."""
    if source.kind not in kinds():
        line, column = place_of(places, ("kind",))
        remedy = did_you_mean(source.kind, kinds())
        return (Diagnostic("error", file, line, f'unknown kind of source "{source.kind}"', remedy, column),)
    try:
        model = options_model(source.kind)
    except ConfigError as error:
        line, column = place_of(places, ("kind",))
        return (Diagnostic("error", file, line, error.message, error.hint or "", column),)
    if model is None:
        return ()
    below: Places = {path[1:]: place for path, place in places.items() if path and path[0] == "connection"}
    _, found = validate(model, dict(source.connection), file, below, ("connection",), _references(source.connection))
    return found


def _references(value: Any, path: KeyPath = ()) -> frozenset[KeyPath]:
    """Paths of the values that only the environment or a file can tell."""
    if is_reference(value):
        return frozenset([path])
    if isinstance(value, Mapping):
        return frozenset(found for key, item in value.items() for found in _references(item, (*path, key)))
    return frozenset()
