"""What a driver's own socket says, and how it is cut: for servers that answer nothing any more."""

from __future__ import annotations

import os
import select
import socket


def readable(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read within so many seconds; a connection that has ended has."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(int(max(seconds, 0) * 1000)))


def sever(descriptor: int) -> None:
    """Whoever reads from the socket gets an error, or its end, at once. The descriptor stays its owner's to close."""
    with socket.socket(fileno=os.dup(descriptor)) as line:
        line.shutdown(socket.SHUT_RDWR)
