"""Reads one upload, in a process of its own (see api.bounded)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from api.uploads.describe import Description, read
from api.uploads.parse import parse


def run(job: dict[str, Any]) -> dict[str, Any]:
    """The open file `fd` of format `form`, described by `description`, as Parquet at `into`; what came of it."""
    description = read(Description, job["description"], "description")
    with os.fdopen(job["fd"], "rb", closefd=False) as stream:
        stream.seek(0)
        parsed = parse(stream, job["form"], description, Path(job["into"]), job["rows"])
    return {"rows": parsed.rows, "missing": parsed.missing}
