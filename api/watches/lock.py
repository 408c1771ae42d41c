"""Of several servers over one state folder one sends: the one that holds a lock of the operating system's."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

NAME = "alerts.lock"


class Lock:
    """Ends with the process, however that ends: nobody waits for a dead one, and no slow one loses it unawares."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self._handle is not None

    def take(self) -> bool:
        """Take it if nobody has it."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Give it up."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
