"""What stands before Trino, or says it is Trino: played by hand, for what a real one does not do on demand."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import lz4.block
import pytest
import zstandard

from connectors.base import Cancel
from connectors.conformance.asking import ask, statement
from connectors.errors import Error, LimitExceeded
from connectors.registry import connect
from connectors.tls import Tls
from connectors.trino.connector import TrinoConnector
from connectors.trino.driver import Access, Unfetched
from connectors.trino.segments import Segments, unpacked
from tests.servers import free_port
from views.values import SecretRef

Answer = tuple[int, bytes]
COLUMNS = [{"name": "c0", "type": "bigint", "typeSignature": {"rawType": "bigint", "arguments": []}}]
ROWS = [[n] for n in range(100)]


class Coordinator(ThreadingHTTPServer):
    """Answers each request with the next of `script`; "@" in it stands for its own address."""

    daemon_threads = True

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[tuple[str, str, str]] = []  # method, path, who asked
        self.meanwhile: Callable[[], object] = lambda: None  # what happens before anything else is asked than the first
        super().__init__(("127.0.0.1", 0), _Handler)

    def page(self, **told: Any) -> None:
        """One more page; of a statement that goes on unless it has `data`."""
        following = {} if "data" in told or "error" in told else {"nextUri": "@/v1/next"}
        text = json.dumps({"id": "q", "columns": COLUMNS, **following, **told})
        self.script.append((200, text.replace("@", f"http://127.0.0.1:{self.server_port}").encode()))

    def segment(self, packed: bytes, encoding: str = "json", **metadata: Any) -> dict[str, Any]:
        """A page's data, kept at this server."""
        one = {
            "type": "spooled",
            "uri": "@/kept",
            "ackUri": "@/thanks",
            "metadata": metadata,
            "headers": {"x-a": ["b"]},
        }
        return {"encoding": encoding, "segments": [one]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        server = self.server
        assert isinstance(server, Coordinator)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        if len(server.asked) == 2:
            server.meanwhile()
        gone = self.command == "DELETE"
        status, body = (204, b"") if gone or not server.script else server.script.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    with Coordinator() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def connector(coordinator: Coordinator) -> Iterator[TrinoConnector]:
    made = connect("trino", "lake", {"host": "127.0.0.1", "port": coordinator.server_port, "catalog": "memory"})
    assert isinstance(made, TrinoConnector)
    made._profile = object()  # type: ignore[assignment]  # asked for before
    yield made
    made.close()


def numbers(connector: TrinoConnector, **given: Any) -> list[int]:
    return [row.as_py() for row in ask(connector, "SELECT 1", **given).column(0)]


def failed(connector: TrinoConnector) -> Error:
    with pytest.raises(Error) as error:
        numbers(connector)
    return error.value


@pytest.mark.parametrize("status", [429, 502, 503, 504, 200])
def test_a_page_that_cannot_be_had_just_now(coordinator: Coordinator, connector: TrinoConnector, status: int) -> None:
    """The statement goes on at the server: it is asked again, as the protocol wants it."""
    coordinator.page()
    coordinator.script += [(status, b""), (status, b"")]
    coordinator.page(data=ROWS)
    assert numbers(connector) == list(range(100))
    assert [method for method, _, _ in coordinator.asked] == ["POST", "GET", "GET", "GET"]


def test_a_statement_is_not_sent_twice(coordinator: Coordinator, connector: TrinoConnector) -> None:
    coordinator.script.append((503, b""))
    assert failed(connector).sqlstate == "08006"
    assert len(coordinator.asked) == 1


def test_a_cancel_while_a_gateway_refuses(coordinator: Coordinator, connector: TrinoConnector) -> None:
    coordinator.page()
    coordinator.script += [(503, b"")] * 50
    cancel = Cancel()
    timer = threading.Timer(0.3, cancel.fire)
    timer.start()
    with pytest.raises(LimitExceeded):
        list(connector.execute(statement("SELECT 1"), timeout=60, cancel=cancel))
    timer.join()
    assert len(coordinator.asked) < 12


def test_a_token_that_runs_out_in_the_middle(coordinator: Coordinator, tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text("first")
    secret = SecretRef(file=str(place)).live(tmp_path, {})
    own = {"host": "127.0.0.1", "port": coordinator.server_port, "catalog": "memory", "jwt": secret}
    made = connect("trino", "lake", {**own, "tls": {"mode": "require"}})
    assert isinstance(made, TrinoConnector)
    made._access.tls = Tls(mode="disable")  # as behind a proxy that decrypts
    made._profile = object()  # type: ignore[assignment]
    coordinator.page()
    coordinator.script += [(401, b"")]
    coordinator.page(data=ROWS)
    coordinator.meanwhile = lambda: place.write_text("second")
    with contextlib.closing(made):
        assert numbers(made) == list(range(100))
    assert [who for _, _, who in coordinator.asked] == ["Bearer first", "Bearer first", "Bearer second"]


def test_what_is_no_trino(coordinator: Coordinator, connector: TrinoConnector) -> None:
    for body in (b"<html>welcome</html>", b"[1, 2]", b'"text"', b"{}{"):
        coordinator.script.append((200, body))
        error = failed(connector)
        assert (error.sqlstate, error.detail) == ("08001", "what answers there is no Trino"), body


PLAIN = json.dumps(ROWS).encode()
PACKED = zstandard.ZstdCompressor().compress(PLAIN)


@pytest.mark.parametrize("where", ["inline", "kept"])
@pytest.mark.parametrize("encoding", ["json", "json+zstd", "json+lz4"])
def test_segments(coordinator: Coordinator, connector: TrinoConnector, encoding: str, where: str) -> None:
    """In the answer itself too; the server is told of those that it keeps."""
    packed = {"json": PLAIN, "json+zstd": PACKED, "json+lz4": lz4.block.compress(PLAIN, store_size=False)}[encoding]
    sizes = {"rowsCount": 100, **({} if encoding == "json" else {"uncompressedSize": len(PLAIN)})}
    data = coordinator.segment(packed, encoding, **sizes)
    if where == "inline":
        text = base64.b64encode(packed).decode()
        data["segments"] = [{"type": "inline", "data": text, "metadata": sizes}]
    coordinator.page(data=data)
    if where == "kept":
        coordinator.script += [(200, packed), (200, b"")]
    assert numbers(connector) == list(range(100))
    assert [path for _, path, _ in coordinator.asked][1:] == (["/kept", "/thanks"] if where == "kept" else [])


def test_a_server_that_does_not_hear_thanks(coordinator: Coordinator, connector: TrinoConnector) -> None:
    """Whose answer is here all the same."""
    data = coordinator.segment(PLAIN)
    data["segments"] *= 2
    coordinator.page(data=data)
    coordinator.script += [(200, PLAIN), (500, b"no"), (200, PLAIN)]
    assert numbers(connector) == [*range(100)] * 2
    assert [path for _, path, _ in coordinator.asked][1:] == ["/kept", "/thanks", "/kept"]


@pytest.mark.parametrize(
    ("encoding", "metadata", "kept", "why"),
    [
        ("json", {}, (404, b""), "HTTP status 404"),
        ("json", {}, (403, b"expired"), "HTTP status 403"),
        ("json", {}, (200, PLAIN[:-1]), "damaged"),
        ("json", {"rowsCount": 101}, (200, PLAIN), "damaged"),
        ("json+zstd", {"uncompressedSize": len(PLAIN)}, (200, PACKED[:-9]), "damaged"),
        ("json+zstd", {"uncompressedSize": len(PLAIN) - 1}, (200, PACKED), "damaged"),
        ("json+lz4", {"uncompressedSize": len(PLAIN)}, (200, PACKED), "damaged"),
    ],
)
def test_a_segment_that_is_gone_or_damaged(
    coordinator: Coordinator, connector: TrinoConnector, encoding: str, metadata: Any, kept: Answer, why: str
) -> None:
    """An error that says so, never fewer rows."""
    coordinator.page(data=coordinator.segment(b"", encoding, **metadata))
    coordinator.script.append(kept)
    error = failed(connector)
    assert error.sqlstate == "08006"
    assert why in str(error.detail) and "spooling: off" in str(error.hint)


def test_a_store_that_is_not_reached(coordinator: Coordinator, connector: TrinoConnector) -> None:
    place = f"http://127.0.0.1:{free_port()}"
    data = coordinator.segment(PLAIN)
    data["segments"][0]["uri"] = f"{place}/kept?signature=secret"
    coordinator.page(data=data)
    error = failed(connector)
    assert error.sqlstate == "08006"
    assert place in str(error.detail) and "signature" not in f"{error} {error.detail}"


def test_a_store_that_is_not_encrypted() -> None:
    """Where the connection is."""
    access = Access("lake", "trino.internal", 443, Tls(), 5, {"user": "vdw", "properties": {}})
    segment = {"type": "spooled", "uri": "http://store.internal/kept", "metadata": {}}
    made = Segments(access, 0.0, lambda ask: ask())
    with pytest.raises(Unfetched, match="not"):
        list(made.rows({"encoding": "json", "segments": [segment]}))


def test_unpacked() -> None:
    assert unpacked(PLAIN, "json+zstd", {}) == ROWS, "too few to be packed"


def test_a_statement_that_is_too_long(coordinator: Coordinator, connector: TrinoConnector) -> None:
    told = {"errorName": "QUERY_TEXT_TOO_LARGE", "errorType": "USER_ERROR", "message": "Query text length (2) exceeds"}
    coordinator.page(error=told)
    error = failed(connector)
    assert (error.sqlstate, error.detail) == ("54000", "QUERY_TEXT_TOO_LARGE")
    assert "query.max-length" in str(error.hint)
