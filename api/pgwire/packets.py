"""The PostgreSQL protocol's messages: building, reading, and cutting a byte stream at message boundaries."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import LimitExceeded, QueryError

INT = struct.Struct("!i")
SHORT = struct.Struct("!h")
HEAD = struct.Struct("!ci")

PROTOCOL_3 = 196608
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102

PARSE_COMPLETE = b"1\0\0\0\4"
BIND_COMPLETE = b"2\0\0\0\4"
CLOSE_COMPLETE = b"3\0\0\0\4"
NO_DATA = b"n\0\0\0\4"
PORTAL_SUSPENDED = b"s\0\0\0\4"
EMPTY_QUERY = b"I\0\0\0\4"
COPY_DONE = b"c\0\0\0\4"
SYNC = b"S\0\0\0\4"
FLUSH = b"H\0\0\0\4"
TERMINATE = b"X\0\0\0\4"


def message(kind: bytes, *parts: bytes) -> bytes:
    """One message: its kind, its length, its body."""
    body = b"".join(parts)
    return HEAD.pack(kind, len(body) + 4) + body


def string(text: str | bytes) -> bytes:
    """A string as the protocol has it: its bytes and a zero."""
    return (text.encode() if isinstance(text, str) else text) + b"\0"


def parse(name: bytes, query: bytes, types: Sequence[int] = ()) -> bytes:
    """Parse: a prepared statement of that name, with the types that are declared for its first parameters."""
    return message(b"P", name, b"\0", query, b"\0", struct.pack(f"!h{len(types)}I", len(types), *types))


def bind(
    portal: bytes, statement: bytes, formats: Sequence[int], values: Sequence[bytes | None], results: Sequence[int]
) -> bytes:
    """Bind: one format for each value; `results` are the formats of the columns, none for text throughout."""
    parts = [portal, b"\0", statement, b"\0", struct.pack(f"!h{len(formats)}h", len(formats), *formats)]
    parts.append(struct.pack("!H", len(values)))
    for value in values:
        parts.append(b"\xff\xff\xff\xff" if value is None else INT.pack(len(value)))
        if value:
            parts.append(value)
    parts.append(struct.pack(f"!h{len(results)}h", len(results), *results))
    return message(b"B", *parts)


def describe(kind: bytes, name: bytes) -> bytes:
    """Describe a statement (kind S) or a portal (kind P)."""
    return message(b"D", kind, name, b"\0")


def execute(portal: bytes, limit: int = 0) -> bytes:
    """Execute, all rows unless limited."""
    return message(b"E", portal, b"\0", INT.pack(limit))


def close(kind: bytes, name: bytes) -> bytes:
    """Close a statement (kind S) or a portal (kind P)."""
    return message(b"C", kind, name, b"\0")


def complete(tag: str) -> bytes:
    """CommandComplete."""
    return message(b"C", string(tag))


def ready(status: str) -> bytes:
    """ReadyForQuery: I idle, T in a transaction, E in a failed one."""
    return b"Z\0\0\0\x05" + status.encode()


def error(fields: dict[str, str], kind: bytes = b"E") -> bytes:
    """ErrorResponse (or NoticeResponse: kind N) from its one-letter fields."""
    return message(kind, *(key.encode() + string(value) for key, value in fields.items()), b"\0")


def read_error(body: bytes) -> dict[str, str]:
    """The one-letter fields of an ErrorResponse."""
    fields = body.rstrip(b"\0").split(b"\0")
    return {chr(field[0]): field[1:].decode(errors="replace") for field in fields if field}


@dataclass(slots=True)
class Field:
    """One column of a RowDescription."""

    name: bytes
    table: int
    number: int
    type: int
    size: int
    mod: int


@dataclass(frozen=True, slots=True)
class Described:
    """What Describe tells of a statement: types of the parameters, and the columns (None: no rows)."""

    params: tuple[int, ...]
    fields: list[Field] | None


FIELD = struct.Struct("!IhIhih")


def row_description(fields: Sequence[Field], formats: Sequence[int] = ()) -> bytes:
    """RowDescription; `formats` as Bind had them: none, one for all, or one each."""
    codes = spread(formats, len(fields))
    parts = [SHORT.pack(len(fields))]
    for field, code in zip(fields, codes, strict=True):
        parts += field.name, b"\0", FIELD.pack(field.table, field.number, field.type, field.size, field.mod, code)
    return message(b"T", *parts)


def read_row_description(body: bytes) -> list[Field]:
    """The columns that a RowDescription tells of."""
    fields, position = [], 2
    for _ in range(SHORT.unpack_from(body)[0]):
        end = body.index(b"\0", position)
        table, number, kind, size, mod, _ = FIELD.unpack_from(body, end + 1)
        fields.append(Field(body[position:end], table, number, kind, size, mod))
        position = end + 1 + FIELD.size
    return fields


def parameter_description(types: Sequence[int]) -> bytes:
    """ParameterDescription."""
    return message(b"t", struct.pack(f"!H{len(types)}I", len(types), *types))


def read_parameter_description(body: bytes) -> tuple[int, ...]:
    """The types that a ParameterDescription tells."""
    (count,) = struct.unpack_from("!H", body)
    return struct.unpack_from(f"!{count}I", body, 2)


def read_data_row(body: bytes) -> list[bytes | None]:
    """The cells of a DataRow."""
    cells: list[bytes | None] = []
    position = 2
    for _ in range(SHORT.unpack_from(body)[0]):
        (size,) = INT.unpack_from(body, position)
        position += 4
        if size < 0:
            cells.append(None)
        else:
            cells.append(body[position : position + size])
            position += size
    return cells


def data_row(cells: Sequence[bytes | None], kind: bytes = b"D") -> bytes:
    """One DataRow (or, kind d, a row of a binary COPY); rows.py makes many at once."""
    parts = [SHORT.pack(len(cells))]
    for cell in cells:
        parts += (b"\xff\xff\xff\xff",) if cell is None else (INT.pack(len(cell)), cell)
    return message(kind, *parts)


def spread(formats: Sequence[int], count: int) -> Sequence[int]:
    """One format code for each of `count` columns, from the codes as Bind has them."""
    if not formats:
        return (0,) * count
    return formats if len(formats) != 1 else (formats[0],) * count


@dataclass(slots=True)
class Parse:
    """A client's Parse."""

    name: bytes
    query: bytes
    types: tuple[int, ...]


