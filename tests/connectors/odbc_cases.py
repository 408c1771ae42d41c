"""The conformance cases of engines behind ODBC: what the native connectors must read right, these must too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from connectors.conformance import Case, Site
from tests.connectors.cases import CASES
from tests.connectors.embedded_cases import EMBEDDED

DRIVERS = {"postgresql": "PostgreSQL Unicode", "mariadb": "MariaDB Unicode", "sqlite": "SQLite3"}
LABELS = {"postgresql": "odbc to PostgreSQL", "mariadb": "odbc to MariaDB", "sqlite": "odbc to SQLite"}


def through_odbc(options: dict[str, Any], kind: str) -> dict[str, Any]:
    """A native connector's options as those of kind odbc."""
    if kind == "sqlite":
        return {"driver": DRIVERS[kind], "database": options["path"], "base_folder": options["base_folder"]}
    given = {"driver": DRIVERS[kind], "server": options["host"]}
    return given | {key: options[key] for key in ("port", "database", "user", "password")}


def _odbc(case: Case) -> Case:
    @contextmanager
    def opened(request: pytest.FixtureRequest) -> Iterator[Site]:
        with case.open(request) as site:
            yield replace(site, options=through_odbc(site.options, case.kind))

    made: Callable[[pytest.FixtureRequest], AbstractContextManager[Site]] = opened
    # MariaDB's driver prepares what it runs, and before its release 3.2 it cannot stream; PostgreSQL's has a cursor
    active = case.active and case.active.replace("command = 'Query'", "command IN ('Query', 'Execute')")
    active = active and active.replace("state = 'active'", "state <> 'idle'")
    holds = case.kind == "mariadb"
    return replace(case, kind="odbc", label=LABELS[case.kind], open=made, active=active, holds=holds)


ODBC = tuple(_odbc(case) for case in (*CASES, *EMBEDDED) if case.kind in DRIVERS)
ONLY_DEEP = frozenset((LABELS["mariadb"], LABELS["sqlite"]))  # whose conduct is shown with --deep only
