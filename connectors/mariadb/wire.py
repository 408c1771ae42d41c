"""Rows of a text result straight off the socket, many at a time: no object for each cell, as the driver would make.

Only where the connection is in plain: what TLS carries only the driver can read. See the protocol's "text resultset".
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Generator, Sequence
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.mariadb.drivers import driver
from connectors.sockets import readable

_WHOLE = 0xFFFFFF  # bytes of a packet that goes on in the next
_NULL, _ENDED, _ERROR = 0xFB, 0xFE, 0xFF
_LONG = {0xFC: 2, 0xFD: 3, 0xFE: 8}  # bytes that tell a cell's length, by the one before them
_COUNTS = (1, 2, 3, 4)  # bytes of a packet that tells the number of columns
_MORE_RESULTS = 8  # of the status that ends a result
_LOST, _MALFORMED = 2013, 2027
_FIRST, _CHUNK = 1 << 16, 1 << 20  # bytes that are looked at together: the first soon
_PATIENCE = 60.0
_size = struct.Struct("<I").unpack_from


def plain(descriptor: int) -> bool:
    """Whether what waits on the socket begins a result in plain: no error, and no TLS."""
    with socket.socket(fileno=os.dup(descriptor)) as line:
        try:
            head = line.recv(5, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            raise _lost(error) from None
    return len(head) == 5 and head[0] in _COUNTS and head[1:4] == b"\0\0\1" and head[4] not in (0, _NULL, _ERROR)


class Wire:
    """A result whose first bytes wait on the socket. The driver's errors where it breaks off."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray(_FIRST)
        self._at = self._have = 0  # from where to where there are bytes that were not looked at
        self._ended = False
        self.fields = self._definitions()

    def pieces(self) -> Generator[list[pa.Array], None, None]:
        """The cells of some rows, a binary array for each column, until there are none."""
        target = _FIRST
        while not self._ended:
            bounds = self._rows(target)
            if len(bounds) > 1:
                yield _columns(self._buffer, bounds, len(self.fields))
            target = _CHUNK

    def _definitions(self) -> list[int]:
        """The types of the columns."""
        told = self._packet()
        count = int.from_bytes(told[1:3], "little") if told[0] == 0xFC else told[0]
        kinds = [_kind(self._packet()) for _ in range(count)]
        while self._have - self._at < 5:
            self._receive()
        if _size(self._buffer, self._at)[0] & _WHOLE == 5 and self._buffer[self._at + 4] == _ENDED:
            self._packet()  # servers end the definitions so, unless the driver spared them that
        return kinds

    def _packet(self) -> bytes:
        while (size := self._whole(self._at)) is None:
            self._receive()
        begin, self._at = self._at + 4, self._at + 4 + size
        made = bytes(self._buffer[begin : self._at])
        if not made or made[0] == _ERROR:
            _fail(made)
        return made

    def _rows(self, target: int) -> list[int]:
        """Where in the buffer packets of rows begin, and where the last ends."""
        self._compact(target)
        bounds = [0]
        while True:
            self._scan(bounds)
            if self._ended or (len(bounds) > 1 and self._have >= target):
                return bounds
            self._receive()

    def _scan(self, bounds: list[int]) -> None:
        """Walk from packet to packet, as far as they have come."""
        buffer, have, at = self._buffer, self._have, self._at
        while at + 4 < have:
            size = _size(buffer, at)[0] & _WHOLE
            end = at + 4 + size
            if end > have or not size or size == _WHOLE or buffer[at + 4] >= _ENDED:  # as few rows are
                told = self._whole(at)
                if told is None:
                    break
                have, end = self._have, at + 4 + told
                if told < _WHOLE and (not told or buffer[at + 4] >= _ENDED):
                    self._end(bytes(buffer[at + 4 : end]))
                    break
            bounds.append(end)
            at = end
        self._at = bounds[-1]

    def _whole(self, at: int) -> int | None:
        """Bytes of the packet there, made one of several where it is longer than one can be; None: not all came yet."""
        if at + 4 > self._have:
            return None
        size: int = _size(self._buffer, at)[0] & _WHOLE
        if size == _WHOLE:
            return self._joined(at)
        return size if at + 4 + size <= self._have else None

    def _joined(self, at: int) -> int | None:
        heads, end, size = [], at, _WHOLE
        while size == _WHOLE:
            if end + 4 > self._have:
                return None
            size = _size(self._buffer, end)[0] & _WHOLE
            heads.append(end)
            end += 4 + size
        if end > self._have:
            return None
        for head in reversed(heads[1:]):
            self._buffer[head : self._have - 4] = self._buffer[head + 4 : self._have]
            self._have -= 4
        return end - at - 4 * len(heads)

    def _end(self, told: bytes) -> None:
        if not told or told[0] == _ERROR:
            _fail(told)
        if told[3] & _MORE_RESULTS:
            _fail(b"")
        self._ended = True

    def _compact(self, target: int) -> None:
        rest = self._buffer[self._at : self._have]
        if len(self._buffer) != max(target, len(rest)):  # it may have grown for one large row
            self._buffer = bytearray(max(target, len(rest)))
        self._buffer[: len(rest)] = rest
        self._at, self._have = 0, len(rest)

    def _receive(self) -> None:
        """Some more bytes; waits for them."""
        if self._have == len(self._buffer):
            self._buffer = self._buffer + bytearray(len(self._buffer))
        with memoryview(self._buffer) as whole, whole[self._have :] as room:
            while True:
                try:
                    count = os.readv(self._descriptor, [room])
                    break
                except BlockingIOError:
                    readable(self._descriptor, _PATIENCE)
                except OSError as error:
                    raise _lost(error) from None
        if not count:
            raise driver().OperationalError(_LOST, "Lost connection to server during query")
        self._have += count


