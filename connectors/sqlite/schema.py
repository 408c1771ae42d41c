"""What a SQLite file holds, by its own PRAGMAs; and which columns hold only what they declare.

`Column.exact` allows predicates to be pushed, so it is claimed only where it is proven: by a STRICT table, by a rowid,
or by one scan over the values (tables of at most a million rows, a few seconds). A value that breaks the type and is
written after that scan is refused when it is fetched; where only a pushed predicate sees it, SQLite compares it by its
own rules (every text is greater than every number), so that row, and no other, may be missing or present wrongly.
Times are exact in one spelling only, that in which parameters are bound (`sqlite_types.encode`), for SQLite compares
texts. Decimals (stored as reals), CHAR(n) (stored unpadded) and JSON never are.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connectors.base import Collation, Column, ForeignKey, Table
from connectors.errors import ConfigError
from connectors.sqlite.asking import Asking, Refused
from connectors.sqlite.types import declared, has_text_affinity
from connectors.types import PgType

SCAN_ROWS = 1_000_000  # larger tables are not scanned; nothing is then claimed of their values
SCAN_SECONDS = 5.0  # for one table
_RANGES = {"int2": 2**15, "int4": 2**31}
_STRICT = {"INT": "int8", "INTEGER": "int8", "REAL": "float8", "TEXT": "text", "BLOB": "bytea"}
_STORAGE = {"int8": "integer", "int4": "integer", "int2": "integer", "bool": "integer", "float8": "real"}
_log = logging.getLogger(__name__)


def quote(name: str) -> str:
    """An identifier for SQLite."""
    return '"' + name.replace('"', '""') + '"'


def read(asking: Asking, source: str, wanted: tuple[str, ...], types: dict[str, str]) -> list[Table]:
    """The tables and views of the file; `types` overrides declared types, by "table.column"."""
    relations = asking.rows(
        "SELECT name, type, wr, strict FROM pragma_table_list "
        "WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
        "ORDER BY name"
    )
    found = list(_readable(asking, source, (row for row in relations if not wanted or row[0] in wanted), types))
    _refuse_unknown([key for key in types if not wanted or key.rpartition(".")[0] in wanted], found, source)
    return found


def _refuse_unknown(keys: list[str], tables: list[Table], source: str) -> None:
    known = {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), 1)
            raise ConfigError(
                f'connection.types: there is no column "{key}"',
                place=f'source "{source}"',
                hint=f'did you mean "{near[0]}"?' if near else "write table.column",
            )


def _readable(
    asking: Asking, source: str, relations: Iterable[tuple[Any, ...]], types: dict[str, str]
) -> Iterator[Table]:
    for name, kind, rowless, strict in relations:
        try:
            yield _Reader(asking, source, name, types).table(kind, bool(int(rowless)), bool(int(strict)))
        except Refused as error:  # a view over a table that is gone must not hide the others
            _log.warning("%s: %s.%s cannot be read: %s", source, source, name, error)


class _Reader:
    """One table's facts."""

    def __init__(self, asking: Asking, source: str, name: str, types: dict[str, str]) -> None:
        self._asking, self._source, self._name, self._types = asking, source, name, types

    def table(self, kind: str, rowless: bool, strict: bool) -> Table:
        info = [_column_info(row) for row in self._ask("table_xinfo")]
        info = [row for row in info if row[6] != 1]
        primary = tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])
        rowid = None if rowless or kind != "table" else self._rowid(info, primary)
        native = {row[1]: row[2] for row in info}
        told = {name: self._types.get(f"{self._name}.{name}", text) for name, text in native.items()}
        rows = self._count() if kind == "table" else None
        sure = self._proven(native, told, rowid, strict, rows)
        columns = tuple(
            Column(
                name=row[1],
                type=declared(told[row[1]]),
                nullable=not (row[3] or row[1] == rowid or (rowless and row[5])),
                native=row[2],
                collation=self._collation(row[1], row[2]),
                exact=row[1] in sure,
            )
            for row in info
        )
        indexes = list(self._indexes())
        firm = {column.name for column in columns if column.exact and not column.nullable}
        unique = [primary] if primary else []
        unique += [names for names, single in indexes if single and names != primary]
        return Table(
            source=self._source,
            schema="main",
            name=self._name,
            columns=columns,
            keys=tuple(names for names in unique if firm.issuperset(names)),
            indexes=tuple(dict.fromkeys(([primary] if primary else []) + [names for names, _ in indexes])),
            foreign_keys=tuple(self._foreign_keys()),
            row_count=rows,
        )

    def _rowid(self, info: Sequence[tuple[Any, ...]], primary: tuple[str, ...]) -> str | None:
        """The column that is the table's rowid: it holds integers only and no NULL, and needs no index of its own
        (an INTEGER PRIMARY KEY DESC has one, and holds anything)."""
        if len(primary) != 1 or any(row[3] == "pk" for row in self._ask("index_list")):
            return None
        return next((row[1] for row in info if row[1] == primary[0] and row[2].upper() == "INTEGER"), None)

    def _ask(self, pragma: str, of: str | None = None) -> list[tuple[Any, ...]]:
        return self._asking.rows(f"PRAGMA main.{pragma}({quote(of or self._name)})")

    def _indexes(self) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Columns and uniqueness of each index that covers all rows and no expression."""
        for _, name, unique, _, partial in self._ask("index_list"):
            names = tuple(row[2] for row in self._ask("index_info", name))
            if names and None not in names and not int(partial):
                yield names, bool(int(unique))

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        rows = self._ask("foreign_key_list")
        for number in sorted({row[0] for row in rows}):
            pairs = sorted((row for row in rows if row[0] == number), key=lambda row: int(row[1]))
            target = pairs[0][2]
            references = tuple(row[4] for row in pairs) if pairs[0][4] is not None else self._primary(target)
            yield ForeignKey(tuple(row[3] for row in pairs), target, references)

    def _primary(self, table: str) -> tuple[str, ...]:
        rows = [_column_info(row) for row in self._ask("table_xinfo", table)]
        return tuple(row[1] for row in sorted(rows, key=lambda row: int(row[5])) if row[5])

    def _count(self) -> int:
        """Rows, counted up to SCAN_ROWS; beyond that by ANALYZE's word or the greatest rowid."""
        table = quote(self._name)
        limited = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {SCAN_ROWS + 1})"  # noqa: S608 -- quoted
        counted = int(self._asking.rows(limited)[0][0])
        return counted if counted <= SCAN_ROWS else max(counted, self._estimate())

    def _estimate(self) -> int:
        for query in (
            f"SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE tbl = {_text(self._name)} LIMIT 1",  # noqa: S608
            f"SELECT max(_rowid_) FROM {quote(self._name)}",  # noqa: S608 -- quoted
        ):
            try:
                found = self._asking.rows(query)
            except Refused:
                continue
            if found and found[0][0]:
                return int(found[0][0])
        return 0

    def _proven(
        self, native: dict[str, str], told: dict[str, str], rowid: str | None, strict: bool, rows: int | None
    ) -> set[str]:
        sure = {rowid} if rowid and declared(told[rowid]).name == "int8" else set()
        if strict:
            sure |= {name for name, text in told.items() if declared(text).name == _STRICT.get(native[name].upper())}
        checks = {name: _breaks(name, text, told[name]) for name, text in native.items() if name not in sure}
        open_checks = {name: check for name, check in checks.items() if check}
        if open_checks and (rows is None or rows <= SCAN_ROWS):
            sure |= self._scan(open_checks)
        return sure

    def _scan(self, checks: dict[str, str]) -> set[str]:
        sums = ", ".join(f"coalesce(max({check}), 0)" for check in checks.values())
        try:
            with self._asking.within(SCAN_SECONDS):
                (found,) = self._asking.rows(f"SELECT {sums} FROM {quote(self._name)}")  # noqa: S608 -- quoted
        except Refused:  # too slow, or a view that fails: nothing is claimed
            return set()
        return {name for name, broken in zip(checks, found, strict=True) if not int(broken)}

    def _collation(self, column: str, native: str) -> Collation:
        """What SQLite's own compiler uses to compare this column; a view may name several, then all must agree."""
        if not has_text_affinity(native):
            return Collation.BYTES
        compare = f"EXPLAIN SELECT {quote(column)} = 'x' FROM {quote(self._name)}"  # noqa: S608 -- quoted
        used = {row[5] for row in self._asking.rows(compare) if row[1] in ("Eq", "Ne") and row[5]}
        if used == {"BINARY-8"}:
            return Collation.BYTES
        return Collation.EQUAL if used in ({"BINARY-16LE"}, {"BINARY-16BE"}) else Collation.LOOSE


