"""One process of MariaDB's own load: transactions by key on an open schedule (Poisson), latencies into a file.

Told by the environment variable TELLER: where to connect, `rate` (a second; 0: one after the other), `seconds`,
`accounts`, `seed`, `file`.
"""

from __future__ import annotations

import json
import os
import random
import time

import numpy as np
from MySQLdb import _mysql


def main() -> None:
    """Ends by itself; each row of the file: ends (time of day, s), ms since it was due, ms of that until it began."""
    told = json.loads(os.environ["TELLER"])
    connection = _mysql.connect(
        host=told["host"], port=told["port"], user=told["user"], password=told["password"], database=told["database"]
    )
    connection.autocommit(False)
    rows: list[tuple[float, float, float]] = []
    rate, accounts, chance = told["rate"], told["accounts"], random.Random(told["seed"])
    due = time.time()
    end = due + told["seconds"]
    while (began := time.time()) < end:
        if rate:
            due += chance.expovariate(rate)
            if due > began:
                time.sleep(due - began)
                began = time.time()
        else:
            due = began
        _transaction(connection, chance.randrange(accounts) + 1, chance.randrange(-5000, 5001))
        ended = time.time()
        rows.append((ended, (ended - due) * 1000, (began - due) * 1000))
    connection.close()
    np.save(told["file"], np.array(rows).T)


def _transaction(connection: _mysql.connection, account: int, delta: int) -> None:
    branch, teller = (account - 1) // 100_000 + 1, (account - 1) // 10_000 + 1
    _run(connection, f"UPDATE pgbench_accounts SET abalance = abalance + {delta} WHERE aid = {account}")
    _run(connection, f"SELECT abalance FROM pgbench_accounts WHERE aid = {account}")
    _run(
        connection,
        f"INSERT INTO pgbench_history (tid, bid, aid, delta) VALUES ({teller}, {branch}, {account}, {delta})",
    )
    connection.commit()


def _run(connection: _mysql.connection, text: str) -> None:
    connection.query(text.encode())
    result = connection.store_result()
    if result is not None:
        result.fetch_row(0)


if __name__ == "__main__":
    main()
