"""Each test of the conformance suite runs once per connector of CASES."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.conformance import cases
from connectors.conformance.fixtures import connector, samples, site, watched  # noqa: F401
from tests.connectors import odbc_cases
from tests.connectors.alchemy_cases import ALCHEMY, ONLY_DEEP
from tests.connectors.cases import CASES, MYSQL
from tests.connectors.embedded_cases import EMBEDDED
from tests.connectors.files_cases import CONDUCT_AS_PARQUET, FILES
from tests.connectors.odbc_cases import ODBC
from tests.connectors.rest_cases import REST
from tests.connectors.trino_cases import BEHIND, MEMORY
from tests.connectors.trino_share import shared

ALL = (*CASES, *EMBEDDED, *FILES, *ALCHEMY, *ODBC)  # add the cases of further connectors here
APART = (MYSQL, MEMORY, BEHIND, REST)  # cases whose tests have a file of their own
case = cases(*ALL)

CONDUCT = Path(__file__).with_name("test_conduct.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of SQLAlchemy one driver to a server and one to a file show their conduct in the gate, the others with --deep."""
    shared(config, items)
    for item in items:
        if item.path == CONDUCT and (found := getattr(item, "callspec", None)) is not None:
            case = found.params.get("case")
            if case is not None and case.label in ONLY_DEEP | odbc_cases.ONLY_DEEP | CONDUCT_AS_PARQUET:
                item.add_marker(pytest.mark.deep)
