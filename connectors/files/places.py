"""Where files are: listing them boundedly, opening one as it was listed, and telling whether it still is that one."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from connectors.errors import SourceError

if TYPE_CHECKING:
    import duckdb

    from connectors.files.table import Work


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was listed; `stamp` is another one when its content is."""

    path: str
    size: int
    stamp: str
    modified: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands directly in a folder."""

    name: str
    folder: bool


class Place(Protocol):
    """The local disk, or a bucket."""

    remote: bool
    prefix: str  # of what DuckDB may read here by `url`, beside local folders; '' for none

    def files(self, pattern: str, most: int, work: Work) -> Iterator[File]:
        """The files that a path or pattern names, sorted; SourceError where there are more than `most`."""
        ...

    def entries(self, folder: str, work: Work) -> Sequence[Entry]:
        """What a folder holds, sorted."""
        ...

    def exists(self, path: str, work: Work) -> bool:
        """Whether there is such a file, or any file below such a folder."""
        ...

    def open(self, file: File, work: Work) -> BinaryIO:
        """The file of this stamp, for reading; SourceError where it is gone or another."""
        ...

    def current(self, files: Sequence[File]) -> bool:
        """Whether all these are what they were when listed, as far as that is known without asking afresh."""
        ...

    def url(self, file: File, work: Work) -> str:
        """The name by which DuckDB reads it, until `release`."""
        ...

    def register(self, root: duckdb.DuckDBPyConnection) -> None:
        """Let a DuckDB read what `url` names."""
        ...

    def release(self, work: Work) -> None:
        """The statement has ended."""
        ...

    def blame(self, work: Work) -> None:
        """Raise what went wrong below DuckDB, in its own class."""
        ...

    def delta_options(self) -> dict[str, str]:
        """What delta-rs needs to reach it."""
        ...

    def iceberg_options(self) -> dict[str, str]:
        """What PyIceberg needs to reach it."""
        ...


class LocalPlace:
    """The local disk."""

    remote = False
    prefix = ""

    def files(self, pattern: str, most: int, work: Work) -> Iterator[File]:
        work.check()
        found = sorted(glob.iglob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        files = [path for path in found if Path(path).is_file()]
        if len(files) > most:
            raise SourceError(f"{pattern} names {len(files)} files", hint=f"max_files allows {most}; raise it")
        for path in files:
            yield self._file(path)

    def entries(self, folder: str, work: Work) -> Sequence[Entry]:
        work.check()
        try:
            with os.scandir(folder) as found:
                return sorted((Entry(entry.name, entry.is_dir()) for entry in found), key=lambda entry: entry.name)
        except OSError as error:
            raise SourceError(
                f"{Path(folder).name} does not exist, or is no folder that may be read",
                sqlstate="08001",
                hint="check connection: in the source's file; a relative path starts at the project folder.",
            ) from error

    def exists(self, path: str, work: Work) -> bool:
        work.check()
        return Path(path).exists()

    def open(self, file: File, work: Work) -> BinaryIO:
        work.check()
        return Path(file.path).open("rb")

    def current(self, files: Sequence[File]) -> bool:
        try:
            return all(self._file(file.path) == file for file in files)
        except OSError:
            return False

    def url(self, file: File, work: Work) -> str:
        del work
        return file.path

    def register(self, root: duckdb.DuckDBPyConnection) -> None:
        """Its files are read by their own names."""

    def release(self, work: Work) -> None:
        """Nothing is kept."""

    def blame(self, work: Work) -> None:
        """DuckDB's own error says it."""

    def delta_options(self) -> dict[str, str]:
        return {}

    def iceberg_options(self) -> dict[str, str]:
        return {}

    @staticmethod
    def _file(path: str) -> File:
        status = Path(path).stat()
        stamp = f"{status.st_dev}.{status.st_ino}.{status.st_mtime_ns}"
        return File(path, status.st_size, stamp, status.st_mtime)


def literal_path(path: str) -> str:
    """A path as a pattern that names it alone."""
    return glob.escape(path)
