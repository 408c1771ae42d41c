"""What is told of a refused statement is what the server said of it, and never the statement: values are somebody's."""

from __future__ import annotations

import pytest

from connectors.conformance.asking import ask
from connectors.errors import SourceError
from connectors.registry import connect
from tests.servers import Server

pytestmark = pytest.mark.service


def test_bulk_tells_no_more_than_point(postgresql: Server) -> None:
    """ADBC's messages repeat the statement."""
    told = []
    for small in (True, False):
        connector = connect("postgresql", "crm", postgresql.options)
        with pytest.raises(SourceError) as error:
            ask(connector, "SELECT count(*) FROM pg_class WHERE relname || 'somebody' > 17", small=small)
        told.append((error.value.message, error.value.detail, error.value.sqlstate))
        connector.close()
    assert told[0] == told[1]
    assert "somebody" not in str(told) and "operator does not exist" in told[0][0]


def test_a_server_without_room_says_so(postgresql: Server) -> None:
    postgresql.run("DROP ROLE IF EXISTS crowded", "CREATE ROLE crowded LOGIN PASSWORD 'c' CONNECTION LIMIT 0")
    connector = connect("postgresql", "crm", {**postgresql.options, "user": "crowded", "password": "c"})
    with pytest.raises(SourceError) as error:
        connector.ping()
    connector.close()
    assert error.value.sqlstate == "08001" and "limits.concurrency" in (error.value.hint or "")