def _kind(definition: bytes) -> int:
    """The type in a column's definition: behind names that are of no matter, in a part of fixed length."""
    if len(definition) < 13 or definition[-13] != 12:
        _fail(b"")
    return definition[-6]


def _lost(error: OSError) -> Exception:
    made: Exception = driver().OperationalError(_LOST, f"Lost connection: {error.strerror}")
    return made


def _fail(told: bytes) -> NoReturn:
    """The error that the server told, or that it told nothing that we understand."""
    if told[:1] != bytes([_ERROR]) or len(told) < 3:
        raise driver().OperationalError(_MALFORMED, "Malformed packet")
    text = told[9:] if told[3:4] == b"#" else told[3:]
    raise driver().OperationalError(int.from_bytes(told[1:3], "little"), text.decode(errors="replace"))


def _columns(buffer: bytearray, packets: Sequence[int], count: int) -> list[pa.Array]:
    """The cells of packets from one bound to the next, each cell its length and its bytes: a binary array a column."""
    data = np.frombuffer(buffer, np.uint8)
    ends = np.array(packets, np.int64)
    bounds = np.empty((ends.size - 1, 2 * count), np.int32)
    nulls: list[np.ndarray | None] = []
    at = ends[:-1] + 4
    for column in range(count):
        try:
            begin, length, null = _cells(data, at)
        except IndexError:
            _fail(b"")
        at = begin + length
        bounds[:, 2 * column], bounds[:, 2 * column + 1] = begin, at
        nulls.append(null)
    if (at != ends[1:]).any():
        _fail(b"")
    # cells, and between two of them what tells the second's length
    both = pa.Array.from_buffers(pa.binary(), bounds.size - 1, [None, pa.py_buffer(bounds), pa.py_buffer(buffer)])
    taken = [pa.array(np.arange(2 * column, bounds.size, 2 * count), mask=null) for column, null in enumerate(nulls)]
    return [pc.take(both, indices, boundscheck=False) for indices in taken]


def _cells(data: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Where the bytes of the cells at `at` begin, how many they are, and which are NULL."""
    first = data[at]
    begin, length = at + 1, first.astype(np.int64)
    if not (first >= _NULL).any():
        return begin, length, None
    null = first == _NULL
    length[null] = 0
    for mark, width in _LONG.items():
        rows = np.flatnonzero(first == mark)
        if rows.size:
            told = data[begin[rows][:, None] + np.arange(width)].astype(np.int64)
            length[rows] = (told << (8 * np.arange(width))).sum(axis=1)
            begin[rows] += width
    if (length < 0).any() or (length > data.size).any() or (first == _ERROR).any():
        _fail(b"")
    return begin, length, null
