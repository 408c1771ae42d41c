"""Secrets planted everywhere, by every way to refer to one: nothing that anybody can read ever shows them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.faults.world import DATABASE, READER, SECRET, Site, eventually
from tests.folders import write
from tests.test_serve import START, dsn, served

pytestmark = [pytest.mark.service, pytest.mark.slow]

# Wrong secrets, so that every message of a refusal is provoked; each by another way.
PLANTED = {
    "env": "canary-in-env-7f3a",
    "file": "canary-in-file-91bc",
    "command": "canary-by-command-5e2d",
    "url": "canary-in-url-c3d8",
    "token": "canary-token-aa17",
    "key": "canary-of-key-0b6e",
    "user": "canary-of-user-44d1",
    "option": "canary-option-e920",
}
TELL = [sys.executable, "-c", "print('canary-' + 'by-command-5e2d')"]


def sources(site: Site) -> dict[str, str]:
    pg, my = site.postgresql, site.mariadb
    at = lambda server: f"host: {server.host}, port: {server.port}, database: {DATABASE}, user: {READER}"  # noqa: E731
    return {
        "right": f"kind: postgresql\nconnection: {{{at(pg)}, password: {{env: RIGHT}}}}\nttl: 1m\n",
        "by_env": f"kind: postgresql\nconnection: {{{at(pg)}, password: {{env: CANARY_ENV}}}}\n",
        "by_file": f"kind: mariadb\nconnection: {{{at(my)}, password: {{file: canary.secret}}}}\n",
        "by_command": f"kind: postgresql\nconnection: {{{at(pg)}, password: {{command: {json.dumps(TELL)}}}}}\n",
        "by_key": f"kind: mariadb\nconnection: {{{at(my)}, password: {{env: RIGHT}}, "
        "tls: {certificate: no.pem, key: no.key, passphrase: {env: CANARY_KEY}}}\n",
        "by_url": "kind: sqlalchemy\nconnection: {url: {env: CANARY_URL}}\n",
        "by_token": "kind: rest\nconnection: {url: 'http://127.0.0.1:9/x', auth: {bearer: {env: CANARY_TOKEN}}}\n"
        "tables: {}\n",
        "by_option": "kind: odbc\nconnection: {driver: PostgreSQL Unicode, server: 127.0.0.1, port: 9, user: x, "
        "password: {env: CANARY_OPTION}, options: {PWD: {env: CANARY_OPTION}}}\n",
        "typo": f"kind: postgresql\nconnection: {{{at(pg)}, pasword: {{env: CANARY_ENV}}, "
        "application_name: {env: CANARY_ENV}}\n",
    }


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    place = tmp_path / "project"
    files: dict[str, str | bytes] = {
        "vdw.yml": "name: canaries\nlisten: {http: {port: 0}, postgresql: {port: 0}}\n"
        "users: {ada: {password: {env: CANARY_USER}, reads: ['*'], admin: true}}\n"
        "notifiers: {desk: {kind: webhook, url: {env: CANARY_URL}, headers: {Authorization: {env: CANARY_TOKEN}}}}\n",
        "canary.secret": PLANTED["file"],
        **{f"sources/{name}.yml": text for name, text in sources(site).items()},
        "views/crm/people.view.sql": "select id, name from right.customers\n",
        "views/crm/slow.view.sql": "select id, pause from right.slow\n",
        "views/crm/bad.view.sql": "select * from by_env.customers\n",
    }
    write(place, files)
    return place


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = {
        "RIGHT": SECRET,
        "VDW_DEBUG": "1",
        "PYTHONWARNINGS": "default",
        "CANARY_URL": f"postgresql://x:{PLANTED['url']}@127.0.0.1:9/x",
        **{f"CANARY_{name.upper()}": PLANTED[name] for name in ("env", "token", "key", "user", "option")},
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **given}


def clean(text: str, where: str) -> None:
    """Neither a secret, nor one as an URL, a header or bytes would have it."""
    for secret in (*PLANTED.values(), SECRET):
        forms = {
            secret,
            urllib.parse.quote(secret),
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            secret.encode().hex(),
        }
        forms.add(base64.b64encode(secret.encode()).decode().rstrip("="))
        for form in forms:
            at = text.find(form)
            assert at < 0, f"{where}: ...{text[max(0, at - 300) : at + 80]}..."


@pytest.mark.parametrize(
    "command",
    [
        ["check"], ["check", "--offline", "--json"], ["sources", "--json"], ["views", "--json"],
        ["query", "select * from crm.people where id = 1", "--provenance", "json"], ["query", "select * from crm.bad"],
        ["explain", "--analyze", "--json", "select * from crm.people where id < 3"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_shows_them(folder: Path, surroundings: dict[str, str], command: list[str]) -> None:
    line = [sys.executable, "-c", START, *command, "--project", str(folder)]
    done = subprocess.run(line, env=surroundings, capture_output=True, text=True, timeout=120)
    assert done.stdout or done.stderr
    if command[0] in ("check", "sources") and "--offline" not in command:
        asked = ("by_env", "by_file", "by_command", "by_key", "by_url", "by_option", "typo")
        for name in (*asked, *(["by_token"] if command[0] == "check" else [])):
            assert name in done.stdout + done.stderr, f"{name} was not tried"
    clean(done.stdout + done.stderr, " ".join(command))


def processes(pid: int) -> Iterator[tuple[str, str]]:
    """What the process list tells of a server and its children; the environment of the children alone."""
    parent = psutil.Process(pid)
    yield "command line", " ".join(parent.cmdline())
    for child in parent.children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            yield f"command line of {child.name()}", " ".join(child.cmdline())
            yield f"environment of {child.name()}", Path(f"/proc/{child.pid}/environ").read_text(errors="replace")


def test_no_answer_log_table_or_process_shows_them(
    site: Site, folder: Path, surroundings: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    seen = 0
    with served(folder) as (process, said):
        web = next(line for line in said if "GraphQL" in line).split()[-1].removesuffix("/graphql")
        token = base64.b64encode(f"ada:{PLANTED['user']}".encode()).decode()

        def fetch(path: str, body: object = None) -> str:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
            try:
                with urllib.request.urlopen(urllib.request.Request(web + path, data, headers), timeout=30) as answer:
                    return f"{answer.headers}{answer.read().decode()}"
            except urllib.error.HTTPError as error:
                return f"{error.headers}{error.read().decode()}"

        target = dsn(said).replace("user=anonymous", "user=ada") + f" password={PLANTED['user']}"
        with psycopg.connect(target, autocommit=True, user="ada", password=PLANTED["user"]) as connection:
            statements = [
                "select * from crm.people where id = 7", "explain (analyze, format json) select * from crm.people",
                "select * from crm.bad", "select * from by_env.customers", "select 1 / (id - id) from crm.people",
                "select table_name from information_schema.tables",
            ]  # fmt: skip
            statements += [f"select * from vdw.{name}" for (name,) in tables(connection)]
            for sql in statements:
                try:
                    clean(repr(connection.execute(sql).fetchall()), sql)
                    seen += 1
                except psycopg.Error as error:
                    clean(f"{error!r} {error.diag.message_detail} {error.diag.message_hint}", sql)
            connection.execute("set statement_timeout = 500")
            with pytest.raises(psycopg.Error) as late:
                connection.execute("select * from crm.slow").fetchall()
            clean(str(late.value), "a timeout")
        for path, body in (
            ("/graphql", {"query": "{ crmPeople(where: {id: {_eq: 7}}) { id name } }"}),
            ("/graphql", {"query": "{ crmBad { id } }"}),
            ("/metrics", None), ("/health", None), ("/ready", None), ("/sql", {"sql": "select * from crm.bad"}),
        ):  # fmt: skip
            clean(fetch(path, body), path)
            seen += 1
        for where, text in processes(process.pid):
            clean(text, where)
            seen += 1
        process.send_signal(signal.SIGHUP)
        log: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if "reloaded" in line:
                break
        process.send_signal(signal.SIGTERM)
        log += process.stderr.readlines()
        clean("".join([*said, *log]), "the log")
    clean("".join(capfd.readouterr()), "what is printed")
    for file in (one for one in folder.rglob("*") if one.is_file() and one.name != "canary.secret"):
        clean(file.read_bytes().decode(errors="replace"), str(file))
    assert seen > 15
    assert eventually(lambda: site.running("shop") == 0)


def tables(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    found = connection.execute("select table_name from information_schema.tables where table_schema = 'vdw'")
    return found.fetchall()
