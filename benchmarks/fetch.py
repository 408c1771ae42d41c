"""A million rows of sixteen columns out of each connector, against the best native driver in the same run."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from benchmarks import figures, native, stage, wide, wide_files, wide_rest
from benchmarks.figures import show
from connectors import registry
from connectors.base import Cancel, SourceQuery
from tests import s3_server, trino_spooled
from tests.servers import Server

MB = 1e6
FLAT = 1.5  # times the memory of a quarter of the rows, and some megabytes
SLACK = 30 * MB
Native = Callable[[dict[str, Any], str], int]


@dataclass(frozen=True)
class Subject:
    """A connector at a source that holds the table `wide`: `kind` and `connection` as in a source's file, and the
    peers, which are given `options`. Their statement is `sql` where theirs is not `wide.SELECT`."""

    kind: str
    connection: Mapping[str, Any]
    options: Mapping[str, Any]
    natives: tuple[Native, ...]
    sql: str = wide.SELECT
    table: str = "wide"


@dataclass
class Stage:
    """Where the sources are made: a folder, the Parquet file, servers that start when first asked for."""

    place: Path
    file: Path
    stack: contextlib.ExitStack
    servers: dict[str, Server]

    def server(self, kind: str) -> Server:
        """The server of that kind with the table in it."""
        if kind not in self.servers:
            self.servers |= self.stack.enter_context(stage.servers(kind))
            {"postgresql": wide.into_postgresql, "mariadb": wide.into_mariadb}[kind](self.servers[kind], self.file)
        return self.servers[kind]


def postgresql(made: Stage) -> Subject:
    """Numerics are sent as text to both; only ours are parsed."""
    server = made.server("postgresql")
    items = (f"{name}::text" if kind.startswith("numeric") else name for name, (kind, _) in wide.COLUMNS.items())
    given = (native.adbc_postgresql, native.connectorx)
    return Subject(
        "postgresql",
        server.options,
        wide.options_of(server, "postgresql"),
        given,
        f"SELECT {', '.join(items)} FROM wide",
    )


def mariadb(made: Stage) -> Subject:
    """MariaDB by its C library."""
    server = made.server("mariadb")
    return Subject("mariadb", server.options, wide.options_of(server, "mysql"), (native.mysqlclient, native.connectorx))


def alchemy(kind: str, driver: str) -> Callable[[Stage], Subject]:
    """A server by SQLAlchemy, against SQLAlchemy itself with the same driver."""

    def made_of(made: Stage) -> Subject:
        server = made.server(kind)
        given = {key if key != "user" else "username": value for key, value in server.options.items()}
        url = URL.create(driver, **given).render_as_string(hide_password=False)
        return Subject("sqlalchemy", {"url": f"{driver}://", **server.options}, {"url": url}, (native.alchemy,))

    return made_of


def sqlite(made: Stage) -> Subject:
    """A file."""
    path = {"path": str(wide.into_sqlite(made.place, made.file))}
    return Subject("sqlite", path, path, (native.sqlite, native.sqlite_arrow))


def duckdb(made: Stage) -> Subject:
    """A file."""
    path = {"path": str(wide.into_duckdb(made.place, made.file))}
    return Subject("duckdb", path, path, (native.duckdb_file,))


def parquet(made: Stage) -> Subject:
    """The file as it was made."""
    folder = {"folder": str(made.file.parent)}
    return Subject("files", folder, {"path": str(made.file)}, (native.duckdb_parquet, native.pyarrow_parquet))


def csv(made: Stage) -> Subject:
    """A CSV, its types declared."""
    file = wide_files.text(made.place, made.file, "csv")
    return Subject("files", wide_files.declared(file), {"path": str(file)}, (native.duckdb_csv, native.pyarrow_csv))


def json(made: Stage) -> Subject:
    """JSON, an object a line, its types declared."""
    file = wide_files.text(made.place, made.file, "json")
    return Subject("files", wide_files.declared(file), {"path": str(file)}, (native.duckdb_json,))


def arrow(made: Stage) -> Subject:
    """An Arrow file."""
    file = wide_files.arrow(made.place, made.file)
    return Subject("files", {"folder": str(file.parent)}, {"path": str(file)}, (native.pyarrow_ipc,))


def delta(made: Stage) -> Subject:
    """Delta Lake."""
    file = wide_files.delta(made.place, made.file)
    return Subject("files", {"folder": str(file.parent)}, {"path": str(file)}, (native.delta_scan,))


def on_s3(made: Stage) -> Subject:
    """Parquet at a local S3 server."""
    connection = wide_files.s3(made.stack.enter_context(s3_server.running()), made.file)
    return Subject("files", connection, connection, (native.pyarrow_s3,))


def odbc_postgresql(made: Stage) -> Subject:
    """PostgreSQL by psqlODBC; only ours are exact."""
    server = made.server("postgresql")
    return Subject("odbc", wide.odbc(server), {"string": wide.odbc_string(server)}, (native.pyodbc, native.arrow_odbc))


def odbc_mariadb(made: Stage) -> Subject:
    """MariaDB by its Connector/ODBC, which holds an answer whole."""
    server = made.server("mariadb")
    return Subject("odbc", wide.odbc(server), {"string": wide.odbc_string(server)}, (native.pyodbc, native.arrow_odbc))


def trino(spooling: str) -> Callable[[Stage], Subject]:
    """A Trino that spools, over the table in PostgreSQL, without TLS for both; our side with and without spooling."""

    def made_of(made: Stage) -> Subject:
        behind = made.server("postgresql")
        server = made.stack.enter_context(trino_spooled.running())
        catalog = made.stack.enter_context(server.catalog("behind", behind, behind.database))
        place = {"host": server.host, "port": server.port, "user": server.user, "catalog": catalog}
        ours = {**place, "schemas": ["public"], "spooling": spooling}
        return Subject(
            "trino", ours, {**place, "schema": "public", "timezone": "UTC"}, (native.trino, native.trino_pages)
        )

    return made_of


def rest(made: Stage) -> Subject:
    """JSON over HTTP, pages from memory."""
    url = made.stack.enter_context(wide_rest.serving(wide_rest.pages(made.place, made.file)))
    return Subject("rest", wide_rest.connection(url), {"url": url}, (native.rest_tuples, native.rest_arrow))


SUBJECTS: Mapping[str, Callable[[Stage], Subject]] = {
    "PostgreSQL": postgresql,
    "MariaDB": mariadb,
    "SQLAlchemy to PostgreSQL": alchemy("postgresql", "postgresql+psycopg"),
    "SQLAlchemy to MariaDB": alchemy("mariadb", "mariadb+pymysql"),
    "SQLite": sqlite,
    "DuckDB": duckdb,
    "Parquet": parquet,
    "CSV": csv,
    "JSON": json,
    "Arrow": arrow,
    "Delta": delta,
    "Parquet on S3": on_s3,
    "ODBC PostgreSQL": odbc_postgresql,
    "ODBC MariaDB": odbc_mariadb,
    "Trino": trino("auto"),
    "Trino without spooling": trino("off"),
    "REST": rest,
}


def question(subject: Subject) -> SourceQuery:
    """The statement that fetches the whole table, of the types that the connector has introspected."""
    connector = registry.connect(subject.kind, "wide", subject.connection)
    try:
        (found,) = (one for one in connector.tables() if one.name == subject.table)
    finally:
        connector.close()
    kinds = tuple(found.column(name).type for name in wide.COLUMNS)
    origin = ".".join(filter(None, (found.schema, found.name)))
    return SourceQuery((wide.SELECT.replace(" wide", f" {origin}"),), (), kinds)


def ours(subject: Subject, query: SourceQuery) -> int:
    """Rows of a statement through a new connector."""
    connector = registry.connect(subject.kind, "wide", subject.connection)
    try:
        return sum(batch.num_rows for batch in connector.execute(query, timeout=3600, cancel=Cancel()))
    finally:
        connector.close()


def _theirs(driver: Native, subject: Subject) -> int:
    return driver(dict(subject.options), subject.sql)


def timed(run: Callable[..., int], *given: Any) -> tuple[int, float, int]:
    """Rows, seconds, and bytes by which the process has grown at its peak; in a process of its own.

    The run is done twice there: its memory is that of the first, which finds the process empty, its seconds those of
    the second, which finds modules and libraries loaded, as a server's queries do.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_timed, run, *given).result()


