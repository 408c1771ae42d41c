"""Foreign clients against a listening server: the audits of npm's graphql-http, GraphiQL in a real browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from api.http import app
from tests.graphql.oracle import PgEngine
from tests.graphql.test_http import runtime

pytestmark = [pytest.mark.service, pytest.mark.slow]

AUDIT = """
import { serverAudits } from 'graphql-http';
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  const result = await audit.fn();
  console.log(result.status, audit.id, audit.name, result.reason ?? '');
}
"""


@pytest.fixture
def url(engine: PgEngine) -> Iterator[str]:
    """A server on a free loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(runtime(engine)), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def tool(*names: str) -> str:
    """The first of these programs that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    return found


def test_audits_of_graphql_http(url: str, tmp_path: Path) -> None:
    install = [tool("npm"), "install", "--no-audit", "--no-fund", "graphql-http@1", "graphql@16"]
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "audit.mjs").write_text(AUDIT)
    if subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=120).returncode:
        pytest.skip("npm cannot install graphql-http")
    done = subprocess.run(
        [tool("node"), "audit.mjs", f"{url}/graphql"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert len(lines) > 50, done.stderr
    assert [line for line in lines if not line.startswith("ok ")] == []


def test_graphiql_in_a_browser(url: str, tmp_path: Path) -> None:
    command = [tool("chromium", "chromium-browser", "google-chrome"), "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000", "--dump-dom", f"{url}/graphiql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "graphiql-query-editor" in done.stdout
    # The schema has been fetched: what the documentation button shows depends on it.
    assert "Show Documentation Explorer" in done.stdout
    assert "Error fetching schema" not in done.stdout
