"""Asks servers, by their own socket or by URL, what `api.admin` answers."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from api.socket import servers
from connectors.errors import ConfigError, Error, SourceError

PATIENCE = 30.0  # seconds for an answer
PASSWORD = "VDW_PASSWORD"  # noqa: S105 -- the name of the environment's variable


@dataclass(frozen=True, slots=True)
class Remote:
    """One server: by the path of its socket, or by its URL as a user, whose password the environment has."""

    path: Path | None = None
    url: str = ""
    user: str = ""

    def get(self, path: str) -> Any:
        """What it tells."""
        return self._asked("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What it has done."""
        return self._asked("POST", path, json.dumps(body))

    def send(self, method: str, path: str, body: bytes, kind: str, patience: float) -> Any:
        """What it made of a body of that media type, within so many seconds."""
        return self._asked(method, path, body, kind, patience)

    def _asked(
        self,
        method: str,
        path: str,
        body: str | bytes | None,
        kind: str = "application/json",
        patience: float = PATIENCE,
    ) -> Any:
        connection = self._connection()
        connection.timeout = patience
        headers = {"Accept": "application/json", **({"Content-Type": kind} if kind else {})}
        if self.user:
            secret = f"{self.user}:{os.environ.get(PASSWORD, '')}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
        base = urlsplit(self.url).path.rstrip("/")
        try:
            connection.request(method, base + path, body, headers)
            answer = connection.getresponse()
            data, kind = answer.read(), answer.getheader("content-type", "")
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"the server at {self} does not answer: {error}", sqlstate="08001") from None
        finally:
            connection.close()
        return _told(answer.status, data, kind, path)

    def _connection(self) -> http.client.HTTPConnection:
        if self.path is not None:
            return _Local(self.path)
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f'"{self.url}" is no URL of a server', hint="Write it as http://host:port")
        made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return made(parts.hostname, parts.port, timeout=PATIENCE)

    def __str__(self) -> str:
        return self.url or str(self.path)


class _Local(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def remotes(project: Path, url: str = "", user: str = "") -> list[Remote]:
    """The server at the URL; without one, all that serve the project on this machine."""
    return [Remote(url=url, user=user)] if url else [Remote(path) for path in servers(project)]


def running(project: Path, url: str = "", user: str = "") -> list[Remote]:
    """The same; ConfigError where there is none."""
    found = remotes(project, url, user)
    if not found:
        raise ConfigError(
            f"no server of the project {project.resolve().name} runs on this machine",
            hint="Start one with vdw serve, or name one with --url.",
        )
    return found


def _told(status: int, data: bytes, kind: str, path: str) -> Any:
    try:
        told = json.loads(data) if kind.startswith("application/json") else None
    except ValueError:
        told = None
    if status in (200, 201):
        return data.decode() if told is None else told
    fault = told.get("error", {}) if isinstance(told, dict) else {}
    message = fault.get("message", f"{path}: HTTP status {status}")
    raise Error(message, sqlstate=fault.get("sqlstate", "XX000"), detail=fault.get("detail"), hint=fault.get("hint"))
