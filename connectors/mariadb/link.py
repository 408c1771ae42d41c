"""TLS, clock and certificate of a connection to MariaDB or MySQL, as the server tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from connectors.link import Link, encryption, timed
from connectors.tls import Tls

CLOCK = "SELECT UNIX_TIMESTAMP(SYSDATE(6))"
STATUS = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher', 'Ssl_server_not_after')"


def link(ask: Callable[[str], Sequence[Sequence[Any]]], tls: Tls | None) -> Link:
    """`ask` gives a question's rows, values as text or bytes."""
    rows, when = timed(lambda: ask(CLOCK))
    told = {_text(name): _text(value) for name, value in ask(STATUS)}
    cipher = told.get("Ssl_cipher", "")
    used = encryption(tls, bool(cipher), told.get("Ssl_version", ""), cipher, told.get("Ssl_server_not_after"))
    return when.link(used, float(_text(rows[0][0])))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
