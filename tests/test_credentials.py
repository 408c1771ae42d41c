"""Secrets of users and sources that are others now where they stand: taken over, and what will not do is not."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from pathlib import Path

import httpx
import psycopg
import pytest

from api.credentials import Credentials
from api.project import open_project
from api.serve import serving
from connectors.errors import ConfigError, SourceError
from tests.folders import write
from views.files import ProjectFile


def placed(folder: Path, text: str) -> None:
    """Replaced at once, with another time: two changes within one tick of the file system's clock are two."""
    part = folder / "ada.part"
    part.write_text(text)
    placed.at += 1_000_000_000  # type: ignore[attr-defined]
    os.utime(part, ns=(placed.at, placed.at))  # type: ignore[attr-defined]
    part.replace(folder / "ada.secret")


placed.at = 1_700_000_000_000_000_000  # type: ignore[attr-defined]


def test_a_password_is_rotated_without_a_reload(tmp_path: Path) -> None:
    placed(tmp_path, "first")
    listen = "listen: {http: {port: 0}, postgresql: {port: 0}}\n"
    users = 'users: {ada: {password: {file: ada.secret}, reads: ["*"]}}\n'
    write(tmp_path, {"vdw.yml": f"name: x\n{listen}{users}"})

    async def run() -> None:
        async with open_project(tmp_path) as runtime, serving(runtime) as where:
            assert where.http is not None and where.postgresql is not None

            async def enters(password: str) -> tuple[bool, bool]:
                token = base64.b64encode(f"ada:{password}".encode()).decode()
                async with httpx.AsyncClient(trust_env=False) as client:
                    asked = await client.post(
                        "http://{}:{}/graphql".format(*where.http),  # type: ignore[misc]
                        json={"query": "{ __typename }"},
                        headers={"Authorization": f"Basic {token}"},
                    )
                return asked.status_code == 200, await asyncio.to_thread(logs_in, where.postgresql, password)

            assert await enters("first") == (True, True) and await enters("second") == (False, False)
            placed(tmp_path, "second")
            assert await runtime.rotate() == ("ada",)
            assert await enters("second") == (True, True) and await enters("first") == (False, False)
            placed(tmp_path, "")
            assert await runtime.rotate() == ()
            assert await enters("second") == (True, True), "an empty one lets nobody in, and nobody out"
            assert await enters("") == (False, False)
            (tmp_path / "ada.secret").unlink()
            assert await runtime.rotate() == ()
            assert await enters("second") == (True, True)

    asyncio.run(run())


def logs_in(where: tuple[str, int] | None, password: str) -> bool:
    assert where is not None
    try:
        psycopg.connect(host=where[0], port=where[1], user="ada", password=password or "''", dbname="x").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("user", [{"password": {"env": "S"}}, {"scram": {"verifier": {"env": "S"}}}])
def test_an_empty_secret_is_none(user: dict[str, object]) -> None:
    """It would let everybody in who knows the name."""
    file = ProjectFile.model_validate({"name": "x", "users": {"ada": user}})
    with pytest.raises(ConfigError, match='"ada" is empty'):
        Credentials(file, Path(), {"S": ""})


def test_a_source_with_another_secret_is_not_left_alone_for_the_one_before(tmp_path: Path) -> None:
    """The breaker's failures were of the wrong password."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    text = f"kind: postgresql\nconnection: {{host: 127.0.0.1, port: {port}, user: u, password: {{file: %s}}}}\n"
    write(tmp_path, {"vdw.yml": "name: x\n", "sources/crm.yml": text % "one"})

    async def run() -> None:
        async with open_project(tmp_path) as runtime:
            breaker = runtime.engine.gates.of("crm").breaker
            assert breaker is not None
            for _ in range(breaker.rules.failures):
                breaker.done(SourceError("no", sqlstate="08001"), breaker.admitted(False))
            assert breaker.state == "open"
            await runtime.reload()
            assert breaker.state == "open", "as it was"
            (tmp_path / "sources/crm.yml").write_text(text % "two")
            await runtime.reload()
            assert breaker.state == "closed" and breaker.failures <= 1
            assert any("refused" in one.message for one in runtime.diagnostics), "it was tried"

    asyncio.run(run())
