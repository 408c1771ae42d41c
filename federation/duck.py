"""Large, proven merges: one locked-down DuckDB over the fragments' Arrow tables."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from connectors.base import Bound, Cancel
from connectors.errors import LimitExceeded
from connectors.types import PgType
from federation.channel import Channel
from planner.plan import Stage

BATCH_ROWS = 65_536
MOST_DIGITS = 38  # of a DECIMAL; a longer number would become a DOUBLE
HEAD = 8 << 20  # bytes of an answer held back: until then an error of DuckDB's can still become the canon's answer


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """What merging may use: `memory` and `spill_limit` as DuckDB writes sizes, `threads` for all merges together,
    `at_once` merges; without a `spill` folder nothing is spilled."""

    memory: str = "1GB"
    threads: int = 2
    spill: Path | None = None
    spill_limit: str = "10GB"
    at_once: int = 4


class Unfit(Exception):
    """DuckDB cannot give PostgreSQL's answer here; says why. Nobody sees it: the canon answers instead."""


class Duck:
    """One DuckDB instance that can reach nothing: no file, no network, no extension, no Python variable."""

    def __init__(self, limits: MergeLimits) -> None:
        self.limits = limits
        self._instance = _instance(limits)
        self._threads = ThreadPoolExecutor(limits.at_once, thread_name_prefix="vdw-merge")
        self._places = asyncio.Semaphore(limits.at_once)
        self._running: set[Channel] = set()

    async def run(self, stage: Stage, tables: Mapping[int, pa.Table], params: Sequence[Bound]) -> Channel:
        """Run a stage; the batches have the columns c0, c1 ... in `PgType.arrow` of its own. Raises nothing by itself:
        the channel's head and rest do, `Unfit` where the canon has to answer."""
        cancel = Cancel()
        statement = _Statement(self._instance, stage, tables, params, cancel, self.limits.memory)
        await self._places.acquire()

        def ended(_error: BaseException | None) -> None:
            self._places.release()
            self._running.discard(channel)

        channel = Channel(statement.batches, cancel, head=HEAD, ended=ended)
        self._running.add(channel)
        try:
            channel.start(self._threads)
        except BaseException:
            ended(None)
            raise
        return channel

    async def close(self) -> None:
        """Stop every merge, then the instance."""
        for channel in tuple(self._running):
            channel.close()
        await asyncio.to_thread(self._threads.shutdown)
        self._instance.close()


@dataclass(slots=True)
class _Statement:
    """One merge, run in one thread on one cursor."""

    instance: duckdb.DuckDBPyConnection
    stage: Stage
    tables: Mapping[int, pa.Table]
    params: Sequence[Bound]
    cancel: Cancel
    memory: str

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """The answer, at least one batch."""
        with contextlib.closing(self.instance.cursor()) as cursor, self.cancel.hook(cursor.interrupt):
            try:
                yield from self._batches(cursor)
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise self._error(str(error).partition("\n")[0]) from error

    def _batches(self, cursor: duckdb.DuckDBPyConnection) -> Generator[pa.RecordBatch, None, None]:
        for number in self.stage.reads:
            cursor.register(f"f{number}", self.tables[number])
        text, kinds = self.stage.sql, self.stage.columns
        relation = cursor.sql(text, params=_params(text, self.params))
        casts = [_cast(str(given), kind) for given, kind in zip(relation.types, kinds, strict=True)]
        relation = relation.project(", ".join(f"{cast.format(f'#{i + 1}')} AS c{i}" for i, cast in enumerate(casts)))
        reader = relation.to_arrow_reader(BATCH_ROWS)
        schema = pa.schema([pa.field(f"c{i}", kind.arrow) for i, kind in enumerate(kinds)])
        with contextlib.closing(reader):
            empty = True
            for batch in reader:
                empty = False
                yield _conform(batch, schema)
            if empty:
                yield pa.RecordBatch.from_pylist([], schema)

    def _error(self, said: str) -> Exception:
        """What an error means. By its text: out of the Arrow reader every error is an OSError."""
        if said.startswith("INTERRUPT Error"):
            return self.cancel.reason or LimitExceeded("canceling statement: the merge took too long", sqlstate="57014")
        if said.startswith("Out of Memory Error"):
            return LimitExceeded(
                f"merging this query needs more than the {self.memory} of memory that merges may use",
                detail=said,
                hint="Filter or aggregate so that fewer rows meet, or raise merge.memory in vdw.yml.",
            )
        return Unfit(said)


