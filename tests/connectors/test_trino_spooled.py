"""Large answers of Trino by way of the store where it keeps them: the same values, and nothing stays there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from connectors.base import Cancel
from connectors.conformance.asking import ask, statement
from connectors.errors import LimitExceeded
from connectors.registry import connect
from connectors.trino import segments
from connectors.trino.connector import TrinoConnector
from connectors.types import PgType
from tests.connectors.trino_cases import TRINO
from tests.s3_server import S3Server
from tests.trino_server import TrinoServer

pytestmark = [pytest.mark.service, pytest.mark.slow]
ENCODINGS = pytest.mark.parametrize("encoding", ["json", "json+zstd", "json+lz4"])
DOORS = pytest.mark.parametrize("door", ["plain", "tls"])
INT8 = PgType("int8")
COPIES = 20  # of each sample's values
WIDE = "rpad('x', 900, 'x')"
MANY = f"SELECT sequential_number AS c0, {WIDE} AS c1 FROM TABLE(sequence(1, 100000))"
TEXT = PgType("text")
RUNNING = """SELECT count(*) FROM system.runtime.queries WHERE source {} 'spooled'
AND state NOT IN ('FINISHED', 'FAILED')"""


@pytest.fixture
def opened(trino_server: TrinoServer) -> Iterator[Callable[..., TrinoConnector]]:
    made: list[TrinoConnector] = []

    def make(**options: Any) -> TrinoConnector:
        found = connect("trino", "spooled", {**trino_server.options, "source": "spooled", **options})
        assert isinstance(found, TrinoConnector)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Each segment that is read: its encoding, and whether it came from the store."""
    seen: list[tuple[str, bool]] = []
    unpacked = segments.unpacked

    def noted(packed: bytes, encoding: str, metadata: Any) -> Any:
        seen.append((encoding, "expiresAt" in metadata))
        return unpacked(packed, encoding, metadata)

    monkeypatch.setattr(segments, "unpacked", noted)
    return seen


def every_type() -> tuple[str, tuple[PgType, ...]]:
    """All samples of the conformance suite beside one another, many times."""
    columns = []
    for at, sample in enumerate(TRINO):
        listed = ", ".join(f"CAST({value} AS {sample.ddl})" for value, _ in sample.values)
        columns.append(f"element_at(ARRAY[{listed}], CAST(n % {len(sample.values)} AS integer) + 1) AS c{at + 1}")
    each = f"SELECT n, {', '.join(columns)} FROM TABLE(sequence(0, 11)) AS s(n)"
    names = ", ".join(f"c{at + 1}" for at in range(len(TRINO)))
    text = (
        f"SELECT m * 12 + n, {names}, {WIDE} FROM ({each}) CROSS JOIN TABLE(sequence(1, {COPIES})) AS t(m) ORDER BY 1"
    )
    return text, (INT8, *(s.type for s in TRINO), TEXT)


def active(server: TrinoServer) -> int:
    return int(server.run(RUNNING.format("="))[0][0])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@ENCODINGS
def test_every_type_as_trino_itself_sends_it(
    opened: Callable[..., TrinoConnector], fetched: list[Any], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(segments, "ENCODINGS", [encoding])
    text, kinds = every_type()
    direct = ask(opened(spooling="off"), text, columns=kinds, timeout=120)
    assert not fetched and direct.num_rows == COPIES * 12
    spooled = ask(opened(), text, columns=kinds, timeout=120)
    assert fetched and set(fetched) == {(encoding, True)}
    assert _printed(spooled) == _printed(direct)


def _printed(table: pa.Table) -> list[str]:
    """Row by row as texts, of which NaN equals itself."""
    return [repr(row) for row in zip(*(_values(column) for column in table.columns), strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):  # years that Python does not have
        return column.cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32()).to_pylist()  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


@DOORS
def test_what_is_read_is_deleted(
    opened: Callable[..., TrinoConnector], trino_server: TrinoServer, fetched: list[Any], door: str
) -> None:
    plain = {"port": trino_server.port, "password": None, "tls": None, "user": "vdw"}
    connector = opened(**(plain if door == "plain" else {}))
    there = kept(trino_server)
    assert ask(connector, MANY, columns=(INT8, TEXT), timeout=120).num_rows == 100_000
    stored = [one for one in fetched if one[1]]
    assert len(stored) > 1, "in several segments"
    until(lambda: not kept(trino_server) - there - others(trino_server))
    assert ask(connector, "SELECT 1 AS c0 WHERE false").num_rows == 0
    assert ask(connector, "SELECT 7 AS c0").column(0).to_pylist() == [7]


def kept(server: TrinoServer) -> set[str]:
    """What lies in the store."""
    assert isinstance(server.store, S3Server)
    return {one["path"] for page in server.store.store().list() for one in page}


def others(server: TrinoServer) -> set[str]:
    """What other workers have there, as long as they run."""
    running = server.run(RUNNING.format("<>"))[0][0]
    return kept(server) if running > 1 else set()


def test_a_cancel_in_the_middle_of_an_answer(
    opened: Callable[..., TrinoConnector], trino_server: TrinoServer, fetched: list[Any]
) -> None:
    connector, cancel = opened(), Cancel()
    answer = connector.execute(statement(MANY, columns=(INT8, TEXT)), timeout=120, cancel=cancel)
    assert next(answer).num_rows
    cancel.fire()
    with pytest.raises(LimitExceeded) as error:
        list(answer)
    assert error.value.sqlstate == "57014"
    until(lambda: active(trino_server) == 0)
    assert ask(connector, "SELECT 1").column(0).to_pylist() == [1]


def test_a_reader_who_leaves(opened: Callable[..., TrinoConnector], trino_server: TrinoServer) -> None:
    connector = opened()
    answer = connector.execute(statement(MANY, columns=(INT8, TEXT)), timeout=120, cancel=Cancel())
    assert next(answer).num_rows
    answer.close()  # type: ignore[attr-defined]
    until(lambda: active(trino_server) == 0)
