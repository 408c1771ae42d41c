"""Workbooks: a sheet is a table; cells have types of their own, and a formula the value that was stored with it."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zipfile import BadZipFile

import pyarrow as pa

from connectors import decimals
from connectors.base import Unfit
from connectors.errors import SourceError
from connectors.files import needs
from connectors.files.places import File
from connectors.files.table import MARK, NONE, OfFiles, Opened, Policies, Spec, Work, made, same_names, youngest
from connectors.files.typed import Misfit, convert
from connectors.types import PgType, numeric

with needs("Excel", "openpyxl"):
    import openpyxl
    from openpyxl.utils import get_column_letter
    from openpyxl.utils.exceptions import InvalidFileException

_ROWS = 4096
_EXACT = 2**53  # every smaller whole number is a double of its own
_DIGITS = 15  # that a double surely tells
_FEW = 18
Row = tuple[Any, ...]


class _Fault(Exception):
    """A cell that has no value: an error of a formula, or one that was never computed."""

    def __init__(self, what: str, shown: str) -> None:
        super().__init__(what)
        self.what, self.shown = what, shown


def sheets(spec: Spec, work: Work) -> tuple[str, ...]:
    """The names of a workbook's sheets, in its order."""
    with _Book(spec, spec.files(work)[0], work) as book:
        return tuple(book.values.sheetnames)


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The sheet of now, its columns in the types that all their cells have."""
    files = spec.files(work)
    if before is not None and before.key == files:
        return before
    headers = {file.path: _header(spec, file, work) for file in files}
    names = list(dict.fromkeys(name for header in headers.values() for name in header))
    proofs = {name: _Proof() for name in names}
    rows = 0
    for file in files:
        for _, batch in _rows(spec, file, work):
            rows += len(batch)
            for at, name in enumerate(headers[file.path]):
                proofs[name].add([_cell(row, at) for row in batch])
    kinds = {name: spec.types.get(name) or proofs[name].type for name in names}
    columns = tuple(made(name, kind, proofs[name].native) for name, kind in kinds.items())
    return _Sheet(spec, files, columns, rows, youngest(files), headers)


@dataclass(frozen=True, slots=True)
class _Sheet(OfFiles):
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by file

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        kinds = self.kinds
        for file in self.key:
            here = {name: at for at, name in enumerate(self.headers[file.path])}
            for first, batch in _rows(self.spec, file, work):
                arrays = []
                for name in names:
                    cells = [_cell(row, here[name]) if name in here else None for row in batch]
                    arrays.append(
                        _texts(cells, kinds[name], spared[name])
                        if name in spared
                        else self._typed(file, first, here.get(name, 0), cells, name, kinds[name])
                    )
                yield pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _typed(self, file: File, first: int, at: int, cells: list[Any], name: str, kind: PgType) -> pa.Array:
        try:
            return _array(cells, kind, self.spec.formats.get(name))
        except Misfit as fault:
            cell = f"{get_column_letter(at + 1)}{first + fault.row}"
            raise SourceError(
                f"{file.path}: cell {cell}: column {name} holds {fault.found}, which is no {kind.sql}",
                sqlstate="HV004",
                hint=f"correct the cell, or say unfit: {{{self.spec.name}.{name}: null}} or text",
            ) from None


class _Book:
    """A workbook twice: with the formulas' stored values, and, where asked, with the formulas."""

    def __init__(self, spec: Spec, file: File, work: Work) -> None:
        self._spec, self._file, self._work = spec, file, work

    def __enter__(self) -> _Book:
        self._raws: list[Any] = []
        try:
            self._raws += [self._spec.place.open(self._file, self._work) for _ in range(2)]
            self.values = openpyxl.load_workbook(self._raws[0], read_only=True, data_only=True)
            self.formulas = openpyxl.load_workbook(self._raws[1], read_only=True, data_only=False)
        except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
            for raw in self._raws:
                raw.close()
            raise SourceError(
                f"{self._file.path} cannot be read as a workbook", sqlstate="HV004", hint="save it as .xlsx"
            ) from error
        return self

    def sheet(self, book: Any) -> Any:
        """The declared sheet of a book, or its only one."""
        names, wanted = book.sheetnames, self._spec.reading.sheet
        if wanted is None and len(names) == 1:
            return book.worksheets[0]
        if wanted not in names:
            raise SourceError(
                f'{self._file.path} has no sheet "{wanted}"'
                if wanted
                else f"{self._file.path} has {len(names)} sheets",
                hint=f"declare sheet: one of {', '.join(names)}",
            )
        return book[wanted]

    def __exit__(self, *_: object) -> None:
        self.values.close()
        self.formulas.close()
        for raw in self._raws:
            raw.close()


def _rows(spec: Spec, file: File, work: Work) -> Iterator[tuple[int, list[Row]]]:
    """Rows of cells below the header, each batch with the number of its first row."""
    with _Book(spec, file, work) as book:
        both = zip(book.sheet(book.values).iter_rows(), book.sheet(book.formulas).iter_rows(), strict=True)
        number = 1 + spec.reading.skip + spec.reading.header
        rows = itertools.islice(both, number - 1, None)
        while batch := list(itertools.islice(rows, _ROWS)):
            work.check()
            cells = [tuple(_content(*pair) for pair in zip(*row, strict=True)) for row in batch]
            yield number, cells
            number += len(batch)


