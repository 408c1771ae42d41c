"""Validation errors as diagnostics: in the words of the file, at the line of the key, with the remedy."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from views.project import Diagnostic, KeyPath, Places, place_of

Model = TypeVar("Model", bound=BaseModel)
_SHAPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "tuple_type": "a list ([a, b])",
    "list_type": "a list ([a, b])",
}
# Keys that people write for another: the old, the obvious, and what YAML 1.1 would spoil.
_MEANT = {
    "on": "join",
    "sla": "freshness",
    "max_connections": "concurrency",
    "connections": "concurrency",
    "port": "listen",
}


def validate(
    model: type[Model],
    value: Any,
    file: str,
    places: Places,
    prefix: KeyPath = (),
    ignored: Collection[KeyPath] = (),
) -> tuple[Model | None, tuple[Diagnostic, ...]]:
    """The model of a document, or None and an error for each key at fault.

    `places` are those of the keys in `value`; `prefix` is the path of `value` in its file, for messages; errors
    in values at a path of `ignored` do not count.
    """
    try:
        return model.model_validate(value if value is not None else {}), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=True)
        told = (detail for detail in details if not any(_path(detail)[: len(path)] == path for path in ignored))
        return None, tuple(_diagnostic(model, detail, file, places, prefix) for detail in told)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy that offers the nearest known words."""
    choices = sorted(known)
    meant = _MEANT.get(word)
    close = [meant] if meant in choices else difflib.get_close_matches(word, choices, 1, 0.6)
    listed = ", ".join(choices[:40])
    return (f"did you mean `{close[0]}`? " if close else "") + (f"known: {listed}" if listed else "none is known here")


def _path(detail: ErrorDetails) -> KeyPath:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _diagnostic(model: type[BaseModel], detail: ErrorDetails, file: str, places: Places, prefix: KeyPath) -> Diagnostic:
    path = _path(detail)
    line, column = place_of(places, (*path, *detail.get("ctx", {}).get("path", ())))
    message, remedy = _words(model, detail, path, ".".join(str(part) for part in (*prefix, *path)))
    return Diagnostic("error", file, line, message, remedy, column)


def _words(model: type[BaseModel], detail: ErrorDetails, path: KeyPath, name: str) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "vdw":
        message = str(context["message"])
        return (message if "`" in message or not name else f"`{name}`: {message}"), str(context["remedy"])
    if kind == "extra_forbidden":
        return f"unknown key `{name}`", did_you_mean(str(path[-1]), _known(model, path[:-1]))
    if kind == "missing":
        return f"`{name}` is missing", f"add {path[-1]}: ..."
    if kind in _SHAPES:
        return (f"`{name}` must be {_SHAPES[kind]}" if name else f"must be {_SHAPES[kind]}"), ""
    return f"`{name}`: {detail['msg'][:1].lower()}{detail['msg'][1:]}", ""


def _known(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the model at `path` knows."""
    here: Any = model
    for part in path:
        fields = _fields(here)
        here = fields[str(part)] if fields is not None else _inside(here)
        here = _model(here) or here
    return list(_fields(here) or ())


def _fields(model: Any) -> Mapping[str, Any] | None:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `Model | None` holds."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((option for option in options if _fields(option) is not None), None)


def _inside(annotation: Any) -> Any:
    """What a list's items or a mapping's values are."""
    arguments = typing.get_args(annotation)
    return arguments[-1] if arguments else annotation
