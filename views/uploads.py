"""What `uploads:` and `segmentations:` of vdw.yml say, and the two sources that hold what users own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from views.catalog import SEGMENTS, UPLOADS
from views.source_file import SourceFile, SourceLimits
from views.values import Duration, Section, Size

if TYPE_CHECKING:
    from views.files import ProjectFile

Positive = Annotated[int, Field(gt=0)]
FOLDERS = {UPLOADS: "uploads", SEGMENTS: "segments"}  # of each source's Parquet files, in the folder `state`


class Uploads(Section):
    """Tables that users send: whether they may, how large, how many, how long."""

    size: Size = Field(default=64 * 2**20, description="Bytes of one upload.")
    rows: Positive = Field(default=1_000_000, description="Rows of one upload.")
    columns: Annotated[int, Field(gt=0, le=1000)] = Field(default=200, description="Attributes of one upload.")
    tables: Positive = Field(default=100, description="Uploads kept, of all users together.")
    per_user: Positive = Field(default=20, description="Uploads kept of one user.")
    total: Size = Field(default=2 * 2**30, description="Bytes that all kept uploads take on disk.")
    keep: Duration = Field(default=30 * 86_400.0, description="How long one is kept after it was last sent.")
    timeout: Duration = Field(default=60.0, description="Time that reading one may take.")
    memory: Size = Field(default=2**30, description="Memory of the process that reads one.")
    at_once: Positive = Field(default=2, description="Uploads that are read at the same time; a few more may wait.")


class Segmentations(Section):
    """Segmentations that users ask for: how large, how many, how long."""

    rows: Positive = Field(default=200_000, description="Rows that one is fitted to.")
    attributes: Annotated[int, Field(gt=0, le=500)] = Field(default=50, description="Attributes of one.")
    kept: Positive = Field(default=100, description="Segmentations kept, of all users together.")
    versions: Positive = Field(default=5, description="Versions kept of one; the oldest go.")
    timeout: Duration = Field(default=120.0, description="Time that fitting one may take.")
    memory: Size = Field(default=4 * 2**30, description="Memory of the process that fits one.")
    at_once: Positive = Field(default=1, description="Fitted at the same time; a few more may wait.")
    classify: Positive = Field(default=10_000, description="Customers that one request may have classified.")


def sources(file: ProjectFile) -> dict[str, SourceFile]:
    """The sources that vdw.yml brings into being. Nothing of them is kept in the cache, as they are at hand."""
    found = {}
    if file.uploads is not None:
        found[UPLOADS] = _source(file, UPLOADS, "Tables that users have sent", file.uploads.rows)
    if file.segmentations is not None:
        found[SEGMENTS] = _source(file, SEGMENTS, "Who is in which segment", file.segmentations.rows)
    return found


def _source(file: ProjectFile, name: str, description: str, rows: int) -> SourceFile:
    connection = {"folder": f"{file.state}/{FOLDERS[name]}", "threads": 2, "memory_limit": "512MB"}
    limits = SourceLimits(rows=max(rows, 1_000_000))
    return SourceFile(kind="files", description=description, connection=connection, limits=limits)
