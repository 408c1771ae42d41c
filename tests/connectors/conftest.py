"""Each test of the conformance suite runs once per connector of CASES."""

from __future__ import annotations

from connectors.conformance import cases
from connectors.conformance.fixtures import connector, samples, site, watched  # noqa: F401
from tests.connectors.cases import CASES
from tests.connectors.embedded_cases import EMBEDDED

ALL = (*CASES, *EMBEDDED)  # add the cases of further connectors here
case = cases(*ALL)
