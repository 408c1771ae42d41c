"""How a source is reached: what encrypts the connection, whom it believes, how long a round trip takes, whose clock."""

from __future__ import annotations

import datetime as dt
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.base import PING, Connector
from connectors.errors import Error
from connectors.tls import Tls

T = TypeVar("T")
_VERIFIED = {"verify-full": "authority and name", "verify-ca": "authority"}


@dataclass(frozen=True, slots=True)
class Encryption:
    """TLS as it is in use on a connection. `verified`: authority and name | authority | no | "" (not known); `until`:
    to when the server's certificate is valid, None where nobody told."""

    on: bool
    protocol: str = ""
    cipher: str = ""
    verified: str = ""
    until: dt.datetime | None = None

    def __str__(self) -> str:
        if not self.on:
            return "no"
        words = (self.protocol or "yes", self.cipher, f"verified: {self.verified or 'not known'}")
        return ", ".join(filter(None, words))


PLAIN = Encryption(False)


@dataclass(frozen=True, slots=True)
class Link:
    """In seconds; `skew` is the source's clock less ours, known to within `doubt`. None: it does not tell."""

    round_trip: float
    encryption: Encryption | None = None
    skew: float | None = None
    doubt: float = 0.0


@dataclass(frozen=True, slots=True)
class Timed:
    """When something was asked, by our clock, and how long that took."""

    middle: float
    took: float

    def link(self, encryption: Encryption | None, theirs: float | None, grain: float = 0.0) -> Link:
        """With the other clock's time (seconds since 1970), which it tells in steps of `grain`."""
        skew = None if theirs is None else theirs + grain / 2 - self.middle
        return Link(self.took, encryption, skew, (self.took + grain) / 2)


def timed(ask: Callable[[], T]) -> tuple[T, Timed]:
    """What a question of one round trip gives, and when that was."""
    at, began = time.time(), time.perf_counter()
    answer = ask()
    took = time.perf_counter() - began
    return answer, Timed(at + took / 2, took)


def encryption(tls: Tls | None, on: bool, protocol: str = "", cipher: str = "", until: Any = None) -> Encryption:
    """`tls` is what the connection was made by (None: not known); `until` as certificates have it: Nov 23 21:00:00 2027
    GMT."""
    if not on:
        return PLAIN
    end = None
    with suppress(ValueError, TypeError):
        end = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(until), dt.UTC) if until else None
    verified = "" if tls is None else _VERIFIED.get(tls.mode, "no")
    return Encryption(True, protocol, cipher, verified, end)


def of_socket(tls: Tls, socket: ssl.SSLSocket | None) -> Encryption:
    """What a socket of ours speaks (None: no TLS)."""
    if socket is None:
        return PLAIN
    told = socket.cipher()
    until = (socket.getpeercert() or {}).get("notAfter")  # only of a certificate that was verified
    return encryption(tls, True, socket.version() or "", told[0] if told else "", until)


def reached(connector: Connector, timeout: float = PING) -> Link:
    """How it is reached now; of a connector that does not tell, how long a round trip takes. Errors as `ping`."""
    tell = getattr(connector, "link", None)
    if tell is not None:
        found: Link = tell(timeout)
        return found
    _, when = timed(lambda: connector.ping(timeout))
    return when.link(None, None)


def look(connector: Connector) -> None:
    """Have it know how it is reached: `linked` of a connector which has that is of the last look. A service, whose
    owner counts requests, is not asked just for that."""
    if hasattr(connector, "linked"):
        with suppress(Error):
            connector.linked = reached(connector, PING)
