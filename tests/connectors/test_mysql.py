"""MySQL in the conformance suite: values, cells and conduct, in one file since its server takes seconds to start."""

from __future__ import annotations

from connectors.conformance import cases
from connectors.conformance.cells import *  # noqa: F403
from connectors.conformance.conduct import *  # noqa: F403
from connectors.conformance.values import *  # noqa: F403
from tests.connectors.cases import MYSQL

case = cases(MYSQL)