def _instance(limits: MergeLimits) -> duckdb.DuckDBPyConnection:
    instance = duckdb.connect(":memory:", config={"threads": limits.threads, "max_execution_time": "3600000"})
    settings: dict[str, str] = {
        "memory_limit": limits.memory,
        "temp_directory": "" if limits.spill is None else str(limits.spill),
        "max_temp_directory_size": limits.spill_limit,
    }
    for name, value in settings.items():
        quoted = value.replace("'", "''")
        instance.execute(f"SET GLOBAL {name} = '{quoted}'")
    # The order matters: the last two shut the door. Cursors inherit only what is set globally.
    for setting in (
        "GLOBAL TimeZone='UTC'",
        "GLOBAL default_null_order='postgres'",
        "GLOBAL ieee_floating_point_ops=false",
        "arrow_lossless_conversion=true",
        "preserve_insertion_order=false",
        "python_enable_replacements=false",
        "python_scan_all_frames=false",
        "autoinstall_known_extensions=false",
        "autoload_known_extensions=false",
        "allow_community_extensions=false",
        "allow_persistent_secrets=false",
        "enable_external_access=false",
        "lock_configuration=true",
    ):
        instance.execute(f"SET {setting}")
    return instance


# What a parameter of a type is to DuckDB; numeric is not here, since it takes the type of its value.
_DUCK = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "oid": "BIGINT",
    "float4": "FLOAT", "float8": "DOUBLE", "text": "VARCHAR", "varchar": "VARCHAR", "bytea": "BLOB", "date": "DATE",
    "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE", "time": "TIME", "uuid": "VARCHAR",
}  # fmt: skip
# From which types of DuckDB's a column may come without any change of its values.
_SAME: dict[str, frozenset[str]] = {
    **{name: frozenset({duck}) for name, duck in _DUCK.items()},
    "int2": frozenset({"TINYINT", "UTINYINT", "SMALLINT"}),
    "int4": frozenset({"TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER"}),
}
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)


def _params(text: str, params: Sequence[Bound]) -> dict[str, Any]:
    """The values of the parameters that the statement names; Unfit unless it is exactly one SELECT."""
    statements = duckdb.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Unfit("the merge is not one SELECT")
    return {name: _param(params[int(name) - 1]) for name in statements[0].named_parameters}


def _param(bound: Bound) -> Any:
    name = bound.type.name
    if name == "numeric" and bound.value is not None:
        value = Decimal(bound.value)
        if not value.is_finite():
            raise Unfit("a numeric parameter is not finite")
        _, digits, exponent = value.as_tuple()
        if max(len(digits), -int(exponent)) + max(int(exponent), 0) > MOST_DIGITS:
            raise Unfit("a numeric parameter has more digits than a DECIMAL")
        return value
    if name not in _DUCK and name != "numeric":
        raise Unfit(f"DuckDB has no type for a parameter of type {bound.type.sql}")
    return duckdb.Value(bound.value, duckdb.sqltype(_DUCK.get(name, "DECIMAL(38,0)")))


def _cast(given: str, kind: PgType) -> str:
    """How a column of DuckDB's type `given` becomes `kind`: a template for its expression, '{}' for as it is."""
    if given in _SAME.get(kind.name, ()):
        return "{}"
    if given == '"NULL"':
        return f"CAST({{}} AS {_DUCK.get(kind.name, 'VARCHAR') if pa.types.is_string(kind.arrow) else _duck(kind)})"
    if kind.name == "numeric":
        return _numeric(given, kind)
    if kind.name in ("int2", "int4", "int8") and given in _INTEGERS:
        return f"CAST({{}} AS {_DUCK[kind.name]})"  # out of range raises, and then the canon is asked
    if kind.name == "uuid" and given == "UUID":
        return "CAST({} AS VARCHAR)"
    if given == "VARCHAR" and pa.types.is_string(kind.arrow) and kind.name != "bpchar":
        return "{}"
    raise Unfit(f"DuckDB gives {given} where the answer has {kind.sql}")


def _numeric(given: str, kind: PgType) -> str:
    digits, point, scale = given.removeprefix("DECIMAL(").removesuffix(")").partition(",")
    if not (given in _INTEGERS or (point and digits.isdigit()) or given == "VARCHAR"):
        raise Unfit(f"DuckDB gives {given} where the answer has {kind.sql}")
    if pa.types.is_string(kind.arrow):
        return "{}" if given == "VARCHAR" else "CAST({} AS VARCHAR)"
    if given == "VARCHAR" or (point and int(scale) > kind.precision_scale[1]):
        raise Unfit(f"DuckDB's {given} has more digits than {kind.sql}")
    return f"CAST({{}} AS {_duck(kind)})"


def _duck(kind: PgType) -> str:
    if pa.types.is_decimal(kind.arrow):
        return f"DECIMAL({kind.arrow.precision},{kind.arrow.scale})"
    return _DUCK[kind.name]


def _conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in exactly these types; ArrowInvalid where that would change a value."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == wanted.type else column.cast(wanted.type)
        for column, wanted in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
