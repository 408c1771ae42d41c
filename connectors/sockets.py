"""What a driver's own socket says, and how it is cut: for servers that answer nothing any more."""

from __future__ import annotations

import contextlib
import os
import select
import socket

# Seconds of silence, seconds between probes, probes; and milliseconds for what was sent.
_TCP = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
# Options with which a TCP connection notices by itself that its peer has gone.
KEPT = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _TCP.items() if hasattr(socket, name)),
]


def readable(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read within so many seconds; a connection that has ended has."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(int(max(seconds, 0) * 1000)))


def sever(descriptor: int) -> None:
    """Whoever reads from the socket gets an error, or its end, at once. The descriptor stays its owner's to close."""
    with socket.socket(fileno=os.dup(descriptor)) as line:
        line.shutdown(socket.SHUT_RDWR)


def watch(descriptor: int) -> None:
    """Have a TCP connection notice by itself that its peer has gone: what is sent and not answered for by the other
    machine within a minute, and an idle one that a machine between has forgotten."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as line:
        if line.family not in (socket.AF_INET, socket.AF_INET6):
            return
        for option in KEPT:
            line.setsockopt(*option)
