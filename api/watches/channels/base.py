"""What every channel owes, and what it is made of."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from api.watches.outbox import Delivery, Outcome
from connectors.errors import ConfigError
from views.notifier_file import Notifier
from views.values import SecretRef

Begin = Callable[[], Awaitable[bool]]  # writes that from here on it may have arrived; False: it is not to be sent
LONGEST_WHY = 300  # characters of a reason that are kept
GONE = Outcome("gone")  # it was not to be sent any more


class Channel(Protocol):
    """Sends one alert at a time to each address, several addresses at once."""

    async def send(self, delivery: Delivery, begin: Begin) -> Outcome:
        """One attempt: `begin` is awaited before anything can arrive. Never raises but for what is our own fault."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

    def rotated(self) -> bool:
        """Whether a secret of it is another now where it stands; it may take seconds."""
        ...


@dataclass(slots=True)
class Secrets:
    """The secrets of a notifier, once they are read: no reason may repeat one."""

    folder: Path
    known: set[str] = field(default_factory=set)
    _live: list[tuple[SecretStr, str]] = field(default_factory=list)

    def text(self, value: str | SecretRef) -> str:
        """The value itself; ConfigError names what is not to be had."""
        if isinstance(value, str):
            return value
        found = value.live(self.folder, os.environ)
        if isinstance(found, SecretStr):
            self._live.append((found, found.get_secret_value()))
            found = found.get_secret_value()
        self.known.add(found)
        return found

    def rotated(self) -> bool:
        """Whether one is another now where it stands."""
        return any(one.get_secret_value() not in ("", used) for one, used in self._live)

    def hidden(self, why: str) -> str:
        """A reason on one line, without secrets."""
        for secret in sorted(self.known, key=len, reverse=True):
            why = why.replace(secret, "***") if secret else why
        return " ".join(why.split())[:LONGEST_WHY]


def trust(notifier: Notifier, folder: Path) -> ssl.SSLContext:
    """Whom to believe: the machine's authorities, or the file's; ConfigError where that cannot be read."""
    if notifier.authorities is None:
        return ssl.create_default_context()
    path = folder / notifier.authorities
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f'cannot read the authorities "{path}": {error}', hint="write a PEM file") from None
