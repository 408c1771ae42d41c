"""Parquet: DuckDB reads it itself; files with types that it would change are read by PyArrow."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.base import Collation, Column
from connectors.duckdb.schema import literal, quote
from connectors.duckdb.types import mapped, natural
from connectors.errors import SourceError
from connectors.files.ipc import conformed, united, wider
from connectors.files.places import File
from connectors.files.row_groups import batches
from connectors.files.table import NONE, OfFiles, Opened, Policies, Spec, Work, made, same_names, youngest
from connectors.files.typed import Misfit, convert
from connectors.types import PgType

_SCHEMAS = """
    SELECT file_name, name, type, logical_type, precision, num_children, repetition_type
    FROM parquet_schema({}) ORDER BY file_name, column_id
"""
_ROWS = "SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({})"
_MOST_DIGITS = 38  # of a DuckDB decimal: it makes a double of more
_NESTED = re.compile(r"(STRUCT|MAP|UNION)\(|.*\]$")
_HIVE = re.compile(r"([^/=]+)=([^/]*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_TEXT = PgType("text")
_ALIKE = re.compile(  # types of which PyArrow reads what DuckDB reads
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE"
    r"|TIMESTAMP( WITH TIME ZONE)?"
)
Partition = Mapping[str, str | None]


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The Parquet files of now, as one table by the names of their columns."""
    files = spec.files(work)
    if before is not None and before.key == files:
        return before
    urls = {spec.place.url(file, work): file for file in files}
    partitions = _partitions(spec, files)
    groups, wide = _groups(urls, work)
    (rows,) = work.ask(_ROWS.format(listed(urls)))[0]
    natives = {key: _described(group[0], key, work) for key, group in groups.items()}
    known = {name for columns in natives.values() for name in columns}
    if wide or any(_differs(spec, natives, name) for name in known & {*spec.types}):
        return _Foreign.of(spec, files, partitions, rows, work)
    members = [_Group(tuple(urls[url] for url in group), natives[key], _int96(key)) for key, group in groups.items()]
    columns = _columns(spec, natives.values(), partitions)
    return _Parquet(spec, files, columns, rows, youngest(files), tuple(members), partitions)


def listed(urls: Sequence[str] | Mapping[str, Any]) -> str:
    """Files as DuckDB's list."""
    return f"[{', '.join(map(literal, urls))}]"


Signature = tuple[tuple[Any, ...], ...]


def _groups(urls: Mapping[str, File], work: Work) -> tuple[dict[Signature, list[str]], bool]:
    """Files of one schema together; and whether there is a decimal that DuckDB does not hold."""
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for file, *column in work.ask(_SCHEMAS.format(listed(urls))):
        rows[file].append(tuple(column))
    groups: dict[Signature, list[str]] = defaultdict(list)
    for file, columns in rows.items():
        groups[tuple(columns)].append(file)
    return groups, any((column[3] or 0) > _MOST_DIGITS for key in groups for column in key)


def _int96(key: Signature) -> bool:
    return any(column[1] == "INT96" for column in key)


def _described(url: str, key: Signature, work: Work) -> dict[str, str]:
    """DuckDB's types of the columns of a file."""
    rows = work.ask(f"DESCRIBE SELECT * FROM {_read([url], _int96(key), hive=False)}")  # noqa: S608 -- quoted
    same_names([row[0] for row in rows], url)
    return {row[0]: row[1] for row in rows}


def _read(urls: Sequence[str], int96: bool, *, hive: bool) -> str:
    options = f"hive_partitioning = {str(hive).lower()}, hive_types_autocast = false"
    return f"read_parquet({listed(urls)}, {options}{', int96_as = {}'.format(literal('struct')) if int96 else ''})"


def _differs(spec: Spec, natives: Mapping[Signature, Mapping[str, str]], name: str) -> bool:
    return any(mapped_as(columns[name]) != spec.types[name] for columns in natives.values() if name in columns)


def mapped_as(native: str) -> PgType:
    """The PostgreSQL type of a column of DuckDB's Parquet reader; what is nested is JSON."""
    if native == _INT96:
        return PgType("timestamp")
    return PgType("json") if _NESTED.match(native) else mapped(native)


_INT96 = 'STRUCT(date DATE, "time" TIME_NS)'  # as int96_as = 'struct' gives it


def _partitions(spec: Spec, files: Sequence[File]) -> dict[str, Partition]:
    """The key=value folders of each file below the table's own folder."""
    fixed = spec.path.split("*")[0].rsplit("/", 1)[0]
    return {
        file.path: {
            unquote(key): None if value == _NO_VALUE else unquote(value)
            for key, value in _HIVE.findall(file.path[len(fixed) :].rsplit("/", 1)[0])
        }
        for file in files
    }


def _columns(spec: Spec, natives: Any, partitions: Mapping[str, Partition]) -> tuple[Column, ...]:
    kinds: dict[str, PgType] = {}
    names: dict[str, str] = {}
    for columns in natives:
        for name, native in columns.items():
            kinds[name] = wider(kinds.get(name, mapped_as(native)), mapped_as(native))
            names.setdefault(name, native)
    made_of = [
        Column(name, kind, native=names[name], collation=Collation.BYTES, exact=_exact(kind, names[name], len(natives)))
        for name, kind in kinds.items()
    ]
    return (*made_of, *_partition_columns(spec, kinds, partitions))


def _exact(kind: PgType, native: str, groups: int) -> bool:
    """Whether DuckDB compares the column as PostgreSQL would."""
    if kind.name in ("numeric", "json") and natural(kind) == "VARCHAR":
        return False
    return not (native.endswith("_NS") and groups == 1)  # left as it is: nanoseconds do not compare as microseconds


