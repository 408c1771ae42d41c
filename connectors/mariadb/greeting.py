"""What a server of MariaDB or MySQL says first, read before the driver is let near it with a password."""

from __future__ import annotations

import socket
import struct

_SPEAKS_TLS = 2048  # of the capabilities that a server tells
_MOST = 4096  # bytes of a greeting


def without_tls(host: str, port: int, seconds: float) -> bool:
    """Whether the server says that it speaks no TLS; False where it says something else, which the driver tells too.
    TimeoutError where it says nothing."""
    try:
        with socket.create_connection((host, port), seconds) as line, line.makefile("rb") as stream:
            length = int.from_bytes(stream.read(4)[:3], "little")
            return not _capabilities(stream.read(min(length, _MOST))) & _SPEAKS_TLS
    except TimeoutError:
        raise
    except (OSError, ValueError, struct.error):
        return False


def _capabilities(greeting: bytes) -> int:
    """The lower half of them; ValueError for what is no greeting, such as an error."""
    if greeting[:1] != b"\x0a":
        raise ValueError("no greeting of protocol 10")
    end = greeting.index(b"\0", 1)  # of the version; then the thread, half of the challenge, a filler
    (found,) = struct.unpack_from("<H", greeting, end + 1 + 4 + 8 + 1)
    return int(found)
