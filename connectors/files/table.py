"""What each format gives: a table as it is now, pinned, that tells its columns and reads them."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.apart import awaited, begun, watched
from connectors.base import Cancel, Collation, Column, Unfit
from connectors.duckdb.types import natural
from connectors.errors import SourceError
from connectors.files.compressed import suffix
from connectors.files.options import Reading
from connectors.files.places import File, Place
from connectors.files.typed import Misfit, convert
from connectors.statistics import Estimate, TableStatistics
from connectors.stopping import timed_out
from connectors.types import PgType

ALL = "/**/*"  # the end of a path that means all of a folder's files of the table's format
ENDINGS = {
    ".parquet": "parquet", ".parq": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json",
    ".ndjson": "json", ".jsonl": "json", ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".xlsx": "excel", ".xlsm": "excel",
}  # fmt: skip
T = TypeVar("T")
Policies = Mapping[str, Unfit]  # by column: what becomes of values that its type cannot hold; never `error`
NONE: Policies = {}
MARK = "\0"  # begins the text that stands for a value which is none of its type, whatever its text would be
_TOKENS = itertools.count()


def form_of(path: str) -> str:
    """The format that a file's ending tells; '' for none.

    >>> form_of("a/orders.csv.gz"), form_of("_SUCCESS")
    ('csv', '')
    """
    plain = path.removesuffix(suffix(path))
    return next((form for ending, form in ENDINGS.items() if plain.endswith(ending)), "")


class Changed(SourceError):
    """A file was replaced or written to while it was read."""

    sqlstate = "08006"


def changed(name: str) -> Changed:
    """The error of a file that is not the one of before."""
    return Changed(f"{name} changed while it was read", hint="ask again; replace files by rename, never in place")


@dataclass(frozen=True, slots=True)
class Work:
    """One statement's time and its end; `ask` is DuckDB's answer to a question of ours."""

    source: str
    seconds: float
    cancel: Cancel
    ask: Callable[[str], list[Any]]
    deadline: float
    token: str

    @staticmethod
    def of(source: str, seconds: float, cancel: Cancel, ask: Callable[[str], list[Any]]) -> Work:
        """Work that may take so many seconds from now."""
        return Work(source, seconds, cancel, ask, time.monotonic() + seconds, str(next(_TOKENS)))

    def check(self) -> None:
        """Raise where the statement is to end."""
        self.cancel.check()
        if time.monotonic() > self.deadline:
            raise timed_out(self.source, self.seconds)

    def waited(self, call: Callable[[], T]) -> T:
        """What a call that nobody can stop returns; left alone where the statement is to end."""
        self.check()
        return watched(call, self.check)

    def each(self, call: Callable[[], T | None]) -> Iterator[T]:
        """What `call` returns again and again until None, as `waited`; the next is under way while one is used."""
        coming = begun(call)
        while True:
            self.check()
            if (item := awaited(coming, self.check)) is None:
                return
            coming = begun(call)
            yield item


@dataclass(frozen=True, slots=True)
class Spec:
    """A table that is asked for: where, in which format, and what its owner declares."""

    name: str
    format: str
    path: str  # as the place knows it; may be a pattern
    place: Place
    reading: Reading
    types: Mapping[str, PgType] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    prove: int = 0
    max_files: int = 10_000

    def files(self, work: Work) -> tuple[File, ...]:
        """The files of now; SourceError where there is none, or are too many."""
        listed = self.place.files(self.path, self.max_files, work)
        found = tuple(file for file in listed if not self.path.endswith(ALL) or form_of(file.path) == self.format)
        if not found:
            raise SourceError(
                f"table {self.name}: no file is at {self.path}",
                sqlstate="08001",
                hint="check the path, or add the file",
            )
        return found


@dataclass(frozen=True, slots=True)
class Opened:
    """A table of now. `key` changes when its contents do."""

    spec: Spec
    key: Hashable
    columns: tuple[Column, ...]
    rows: int | None
    modified: dt.datetime

    def sql(self, work: Work) -> str | None:
        """DuckDB's own SELECT of the table, or None where `scan` reads it."""
        del work
        return None

    def footers(self, work: Work) -> str | None:
        """The files whose footers tell DuckDB their statistics, as its list."""
        del work
        return None

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        """Columns of these names, each in its type's Arrow form; those of `spared` as texts, which `fitted` reads."""
        raise NotImplementedError

    def scannable(self, names: Sequence[str]) -> bool:
        """Whether `scan` gives these columns as `sql` would."""
        del names
        return True

    def fitted(self, name: str, texts: pa.Array) -> pa.Array:
        """Texts of a spared column as its type; UnfitError where one does not fit."""
        kind = self.kinds[name]
        try:
            if _any_marked(texts):
                raise Misfit(0, "a value")
            return convert(texts, kind, self.spec.formats.get(name))
        except Misfit as fault:
            raise arrow.unfit(name, fault.found, kind) from None

    def check(self) -> None:
        """Changed where the files are no longer those that were opened."""

    def statistics(self) -> TableStatistics | None:
        """What was counted when it was opened."""
        return None if self.rows is None else TableStatistics(Estimate.exactly(float(self.rows)))

    @property
    def kinds(self) -> dict[str, PgType]:
        """The types of the columns by name."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True, slots=True)
class OfFiles(Opened):
    """A table of files; its key is these."""

    key: tuple[File, ...]

    def check(self) -> None:
        if not self.spec.place.current(self.key):
            raise changed(f"table {self.spec.name}")


Opener = Callable[[Spec, Opened | None, Work], Opened]  # the second: the table of before, if any


def _any_marked(texts: pa.Array) -> bool:
    return bool(pc.any(pc.starts_with(texts, MARK)).as_py())


def made(name: str, kind: PgType, native: str, *, nullable: bool = True) -> Column:
    """A column of a table that `scan` reads: exact where DuckDB has the type."""
    exact = natural(kind) != "VARCHAR" or kind.name in ("text", "varchar")
    return Column(name, kind, nullable=nullable, native=native, collation=Collation.BYTES, exact=exact)


def same_names(names: Sequence[str], place: str) -> None:
    """SourceError where two columns could not be told apart (DuckDB's names have no case)."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SourceError(f'{place}: two columns are named "{name}"', hint="rename one of them in the file")
        seen.add(name.lower())


def youngest(files: Sequence[File]) -> dt.datetime:
    """When the last of the files changed."""
    return dt.datetime.fromtimestamp(max(file.modified for file in files), dt.UTC)
