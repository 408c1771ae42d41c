"""SQLite behind ODBC (libsqliteodbc): each value with its storage class, and the native connector's readers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote as escape

import pyarrow as pa
import pyarrow.compute as pc

from connectors.base import Profile, SourceQuery, Table
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.lists import listed
from connectors.odbc.engine import CANARY, Engine, Facts, Given, Where, refused
from connectors.odbc.rows import cells
from connectors.reading import Reading
from connectors.sqlite import schema as sqlite_schema
from connectors.sqlite import statistics as sqlite_statistics
from connectors.sqlite.asking import Refused
from connectors.sqlite.connector import assembled, read_plan
from connectors.sqlite.types import encode, text_or_bytes
from connectors.statistics import Key, TableStatistics

_INTERRUPTED = 9
_ALIKE = {"i": pa.int64(), "r": pa.float64(), "t": None}  # storage classes that Arrow converts
_PYTHON: dict[bytes, Callable[[bytes], Any]] = {
    b"i": int,
    b"r": float,
    b"t": text_or_bytes,
    b"z": lambda digits: bytes.fromhex(digits.decode()).decode(errors="replace"),
    b"b": lambda digits: bytes.fromhex(digits.decode()),
}
# no driver may see a value itself: this one cuts texts at a NUL and prints 15 digits of a real
_CELL = """CASE typeof({0}) WHEN 'integer' THEN 'i' || {0} WHEN 'real' THEN 'r' || printf('%!.20g', {0})
WHEN 'text' THEN CASE WHEN instr({0}, char(0)) THEN 'z' || hex({0}) ELSE '"t' || replace({0}, '"', '""') || '"' END
WHEN 'blob' THEN 'b' || hex({0}) ELSE '' END"""


class Sqlite(Engine):
    """The engine of which the capability table is proven; its session is that of the native connector."""

    name, title, proven = "sqlite", "SQLite", True
    dbms = ("SQLite",)
    drivers = ("sqlite",)
    utf8 = True

    def keywords(self, where: Where) -> dict[str, Any]:
        path = None if where.database is None else f"file:{escape(str(Path(where.database)))}?mode=ro"
        return {"DATABASE": path, "NOCREAT": 1, "STEPAPI": 1, "LONGNAMES": 1, "TIMEOUT": 5000}

    def canary(self) -> str:
        return f"SELECT CAST(x'{CANARY.encode().hex()}' AS TEXT)"

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        del facts
        return ("PRAGMA query_only = 1", "PRAGMA case_sensitive_like = 1", "PRAGMA schema_version")

    def limit(self, milliseconds: int, facts: Facts) -> str | None:
        del milliseconds, facts
        return ""

    def statement(self, query: SourceQuery, facts: Facts) -> tuple[str, tuple[Any, ...]]:
        del facts
        said, values = _said(query)
        line = " || ',' || ".join(_CELL.format(f"c{at}") for at in range(len(query.columns)))
        names = ", ".join(f"c{at}" for at in range(len(query.columns)))
        return f"WITH q({names}) AS ({said}) SELECT {line} AS r FROM q", values  # noqa: S608 -- names are c0, c1, ...

    def batch(self, rows: Sequence[Any], query: SourceQuery, description: Any) -> pa.RecordBatch:
        del description
        columns = [_values(one) for one in cells([row[0] for row in rows], len(query.columns))]
        return assembled(query, columns)

    def profile(self, given: Given) -> Profile:
        asking = _Asking(given)
        version, sensitive, arrays = asking.rows(
            "SELECT sqlite_version(), 'a' LIKE 'A', (SELECT value FROM json_each('[1]'))"
        )[0]
        encoding = asking.rows("PRAGMA encoding")[0][0]
        facts = {"encoding": encoding, "case_sensitive_like": int(sensitive) == 0, "json_each": int(arrays) == 1}
        return Profile("sqlite", tuple(int(part) for part in str(version).split(".")), facts)

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        if schemas and "main" not in schemas:
            return ()
        wanted = tuple(name.removeprefix("main.") for name in tables)
        return tuple(sqlite_schema.read(_Asking(given), given.source, wanted, dict(given.types)))

    def statistics(
        self, given: Given, tables: Sequence[Table], known: Mapping[Key, TableStatistics]
    ) -> dict[Key, TableStatistics]:
        del known
        return sqlite_statistics.read(_Asking(given), tables)

    def explain(self, given: Given, query: SourceQuery) -> Reading:
        said = _said(query)[0].replace("?", "0.0")
        return read_plan(said, [str(row[3]) for row in _Asking(given).rows("EXPLAIN QUERY PLAN " + said)])

    def error(self, source: str, state: str, code: int, message: str, late: LimitExceeded) -> Error:
        return late if code == _INTERRUPTED else refused(source, state, message)


class _Asking:
    """The catalog's questions; the driver makes texts of their numbers (connectors.sqlite.asking.Asking)."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        try:
            return [tuple(map(_as_text, row)) for row in self._given.ask(text)]
        except SourceError as error:
            if error.sqlstate == "HV000":
                raise Refused(error.message) from error
            raise

    def value(self, text: str) -> Any:
        (told,) = self.rows(f"SELECT {_CELL.format('v')} AS r FROM ({text})")  # noqa: S608
        return _values(cells([told[0]], 1)[0])[0]

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        with self._given.within(seconds):
            yield


def _as_text(value: Any) -> Any:
    return bytes(value).decode() if isinstance(value, bytes | bytearray) else value


def _said(query: SourceQuery) -> tuple[str, tuple[Any, ...]]:
    """The statement with its parameters as literals; only reals are bound: SQLite does not read all their digits."""
    pieces: list[str] = []
    reals: list[float] = []
    for at, part in enumerate(query.parts):
        if isinstance(part, str):
            pieces.append(part)
            continue
        value = encode(query.params[part], "SQLite")
        if isinstance(value, float):
            reals.append(value)
        said = "?" if isinstance(value, float) else _literal(value)
        pieces.append(f"SELECT value FROM json_each({said})" if listed(query, at) else said)  # noqa: S608
    return "".join(pieces), tuple(reals)


def _literal(value: Any) -> str:
    """A literal without an affinity, as a parameter has none; a CAST would have one."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"+CAST(x'{value.encode().hex()}' AS TEXT)"
    if isinstance(value, bytes | bytearray):
        return f"x'{bytes(value).hex()}'"
    return "-9223372036854775808" if value == -(2**63) else str(int(value))


def _values(cells: pa.Array) -> list[Any]:
    """Cells as sqlite3's values; columns of one storage class, which most are, by Arrow."""
    for letter, made in _ALIKE.items():
        if pc.all(pc.starts_with(cells, letter)).as_py() is not False:
            with contextlib.suppress(pa.ArrowInvalid):  # of a text that is not UTF-8
                bare = pc.utf8_slice_codeunits(cells.cast(pa.string()), 1)
                return list((bare if made is None else bare.cast(made)).to_pylist())
    return [None if cell is None else _PYTHON[cell[:1]](cell[1:]) for cell in cells.to_pylist()]
