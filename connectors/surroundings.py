"""What a child process is given of our environment: enough to run, and none of the secrets that stand in it."""

from __future__ import annotations

from collections.abc import Mapping

NAMES = frozenset(
    "PATH HOME USER LOGNAME LANG TZ TMPDIR VIRTUAL_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH SYSTEMROOT "
    "XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME".split()
)
PREFIXES = ("LC_", "PYTHON")


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that programs need to be found, and to find their own files."""
    return {name: value for name, value in environment.items() if name in NAMES or name.startswith(PREFIXES)}
