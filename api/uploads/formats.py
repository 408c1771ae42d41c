"""The rows of a file, in any of the four formats, one after another: never more of it in memory than one record."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, Any, Protocol

from api.uploads.describe import Description
from connectors.errors import QueryError
from views.validate import did_you_mean

CHUNK = 1 << 16
LONGEST_RECORD = 1 << 20  # characters
_BLANK = re.compile(r"[ \t\r\n]*")
MOST_COLUMNS = 2_000  # of a file, described or not

Values = Sequence[Any]  # of one record, in the order of the description's kept attributes; None: it has none


class Reader(Protocol):
    """A file that is read. QueryError 22P04 with its place where it is not of its format."""

    def records(self) -> Iterator[tuple[Any, Values]]:
        """Each record with a mark of where it stands."""
        ...

    def place(self, mark: Any, attribute: int) -> str:
        """Where a record's value stands, for people."""
        ...


def malformed(message: str, place: str, hint: str = "") -> QueryError:
    """The file is not of its format."""
    return QueryError(message, sqlstate="22P04", place=place, hint=hint or None)


def matched(found: Sequence[str], description: Description, place: str) -> list[int]:
    """For each kept attribute its position among the file's columns; QueryError 42703 for what does not match."""
    twice = sorted({name for name in found if found.count(name) > 1})[:1]
    if twice:
        raise QueryError(f'the column "{twice[0]}" stands twice', sqlstate="42701", place=place)
    known = {a.called for a in description.attributes}
    strange = [name for name in found if name not in known]
    if strange and description.other_columns == "error":
        raise _strange(strange[0], known, place)
    for attribute in description.kept:
        if attribute.called not in found:
            hint = did_you_mean(attribute.called, found)
            raise QueryError(f'there is no column "{attribute.called}"', sqlstate="42703", place=place, hint=hint)
    return [found.index(attribute.called) for attribute in description.kept]


def _strange(name: str, known: set[str], place: str) -> QueryError:
    shown = name[:60].encode("utf-8", "backslashreplace").decode()
    hint = f'{did_you_mean(name, known)}; or write "other_columns": "ignore"'
    return QueryError(f'the column "{shown}" is not described', sqlstate="42703", place=place, hint=hint)


class Picker:
    """Takes the described values out of records that name theirs (JSON, XML)."""

    def __init__(self, description: Description) -> None:
        self._called = [a.called for a in description.kept]
        self._known = {a.called for a in description.attributes}
        self._strict = description.other_columns == "error"

    def take(self, record: Mapping[str, Any], place: str) -> list[Any]:
        """In the table's order; QueryError 42703 for a name that is not described."""
        if self._strict and not record.keys() <= self._known:
            raise _strange(sorted(record.keys() - self._known)[0], self._known, place)
        return [record.get(name) for name in self._called]


class Csv:
    """RFC 4180, with a line of names on top."""

    def __init__(self, stream: IO[bytes], description: Description) -> None:
        self._stream, self._description = stream, description
        self._at: list[int] = []

    def records(self) -> Iterator[tuple[int, Values]]:
        """Marked by the line on which a record begins."""
        said = self._description.csv
        csv.field_size_limit(LONGEST_RECORD)
        lines = _Lines(self._stream, said.encoding)
        rows = csv.reader(lines, delimiter=said.delimiter, quotechar=said.quote, strict=True)
        try:
            header = next(rows, None)
            if not header:
                raise malformed("the file is empty: its first line must name the columns", "line 1")
            if len(header) > MOST_COLUMNS:
                raise malformed(f"the file has more than {MOST_COLUMNS:,} columns", "line 1")
            self._at = matched([name.strip() for name in header], self._description, "line 1")
            yield from self._body(rows, len(header))
        except csv.Error as error:
            raise malformed(f"this is no CSV: {error}", f"line {rows.line_num}", _CSV_HINT) from None

    def _body(self, rows: Any, width: int) -> Iterator[tuple[int, Values]]:
        line = rows.line_num + 1
        for row in rows:
            if row:
                if len(row) != width:
                    message = f"the line has {len(row)} values, the first one names {width} columns"
                    raise malformed(message, f"line {line}", _CSV_HINT)
                yield line, [row[i] for i in self._at]
            line = rows.line_num + 1

    def place(self, mark: Any, attribute: int) -> str:
        """Line and column, both from 1; the column is the number of the value in its line."""
        return f"line {mark}, column {self._at[attribute] + 1}"


_CSV_HINT = (
    "Quote values that hold the delimiter, quotes or line ends; csv.delimiter and csv.quote say which these are."
)