@dataclass(slots=True)
class Bind:
    """A client's Bind: `formats` are those of the values as sent (none, one or one each)."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    values: list[bytes | None]
    results: tuple[int, ...]


class Reader:
    """Reads a message's body from front to end; a body that ends too early is a protocol violation (08P01)."""

    __slots__ = ("body", "position")

    def __init__(self, body: bytes, position: int = 0) -> None:
        self.body = body
        self.position = position

    def string(self) -> bytes:
        """Bytes up to the next zero."""
        end = self.body.find(b"\0", self.position)
        if end < 0:
            raise _malformed()
        text = self.body[self.position : end]
        self.position = end + 1
        return text

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.position + size
        if size < 0 or end > len(self.body):
            raise _malformed()
        piece = self.body[self.position : end]
        self.position = end
        return piece

    def numbers(self, code: str) -> tuple[int, ...]:
        """A count (two bytes) and as many numbers of that struct code."""
        (count,) = struct.unpack("!H", self.take(2))
        layout = struct.Struct(f"!{count}{code}")
        return layout.unpack(self.take(layout.size))

    def number(self) -> int:
        """A four-byte number."""
        return int(INT.unpack(self.take(4))[0])


def _malformed() -> QueryError:
    return QueryError("insufficient data left in message", sqlstate="08P01")


def read_parse(raw: bytes) -> Parse:
    """A Parse message, header included."""
    reader = Reader(raw, 5)
    return Parse(reader.string(), reader.string(), reader.numbers("I"))


def read_bind(raw: bytes) -> Bind:
    """A Bind message, header included."""
    reader = Reader(raw, 5)
    portal, statement, formats = reader.string(), reader.string(), reader.numbers("h")
    (count,) = struct.unpack("!H", reader.take(2))
    values: list[bytes | None] = []
    for _ in range(count):
        size = reader.number()
        values.append(None if size == -1 else reader.take(size))
    if len(formats) not in (0, 1, count):
        text = f"bind message has {len(formats)} parameter formats but {count} parameters"
        raise QueryError(text, sqlstate="08P01")
    return Bind(portal, statement, formats, values, reader.numbers("h"))


def read_target(raw: bytes) -> tuple[bytes, bytes]:
    """Kind (S or P) and name of a Describe or Close message, header included."""
    return raw[5:6], Reader(raw, 6).string()


def read_execute(raw: bytes) -> tuple[bytes, int]:
    """Portal and row limit (0: none) of an Execute message, header included."""
    reader = Reader(raw, 5)
    return reader.string(), reader.number()


class Cutter:
    """Cuts a client's stream into whole messages, each with its header; refuses one longer than `limit` (54000)."""

    __slots__ = ("_buffer", "limit", "untyped")

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self.limit = limit
        self.untyped = True  # the startup packet has no kind byte

    @property
    def rest(self) -> int:
        """Bytes that wait for the end of their message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now."""
        self._buffer += data
        found: list[bytes] = []
        position = 0
        while (end := self._end(position)) is not None and end <= len(self._buffer):
            found.append(bytes(memoryview(self._buffer)[position:end]))
            position = end
            if self.untyped:
                break  # what follows depends on the answer
        if position:
            del self._buffer[:position]
        return found

    def _end(self, position: int) -> int | None:
        head = 0 if self.untyped else 1
        if len(self._buffer) - position < head + 4:
            return None
        (length,) = INT.unpack_from(self._buffer, position + head)
        if length < 4:
            raise QueryError("invalid message length", sqlstate="08P01")
        if length > self.limit:
            raise LimitExceeded(
                f"message of {length} bytes is larger than the {self.limit} that are accepted",
                sqlstate="54000",
                hint="Send large values in several statements.",
            )
        return position + head + int(length)
