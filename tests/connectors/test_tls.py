"""TLS: whom a connection believes, on real servers with certificates of an authority of our own, by both drivers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from api.cli import main
from connectors.base import Cancel
from connectors.conformance.asking import ask
from connectors.errors import ConfigError, SourceError
from connectors.link import PLAIN, reached
from connectors.registry import connect
from connectors.tls import Tls, chosen
from tests.folders import write
from tests.servers import PASSWORD, Missing, Server
from tests.tls_servers import Papers, encrypted, papers, show

KINDS = ("postgresql", "mariadb", pytest.param("mysql", marks=pytest.mark.deep))  # its servers start slowly
USER = "certified"
BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
CIPHER = {
    "postgresql": "SELECT ssl::int::bigint FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mariadb": "SELECT CAST(VARIABLE_VALUE <> '' AS SIGNED) FROM information_schema.SESSION_STATUS "
    "WHERE VARIABLE_NAME = 'SSL_CIPHER'",
    "mysql": "SELECT CAST(VARIABLE_VALUE <> '' AS SIGNED) FROM performance_schema.session_status "
    "WHERE VARIABLE_NAME = 'Ssl_cipher'",
}


def test_where_nothing_is_said_servers_elsewhere_prove_who_they_are() -> None:
    assert chosen(None, "db.internal").mode == chosen(None, "10.1.2.3").mode == "verify-full"
    assert chosen(None, "127.0.0.1", "db.internal").mode == "verify-full"
    assert {chosen(None, host).mode for host in (None, "/run/db", "localhost", "127.9.9.9", "::1")} == {"prefer"}
    assert chosen(Tls(mode="disable"), "db.internal").mode == "disable"


def test_options_that_make_no_sense_are_refused() -> None:
    for tls, words in (
        ({"certificate": "a.pem"}, "go together"),
        ({"mode": "disable", "certificate": "a", "key": "b"}, "of no use"),
        ({"mode": "maybe"}, "tls.mode"),
    ):
        with pytest.raises(ConfigError, match=words):
            connect("postgresql", "crm", {"tls": tls})
    with pytest.raises(ConfigError, match="verify-full"):
        connect("mariadb", "crm", {"tls": {"mode": "verify-ca"}})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"), USER)


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, made: Papers) -> Iterator[Server]:
    """One that speaks TLS; it knows a user who has to show a certificate."""
    try:
        with encrypted(request.param, made) as server:
            if server.kind == "postgresql":
                rules = server.folder / "data/pg_hba.conf"
                rules.write_text(f"hostssl all {USER} all cert\n{rules.read_text()}")
                server.run(f"CREATE ROLE {USER} LOGIN", "SELECT pg_reload_conf()")
            else:
                server.run(f"CREATE USER {USER}@'%' REQUIRE X509", f"GRANT SELECT ON shop.* TO {USER}@'%'")
            yield server
    except Missing as reason:
        pytest.skip(str(reason))


def tries(server: Server, small: bool, tls: dict[str, Any] | None, **more: Any) -> int:
    """Whether a statement over such a connection is encrypted: 1 or 0."""
    options = {**server.options, **({} if tls is None else {"tls": tls}), **more}
    connector = connect(server.kind, "crm", options)
    try:
        return int(ask(connector, CIPHER[server.kind], small=small).column(0)[0].as_py())
    finally:
        connector.close()


def refused(server: Server, small: bool, tls: dict[str, Any], *words: str, **more: Any) -> None:
    with pytest.raises(SourceError) as error:
        tries(server, small, tls, **more)
    assert error.value.sqlstate == "08001"
    told = f"{error.value.message}; {error.value.detail}; {error.value.hint}".lower()
    assert all(word in told for word in words), told
    assert PASSWORD not in told


pytestmark = pytest.mark.service


@BOTH
def test_the_right_server_is_believed(server: Server, made: Papers, small: bool) -> None:
    assert tries(server, small, {"ca": made.ca}) == 1
    assert tries(server, small, {"mode": "require"}) == tries(server, small, {"mode": "prefer"}) == 1
    assert tries(server, small, {"mode": "disable"}) == 0
    assert tries(server, small, None) == 1, "on this machine: where the server can"


@BOTH
def test_a_stranger_is_not(server: Server, made: Papers, small: bool) -> None:
    refused(server, small, {"ca": made.other}, "certificate", "tls: {ca: file}")
    refused(server, small, {}, "certificate", "tls: {ca: file}")  # the machine's own authorities
    refused(server, small, {"ca": str(made.folder / "none.pem")}, "none.pem" if server.kind == "postgresql" else "ssl")


@BOTH
def test_the_wrong_name_and_an_expired_certificate(server: Server, made: Papers, small: bool) -> None:
    try:
        show(server, made, "other.example")
        time.sleep(0.3)  # PostgreSQL's postmaster reads it at its next turn
        refused(server, small, {"ca": made.ca}, "tls: {ca: file}, and the host as its certificate does")
        assert tries(server, small, {"mode": "require"}) == 1
        if server.kind == "postgresql":
            assert tries(server, small, {"mode": "verify-ca", "ca": made.ca}) == 1
        if server.kind != "mysql":  # which refuses to show such a one
            show(server, made, "127.0.0.1", expired=True)
            time.sleep(0.3)
            refused(server, small, {"ca": made.ca}, "certificate")
    finally:
        show(server, made, "127.0.0.1")
        time.sleep(0.3)
    assert tries(server, small, {"ca": made.ca}) == 1


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_tls(kind: str, request: pytest.FixtureRequest, made: Papers, small: bool) -> None:
    plain: Server = request.getfixturevalue("mysql_alone" if kind == "mysql" else kind)
    plain.stop()
    plain.more = {"postgresql": ("--ssl=off",), "mariadb": ("--skip-ssl",), "mysql": ("--tls-version=",)}[kind]
    plain.start()
    try:
        for tls in ({"mode": "require"}, {"ca": made.ca}):
            refused(plain, small, tls, "ssl", "tls")
        assert tries(plain, small, {"mode": "prefer"}) == tries(plain, small, None) == 0
    finally:
        plain.more = ()
        plain.restart()


@BOTH
def test_a_certificate_of_ours(server: Server, made: Papers, small: bool) -> None:
    ours = {"ca": made.ca, "certificate": str(made.certificate), "key": str(made.key)}
    someone = {"user": USER, "password": None}
    assert tries(server, small, ours, **someone) == 1
    sealed = {**ours, "key": str(made.sealed), "passphrase": PASSWORD}
    assert tries(server, small, sealed, **someone) == 1
    refused(server, small, {"ca": made.ca}, {"postgresql": "key: file}"}.get(server.kind, USER), **someone)
    refused(server, small, {**sealed, "passphrase": "not it"}, "tls", **someone)


def test_a_cancel_reaches_the_server_over_tls(server: Server, made: Papers) -> None:
    connector = connect(server.kind, "crm", {**server.options, "tls": {"ca": made.ca}})
    slow = {"postgresql": "SELECT pg_sleep(60)::text"}.get(server.kind, "SELECT SLEEP(60)")
    try:
        with pytest.raises(Exception, match="timeout"):
            ask(connector, slow, small=True, timeout=1, cancel=Cancel())
    finally:
        connector.close()


def test_files_are_found_from_the_project(tmp_path: Path) -> None:
    from views.load import load

    text = (
        "kind: postgresql\nconnection: {host: db, tls: {ca: certs/ca.pem, certificate: {file: c.pem}, key: /k.pem}}\n"
    )
    write(tmp_path, {"vdw.yml": "name: x\n", "sources/crm.yml": text})
    project = load(tmp_path)
    assert not project.diagnostics
    found = project.options("crm", {})["tls"]
    assert found == {"ca": str(tmp_path / "certs/ca.pem"), "certificate": str(tmp_path / "c.pem"), "key": "/k.pem"}


def test_what_is_in_use_is_told(server: Server, made: Papers) -> None:
    """By our own end of the connection and the server; the certificate's end is that of the one it shows."""
    shown = {"authority and name": {"ca": made.ca}, "no": {"mode": "require"}}
    for verified, tls in shown.items():
        connector = connect(server.kind, "crm", {**server.options, "tls": tls, "pool_size": 1})
        try:
            link = reached(connector)
        finally:
            connector.close()
        used = link.encryption
        assert used is not None and used.on
        assert used.protocol in ("TLSv1.2", "TLSv1.3") and used.cipher and used.verified == verified
        if verified != "no" or server.kind == "mariadb":
            assert used.until is not None
            assert used.until.replace(tzinfo=None) == certificate(server).not_valid_after_utc.replace(tzinfo=None)
        assert link.skew is not None and abs(link.skew) <= link.doubt + 0.5 and link.round_trip > 0
    connector = connect(server.kind, "crm", {**server.options, "tls": {"mode": "disable"}})
    assert reached(connector).encryption == PLAIN
    connector.close()


