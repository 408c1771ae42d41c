"""Receipts against what PostgreSQL and MariaDB say that they were asked: statements and rows, under a mixed load.

Exits with 1 where a source's statements or rows differ by more than 1% from its server's own count.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psycopg
import yaml

from benchmarks import figures, stage
from benchmarks.crm import CUSTOMERS, Crm, crm
from benchmarks.figures import show
from tests.counts import Count, counted, forget

READER = "reader"  # our own role at PostgreSQL: what others ask there is not ours
MOST = 0.01


def own_role(made: Crm) -> None:
    """The source's connection as a role of its own, that may only read."""
    server = made.postgresql
    connection = server.admin(server.database)
    connection.execute(f"CREATE ROLE {READER} LOGIN PASSWORD {psycopg.sql.quote(server.password)}")
    connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    connection.close()
    path = made.folder / "sources" / "crm.yml"
    told = yaml.safe_load(path.read_text())
    told["connection"]["user"] = READER
    path.write_text(yaml.safe_dump(told))


def receipt(served: stage.Served, source: str) -> Mapping[str, Any]:
    """What we say."""
    url = "http://{}:{}/receipt/{}?since=1d".format(*served.http, source)
    told: dict[str, Any] = httpx.get(url, timeout=30).json()
    return told


class Load:
    """A few clients of each kind: lookups and reports over the PostgreSQL protocol, pages over GraphQL, an extract."""

    def __init__(self, served: stage.Served) -> None:
        self._served = served
        self._until = 0.0
        self.asked = 0
        self.failed: list[str] = []
        self._lock = threading.Lock()

    def run(self, seconds: float) -> None:
        """Ask for so many seconds."""
        self._until = time.monotonic() + seconds
        works = [self._lookups, self._lookups, self._reports, self._pages, self._pages, self._extracts]
        threads = [threading.Thread(target=self._work, args=(work, n)) for n, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, work: Callable[[random.Random], None], seed: int) -> None:
        try:
            work(random.Random(seed))
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {error}")

    def _going(self) -> bool:
        with self._lock:
            self.asked += 1
        return time.monotonic() < self._until

    def _lookups(self, dice: random.Random) -> None:
        with psycopg.connect(**self._served.options, autocommit=True) as connection:
            while self._going():
                view = dice.choice(("live.customer", "kept.customer", "live.customer_360", "kept.customer_360"))
                key = dice.randint(1, CUSTOMERS if dice.random() < 0.5 else 20)
                connection.execute(f"SELECT * FROM {view} WHERE id = %s", (key,)).fetchall()

    def _reports(self, dice: random.Random) -> None:
        with psycopg.connect(**self._served.options, autocommit=True) as connection:
            while self._going():
                schema, region = dice.choice(("live", "kept")), dice.choice(("north", "south"))
                text = f"SELECT region, count(*), sum(orders) FROM {schema}.customer_360 WHERE region = %s GROUP BY 1"
                connection.execute(text, (region,)).fetchall()

    def _pages(self, dice: random.Random) -> None:
        query = "query($id: Int) { liveCustomer360(where: {id: {_gt: $id}}, limit: 20) { id name orders tickets } }"
        with httpx.Client(base_url="http://{}:{}".format(*self._served.http), timeout=60) as client:
            while self._going():
                body = {"query": query, "variables": {"id": dice.randint(1, CUSTOMERS)}}
                answer = client.post("/graphql", json=body).json()
                if "errors" in answer:
                    raise RuntimeError(json.dumps(answer["errors"][0]))

    def _extracts(self, dice: random.Random) -> None:
        with psycopg.connect(**self._served.options, autocommit=True) as connection, connection.cursor() as cursor:
            while self._going():
                table = dice.choice(("crm.customers", "shop.orders"))
                with cursor.copy(f"COPY (SELECT * FROM {table} WHERE id > {dice.randint(1, 1000)}) TO STDOUT") as rows:
                    for _ in rows:
                        pass


def compared(ours: Mapping[str, Any], theirs: Count) -> dict[str, Any]:
    """Both counts, and by how much they differ."""
    total = ours["total"]
    chores = sum(one["statements"] for one in ours["by_kind"] if one["kind"] == "chore")
    told = {
        "statements": total["statements"],
        "server_statements": theirs.statements,
        "rows": total["rows"],
        "server_rows": theirs.rows,
        "chores": chores,
        "sessions": ours["sessions"]["statements"],
        "server_sessions": theirs.sessions,
        "spared": ours["saved"]["statements"],
    }
    off = [abs(total[name] / max(of, 1) - 1) for name, of in (("statements", theirs.statements), ("rows", theirs.rows))]
    return {**told, "off_statements": off[0], "off_rows": off[1]}


def main() -> None:
    """One line a source."""
    given = figures.arguments(__doc__, 10).parse_args()
    wrong = False
    with crm() as made:
        own_role(made)
        forget(made.postgresql)
        forget(made.mariadb)
        with stage.served(made.folder) as served:
            load = Load(served)
            load.run(given.seconds)
            sides = {"crm": counted(made.postgresql, READER), "shop": counted(made.mariadb, made.mariadb.user)}
            for source, theirs in sides.items():
                told = compared(receipt(served, source), theirs)
                wrong = wrong or max(told["off_statements"], told["off_rows"]) > MOST or bool(load.failed)
                show(given.json, source, **told, asked=load.asked, failed=load.failed[:3], **figures.machine())
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()
