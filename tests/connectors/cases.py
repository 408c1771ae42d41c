"""What the conformance suite knows of each connector: one `Case` each, in CASES. A new connector adds one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from connectors.conformance import Case, Site
from connectors.conformance.printing import MARIADB as PRINTED_BY_MARIADB
from connectors.conformance.printing import POSTGRESQL as PRINTED_BY_POSTGRESQL
from connectors.types import PgType
from tests.connectors.mariadb_samples import MARIADB
from tests.connectors.mariadb_samples import TYPES as MARIADB_TYPES
from tests.connectors.mysql_samples import MYSQL as MYSQL_SAMPLES
from tests.connectors.mysql_samples import TYPES as MYSQL_TYPES
from tests.connectors.postgresql_samples import POSTGRESQL, SETUP, TYPES
from tests.servers import Server

T = PgType


def _serving(fixture: str, *setup: str) -> Callable[[pytest.FixtureRequest], AbstractContextManager[Site]]:
    @contextmanager
    def open_site(request: pytest.FixtureRequest) -> Iterator[Site]:
        server: Server = request.getfixturevalue(fixture)
        database = f"conform_{fixture}"
        # neither strict nor escaping: literals are written as elsewhere, and zero dates can be stored
        prologue = ("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",) if fixture != "postgresql" else ()
        server.run(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
        if fixture != "postgresql":
            server.run(f"GRANT ALL ON {database}.* TO vdw@'%'")

        def run(*statements: str) -> list[tuple[Any, ...]]:
            return server.run(*prologue, *statements, database=database)

        if setup:
            run(*setup)
        yield Site({**server.options, "database": database}, run, server)

    return open_site


CASES = (
    Case(
        kind="postgresql",
        open=_serving(
            "postgresql",
            *SETUP,
        ),
        samples=POSTGRESQL,
        unfit=(("text", "'abc'", T("int4")),),
        schema="public",
        numbers="SELECT generate_series(1, {n})::int8 AS g",
        slow="SELECT count(*) FROM generate_series(1, 1000000000) AS g",
        writes=(
            "INSERT INTO public.guarded VALUES (2) RETURNING 1::int8",
            "DELETE FROM public.guarded RETURNING 1::int8",
            "SELECT nextval('public.counter')",
        ),
        active="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw' AND state = 'active'",
        connected="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw'",
        printing=PRINTED_BY_POSTGRESQL,
        types=TYPES,
    ),
    Case(
        kind="mariadb",
        open=_serving("mariadb", "CREATE TABLE hundred AS SELECT seq FROM seq_1_to_100"),
        samples=MARIADB,
        unfit=(("text", "'abc'", T("int4")),),
        schema="conform_mariadb",
        numbers="SELECT seq FROM seq_1_to_{n}",
        # a join of seq_... tables is deaf to KILL
        slow="SELECT count(*) FROM hundred a, hundred b, hundred c, hundred d, hundred e, hundred f",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
        active="SELECT count(*) FROM information_schema.processlist WHERE user = 'vdw' AND command = 'Query'",
        connected="SELECT count(*) FROM information_schema.processlist WHERE user = 'vdw'",
        number="seq",
        printing=PRINTED_BY_MARIADB,
        types=MARIADB_TYPES,
    ),
)
# a file of its own: its server takes seconds to start
MYSQL = Case(
    kind="mysql",
    open=_serving(
        "mysql_alone",
        "CREATE TABLE thousand (n int PRIMARY KEY)",
        "INSERT INTO thousand WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 999) "
        "SELECT n FROM r",
        "ANALYZE TABLE thousand",
    ),
    samples=MYSQL_SAMPLES,
    unfit=(("text", "'abc'", T("int4")),),
    schema="conform_mysql_alone",
    # nested loops in this order, so that the first rows are the first numbers
    numbers="SELECT /*+ JOIN_FIXED_ORDER() NO_BNL() */ CAST(1 + c.n + 1000 * b.n + 1000000 * a.n AS SIGNED) AS g "
    "FROM thousand a, thousand b, thousand c LIMIT {n}",
    slow="SELECT count(*) FROM thousand a, thousand b, thousand c, thousand d WHERE a.n + b.n + c.n + d.n < 0",
    writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
    active="SELECT count(*) FROM performance_schema.processlist WHERE user = 'vdw' AND command = 'Query'",
    connected="SELECT count(*) FROM performance_schema.processlist WHERE user = 'vdw'",
    printing=PRINTED_BY_MARIADB,
    types=MYSQL_TYPES,
)
