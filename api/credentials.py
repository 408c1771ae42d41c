"""The secrets of a project's users: read once for both protocols, and again when they change where they stand."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from connectors.errors import ConfigError
from views.files import ProjectFile, User

VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)\Z")
log = logging.getLogger("vdw.users")


class Credentials:
    """`values` are a password or a verifier each, by user. Reading may take seconds: it belongs into a thread."""

    def __init__(self, file: ProjectFile, folder: Path, environment: Mapping[str, str]) -> None:
        """ConfigError names a secret that is not to be had, or will not do."""
        self._users, self._live = file.users, dict[str, SecretStr]()
        self.values: Mapping[str, str] = {
            name: self._first(name, user, folder, environment) for name, user in file.users.items()
        }

    def renew(self) -> tuple[str, ...]:
        """Look at those that may have changed; whose are others now. One that will not do stays as it was."""
        found = {name: live.get_secret_value() for name, live in self._live.items()}
        changed = {name: value for name, value in found.items() if value != self.values[name]}
        for name in tuple(changed):
            try:
                checked(name, self._users[name], changed[name])
            except ConfigError as error:
                log.warning("%s: the one before stays", error.message)
                del changed[name]
        self.values = {**self.values, **changed}
        return tuple(changed)

    def _first(self, name: str, user: User, folder: Path, environment: Mapping[str, str]) -> str:
        reference = user.password or user.scram.verifier
        if reference is None:
            raise ConfigError(f'user "{name}" has neither a password nor a verifier', place="vdw.yml")
        found = reference.live(folder, environment)
        if isinstance(found, SecretStr):
            self._live[name] = found
            found = found.get_secret_value()
        return checked(name, user, found)


def checked(name: str, user: User, secret: str) -> str:
    """The secret; ConfigError for one that is empty, which would let everybody in, and for what is no verifier."""
    if not secret:
        raise ConfigError(f'the password of user "{name}" is empty', place="vdw.yml", hint="write one where it stands")
    if user.password is None and not VERIFIER.match(secret):
        raise ConfigError(f'the scram.verifier of user "{name}" is not of the form SCRAM-SHA-256$...', place="vdw.yml")
    return secret
