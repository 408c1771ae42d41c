"""The project that `vdw init` writes: a SQLite file with a few customers and orders, and one view over them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from connectors.errors import ConfigError

FILES = {
    "vdw.yml": """\
# The project. Every key: docs/files.md of vdw; JSON Schema: vdw schema project
name: {name}
listen:
  http: {{port: 8080}}
  postgresql: {{port: 5433}}
""",
    "sources/shop.yml": """\
# One source, written by its owner. Its tables are shop.customers and shop.orders.
kind: sqlite
description: A sample web shop
connection: {{path: data/shop.sqlite}}
limits: {{concurrency: 4, timeout: 10s, rows: 100000}}
ttl: 15s
""",
    "views/crm/customers.view.sql": """\
/*---
view: crm.customers
description: One row per customer, with what they have ordered so far.
key: [customer_id]
freshness: {{ttl: 5s}}
columns:
  email: {{description: Contact address, tags: [pii]}}
---*/
select c.customer_id,                              -- the shop's number of the customer
       c.full_name,
       c.email,
       count(o.order_id) as orders,                -- orders so far
       coalesce(sum(o.amount), 0) as revenue       -- their sum, in EUR
from shop.customers c
left join shop.orders o on o.customer_id = c.customer_id
group by c.customer_id, c.full_name, c.email
""",
    ".gitignore": ".vdw/\n",
}
DATA = """
create table customers (customer_id integer primary key, full_name text not null, email text not null) strict;
create table orders (
    order_id integer primary key,
    customer_id integer not null references customers,
    amount integer not null
) strict;
create index orders_customer on orders (customer_id);
insert into customers values
    (1, 'Ada Lovelace', 'ada@example.com'),
    (2, 'Grace Hopper', 'grace@example.com'),
    (3, 'Edgar Codd', 'edgar@example.com');
insert into orders values (1, 1, 40), (2, 1, 60), (3, 2, 25);
"""


def create(folder: Path) -> list[Path]:
    """Write the sample project and return its files; ConfigError, and nothing written, where a file already stands."""
    database = folder / "data" / "shop.sqlite"
    paths = {folder / name: text for name, text in FILES.items()}
    standing = [path for path in (*paths, database) if path.exists()]
    if standing:
        raise ConfigError(f"{standing[0]} already exists", hint="choose an empty folder; nothing has been written")
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(name=_name(folder)), "utf-8")
        database.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror}", hint="check the path and its mode") from None
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(DATA)
    return [*paths, database]


def _name(folder: Path) -> str:
    """The folder's name, as YAML text."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in folder.resolve().name).strip("-")
    return f'"{name or "warehouse"}"'
