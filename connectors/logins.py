"""Logging in: with the secret as it stands now, read again when it is refused, and never a storm of wrong logins."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from connectors.errors import SourceError
from connectors.secrets import renewed

T = TypeVar("T")
FIRST, LONGEST = 1.0, 300.0  # seconds until a refused secret is tried again; twice as long each time
_LOOK = 2.0  # seconds between two looks whether a refused secret has changed where it stands
_PROVEN = 5.0  # seconds after a login for which others need not wait for one another


class Logins:
    """One for each account. Thread-safe.

    A server counts wrong logins, and locks accounts. So after a refusal the same secret waits, ever longer, and
    as long as it is not known to be right one login at a time is tried.
    """

    def __init__(self, source: str, *secrets: SecretStr | None) -> None:
        """The first of `secrets` is that of the login; all are kept out of messages."""
        self._source = source
        self._secrets = [secret for secret in secrets if secret is not None]
        self._secret = secrets[0] if secrets else None
        self._used: dict[str, None] = {}
        self._turn = threading.Lock()
        self._proven = -_PROVEN
        self._refused = b""
        self._until = 0.0
        self._pause = 0.0
        self._looked = -_LOOK

    def open(self, attempt: Callable[[str | None], T], refused: Callable[[Exception], bool], seconds: float) -> T:
        """What `attempt(secret)` makes. Where it raises what `refused` says is a refusal, once more if the secret has
        changed where it stands. SourceError 08001 without an attempt, while the secret is known to be wrong."""
        if self._secret is None:
            return attempt(None)
        alone = self._doubtful and self._turn.acquire(timeout=max(seconds, 0.0))
        try:
            if alone and not self._doubtful:
                self._turn.release()
                alone = False
            return self._tried(attempt, refused)
        finally:
            if alone:
                self._turn.release()

    def scrub(self, text: str) -> str:
        """The text without any secret."""
        known = {*self._used, *(secret.get_secret_value() for secret in self._secrets)}
        for secret in sorted(filter(None, known), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text.strip()

    @property
    def _doubtful(self) -> bool:
        return time.monotonic() - self._proven > _PROVEN

    def _tried(self, attempt: Callable[[str | None], T], refused: Callable[[Exception], bool]) -> T:
        secret = self._current()
        try:
            made = attempt(secret)
        except Exception as error:
            if not refused(error):
                raise
            self._wrong(secret)
            if not renewed(self._secret, secret):
                raise
            made = self._anew(attempt, refused)
        self._proven, self._pause = time.monotonic(), 0.0
        return made

    def _anew(self, attempt: Callable[[str | None], T], refused: Callable[[Exception], bool]) -> T:
        secret = self._current()
        try:
            return attempt(secret)
        except Exception as error:
            if refused(error):
                self._wrong(secret)
            raise

    def _current(self) -> str:
        assert self._secret is not None  # noqa: S101  (for the type checker)
        secret, now = self._secret.get_secret_value(), time.monotonic()
        if now < self._until and _digest(secret) == self._refused and now - self._looked >= _LOOK:
            self._looked = now
            if renewed(self._secret, secret):
                secret = self._secret.get_secret_value()
        left = self._until - now
        if left > 0 and _digest(secret) == self._refused:
            raise SourceError(
                f'cannot connect to source "{self._source}": the server refused the login',
                sqlstate="08001",
                detail=f"the same secret is not tried again for {left:.1f} s, so that the account is not locked",
                hint="correct user and password; a secret that changes in its file or command is taken at once or soon",
            )
        self._used = {secret: None, **dict(list(self._used.items())[:3])}
        return secret

    def _wrong(self, secret: str) -> None:
        """Note a refusal; several at the same time are one."""
        now = time.monotonic()
        same = _digest(secret) == self._refused
        if same and now < self._until:
            return
        self._pause = min(self._pause * 2, LONGEST) if same and self._pause else FIRST
        self._refused, self._until = _digest(secret), now + self._pause
        self._proven = -_PROVEN


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
