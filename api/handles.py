"""File handles: a session of the PostgreSQL protocol takes two, and systems give a process few unless it asks."""

from __future__ import annotations

import contextlib
import logging
import resource

MOST = 1 << 16  # handles that we ask for, where the system allows as many
REST = 1_536  # for HTTP's clients, the sources and ourselves

log = logging.getLogger("vdw.serve")


def ask(sessions: int) -> int:
    """Raise the process's soft limit as far as it may go; how many handles there are now. A warning in the log where
    they are too few for so many `sessions`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit below the one that it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    needed = 2 * sessions + REST
    if soft != resource.RLIM_INFINITY and soft < needed:
        text = "listen.postgresql.connections: %d clients may need %d file handles, the system allows %d (ulimit -Hn)"
        log.warning(text, sessions, needed, soft)
    return soft
