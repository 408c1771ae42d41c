"""The servers of the fault tests behind proxies, and what can be done to either: a fault lasts while its body does."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.faults.proxy import Proxy
from tests.faults.world import DATABASE, READER, SECRET, Site

VIEWS = {
    "crm/people_soon": "select id, name from shop.customers",
    "crm/tickets_soon": "select id, customer_id, subject from desk.tickets",
    "crm/opened_soon": "select t.id, p.name, t.subject from desk.tickets t "
    "join shop.customers p on p.id = t.customer_id",
    "crm/orders_soon": "select id, customer_id, label from shop.orders",
    "crm/notes_soon": "select id, body from desk.notes",
    "crm/tick_soon": "select id, n from shop.tick",
}
SOON = 3  # seconds that these views may take
LIMIT = 4  # seconds that a statement may take there, by its owner


@dataclass
class Wired(Site):
    """A site whose servers are reached through proxies."""

    proxies: dict[str, Proxy] = field(default_factory=dict)

    def create(self) -> None:
        """The data, and a row that changes all the time."""
        super().create()
        tick = ("CREATE TABLE tick (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO tick VALUES (1, 0)")
        self.postgresql.run(*tick, f"GRANT SELECT ON tick TO {READER}", database=DATABASE)

    def files(self) -> dict[str, str | bytes]:
        """The project, by the proxies' addresses."""
        found = super().files()
        found["vdw.yml"] = f"{found['vdw.yml']!s}telemetry: {{queries: false}}\n"
        for name, proxy in self.proxies.items():
            text = str(found[f"sources/{name}.yml"])
            text = text.replace(f"port: {self.server(name).port}", f"port: {proxy.port}")
            found[f"sources/{name}.yml"] = text.replace("timeout: 20s", f"timeout: {LIMIT}s")
        head = f"/*---\nguard: {{timeout: {SOON}s}}\n---*/\n"
        return {**found, **{f"views/{name}.view.sql": f"{head}{text}\n" for name, text in VIEWS.items()}}

    # -- faults

    def faults(self, source: str, chance: random.Random) -> dict[str, Callable[[], AbstractContextManager[None]]]:
        """All that can be done to a source, by name."""
        proxy, size = self.proxies[source], chance.choice((100, 20_000, 2_000_000))
        found: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "stopped": lambda: self.down(source, signal.SIGINT if source == "shop" else signal.SIGTERM),
            "killed": lambda: self.down(source, signal.SIGKILL),
            "frozen": lambda: self.server(source).paused(),
            "slow": lambda: proxy.slow(0.02),
            "narrow": lambda: proxy.slow(0.0, 200_000.0),
            "cut": lambda: once(proxy.cut),
            "cut in mid-result": lambda: once(lambda: proxy.cut_after(size)),
            "silent": lambda: proxy.silent(cut=chance.random() < 0.5),
            "refusing": lambda: proxy.refusing(),
            "password": lambda: self.locked(source),
            "too many connections": lambda: self.crowded(source),
            "sessions ended": lambda: once(lambda: self.cut(source)),
            "statements ended": lambda: once(lambda: self.stop_statements(source)),
        }
        if source == "shop":
            found["rejected"] = self.rejected
        return found

    @contextlib.contextmanager
    def down(self, source: str, how: signal.Signals) -> Iterator[None]:
        """Not there; it starts again afterwards."""
        server = self.server(source)
        server.stop(how)
        try:
            yield
        finally:
            server.start()

    @contextlib.contextmanager
    def locked(self, source: str) -> Iterator[None]:
        """Our password is not right any more, and our sessions have been ended."""
        self.password(source, "another s3cret")
        self.cut(source)
        try:
            yield
        finally:
            self.password(source, SECRET)

    @contextlib.contextmanager
    def crowded(self, source: str) -> Iterator[None]:
        """No connection more is allowed, and our sessions have been ended."""
        if source == "shop":
            before, after = (f"ALTER ROLE {READER} CONNECTION LIMIT {most}" for most in (0, -1))
        else:
            before, after = (f"ALTER USER {READER}@'%' WITH MAX_USER_CONNECTIONS {most}" for most in (-1, 0))
        self.server(source).run(before)
        self.cut(source)
        try:
            yield
        finally:
            self.server(source).run(after)

    @contextlib.contextmanager
    def rejected(self) -> Iterator[None]:
        """pg_hba.conf lets us in no more, and our sessions have been ended."""
        file = self.postgresql.folder / "data/pg_hba.conf"
        text = file.read_text()
        file.write_text(f"host all {READER} all reject\n{text}")
        try:
            self.postgresql.run("SELECT pg_reload_conf()")
            self.cut("shop")
            yield
        finally:
            file.write_text(text)
            self.postgresql.run("SELECT pg_reload_conf()")


@contextlib.contextmanager
def once(act: Callable[[], None]) -> Iterator[None]:
    """A fault of one moment."""
    act()
    yield


@contextlib.contextmanager
def small_disk(megabytes: int, folder: str) -> Iterator[bool]:
    """A file system of so many megabytes at `folder`; False where nobody lets us mount one."""
    mounted = (
        os.getuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", folder], capture_output=True
        ).returncode
    )
    try:
        yield mounted
    finally:
        for _ in range(20 if mounted else 0):
            if not subprocess.run(["umount", folder], capture_output=True).returncode:
                break
            time.sleep(0.2)
