"""Files as sources: each format a module that opens a table of now; DuckDB computes, or reads the format itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from connectors.errors import ConfigError


@contextlib.contextmanager
def needs(what: str, package: str) -> Iterator[None]:
    """ConfigError with the remedy where a format's own package is not installed."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{what} needs the Python package {error.name or package}",
            hint='install it: pip install "vdw[files]"',
        ) from error