def _partition_columns(spec: Spec, kinds: Mapping[str, PgType], partitions: Mapping[str, Partition]) -> list[Column]:
    """Folders' values as columns: text, or the declared type where every value is one."""
    names = list(dict.fromkeys(name for partition in partitions.values() for name in partition))
    held = [name for name in names if name in kinds]
    if held:
        return []  # the files say it themselves
    columns = []
    for name in names:
        kind = spec.types.get(name, _TEXT)
        values = sorted({partition.get(name) for partition in partitions.values()} - {None}, key=str)
        try:
            convert(pa.array(values, pa.string()), kind)
        except Misfit as fault:
            raise SourceError(
                f"table {spec.name}: a folder {name}=... holds {fault.found}, which is no {kind.sql}",
                sqlstate="HV004",
                hint=f"rename the folder, or declare types: {{{spec.name}.{name}: text}}",
            ) from None
        columns.append(made(name, kind, "folder"))
    return columns


@dataclass(frozen=True, slots=True)
class _Group:
    """Files of one schema."""

    files: tuple[File, ...]
    natives: Mapping[str, str]
    int96: bool


@dataclass(frozen=True, slots=True)
class _Parquet(OfFiles):
    groups: tuple[_Group, ...] = ()
    partitions: Mapping[str, Partition] = field(default_factory=dict)

    def scannable(self, names: Sequence[str]) -> bool:
        if self.spec.place.remote:
            return False  # DuckDB asks for several parts at once
        kinds = self.kinds
        return not any(
            name in group.natives
            and not (_ALIKE.fullmatch(group.natives[name]) and mapped_as(group.natives[name]) == kinds[name])
            for name in names
            for group in self.groups
        )

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        return _scanned(self, self.partitions, names, work, spared)

    def sql(self, work: Work) -> str | None:
        """One SELECT for the files of each schema, with the same columns in the same order."""
        return " UNION ALL ".join(self._select(group, work) for group in self.groups)

    def _select(self, group: _Group, work: Work) -> str:
        urls = [self.spec.place.url(file, work) for file in group.files]
        hive = any(column.native == "folder" for column in self.columns)
        terms = ", ".join(self._term(column, group) for column in self.columns)
        return f"SELECT {terms} FROM {_read(urls, group.int96, hive=hive)}"  # noqa: S608 -- quoted

    def _term(self, column: Column, group: _Group) -> str:
        name, target = quote(column.name), "JSON" if column.type.name == "json" else natural(column.type)
        if column.native == "folder":
            return name if target == "VARCHAR" else f"CAST({name} AS {target}) AS {name}"
        if column.name not in group.natives:
            return f"CAST(NULL AS {target}) AS {name}"
        native = group.natives[column.name]
        if len(self.groups) == 1 and native == target:
            return name
        return f"{_cast(name, native, target, len(self.groups) > 1)} AS {name}"

    def footers(self, work: Work) -> str | None:
        return listed([self.spec.place.url(file, work) for file in self.key])


def _cast(name: str, native: str, target: str, several: bool) -> str:
    """A column in the type in which it computes as in PostgreSQL; an error where that would lose something."""
    if native == _INT96:
        whole = f'{name}.date + CAST({name}."time" AS TIME)'
        lossless = f'CAST(CAST({name}."time" AS TIME) AS TIME_NS) = {name}."time"'
        return f"CASE WHEN {name} IS NULL THEN NULL WHEN {lossless} THEN {whole} ELSE {_LOST} END"
    if native == "TIME_NS":
        return f"CASE WHEN CAST(CAST({name} AS TIME) AS TIME_NS) <> {name} THEN {_LOST} ELSE CAST({name} AS TIME) END"
    if native in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS") and not several:
        return name  # Arrow's own cast refuses what microseconds cannot hold
    if native.endswith("_NS"):
        kept = f"CAST(CAST({name} AS {target}) AS {native}) <> {name}"
        return f"CASE WHEN {kept} THEN {_LOST} ELSE CAST({name} AS {target}) END"
    if _NESTED.match(native):
        return f"to_json({name})" if target == "JSON" else f"CAST(to_json({name}) AS VARCHAR)"
    return f"CAST({name} AS {target})"


_LOST = "error('Conversion Error: a time of nanoseconds, which microseconds cannot hold')"


@dataclass(frozen=True, slots=True)
class _Foreign(OfFiles):
    """Read by PyArrow, as DuckDB would change values, or an owner declares other types."""

    partitions: Mapping[str, Partition] = field(default_factory=dict)

    @staticmethod
    def of(spec: Spec, files: tuple[File, ...], partitions: Mapping[str, Partition], rows: int, work: Work) -> _Foreign:
        schemas = {}
        for file in files:
            with spec.place.open(file, work) as raw:
                schemas[file.path] = pq.read_schema(raw)
        columns = united(spec, schemas)
        kinds = {column.name: column.type for column in columns}
        columns = (*columns, *_partition_columns(spec, kinds, partitions))
        return _Foreign(spec, files, columns, rows, youngest(files), partitions)

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        return _scanned(self, self.partitions, names, work, spared)


def _scanned(
    table: OfFiles, partitions: Mapping[str, Partition], names: Sequence[str], work: Work, spared: Policies
) -> Iterator[pa.RecordBatch]:
    kinds = table.kinds
    folders = [column.name for column in table.columns if column.native == "folder" and column.name in names]
    for file in table.key:
        values = {name: pa.scalar(partitions[file.path].get(name), pa.string()) for name in folders}
        for batch in batches(table.spec, file, names, work):
            rows = batch
            for name, value in values.items():
                rows = rows.append_column(name, pa.repeat(value, batch.num_rows))
            yield conformed(rows, names, kinds, file.path, spared)
