"""CSV: PyArrow's reader for the text, our own rules for types, NULL and errors."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from connectors.base import Unfit
from connectors.errors import ConfigError, SourceError
from connectors.files import compressed
from connectors.files.inference import Proof
from connectors.files.places import File
from connectors.files.table import (
    MARK,
    NONE,
    OfFiles,
    Opened,
    Policies,
    Spec,
    Work,
    changed,
    made,
    same_names,
    youngest,
)
from connectors.files.typed import Misfit, convert
from connectors.statistics import ColumnStatistics, Estimate, TableStatistics
from connectors.types import PgType

_BLOCK = 4 << 20  # bytes that are parsed at once, so the most that one record may have
_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_TEXT = PgType("text")
_NUMBERS = frozenset(("numeric", "float4", "float8"))


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The CSV files of now; types are proven anew where a file has changed."""
    files = spec.files(work)
    if before is not None and before.key == files:
        return before
    return _Csv.of(spec, files, work)


@dataclass(frozen=True, slots=True)
class _Csv(OfFiles):
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by file
    nulls: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(spec: Spec, files: tuple[File, ...], work: Work) -> _Csv:
        headers = {file.path: _header(spec, file, work) for file in files}
        names = list(dict.fromkeys(name for header in headers.values() for name in header))
        text = tuple(made(name, spec.types.get(name, _TEXT), "csv") for name in names)
        table = _Csv(spec, files, text, None, youngest(files), headers)
        if sum(file.size for file in files) > spec.prove:
            return table
        return table._proven(work)

    def _proven(self, work: Work) -> _Csv:
        """Each column without a declared type in the type that every value of every file has."""
        proofs = {column.name: Proof() for column in self.columns if column.name not in self.spec.types}
        rows = 0
        for file in self.key:
            wanted = [name for name in self.headers[file.path] if name in proofs]
            raw: Policies = dict.fromkeys(self.spec.types, "null")  # declared: what is wrong there is told on reading
            for _, batch in self._texts(file, wanted or [self.headers[file.path][0]], work, raw):
                rows += batch.num_rows
                for name, values in zip(batch.schema.names, batch.columns, strict=True):
                    if name in proofs:
                        proofs[name].add(values)
        kinds = {name: proof.type for name, proof in proofs.items()} | dict(self.spec.types)
        columns = tuple(made(column.name, kinds[column.name], "csv") for column in self.columns)
        nulls = {name: proof.nulls / rows for name, proof in proofs.items() if rows and len(self.key) == 1}
        return _Csv(self.spec, self.key, columns, rows, self.modified, self.headers, nulls)

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        kinds = self.kinds
        for file in self.key:
            here = [name for name in names if name in self.headers[file.path]]
            for first, batch in self._texts(file, here or [self.headers[file.path][0]], work, spared):
                arrays = [
                    _spared(batch, name, spared[name])
                    if name in spared
                    else self._typed(file, first, batch, name, kinds[name], work)
                    for name in names
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=list(names))

    def fitted(self, name: str, texts: pa.Array) -> pa.Array:
        decimal = self.spec.reading.decimal == "," and self.kinds[name].name in _NUMBERS
        return OfFiles.fitted(self, name, _pointed(texts) if decimal else texts)

    def _typed(self, file: File, first: int, batch: pa.RecordBatch, name: str, kind: PgType, work: Work) -> pa.Array:
        if name not in batch.schema.names:
            return pa.nulls(batch.num_rows, kind.arrow)
        values = batch.column(name)
        try:
            if self.spec.reading.decimal == "," and kind.name in _NUMBERS:
                values = _pointed(values)
            return convert(values, kind, self.spec.formats.get(name))
        except Misfit as fault:
            line = self._line(file, first + fault.row, work)
            raise SourceError(
                f"{file.path}:{line}: column {name} holds {fault.found}, which is no {kind.sql}",
                sqlstate="HV004",
                hint=f"correct the file, or say unfit: {{{self.spec.name}.{name}: null}} or text",
            ) from None

    def _texts(
        self, file: File, names: Sequence[str], work: Work, spared: Policies = NONE
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches of strings, each with the number of its first record (the header not counted)."""
        first = 0
        try:
            with _opened(self.spec, file, work) as text:
                for batch in self._reader(text, self.headers[file.path], names, spared):
                    work.check()
                    yield first, batch
                    first += batch.num_rows
        except pa.ArrowInvalid as error:
            raise self._broken(file, str(error), work) from None
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise unreadable(file, error) from None

    def _reader(
        self, text: BinaryIO, header: Sequence[str], names: Sequence[str], spared: Policies
    ) -> Iterator[pa.RecordBatch]:
        said = self.spec.reading
        for _ in range(said.skip):
            text.readline()
        if said.header:
            _skip_record(text, self.spec)
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=list(header), block_size=_BLOCK, use_threads=False),
                parse_options=pacsv.ParseOptions(
                    delimiter=_delimiter(self.spec),
                    quote_char=said.quote or False,
                    double_quote=not said.escape,
                    escape_char=said.escape or False,
                    newlines_in_values=bool(said.quote),
                    ignore_empty_lines=len(header) > 1,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.binary() if name in spared else pa.string() for name in header},
                    include_columns=list(names),
                    null_values=list(said.nulls),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if str(error).startswith("Empty CSV file"):  # nothing but a header
                return
            raise
        yield from reader

    def _broken(self, file: File, told: str, work: Work) -> SourceError:
        """PyArrow's complaint with its place, without the text that it quotes."""
        match = _ROW.search(told)
        if match is not None:
            line = self._line(file, None, work, int(match[2]))
            what = f"a row of {match[3]} values where the header has {match[2]}"
            return SourceError(f"{file.path}:{line}: {what}", sqlstate="HV004", hint="correct the file")
        if "UTF8" in told or "UTF-8" in told:
            line = _bad_text_line(self.spec, file, work)
            return SourceError(
                f"{file.path}:{line}: text that is not {self.spec.reading.encoding}",
                sqlstate="HV004",
                hint="declare the file's encoding: cp1252, latin-1, utf-16 ...",
            )
        return SourceError(f"{file.path} cannot be read as CSV", sqlstate="HV004", hint="check delimiter and quote")

    def _line(self, file: File, record: int | None, work: Work, width: int = 0) -> int:
        """The line on which a record begins; without `record`, that of the first which has not `width` values."""
        with _opened(self.spec, file, work) as text:
            rows, begins = _rows(self.spec, text), 1 + self.spec.reading.skip
            seen = -1 if self.spec.reading.header else 0
            for row, after in rows:
                empty = not row and len(self.headers[file.path]) > 1
                if seen >= 0 and not empty and (seen == record if record is not None else len(row) != width):
                    return begins
                seen += not empty
                begins = after + 1
        return begins

    def statistics(self) -> TableStatistics | None:
        if self.rows is None:
            return None
        columns = {name: ColumnStatistics(nulls=share) for name, share in self.nulls.items()}
        return TableStatistics(Estimate.exactly(float(self.rows)), columns)


def _spared(batch: pa.RecordBatch, name: str, policy: Unfit) -> pa.Array:
    """Texts of a column with a policy; bytes that are none are marked, or told in hexadecimal digits."""
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.string())
    values = batch.column(name)
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if raw is None else _told(raw, policy) for raw in values.to_pylist()], pa.string())


