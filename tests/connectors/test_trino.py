"""Trino in the conformance suite: values, cells and conduct, all in one file since its server takes long to start."""

from __future__ import annotations

from connectors.conformance import cases
from connectors.conformance.cells import *  # noqa: F403
from connectors.conformance.conduct import *  # noqa: F403
from connectors.conformance.values import *  # noqa: F403
from tests.connectors.trino_cases import BEHIND, MEMORY

case = cases(MEMORY, BEHIND)