def _content(stored: Any, formula: Any) -> Any:
    """A cell's value; a _Fault where it has none that could be told."""
    if stored.data_type == "e":
        return _Fault("an error of the workbook", str(stored.value))
    if stored.value is None and formula.data_type == "f":
        return _Fault("a formula whose value was never computed and stored", str(formula.value))
    return stored.value


def _cell(row: Row, at: int) -> Any:
    return row[at] if at < len(row) else None


def _header(spec: Spec, file: File, work: Work) -> tuple[str, ...]:
    if not spec.reading.header:
        return spec.reading.names
    with _Book(spec, file, work) as book:
        rows = itertools.islice(book.sheet(book.values).iter_rows(values_only=True), spec.reading.skip, None)
        cells = list(next(rows, ()))
    while cells and cells[-1] is None:
        cells.pop()
    place = f"{file.path}: row {spec.reading.skip + 1}"
    if not cells:
        raise SourceError(f"{place} has no header", hint="declare skip, or header: false and names")
    if None in cells:
        letter = get_column_letter(cells.index(None) + 1)
        raise SourceError(f"{place}: column {letter} has no name", hint="name it, or declare skip")
    names = [str(cell) for cell in cells]
    same_names(names, place)
    return tuple(names)


class _Proof:
    """What the cells of a column have in common so far."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._whole, self._scale, self._digits = 0, 0, 0

    def add(self, cells: list[Any]) -> None:
        for cell in cells:
            if cell is None or isinstance(cell, _Fault):
                continue
            kind = _kind(cell)
            self._found.add(kind)
            if kind == "number":
                self._measure(cell)

    def _measure(self, cell: float) -> None:
        _, digits, exponent = Decimal(repr(cell)).normalize().as_tuple()
        scale = max(-int(exponent), 0)
        self._digits = max(self._digits, len(digits))
        self._scale = max(self._scale, scale)
        self._whole = max(self._whole, len(digits) + int(exponent))

    @property
    def native(self) -> str:
        return "+".join(sorted(self._found)) or "empty"

    @property
    def type(self) -> PgType:
        """Numbers are what their decimals are: Excel shows no more than 15 digits, and a double tells as many."""
        if self._found and self._found <= {"date", "timestamp"}:
            return PgType("timestamp" if "timestamp" in self._found else "date")
        if len(self._found) != 1 or "number" not in self._found:
            return PgType({"bool": "bool", "time": "time"}.get(next(iter(self._found), ""), "text"))
        if self._digits > _DIGITS or self._whole > _DIGITS:
            return PgType("float8")
        if not self._scale:
            return PgType("int8")
        return numeric(_FEW, self._scale) if self._whole + self._scale <= _FEW else PgType("float8")


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, dt.datetime):
        return "timestamp" if cell.time() != dt.time() else "date"
    if isinstance(cell, dt.time):
        return "time"
    if isinstance(cell, dt.timedelta):
        return "duration"
    return "number" if isinstance(cell, int | float) else "text"


def _array(cells: list[Any], kind: PgType, written: str | None) -> pa.Array:
    for row, cell in enumerate(cells):
        if isinstance(cell, _Fault):
            raise Misfit(row, cell.what)
    if kind.name == "float8":
        return _doubles(cells, kind)
    texts = []
    for row, cell in enumerate(cells):
        try:
            texts.append(None if cell is None else _text(cell, kind))
        except ValueError as error:
            raise Misfit(row, str(error)) from None
    return convert(pa.array(texts, pa.string()), kind, written)


def _texts(cells: list[Any], kind: PgType, policy: Unfit) -> pa.Array:
    """What the cells show, where the column is text; else what `convert` reads as the values that they have."""
    found = (None if cell is None else _shown(cell) if policy == "text" else _told(cell, kind) for cell in cells)
    return pa.array(list(found), pa.string())


def _shown(cell: Any) -> str:
    if isinstance(cell, _Fault):
        return cell.shown
    try:
        return _text(cell, PgType("text"))
    except ValueError:
        return repr(cell)


def _told(cell: Any, kind: PgType) -> str:
    if isinstance(cell, _Fault):
        return MARK
    if kind.name == "float8":
        return MARK if isinstance(cell, bool) or not isinstance(cell, int | float) else repr(float(cell))
    try:
        return _text(cell, kind)
    except ValueError:
        return MARK


def _doubles(cells: list[Any], kind: PgType) -> pa.Array:
    for row, cell in enumerate(cells):
        if cell is not None and (isinstance(cell, bool) or not isinstance(cell, int | float)):
            raise Misfit(row, f"a {_kind(cell)}")
    return pa.array([None if cell is None else float(cell) for cell in cells], kind.arrow)


def _text(cell: Any, kind: PgType) -> str:
    """A cell as the text that its type is read from."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if kind.name == "date" and cell.time() == dt.time() else cell.isoformat(sep=" ")
    if isinstance(cell, dt.time):
        return cell.isoformat()
    if isinstance(cell, dt.timedelta):
        return str(cell)
    return _digits(cell) if isinstance(cell, int | float) else str(cell)


def _digits(number: float) -> str:
    """The only decimal of up to 15 digits that is this double."""
    if isinstance(number, int) and abs(number) < _EXACT:
        return str(number)
    if not math.isfinite(number) or len(Decimal(repr(number)).normalize().as_tuple().digits) > _DIGITS:
        raise ValueError("a number of more digits than a workbook can tell")
    return decimals.plain(Decimal(repr(number)).normalize())
