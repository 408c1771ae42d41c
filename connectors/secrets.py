"""Secrets that may be another tomorrow: read again where they stand, and never shown."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from connectors.errors import Error

INTERVAL = 300.0  # seconds for which what a command said is taken

Path = tuple[str | int, ...]
log = logging.getLogger(__name__)


class LiveSecret(SecretStr):
    """A secret with the place it stands at. `read` gives its value or ConfigError; `stamp` is another thing when it has
    changed there (a file's time), and where it tells nothing the value is read anew every `interval` seconds. Both only
    when somebody wants it: to connect. Thread-safe."""

    def __init__(
        self, where: str, read: Callable[[], str], stamp: Callable[[], object] | None = None, interval: float = INTERVAL
    ) -> None:
        self._where, self._read, self._stamp, self._interval = where, read, stamp, interval
        self._lock = threading.Lock()
        self._seen: object = None if stamp is None else stamp()
        self._at = time.monotonic()
        super().__init__(read())

    def get_secret_value(self) -> str:
        """The value as it stands there now; the one known, where it cannot be read."""
        with self._lock:
            if self._changed():
                self._again()
            return self._secret_value

    def renew(self, refused: str) -> bool:
        """Read it again, as the server refused this value; whether it is another now."""
        with self._lock:
            if self._secret_value == refused:
                self._again()
            return self._secret_value != refused

    def _changed(self) -> bool:
        if self._stamp is not None:
            return self._stamp() != self._seen
        return time.monotonic() - self._at >= self._interval

    def _again(self) -> None:
        self._seen = None if self._stamp is None else self._stamp()
        self._at = time.monotonic()
        try:
            self._secret_value = self._read()
        except Error as error:  # a file that is being replaced: what was known may do until it is there
            log.warning("a secret cannot be read again: %s", error.message)

    def __repr__(self) -> str:
        """Tells one place from another, and nothing of the value."""
        return f"LiveSecret({hashlib.sha256(self._where.encode()).hexdigest()[:16]})"

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def renewed(secret: SecretStr | None, refused: str) -> bool:
    """Whether a secret that the server refused is another one where it stands."""
    return isinstance(secret, LiveSecret) and secret.renew(refused)


def secret_at(annotation: Any, path: Path) -> bool:
    """Whether a model's field of that type takes a SecretStr at `path` below it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = annotation.model_fields.get(str(path[0])) if path else None
        return found is not None and secret_at(found.annotation, path[1:])
    if isinstance(annotation, type) and issubclass(annotation, SecretStr):
        return not path
    origin, within = getattr(annotation, "__origin__", None), get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping | list | tuple):
        return bool(path) and any(secret_at(one, path[1:]) for one in within)
    return any(secret_at(one, path) for one in within)


def public(model: type[BaseModel] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without what the model takes as secret."""
    return {key: _public(model, value, (key,)) for key, value in options.items() if not secret_at(model, (key,))}


def _public(model: type[BaseModel] | None, value: Any, path: Path) -> Any:
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if not secret_at(model, (*path, key))}
        return {key: _public(model, item, (*path, key)) for key, item in kept.items()}
    if isinstance(value, list | tuple):
        kept_items = [item for at, item in enumerate(value) if not secret_at(model, (*path, at))]
        return [_public(model, item, (*path, at)) for at, item in enumerate(kept_items)]
    return value
