"""JSON, an object a line or one array of objects: numbers keep their digits, what is nested its text."""

from __future__ import annotations

import codecs
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa

from connectors.errors import SourceError
from connectors.files import compressed, needs
from connectors.files.csv import unreadable
from connectors.files.inference import Proof
from connectors.files.places import File
from connectors.files.table import NONE, OfFiles, Opened, Policies, Spec, Work, made, same_names, youngest
from connectors.files.typed import Misfit, convert
from connectors.types import PgType

with needs("JSON", "msgspec"):
    import msgspec

_ROWS = 8192  # objects that are converted together
_CHUNK = 1 << 18
_LONGEST = 64 << 20  # bytes of one object of an array
_NUMBERS = frozenset(("int2", "int4", "int8", "float4", "float8", "numeric"))
_MANY = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRINGS = msgspec.json.Decoder(list[str | None])
_STRING = msgspec.json.Decoder(str)
_TEXT = PgType("text")
Record = dict[str, Any]  # raw values by key
Batch = tuple[list[int], list[Record]]  # lines, and the objects that begin on them


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The JSON files of now; names and types are those of all objects, proven anew where a file has changed."""
    files = spec.files(work)
    if before is not None and before.key == files:
        return before
    table = _Json(spec, files, (), None, youngest(files))
    if sum(file.size for file in files) <= spec.prove:
        return table.proven(work)
    if not spec.types:
        raise SourceError(
            f"table {spec.name} is larger than connection.prove allows to look through",
            hint="declare its columns under types, or raise prove",
        )
    columns = tuple(made(name, kind, "json") for name, kind in spec.types.items())
    return _Json(spec, files, columns, None, youngest(files))


@dataclass(frozen=True, slots=True)
class _Json(OfFiles):
    """Objects, line by line."""

    def proven(self, work: Work) -> _Json:
        """With every key of every object as a column, in the type that all its values have."""
        kinds: dict[str, _Kind] = {}
        rows = 0
        for file in self.key:
            for _, records in self._batches(file, work):
                rows += len(records)
                for name in dict.fromkeys(itertools.chain.from_iterable(records)):
                    kinds.setdefault(name, _Kind()).add([record.get(name) for record in records])
        same_names([*kinds], self.key[0].path)
        types = {name: kind.type for name, kind in kinds.items()} | dict(self.spec.types)
        columns = tuple(made(name, kind, "json") for name, kind in types.items())
        return _Json(self.spec, self.key, columns, rows, self.modified)

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        kinds = self.kinds
        for file in self.key:
            for lines, records in self._batches(file, work):
                arrays = [
                    _texts([record.get(name) for record in records])
                    if name in spared
                    else self._typed(file, lines, records, name, kinds[name])
                    for name in names
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _typed(self, file: File, lines: list[int], records: list[Record], name: str, kind: PgType) -> pa.Array:
        raws = [record.get(name) for record in records]
        try:
            return _array(raws, kind, self.spec.formats.get(name))
        except Misfit as fault:
            raise SourceError(
                f"{file.path}:{lines[fault.row]}: {name} holds {fault.found}, which is no {kind.sql}",
                sqlstate="HV004",
                hint=f"correct the file, or say unfit: {{{self.spec.name}.{name}: null}} or text",
            ) from None

    def _batches(self, file: File, work: Work) -> Iterator[Batch]:
        try:
            with self.spec.place.open(file, work) as raw:
                for lines, texts in _split(compressed.opened(raw, file.path), file):
                    work.check()
                    yield lines, _objects(lines, texts, file)
        except (pa.ArrowInvalid, UnicodeDecodeError, EOFError, OSError) as error:
            raise unreadable(file, error) from None


class _Kind:
    """What the values of one key have in common."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._numbers = Proof()

    def add(self, raws: list[Any]) -> None:
        present = [bytes(raw) for raw in raws if raw is not None]
        kinds = [_kind(raw) for raw in present]
        self._found.update(kinds)
        self._found.discard("null")
        if "number" in self._found:
            numbers = [raw for raw, kind in zip(present, kinds, strict=True) if kind == "number"]
            self._numbers.add(pa.array(numbers, pa.binary()).cast(pa.string()))

    @property
    def type(self) -> PgType:
        """json where the values are of several kinds, as only that keeps 1 and "1" apart."""
        if self._found == {"number"}:
            return self._numbers.type if self._numbers.type != _TEXT else PgType("numeric")
        if len(self._found) != 1:
            return PgType("json") if self._found else _TEXT
        return {"string": _TEXT, "bool": PgType("bool")}.get(next(iter(self._found)), PgType("json"))


