"""DuckDB files, each in a locked-down DuckDB instance of its own, apart from the merge engine."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import Field

from connectors.duckdb.engine import Embedded, EngineOptions
from connectors.duckdb.instance import Instance
from connectors.errors import SourceError


class DuckdbOptions(EngineOptions):
    """The `connection:` of a DuckDB source."""

    path: str = Field(description="The database file; a relative path starts at the project folder.")


class DuckdbConnector(Embedded):
    """One DuckDB file, read only. A file that replaces it is seen when no statement runs on the old one."""

    Options = DuckdbOptions
    orphaned = 0.0  # it runs in our process

    def __init__(self, name: str, options: DuckdbOptions) -> None:
        super().__init__(name, options)
        self._options = options
        self._file = (Path(options.base_folder) / options.path).resolve()
        self._identity = (0, 0)

    def modified(self) -> dt.datetime:
        """When the file last changed."""
        return _changed(self._file, self._place)

    def _connect(self) -> Instance:
        if not self._file.is_file():
            raise _missing(self._file, self._place)
        self._identity = self._found()
        return Instance(str(self._file), True, self._options.threads, self._options.memory_limit)

    def _found(self) -> tuple[int, int]:
        status = self._file.stat()
        return status.st_dev, status.st_ino

    def _stale(self) -> bool:
        return not self._file.is_file() or self._found() != self._identity


def _changed(file: Path, place: str) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    except OSError as error:
        raise _missing(file, place) from error


def _missing(path: Path, place: str) -> SourceError:
    return SourceError(
        f"{path.name} does not exist",
        sqlstate="08001",
        place=place,
        hint="check connection: in the source's file; a relative path starts at the project folder.",
    )
