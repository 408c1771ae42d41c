"""The scalar values of the three files: durations, sizes, names, and secrets by reference only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from connectors.errors import ConfigError
from connectors.secrets import LiveSecret
from views.secret_command import told

DURATION = r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$"
SIZE = r"^(\d+)(kB|MB|GB|TB)$"
KeyPath = tuple[str | int, ...]

NAME = r"^[a-z_][a-z0-9_]{0,62}$"

_PLACES = frozenset(("env", "file", "command"))
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|(^|_)pwd($|_)|(^|_)pass($|_)|secret|token|credential|api_?key|private_key"
)
_NOT_SECRET = re.compile(r"_(url|uri|file|path|type|endpoint|lifetime|timeout)$")
# `user:password@` of an URL, `password=` of a DSN.
_EMBEDDED = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#@\s]*:[^/?#@\s]+@|(?:^|[\s;?&])(?:password|passwd|pwd)\s*=", re.I)


def fault(message: str, remedy: str = "", path: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error of a value, in our own words: `message` says what is wrong, `remedy` what to write instead.

    `path` leads from the value at fault to the very key, where the two differ.
    """
    return PydanticCustomError("vdw", "{message}", {"message": message, "remedy": remedy, "path": path})


def duration(value: object) -> float:
    """Seconds of a duration such as "15s"; raises PydanticCustomError.

    >>> duration("10m")
    600.0
    """
    found = re.match(DURATION, value) if isinstance(value, str) and len(value) < 20 else None
    if found is None:
        raise fault("not a duration", 'write a number and a unit (ms, s, m, h, d), such as "15s", "10m" or "1h"')
    return round(float(found[1]) * _SECONDS[found[2]], 3)


def size(value: object) -> int:
    """Bytes of a size such as "256MB" (units are powers of 1024, as in PostgreSQL); raises PydanticCustomError.

    >>> size("1kB")
    1024
    """
    found = re.match(SIZE, value) if isinstance(value, str) and len(value) < 20 else None
    if found is None or int(found[1]) == 0:
        raise fault("not a size", 'write a whole number and a unit (kB, MB, GB, TB), such as "256MB"')
    return int(found[1]) * _BYTES[found[2]]


def _full_name(value: str) -> str:
    if not re.fullmatch(r"[^\s.]+\.[^\s.]+", value):
        raise fault(f'"{value}" is not a full name', "write schema.name")
    return value


FullName = Annotated[str, AfterValidator(_full_name)]
Duration = Annotated[
    float,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["15s", "10m"]}),
]
Size = Annotated[
    int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": SIZE, "examples": ["256MB", "2GB"]})
]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class Section(BaseModel):
    """A mapping of one of the files: unknown keys are errors, values are never converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class SecretRef(Section):
    """Where a secret stands; the secret itself never does in a project's files."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: str | None = Field(default=None, description="Name of the environment variable that holds the secret.")
    file: str | None = Field(
        default=None, description="File that holds the secret (its last newline is dropped), relative to the project."
    )
    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)] | None = (
        Field(
            default=None,
            description="Program and its arguments; it writes the secret to its standard output (its last newline is "
            "dropped), within 10 s, and is run without a shell.",
        )
    )

    @model_validator(mode="before")
    @classmethod
    def _reference(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise fault(
                "a secret stands here in plain text", "write {env: NAME}, {file: path} or {command: [...]} instead"
            )
        if set(value) <= _PLACES and len(value) != 1:
            raise fault("a secret has exactly one place", "write one of {env: NAME}, {file: path}, {command: [...]}")
        return value

    def resolve(self, folder: Path, environment: Mapping[str, str]) -> str:
        """The secret's value; ConfigError names the variable or file, never the value."""
        if self.env is not None:
            return _from_environment(self.env, environment)
        if self.command is not None:
            return told(self.command, folder, environment)
        return _from_file(folder / (self.file or ""))

    def live(self, folder: Path, environment: Mapping[str, str]) -> str | LiveSecret:
        """The same, for who may ask again: what stands in a file, or what a program tells, can change."""
        if self.env is not None:
            return self.resolve(folder, environment)
        read = partial(self.resolve, folder, environment)
        if self.command is not None:
            return LiveSecret(repr(self.command), read)
        path = folder / (self.file or "")
        return LiveSecret(str(path), read, partial(_stamp, path))


def is_reference(value: object) -> bool:
    """Whether a value of the files is {env: NAME}, {file: path} or {command: [program, ...]}."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    ((key, place),) = value.items()
    if key == "command":
        return isinstance(place, list | tuple) and bool(place) and all(isinstance(one, str) and one for one in place)
    return key in _PLACES and isinstance(place, str)


def secret_like(key: str) -> bool:
    """Whether a key's name says that its value is a secret.

    >>> secret_like("accessToken"), secret_like("token_url")
    (True, False)
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").lower()
    return bool(_SECRET_KEY.search(snake)) and not _NOT_SECRET.search(snake)


def embeds_password(value: str) -> bool:
    """Whether a text carries a password inside, as URLs and DSNs can."""
    return bool(_EMBEDDED.search(value))


def resolve(
    value: Any,
    folder: Path,
    environment: Mapping[str, str],
    live: Callable[[KeyPath], bool] | None = None,
    at: KeyPath = (),
) -> Any:
    """The same value with every reference inside replaced by its text; by a LiveSecret where `live` says of its path
    (below `at`) that one will do.

    `folder` is the project's, from which relative files are found. ConfigError names what is missing.
    """
    if is_reference(value):
        reference = SecretRef.model_validate(dict(value))
        return (reference.live if live is not None and live(at) else reference.resolve)(folder, environment)
    if isinstance(value, Mapping):
        return {key: resolve(item, folder, environment, live, (*at, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, folder, environment, live, (*at, i)) for i, item in enumerate(value)]
    return value


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value is None:
        raise ConfigError(
            f'environment variable "{name}" is not set', hint=f"set it before vdw starts: export {name}=..."
        )
    return value


def _from_file(path: Path) -> str:
    try:
        return path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise ConfigError(
            f'cannot read the secret file "{path}": {reason}', hint="check the path and its mode"
        ) from None


def _stamp(path: Path) -> object:
    """Another thing when the file has changed, or has been replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