def _kind(raw: bytes) -> str:
    first = raw.lstrip()[:1]
    return {b'"': "string", b"t": "bool", b"f": "bool", b"n": "null", b"{": "object", b"[": "array"}.get(
        first, "number"
    )


def _array(raws: list[Any], kind: PgType, written: str | None) -> pa.Array:
    """Raw JSON values of one key as a typed column; Misfit tells the row."""
    values = [None if raw is None else bytes(raw) for raw in raws]
    if kind.name == "json":
        return pa.array([None if value in (None, b"null") else value for value in values], pa.binary()).cast(
            pa.string()
        )
    if kind.name in _NUMBERS:
        values = [_unquoted(value) for value in values]
        return convert(pa.array(values, pa.binary()).cast(pa.string()), kind, written)
    return convert(pa.array(_strings(values), pa.string()), kind, written)


def _texts(raws: list[Any]) -> pa.Array:
    return pa.array(_strings([None if raw is None else bytes(raw) for raw in raws]), pa.string())


def _unquoted(value: bytes | None) -> bytes | None:
    if value is None or value == b"null":
        return None
    return _STRING.decode(value).encode() if value[:1] == b'"' else value


def _strings(values: list[bytes | None]) -> list[str | None]:
    """Strings unescaped; anything else as its JSON text."""
    try:
        return _STRINGS.decode(b"[" + b",".join(value or b"null" for value in values) + b"]")
    except msgspec.DecodeError:
        plain = (_unquoted(value) for value in values)
        return [None if value is None else value.decode() for value in plain]


def _objects(lines: list[int], texts: list[bytes], file: File) -> list[Record]:
    try:
        return cast("list[Record]", _MANY.decode(b"[" + b",".join(texts) + b"]"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    records = []
    for line, text in zip(lines, texts, strict=True):
        try:
            records.append(cast(Record, _ONE.decode(text)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _broken(file, line) from None
    return records


def _broken(file: File, line: int) -> SourceError:
    return SourceError(
        f"{file.path}:{line}: this is no JSON object in UTF-8",
        sqlstate="HV004",
        hint="a file is one object a line, or one array of objects",
    )


def _split(raw: BinaryIO, file: File) -> Iterator[tuple[list[int], list[bytes]]]:
    """Texts of objects with the lines on which they begin, some at a time."""
    with io.BufferedReader(cast(io.RawIOBase, raw), _CHUNK) as buffered:
        text = cast(BinaryIO, buffered)
        if buffered.peek(3)[:3] == b"\xef\xbb\xbf":
            text.read(3)
        begin = buffered.peek(1)[:_CHUNK].lstrip()[:1]
        pairs = _elements(text, file) if begin == b"[" else _lines(text)
        while batch := list(itertools.islice(pairs, _ROWS)):
            yield [line for line, _ in batch], [element for _, element in batch]


def _lines(text: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(text, 1):
        if stripped := line.strip():
            yield number, stripped


def _elements(text: BinaryIO, file: File) -> Iterator[tuple[int, bytes]]:
    """The elements of an array, without holding it."""
    cursor = _Cursor(codecs.getreader("utf-8")(text), file)
    cursor.take("[")
    if cursor.peek() == "]":
        cursor.take("]")
    else:
        end = ","
        while end == ",":
            yield cursor.value()
            end = cursor.take(",]")
    if cursor.peek():
        raise _broken(file, cursor.line)


class _Cursor:
    """A place in JSON text that is read as it is needed."""

    def __init__(self, reader: codecs.StreamReader, file: File) -> None:
        self.line = 1
        self._reader, self._file = reader, file
        self._text, self._at = "", 0
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is no blank; '' at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self.line += self._text[self._at] == "\n"
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> str:
        """The next character, which must be one of these."""
        found = self.peek()
        if not found or found not in wanted:
            raise _broken(self._file, self.line)
        self._at += 1
        return found

    def value(self) -> tuple[int, bytes]:
        """The next value's line and text."""
        self.peek()
        while True:
            try:
                _, end = self._decode(self._text, self._at)
                break
            except (json.JSONDecodeError, RecursionError):
                if len(self._text) - self._at > _LONGEST or not self._more():
                    raise _broken(self._file, self.line) from None
        line, found = self.line, self._text[self._at : end]
        self.line += found.count("\n")
        self._at = end
        return line, found.encode()

    def _more(self) -> bool:
        chunk = self._reader.read(max(_CHUNK, len(self._text) - self._at))  # twice as much: what is long is read once
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)
