"""REST in the conformance suite: its cells. A service has no SQL, so conduct is test_rest.py's."""

from __future__ import annotations

from connectors.conformance import cases
from connectors.conformance.cells import *  # noqa: F403
from tests.connectors.rest_cases import REST

case = cases(REST)
