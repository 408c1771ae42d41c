"""REST over TLS: whom a source believes, by a real service with certificates of an authority of our own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Cancel, SourceQuery
from connectors.errors import ConfigError, SourceError
from connectors.registry import connect
from connectors.types import PgType
from tests.rest_server import RestServer
from tests.servers import PASSWORD
from tests.tls_servers import Papers, papers

READ = SourceQuery(('SELECT t1."id" AS c0 FROM "one" AS t1',), (), (PgType("int8"),))
TABLES = {"one": {"path": "/plain/one", "columns": {"id": {"type": "int8"}}}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"), "vdw")


@contextmanager
def service(made: Papers, name: str = "127.0.0.1", clients: str | None = None) -> Iterator[RestServer]:
    """One with a row, that shows a certificate of that name."""
    data, pem = made.folder / "one.db", made.folder / f"{name}.pem"
    made.authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(pem))
    with closing(sqlite3.connect(data)) as connection:
        connection.executescript("CREATE TABLE IF NOT EXISTS one (id int); DELETE FROM one; INSERT INTO one VALUES (7)")
    with RestServer(data, (str(pem), str(pem)), clients) as server:
        yield server


@pytest.fixture(scope="module")
def server(made: Papers) -> Iterator[RestServer]:
    with service(made) as running:
        yield running


def read(server: RestServer, tls: dict[str, Any] | None, **more: Any) -> list[int]:
    """The rows."""
    said = {"url": server.url, "tables": TABLES, "retries": {"first": 0.01}, **({} if tls is None else {"tls": tls})}
    connector = connect("rest", "web", said | more)
    try:
        batches = connector.execute(READ, timeout=20, cancel=Cancel())
        return [row["c0"] for batch in batches for row in batch.to_pylist()]
    finally:
        connector.close()


def refused(server: RestServer, tls: dict[str, Any] | None, *words: str, state: str = "08001", **more: Any) -> None:
    """It is asked nothing."""
    server.forget()
    with pytest.raises(SourceError) as error:
        read(server, tls, **more)
    told = f"{error.value.message}; {error.value.detail}; {error.value.hint}"
    assert error.value.sqlstate == state, told
    assert all(word in told for word in words), told
    assert PASSWORD not in told
    assert not server.requests


def test_the_right_authority_is_believed_and_no_other(server: RestServer, made: Papers) -> None:
    assert read(server, {"ca": made.ca}) == read(server, {"ca": made.ca, "mode": "verify-ca"}) == [7]
    refused(server, {"ca": made.other}, "not trusted", "tls: {ca: FILE}")
    refused(server, None, "not trusted")  # the machine's own; on this machine, too
    refused(server, {"ca": str(made.folder / "none.pem")}, "cannot be read", "tls: {ca")


def test_the_host_is_the_one_that_the_certificate_names(made: Papers) -> None:
    with service(made, "other.example") as stranger:
        refused(stranger, {"ca": made.ca}, "not trusted", "the host as its certificate does")
        assert read(stranger, {"ca": made.ca, "mode": "verify-ca"}) == [7]
        assert read(stranger, {"mode": "require"}) == [7], "on this machine, if its owner says so"


def test_a_certificate_of_ours_where_the_service_asks_for_one(made: Papers) -> None:
    own = {"ca": made.ca, "certificate": str(made.certificate)}
    with service(made, clients=made.ca) as strict:
        assert read(strict, {**own, "key": str(made.key)}) == [7]
        assert read(strict, {**own, "key": str(made.sealed), "passphrase": PASSWORD}) == [7]
        refused(strict, {**own, "key": str(made.sealed), "passphrase": "not it"}, "its key cannot be read")
        # asyncio's TLS hangs up without a word
        refused(strict, {"ca": made.ca}, "tls: {certificate: FILE, key: FILE}", state="08006")
        assert read(strict, {**own, "key": str(made.key)}) == [7]


def test_a_renewed_authority_is_read_by_the_next_connection(server: RestServer, made: Papers, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(Path(made.other).read_bytes())
    said = {"url": server.url, "tables": TABLES, "tls": {"ca": str(file)}}
    connector = connect("rest", "web", said)
    try:
        with pytest.raises(SourceError, match="not trusted"):
            connector.ping(20)
        file.write_bytes(Path(made.ca).read_bytes())
        connector.ping(20)
    finally:
        connector.close()


def test_a_token_is_fetched_from_whom_we_believe(server: RestServer, made: Papers) -> None:
    said = {"token_url": f"{server.url}/token", "client_id": "me", "client_secret": "secret"}
    try:
        assert read(server, {"ca": made.ca}, auth={"oauth2": said}) == [7]
        assert server.tokens == 1
        refused(server, {"ca": made.other}, "cannot be reached", auth={"oauth2": said})
        assert server.tokens == 1
    finally:
        server.manners.token = ""


@pytest.mark.parametrize(
    ("url", "tls", "said"),
    [
        ("http://api.example", None, "on a network that you trust, write tls: {mode: disable}"),
        ("http://api.example", {"ca": "ca.pem"}, "begins with http://"),
        ("http://127.0.0.1:1", {"mode": "verify-full"}, "begins with http://"),
        ("https://api.example", {"mode": "disable"}, "begins with https://"),
        ("https://api.example", {"mode": "require"}, "has to prove who it is"),
        ("https://api.example", {"mode": "prefer"}, "mode prefer"),
        ("https://127.0.0.1:1", {"mode": "prefer"}, "mode prefer"),
        ("https://api.example", {"certificate": "a.pem"}, "go together"),
    ],
)
@pytest.mark.parametrize("kind", ["rest", "odata"])
def test_nobody_is_asked_without_a_proof_by_oversight(
    kind: str, url: str, tls: dict[str, Any] | None, said: str
) -> None:
    more = {"tables": TABLES} if kind == "rest" else {}
    with pytest.raises(ConfigError, match=said):
        connect(kind, "web", {"url": url, "tls": tls, **more})
    grant = {"token_url": url, "client_id": "me", "client_secret": "secret"}
    with pytest.raises(ConfigError, match=said):
        local = {"https": "https://127.0.0.1:1", "http": "http://127.0.0.1:1"}[url.partition(":")[0]]
        connect(kind, "web", {"url": local, "tls": tls, "auth": {"oauth2": grant}, **more})


def test_what_is_allowed(made: Papers) -> None:
    for url, tls in (
        ("http://api.example", {"mode": "disable"}),
        ("http://localhost", None),
        ("https://api.example", None),
        ("https://api.example", {"mode": "verify-ca", "ca": made.ca}),
        ("https://127.0.0.1", {"mode": "require"}),
    ):
        connect("rest", "web", {"url": url, "tls": tls, "tables": TABLES}).close()
