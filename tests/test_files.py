"""The models of the three files: what they take, what they refuse and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.errors import ConfigError
from tests.folders import only, read, told
from views.catalog import Limits, Link
from views.files import ProjectFile, ViewHeader
from views.source_file import SourceFile, literal_secrets
from views.values import SecretRef, duration, embeds_password, is_reference, resolve, secret_like, size


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("10m", 600), ("1h", 3600), ("250ms", 0.25), ("1.5d", 129600), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("value", [15, "15", "s", "-1s", "1 s", "1y", "1h30m", "", None, True, [], "1e3s", "٣s٣"])
def test_what_is_not_a_duration(tmp_path: Path, value: object) -> None:
    project = read(tmp_path, {"sources/shop.yml": f"kind: sqlite\nconnection: {{path: x}}\nttl: {value!r}\n"})
    error = only(project)
    assert (error.file, error.line) == ("sources/shop.yml", 3)
    assert "not a duration" in error.message
    assert '"15s"' in error.remedy


@pytest.mark.parametrize(("text", "count"), [("256MB", 256 << 20), ("2GB", 2 << 30), ("1kB", 1024), ("1TB", 1 << 40)])
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("value", [256, "256", "256mb", "0MB", "1.5GB", "MB", None])
def test_what_is_not_a_size(tmp_path: Path, value: object) -> None:
    error = only(read(tmp_path, {"vdw.yml": f"name: x\ncache:\n  size: {value!r}\n"}))
    assert (error.line, error.message) == (3, "`cache.size`: not a size")
    assert "256MB" in error.remedy


@pytest.mark.parametrize(
    ("written", "line", "message", "meant"),
    [
        ("name: x\nlistn: {}\n", 2, "unknown key `listn`", "listen"),
        ("name: x\nmerge:\n  memry: 1GB\n", 3, "unknown key `merge.memry`", "memory"),
        ("name: x\nlisten:\n  http: {prot: 1}\n", 3, "unknown key `listen.http.prot`", "port"),
        (
            'name: x\nusers:\n  ada:\n    password: {env: A}\n    read: ["*"]\n',
            5,
            "unknown key `users.ada.read`",
            "reads",
        ),
    ],
)
def test_unknown_keys_of_the_project(tmp_path: Path, written: str, line: int, message: str, meant: str) -> None:
    error = only(read(tmp_path, {"vdw.yml": written}))
    assert (error.file, error.line, error.message) == ("vdw.yml", line, message)
    assert f"did you mean `{meant}`?" in error.remedy


def test_unknown_keys_far_from_any_known_one_list_what_is_known(tmp_path: Path) -> None:
    error = only(read(tmp_path, {"vdw.yml": "name: x\nzzz: 1\n"}))
    assert (
        error.remedy
        == "known: cache, description, listen, merge, name, notifiers, segmentations, state, telemetry, uploads, users"
    )


def test_on_is_taken_for_join(tmp_path: Path) -> None:
    header = "/*---\nrelations:\n  o: {to: crm.a, on: {a: a}}\n---*/\nselect 1 as a"
    project = read(tmp_path, {"views/crm/a.view.sql": header})
    assert "did you mean `join`?" in next(d.remedy for d in project.diagnostics if "unknown key" in d.message)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "localhost.example.com", ""])
def test_other_machines_need_allow_remote(tmp_path: Path, host: str) -> None:
    written = f'name: x\nlisten:\n  postgresql: {{host: "{host}"}}\n'
    error = only(read(tmp_path, {"vdw.yml": written}))
    assert "not a loopback address" in error.message
    assert "allow_remote: true" in error.remedy
    assert error.line == 3


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_nothing(tmp_path: Path, host: str) -> None:
    assert read(tmp_path, {"vdw.yml": f'name: x\nlisten: {{http: {{host: "{host}"}}}}\n'}).ok


def test_allow_remote_needs_users(tmp_path: Path) -> None:
    remote = "name: x\nlisten: {http: {host: 0.0.0.0, allow_remote: true}}\n"
    assert "there are no users" in only(read(tmp_path, {"vdw.yml": remote})).message
    with_users = remote + "users: {ada: {password: {env: ADA}, reads: ['*']}}\n"
    assert read(tmp_path, {"vdw.yml": with_users}).ok


def test_ports_have_defaults_of_their_own() -> None:
    file = ProjectFile.model_validate({"name": "x", "listen": {"http": {"host": "::1"}}})
    assert (file.listen.http.port, file.listen.postgresql.port) == (8080, 5433)
    assert (file.listen.http.host, file.listen.postgresql.host) == ("::1", "127.0.0.1")


@pytest.mark.parametrize("written", ["hunter2", "12345", "[hunter2]", "{value: hunter2}", "{env: A, file: b}", "{}"])
def test_a_users_password_is_never_literal(tmp_path: Path, written: str) -> None:
    project = read(tmp_path, {"vdw.yml": f"name: x\nusers:\n  ada:\n    reads: ['*']\n    password: {written}\n"})
    assert not project.ok
    assert all("hunter2" not in str(d) and "12345" not in str(d) for d in project.diagnostics)
    assert {d.line for d in project.diagnostics} == {5}


@pytest.mark.parametrize(
    "connection",
    [
        "password: hunter2",
        "PASSWORD: hunter2",
        "api_key: hunter2",
        "apiKey: hunter2",
        "accessToken: hunter2",
        "auth: {client_secret: hunter2}",
        "auth: [{token: hunter2}]",
        "credentials: {user: x, hash: hunter2}",
        "url: postgres://bob:hunter2@db/crm",
        "dsn: host=db password=hunter2",
        "odbc: 'Driver=x;PWD=hunter2'",
        "passwords: [hunter2]",
    ],
)
def test_literal_secrets_of_a_connection(tmp_path: Path, connection: str) -> None:
    written = f"kind: postgresql\nconnection:\n  host: x\n  {connection}\n"
    error = only(read(tmp_path, {"sources/crm.yml": written}))
    assert error.line == 4
    assert "plain text" in error.message
    assert "{env: NAME}" in error.remedy
    assert "hunter2" not in str(error)


def test_what_only_looks_like_a_secret() -> None:
    harmless = {"token_url": "https://x/y", "password_file": "p", "passenger": 1, "url": "https://host:80/a@b"}
    assert list(literal_secrets(harmless, ())) == []
    assert not secret_like("bypass") and secret_like("db-password")
    assert not embeds_password("https://example.com/?q=a:b@c")


def test_references_are_accepted_anywhere(tmp_path: Path) -> None:
    written = "kind: postgresql\nconnection: {host: {env: HOST}, port: 5432, password: {file: secret.txt}}\n"
    assert read(tmp_path, {"sources/crm.yml": written}).ok


def test_resolving(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hunter2\n")
    project = read(
        tmp_path,
        {"sources/crm.yml": "kind: postgresql\nconnection: {user: {env: WHO}, password: {file: secret.txt}}\n"},
    )
    found = project.options("crm", {"WHO": "bob"})
    assert (found["user"], found["password"].get_secret_value()) == ("bob", "hunter2")
    assert "hunter2" not in f"{found} {found['password']}"
    with pytest.raises(ConfigError) as caught:
        project.options("crm", {"OTHER": "bob"})
    assert caught.value.message == 'environment variable "WHO" is not set'
    assert caught.value.place == "sources/crm.yml:2"
    assert caught.value.hint is not None


def test_resolving_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        resolve({"password": {"file": "nowhere"}}, tmp_path, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfehunter2")
    with pytest.raises(ConfigError, match="not UTF-8 text") as caught:
        SecretRef(file="binary").resolve(tmp_path, {})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_files_of_a_source_are_found_from_the_project(tmp_path: Path) -> None:
    assert read(tmp_path, {}).options("shop", {}) == {"path": "shop.sqlite", "base_folder": str(tmp_path)}


def test_the_kind_of_a_source_is_known(tmp_path: Path) -> None:
    error = only(read(tmp_path, {"sources/crm.yml": "kind: postgres\n"}))
    assert error.message == 'unknown kind of source "postgres"'
    assert "did you mean `postgresql`?" in error.remedy


def test_a_connection_is_checked_by_its_connector(tmp_path: Path) -> None:
    written = "kind: postgresql\nconnection:\n  hots: db\n  port: {env: PORT}\n  application_name: 5\n"
    errors = told(read(tmp_path, {"sources/crm.yml": written}))
    assert [error.partition("(")[0][:60] for error in errors] == [
        "sources/crm.yml:3: unknown key `connection.hots`",
        "sources/crm.yml:5: `connection.application_name` must be tex",
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{kind: query}", "as_of.sql goes with kind: query"),
        ("{kind: live, sql: select 1}", "as_of.sql goes with kind: query"),
        ("{kind: lives}", "`as_of.kind`: input should be 'live', 'query' or 'file'"),
        ("live", "`as_of` must be a mapping (key: value)"),
    ],
)
def test_as_of(tmp_path: Path, written: str, message: str) -> None:
    error = only(read(tmp_path, {"sources/shop.yml": f"kind: sqlite\nconnection: {{path: x}}\nas_of: {written}\n"}))
    assert (error.line, message in error.message) == (3, True), error.message


def test_limits_as_the_catalog_has_them() -> None:
    file = SourceFile.model_validate({"kind": "x", "limits": {"concurrency": 2, "timeout": "5s", "rows": 10}})
    assert file.limits.value == Limits(2, 5.0, 10)
    assert SourceFile.model_validate({"kind": "x"}).limits.value == Limits()


@pytest.mark.parametrize(
    "limits", [{"concurrency": 0}, {"rows": -1}, {"timeout": "0s"}, {"rows": "10"}, {"rows": True}]
)
def test_limits_that_make_no_sense(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceFile.model_validate({"kind": "x", "limits": limits})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"columns": {"a": {"unmasked_for": ["x"]}}}, "without a `mask`"),
        ({"tests": [{"unique": ["a"], "not_null": ["a"]}]}, "exactly one of"),
        ({"tests": [{}]}, "exactly one of"),
        ({"relations": {"o": {"to": "orders", "join": {"a": "b"}}}}, "not a full name"),
        ({"relations": {"o": {"to": "a.b", "join": {}}}}, "at least 1"),
        ({"key": []}, "at least 1"),
        ({"on_source_down": {"crm": "ignore"}}, "'fail', 'stale', 'nulls' or 'partial'"),
        ({"freshness": {"class": "live"}}, "'real_time'"),
        ({"guard": {"max_rows": 0}}, "greater than 0"),
    ],
)
def test_headers_that_make_no_sense(header: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ViewHeader.model_validate(header)


def test_the_header_of_the_design() -> None:
    header = ViewHeader.model_validate(
        {
            "view": "crm.c",
            "freshness": {"class": "real_time", "ttl": "15s"},
            "relations": {"orders": {"to": "sales.orders", "join": {"customer_id": "cid"}, "many": True}},
        }
    )
    assert header.links() == (Link("orders", ("sales", "orders"), (("customer_id", "cid"),), True),)
    assert header.written() == {
        "view": "crm.c",
        "freshness": {"class": "real_time", "ttl": 15.0},
        "relations": {"orders": {"to": "sales.orders", "join": {"customer_id": "cid"}, "many": True}},
    }


NESTED = st.recursive(
    st.text() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
)


@pytest.mark.slow
@given(NESTED)
def test_nothing_but_a_reference_is_accepted_under_a_secrets_name(value: object) -> None:
    assert is_reference(value) or list(literal_secrets({"auth": {"password": value}}, ()))