class _Lines:
    """The text lines of a stream, none too long, with their ends."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
        self._stream, self._encoding, self._number = stream, encoding, 0
        self._lines = self._made()

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _made(self) -> Iterator[str]:
        rest = ""
        for piece in self._pieces():
            rest += piece
            *whole, rest = rest.split("\n")
            for line in whole:
                self._number += 1
                yield line + "\n"
            if len(rest) > LONGEST_RECORD:
                raise malformed(f"the line is longer than {LONGEST_RECORD:,} characters", f"line {self._number + 1}")
        if rest:
            yield rest

    def _pieces(self) -> Iterator[str]:
        while True:
            data = self._stream.read(CHUNK)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line = self._number + 1 + error.object[: error.start].count(b"\n")
                hint = "Save it as UTF-8, or say which encoding it has."
                raise malformed(f"this is not {self._encoding} text", f"line {line}", hint) from None
            if "\0" in text:
                raise malformed("the file holds a NUL character", f"line {self._number + 1}")
            yield text
            if not data:
                return


class Json:
    """An array of objects, or one object after another (JSON lines)."""

    def __init__(self, stream: IO[bytes], description: Description) -> None:
        self._stream, self._picker = stream, Picker(description)
        self._names = [a.called for a in description.kept]
        self._text, self._at, self._line, self._column = "", 0, 1, 1  # what stands before _at is done with
        self._decode = json.JSONDecoder(
            parse_float=Decimal, parse_int=_whole, parse_constant=_constant, object_pairs_hook=_once
        ).raw_decode
        self._chunks = self._read()

    def records(self) -> Iterator[tuple[tuple[int, int], Values]]:
        """Marked by line and column of the object."""
        array = self._next() == "["
        if array:
            self._skip(1)
        while self._next() not in ("", "]"):
            mark = (self._line, self._column)
            record = self._one()
            if not isinstance(record, dict):
                raise malformed("a record must be a JSON object", self._place())
            yield mark, self._picker.take(record, _at(mark))
            if array and self._next() == ",":
                self._skip(1)
                if self._next() in ("]", ""):
                    raise malformed("a record is missing behind the comma", self._place())
            elif array and self._next() not in ("]", ""):
                raise malformed("expected , or ] behind the record", self._place())
        if array and self._next() != "]":
            raise malformed("the array is never closed: the file ends before its ]", self._place())
        self._skip(1 if array else 0)
        if self._next():
            raise malformed("there is more behind the records", self._place())

    def place(self, mark: Any, attribute: int) -> str:
        """Of the record, and the value's name."""
        return f'{_at(mark)}, "{self._names[attribute]}"'

    def _place(self) -> str:
        return _at((self._line, self._column))

    def _next(self) -> str:
        """The next letter that is no blank; '' at the end."""
        while True:
            self._skip(_BLANK.match(self._text, self._at).end() - self._at)  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _one(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except _Wrong as error:
                raise malformed(str(error), self._place()) from None
            except RecursionError:
                raise malformed("the record is nested too deeply", self._place()) from None
            except json.JSONDecodeError as error:
                ahead = min(error.pos, len(self._text)) - self._at
                # It may be one of a record that is not here as a whole.
                if len(self._text) - self._at <= LONGEST_RECORD and self._more():
                    continue
                self._skip(ahead)
                raise malformed(f"this is no JSON: {error.msg}", self._place()) from None
            if end - self._at > LONGEST_RECORD:
                raise malformed(f"the record is longer than {LONGEST_RECORD:,} characters", self._place())
            self._skip(end - self._at)
            return value

    def _skip(self, count: int) -> None:
        end = self._at + count
        lines = self._text.count("\n", self._at, end)
        self._line += lines
        self._column = end - self._text.rfind("\n", self._at, end) if lines else self._column + count
        self._at = end

    def _more(self) -> bool:
        """Whether there was more to read; as much again, so that a long record is not tried too often."""
        self._text, self._at = self._text[self._at :], 0
        wanted, found = max(len(self._text), 1), 0
        for piece in self._chunks:
            self._text += piece
            found += len(piece)
            if found >= wanted:
                break
        return found > 0

    def _read(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        while True:
            data = self._stream.read(CHUNK)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                raise malformed("this is not UTF-8 text", f"after {self._place()}") from None
            if text:
                yield text
            if not data:
                return


class _Wrong(Exception):
    """Something that JSON allows and we do not, or the other way round."""


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) < 400 else Decimal(text)


def _constant(text: str) -> Any:
    raise _Wrong(f"{text} is not a JSON value: write null for what is missing")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Wrong("a name stands twice in one object")
    return found


def _at(mark: tuple[int, int]) -> str:
    return f"line {mark[0]}, column {mark[1]}"
