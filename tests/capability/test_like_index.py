"""LIKE in MariaDB, whose indexes lose rows: the claim holds whatever the collation, with an index as without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlglot import exp

from connectors.capability import mariadb
from tests.servers import MariadbServer, running

pytestmark = pytest.mark.service

TEXTS = ("ab", "a", "a\nb", "a\tb", "a b", "aé", "a\0b", "a\N{GRINNING FACE}b", "a\uffffb", "b", "A", "á")


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with running("mariadb") as found:
        assert isinstance(found, MariadbServer)
        found.run("CREATE DATABASE likes")
        yield found


@pytest.mark.parametrize("collation", ["general_ci", "bin", "nopad_bin", "unicode_ci", "unicode_nopad_ci"])
def test_nothing_is_lost(server: MariadbServer, collation: str) -> None:
    server.run(
        f"CREATE OR REPLACE TABLE t (id int, s varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_{collation}, KEY (s))",
        database="likes",
    )
    rows = [f"({i}, _utf8mb4 X'{text.encode().hex()}')" for i, text in enumerate(TEXTS)]
    rows += [f"({i}, 'x{i}')" for i in range(100, 2_000)]  # so that the index pays
    server.run(f"INSERT INTO t VALUES {', '.join(rows)}", database="likes")
    rule = mariadb.CAPABILITY.scalars["like", "text", "text"]
    asked = rule.build([exp.column("s"), exp.Literal.string("a%")]).sql("mysql")
    mode = "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"  # as the connector's sessions have it
    found = server.run(mode, f"SELECT id FROM t WHERE {asked} ORDER BY id", database="likes")
    assert [row[0] for row in found] == [i for i, text in enumerate(TEXTS) if text.startswith("a")]
