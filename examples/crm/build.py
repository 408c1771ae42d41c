"""Builds the example into a folder: python -m examples.crm.build --into FOLDER [--servers].

Embedded, all sources are files in FOLDER/data. With --servers, the live ones go to a PostgreSQL and a MariaDB, both
named by the environment (see README.md); the warehouse stays Parquet. The answers are the same.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
from pathlib import Path

from examples.crm import cdnow, data, parquet_files, servers, sqlite_files
from examples.crm.data import Table

HERE = Path(__file__).resolve().parent
PROJECT = ("vdw.yml", "sources", "views", "rules", "watches", "dashboards")  # what there is of it
WAREHOUSE = "dwh"
ON_MARIADB = frozenset({"tickets", "network"})  # of the live sources, with --servers; the others go to PostgreSQL


def build(into: Path, *, on_servers: bool = False, cache: Path | None = None) -> dict[str, list[Table]]:
    """Make FOLDER a project with its data; gives what was written, by source. Raises cdnow.Unavailable."""
    if on_servers:
        servers.check()
    made = data.build(cdnow.purchases(cache or cdnow.default_cache()))
    write(into, made, on_servers=on_servers)
    return made


def write(into: Path, made: dict[str, list[Table]], *, on_servers: bool = False) -> None:
    """The project's files, the demo user's password, and the data."""
    _copy_project(into, on_servers=on_servers)
    password(into / "secrets" / "analyst")
    parquet_files.write(into / "data" / "warehouse", made[WAREHOUSE])
    live = {source: tables for source, tables in made.items() if source != WAREHOUSE}
    if on_servers:
        servers.write_postgresql({source: tables for source, tables in live.items() if source not in ON_MARIADB})
        servers.write_mariadb([table for source in sorted(ON_MARIADB) for table in live[source]])
    else:
        for source, tables in live.items():
            sqlite_files.write(into / "data" / f"{source}.db", tables)


def _copy_project(into: Path, *, on_servers: bool) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if into.resolve() == HERE:
        if on_servers:
            raise SystemExit("--servers needs a folder of its own: --into FOLDER")
        return
    for name in PROJECT:
        source, target = HERE / name, into / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copyfile(source, target)
    if on_servers:
        shutil.copytree(HERE / "servers_sources", into / "sources", dirs_exist_ok=True)


def password(file: Path) -> None:
    """A password of this copy's own, kept if there is one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(12) + "\n", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 with one line on stderr where something that it needs is missing."""
    parser = argparse.ArgumentParser(prog="python -m examples.crm.build", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=HERE, metavar="FOLDER", help="default: the example's own folder")
    parser.add_argument("--servers", action="store_true", help="the live sources on database servers")
    said = parser.parse_args(arguments)
    try:
        made = build(said.into, on_servers=said.servers)
    except (cdnow.Unavailable, servers.Unset) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    for source, found in made.items():
        print(f"{source:8} " + ", ".join(f"{table.name} {len(table.rows):,}" for table in found))
    print(f"built in {said.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