def _told(raw: bytes, policy: Unfit) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return MARK if policy == "null" else f"\\x{raw.hex()}"


def unreadable(file: File, error: Exception) -> SourceError:
    """The error of a file that is damaged, or not in the encoding or compression that it should be in."""
    if isinstance(error, FileNotFoundError):
        return changed(file.path)
    kind = "is not in the declared encoding" if isinstance(error, UnicodeError) else "is damaged or cut off"
    return SourceError(f"{file.path} {kind}", sqlstate="HV004", hint="replace the file, or declare its encoding")


def _delimiter(spec: Spec) -> str:
    return spec.reading.delimiter or ("\t" if spec.format == "tsv" else ",")


def _pointed(values: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring(values, ".")).as_py():
        return values  # a thousands' point: not a number of this form, whatever follows
    return pc.replace_substring(values, ",", ".")


def _decoded(raw: BinaryIO, encoding: str) -> BinaryIO:
    """The same text in UTF-8, without a byte order mark."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise ConfigError(f'unknown encoding "{encoding}"', hint="as Python names it: utf-8, cp1252, latin-1") from None
    buffered: Any = io.BufferedReader(cast(io.RawIOBase, raw), _BLOCK)
    if name not in ("utf-8", "ascii", "utf-8-sig"):
        buffered = io.BufferedReader(compressed.Recoded(buffered, name), _BLOCK)
    if buffered.peek(3)[:3] == codecs.BOM_UTF8:
        buffered.read(3)
    return cast(BinaryIO, buffered)


@contextlib.contextmanager
def _opened(spec: Spec, file: File, work: Work) -> Iterator[BinaryIO]:
    """A file's text in UTF-8."""
    with (
        spec.place.open(file, work) as raw,
        contextlib.closing(_decoded(compressed.opened(raw, file.path), spec.reading.encoding)) as text,
    ):
        yield text


def _record(text: BinaryIO, spec: Spec) -> list[str]:
    """The first record, which may go over several lines; no byte after it is taken."""
    lines = iter(lambda: text.readline().decode(), "")
    return next(csv.reader(lines, **_dialect(spec)), [])


def _skip_record(text: BinaryIO, spec: Spec) -> None:
    _record(text, spec)


def _dialect(spec: Spec) -> Mapping[str, Any]:
    said = spec.reading
    return {
        "delimiter": _delimiter(spec),
        "quotechar": said.quote or None,
        "quoting": csv.QUOTE_MINIMAL if said.quote else csv.QUOTE_NONE,
        "doublequote": not said.escape,
        "escapechar": said.escape or None,
    }


def _rows(spec: Spec, text: BinaryIO) -> Iterator[tuple[list[str], int]]:
    """Records with the line on which each ends."""
    for _ in range(spec.reading.skip):
        text.readline()
    reader = csv.reader((line.decode(errors="replace") for line in text), **_dialect(spec))
    for row in reader:
        yield row, reader.line_num + spec.reading.skip


def _bad_text_line(spec: Spec, file: File, work: Work) -> int:
    with _opened(spec, file, work) as text:
        for number, line in enumerate(iter(text.readline, b""), 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def _header(spec: Spec, file: File, work: Work) -> tuple[str, ...]:
    """The names of a file's columns; SourceError where they are missing or not different."""
    said = spec.reading
    if not said.header:
        if not said.names:
            raise ConfigError(f"table {spec.name} has no header and no names", hint="declare names: [a, b, ...]")
        return said.names
    try:
        with _opened(spec, file, work) as text:
            for _ in range(said.skip):
                text.readline()
            names = _record(text, spec)
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise unreadable(file, error) from None
    place = f"{file.path}:{said.skip + 1}"
    if not names:
        raise SourceError(f"{place}: there is no header", hint="add one, or declare header: false and names")
    if "" in names:
        raise SourceError(
            f"{place}: column {names.index('') + 1} has no name", hint="name it, or declare header: false and names"
        )
    same_names(names, place)
    return tuple(names)
