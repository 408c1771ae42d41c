"""From a source's kind and its `connection:` mapping to a connector; kinds are entry points, open to others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.base import Connector
from connectors.errors import ConfigError

GROUP = "vdw.connectors"
Model = TypeVar("Model", bound=BaseModel)


class ConnectionOptions(BaseModel):
    """What every connector understands; each connector's own model (its class attribute `Options`) extends it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pool_size: int = Field(4, ge=1, description="connections at most; the engine sets it from limits.concurrency")


@cache
def _entries() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def kinds() -> tuple[str, ...]:
    """Every kind that a source file may name."""
    return tuple(sorted(_entries()))


def connector_class(kind: str) -> type[Any]:
    """The class behind a kind; ConfigError with the known kinds where there is none, or its driver is missing."""
    entries = _entries()
    if kind not in entries:
        raise ConfigError(f'unknown kind of source "{kind}"', hint=_suggest(kind, kinds(), "kinds"))
    try:
        return cast("type[Any]", entries[kind].load())
    except ImportError as error:
        raise ConfigError(
            f'the connector for kind "{kind}" cannot be loaded: {error}',
            hint="install the Python package that it names, or leave this source out",
        ) from error


def options_model(kind: str) -> type[BaseModel] | None:
    """The pydantic model of a kind's `connection:` mapping, for JSON Schemas; None where it has none."""
    return cast("type[BaseModel] | None", getattr(connector_class(kind), "Options", None))


def connect(kind: str, name: str, options: Mapping[str, Any]) -> Connector:
    """A connector for the source `name`. Nothing is sent to the source yet.

    The class is called with the name and its validated `Options` (the mapping itself where it has no model).
    ConfigError: an unknown kind or option, with the nearest known name.
    """
    cls = connector_class(kind)
    model = getattr(cls, "Options", None)
    make = getattr(cls, "for_options", cls)  # one that is of several servers, perhaps
    return cast(Connector, make(name, validate(model, name, options) if model else options))


def validate(model: type[Model], name: str, options: Mapping[str, Any]) -> Model:
    """Options as their model; ConfigError naming every key at fault, and never a value (it may be a secret)."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        messages = [_fault(model, ".".join(map(str, fault["loc"])), fault["type"], fault["msg"]) for fault in faults]
        raise ConfigError("; ".join(messages), place=f"source {name}, connection") from None


def _fault(model: type[BaseModel], key: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f'unknown option "{key}" ({_suggest(key, model.model_fields, "options")})'
    if kind == "missing":
        return f'option "{key}" is missing'
    return f'option "{key}": {message}' if key else message


def _suggest(word: str, known: Iterable[str], what: str) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, 0.6)
    listed = f"known {what}: {', '.join(names)}" if names else f"no {what} are installed"
    return f'did you mean "{near[0]}"? {listed}' if near else listed