def _column_info(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of table_xinfo: cid, name, type, not null, default, place in the primary key, hidden."""
    return (int(row[0]), row[1], row[2] or "", int(row[3]), row[4], int(row[5]), int(row[6]))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _breaks(name: str, native: str, told: str) -> str:
    """SQL that is 1 for a value that the type does not hold exactly as parameters of it are bound; "" where none
    does. `native` is what SQLite compares by: only with text affinity is '5' text to it."""
    column, kind = quote(name), declared(told)
    if kind.name in _STORAGE:
        return _wrong_storage(column, _STORAGE[kind.name]) + _wrong_number(column, kind)
    if kind.name in ("text", "varchar") and has_text_affinity(native):
        long = f" OR length({column}) > {kind.mod - 4}" if kind.mod >= 0 else ""
        return _wrong_storage(column, "text") + long
    if kind.name == "bytea":
        return _wrong_storage(column, "blob")
    right = _spelling(column, kind.name)
    return f"{_wrong_storage(column, 'text')} OR {column} IS NOT NULL AND NOT ({right})" if right else ""


def _wrong_storage(column: str, storage: str) -> str:
    return f"typeof({column}) NOT IN ('{storage}', 'null')"


def _wrong_number(column: str, kind: PgType) -> str:
    if kind.name == "bool":
        return f" OR {column} NOT IN (0, 1)"
    limit = _RANGES.get(kind.name)
    return f" OR {column} NOT BETWEEN {-limit} AND {limit - 1}" if limit else ""


def _spelling(column: str, kind: str) -> str:
    """SQL that is true for the one text that stands for an instant, a day or a UUID; '' for other types."""
    if kind == "date":
        return _day(column)
    if kind == "uuid":
        return f"length({column}) = 36 AND {column} NOT GLOB '*[^0-9a-f-]*'"
    if kind == "time":
        return _clock(column)
    if kind == "timestamp":
        return _moment(column)
    if kind == "timestamptz":
        return f"{column} GLOB '*+00:00' AND {_moment(f'substr({column}, 1, length({column}) - 6)')}"
    return ""


def _moment(text: str) -> str:
    return f"substr({text}, 11, 1) = ' ' AND {_day(f'substr({text}, 1, 10)')} AND {_clock(f'substr({text}, 12)')}"


def _day(text: str) -> str:
    """Through the Julian day, for SQLite's date() lets 30 February pass."""
    return f"date(julianday({text})) IS {text} AND substr({text}, 1, 4) > '0000'"


def _clock(text: str) -> str:
    """HH:MM:SS below 24 hours, and a fraction of at most six digits that does not end in 0."""
    head, rest = f"substr({text}, 1, 8)", f"substr({text}, 9)"
    whole = f"strftime('%H:%M:%S', {head}) IS {head} AND {head} < '24'"
    fraction = f"length({rest}) BETWEEN 2 AND 7 AND {rest} GLOB '.*[1-9]' AND substr({rest}, 2) NOT GLOB '*[^0-9]*'"
    return f"{whole} AND (length({rest}) = 0 OR {fraction})"