def certificate(server: Server) -> x509.Certificate:
    return x509.load_pem_x509_certificate((server.folder / "server.pem").read_bytes())


def test_one_source_is_tried_from_the_command_line(
    server: Server, made: Papers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tried(tls: str, password: str = PASSWORD, *more: str) -> tuple[int, str, str]:
        (tmp_path / "secret").write_text(password)
        given = {key: value for key, value in server.options.items() if key != "password"}
        connection = "".join(f"  {key}: {value}\n" for key, value in given.items())
        text = f"kind: {server.kind}\nconnection:\n{connection}  password: {{file: secret}}\n  tls: {tls}\n"
        files = {"vdw.yml": "name: x\n", "sources/crm.yml": text, "sources/broken.yml": "kind: [\n"}
        write(tmp_path, files)
        with pytest.raises(SystemExit) as left:
            main(["source", "test", "crm", "-p", str(tmp_path), *more])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err and "wr0ng" not in out + err
        return int(left.value.code or 0), out, err

    code, out, _ = tried(f"{{ca: {made.ca}}}", PASSWORD, "--json")
    told = json.loads(out)
    assert code == 0 and told["tls"]["on"] and told["tls"]["verified"] == "authority and name"
    assert told["tls"]["certificate_until"] and told["limits"]["concurrency"] == 4 and told["snapshot"] == 30.0
    place = {"postgresql": "primary"}.get(server.kind, "not known")  # without SLAVE MONITOR
    assert told["role"] == f"{place}, login that may write" and any("may write" in note for note in told["notes"])
    assert tried("{mode: disable}")[1].count("tls") == 1
    code, _, err = tried(f"{{ca: {made.other}}}")
    assert code == 3 and "tls: {ca: FILE}" in err
    code, _, err = tried(f"{{ca: {made.ca}}}", "wr0ng")
    assert code == 3 and "cannot connect" in err
    (tmp_path / "sources/crm.yml").write_text("kind: postgresql\nconnection: {hots: x}\n")
    with pytest.raises(SystemExit) as left:
        main(["source", "test", "crm", "-p", str(tmp_path)])
    assert left.value.code == 1 and "crm.yml:2" in capsys.readouterr().out
