"""Which module opens which format; each is imported when a table of it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from connectors.files.table import Opener

_MODULES = {
    "parquet": "parquet",
    "csv": "csv",
    "tsv": "csv",
    "json": "jsonl",
    "arrow": "ipc",
    "excel": "excel",
    "delta": "delta",
    "iceberg": "iceberg",
}


def opener(form: str) -> Opener:
    """The function that opens a table of this format; ConfigError where its package is not installed."""
    return cast(Opener, import_module(f"connectors.files.{_MODULES[form]}").open_table)