def _timed(run: Callable[..., int], *given: Any) -> tuple[int, float, int]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
    before = _memory("VmRSS")
    run(*given)
    grown = _memory("VmHWM") - before
    began = time.perf_counter()
    count = run(*given)
    return count, time.perf_counter() - began, grown


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))


def measure(subject: Subject, rows: int, rounds: int) -> dict[str, Any]:
    """The best of some rounds, in turns."""
    mine: list[tuple[int, float, int]] = []
    peers: dict[str, list[float]] = {driver.__name__: [] for driver in subject.natives}
    query = question(subject)
    for _ in range(rounds):
        mine.append(timed(ours, subject, query))
        for driver in subject.natives:
            count, seconds, _ = timed(_theirs, driver, subject)
            assert count == rows, f"{driver.__name__}: {count} rows"
            peers[driver.__name__].append(seconds)
    assert {count for count, _, _ in mine} == {rows}, f"{mine[0][0]} rows came"
    best = min(seconds for _, seconds, _ in mine)
    floors = {name: min(seconds) for name, seconds in peers.items()}
    return {
        "rows": rows,
        "seconds": best,
        "ratio": best / min(floors.values()),
        "natively": min(floors, key=floors.__getitem__),
        **{f"{name}_s": seconds for name, seconds in floors.items()},
        "peak_mb": max(peak for _, _, peak in mine) / MB,
    }


@contextlib.contextmanager
def staged(rows: int) -> Iterator[Stage]:
    """The folder with the Parquet file; servers stop at the end."""
    with stage.folder() as place, contextlib.ExitStack() as stack:
        (place / "files").mkdir()
        yield Stage(place, wide.parquet(place / "files", rows), stack, {})


def main() -> None:
    """Exits with 1 where the memory of a connector grows with the rows."""
    parser = figures.arguments(__doc__, 0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="only lines whose name contains this")
    given = parser.parse_args()
    grown = []
    with staged(given.rows // 4) as few, staged(given.rows) as many:
        for name, made in SUBJECTS.items():
            if given.only.lower() in name.lower():
                small = made(few)
                quarter = timed(ours, small, question(small))[2]
                told = measure(made(many), given.rows, given.rounds)
                flat = told["peak_mb"] * MB <= quarter * FLAT + SLACK
                grown += [] if flat else [name]
                show(given.json, name, **told, quarter_peak_mb=quarter / MB, flat=flat, **figures.machine())
    raise SystemExit(bool(grown))


if __name__ == "__main__":
    main()
