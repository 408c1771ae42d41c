"""Rows of MariaDB straight off the socket: however they are cut into packets and reads, and where they break off."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import pytest

from connectors.base import Cancel, SourceQuery
from connectors.mariadb import rows as ways
from connectors.mariadb.connector import MariadbConnector, MariadbOptions
from connectors.mariadb.drivers import driver
from connectors.mariadb.wire import Wire, plain
from connectors.types import PgType
from tests.servers import Server

END = b"\xfe\0\0\2\0"
WHOLE = 0xFFFFFF
Cell = bytes | None


def packet(body: bytes, number: int = 1) -> bytes:
    """As the server sends it: what is too long in several."""
    made = b""
    while True:
        part, body = body[:WHOLE], body[WHOLE:]
        made += len(part).to_bytes(3, "little") + bytes([number % 256]) + part
        number += 1
        if len(part) < WHOLE:
            return made


def lengthened(cell: Cell) -> bytes:
    """A cell with its length before it."""
    if cell is None:
        return b"\xfb"
    for least, mark, width in ((1 << 24, b"\xfe", 8), (1 << 16, b"\xfd", 3), (251, b"\xfc", 2)):
        if len(cell) >= least:
            return mark + len(cell).to_bytes(width, "little") + cell
    return bytes([len(cell)]) + cell


def answer(kinds: Sequence[int], rows: Sequence[Sequence[Cell]], end: bytes = END, *, spared: bool = False) -> bytes:
    """A whole result; `spared`: without the packet between definitions and rows."""
    definition = b"".join(map(lengthened, (b"def", b"", b"", b"", b"c", b""))) + b"\x0c" + b"\0" * 6
    said = [bytes([len(kinds)]), *(definition + bytes([kind]) + b"\0" * 5 for kind in kinds)]
    said += [] if spared else [END]
    said += [b"".join(map(lengthened, row)) for row in rows]
    return b"".join(map(packet, [*said, end]))


@contextlib.contextmanager
def sent(data: bytes, step: int = 1 << 20) -> Iterator[int]:
    """A socket on which these bytes come, so many at a time, and then the end."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs, contextlib.suppress(OSError):
            for at in range(0, len(data), step):
                theirs.sendall(data[at : at + step])

    thread = threading.Thread(target=send)
    with ours:
        thread.start()
        yield ours.fileno()
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def read(data: bytes, step: int = 1 << 20) -> list[tuple[Cell, ...]]:
    with sent(data, step) as descriptor:
        pieces = list(Wire(descriptor).pieces())
    return [row for piece in pieces for row in zip(*(column.to_pylist() for column in piece), strict=True)]


ROWS: list[tuple[Cell, ...]] = [
    (b"1", None, b""),
    (None, b"x" * 250, b"y" * 251),
    (b"\xff\xfe\xfb\xfc", b"z" * 600, b"w" * 65_536),
    (b"", b"", None),
]


@pytest.mark.parametrize("step", [13, 4096, 1 << 20])
@pytest.mark.parametrize("spared", [False, True])
def test_cells_of_any_length_however_they_come(step: int, spared: bool) -> None:
    rows = ROWS if step == 13 else ROWS * 5
    assert read(answer([253, 3, 252], rows, spared=spared), step) == rows


def test_no_rows_and_the_types_of_columns() -> None:
    with sent(answer([3, 16, 253], [])) as descriptor:
        wire = Wire(descriptor)
        assert wire.fields == [3, 16, 253]
        assert list(wire.pieces()) == []


@pytest.mark.parametrize("length", [WHOLE - 4, WHOLE, 2 * WHOLE + 3])
def test_a_row_of_several_packets_and_the_small_ones_around_it(length: int) -> None:
    rows: list[tuple[Cell, ...]] = [(b"1",), (b"x" * length,), (b"2",), (None,)]
    assert read(answer([252], rows)) == rows


def test_the_servers_error_amid_rows_is_the_drivers() -> None:
    told = b"\xff" + (1969).to_bytes(2, "little") + b"#70100Query execution was interrupted"
    with pytest.raises(driver().OperationalError, match="interrupted") as raised:
        read(answer([3], [(b"1",)] * 5, told))
    assert raised.value.args[0] == 1969


@pytest.mark.parametrize("cut", [3, 40, -2])
def test_a_connection_that_ends_too_early(cut: int) -> None:
    with pytest.raises(driver().OperationalError, match="Lost connection") as raised:
        read(answer([3, 3], [(b"1", b"2")] * 5)[:cut])
    assert raised.value.args[0] == 2013


@pytest.mark.parametrize("row", [b"\x05abc", b"\x01a\x01", b"\x01a\x01bc", b"\x01a\xfe" + b"\xff" * 8, b"\x01a\xfc\1"])
def test_a_row_that_is_no_row_is_an_error_and_no_value(row: bytes) -> None:
    begun = answer([3, 3], [(b"1", b"2")])[: -len(packet(END))]
    with pytest.raises(driver().OperationalError, match="Malformed"):
        read(begun + packet(row) + packet(END))


@pytest.mark.parametrize(
    "head", [b"\x17\x03\x03\x01\x00", packet(b"\xff\x48\4#HY000No"), packet(b"\0\0\0\2\0\0\0"), b"\1\0"]
)
def test_what_only_the_driver_can_read(head: bytes) -> None:
    with sent(head) as descriptor:
        assert not plain(descriptor)
    with sent(answer([3], [])) as descriptor:
        assert plain(descriptor)


def test_a_connection_that_is_reset_is_a_lost_one() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as ours:
            theirs, _ = listener.accept()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            with pytest.raises(driver().OperationalError, match="Lost connection") as caught:
                plain(ours.fileno())
    assert caught.value.args[0] == 2013


@pytest.mark.service
def test_both_ways_give_the_same_and_leave_the_connection_as_it_was(mariadb: Server) -> None:
    kinds = tuple(map(PgType, ("int8", "numeric", "text", "timestamp", "bytea")))
    text = (
        "SELECT seq, CAST(seq AS DECIMAL(30,10)) / 7, IF(seq % 3 = 0, NULL, REPEAT('ö', seq % 400)),"
        " TIMESTAMP'2020-01-01 00:00:00.25' + INTERVAL seq SECOND, UNHEX(HEX(seq)) FROM seq_1_to_5000"
    )
    query = SourceQuery((text,), (), kinds)
    made = MariadbConnector("wire", MariadbOptions(**mariadb.options, pool_size=1))
    with contextlib.closing(made):

        def rows() -> list[dict[str, object]]:
            return [row for batch in made.execute(query, timeout=60, cancel=Cancel()) for row in batch.to_pylist()]

        with (
            patch.object(ways, "Wire", side_effect=AssertionError),
            patch.object(ways, "plain", lambda _: False),
        ):
            slowly = rows()
        with patch.object(ways, "_pieces", side_effect=AssertionError):
            assert rows() == slowly == rows()
        assert len(slowly) == 5000
        made.ping()
