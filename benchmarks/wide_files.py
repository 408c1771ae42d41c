"""The table of sixteen columns in the formats of files, and the kind of connection that reads each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyarrow import ipc

from benchmarks.wide import COLUMNS
from tests.s3_server import BUCKET, S3Server

_COPIES = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json"}


def text(place: Path, file: Path, form: str) -> Path:
    """A CSV, or JSON of an object a line."""
    made = place / form / f"wide.{form}"
    made.parent.mkdir()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT * FROM '{file}') TO '{made}' ({_COPIES[form]})")
    return made


def declared(file: Path) -> dict[str, Any]:
    """The connection of a text file whose types are declared, not proven by reading it once more."""
    return {
        "folder": str(file.parent),
        "types": {f"wide.{name}": kind for name, (kind, _) in COLUMNS.items()},
        "prove": 0,
    }


def arrow(place: Path, file: Path) -> Path:
    """An Arrow file."""
    made = place / "arrow" / "wide.arrow"
    made.parent.mkdir()
    read = pq.ParquetFile(file)
    with ipc.new_file(str(made), read.schema_arrow) as writer:
        for batch in read.iter_batches(65_536):
            writer.write_batch(batch)
    return made


def delta(place: Path, file: Path) -> Path:
    """A table of Delta Lake."""
    write_deltalake(str(place / "delta" / "wide"), pq.ParquetFile(file).read())
    return place / "delta" / "wide"


def s3(server: S3Server, file: Path) -> dict[str, Any]:
    """The Parquet file on S3; its connection."""
    server.put(f"{file.stat().st_size}/wide.parquet", file.read_bytes())
    return {"folder": f"s3://{BUCKET}/{file.stat().st_size}", "s3": server.options}
