"""All tests of the suite with their fixtures, for `from connectors.conformance.suite import *`."""

from __future__ import annotations

from connectors.conformance.cells import *
from connectors.conformance.conduct import *
from connectors.conformance.fixtures import connector, samples, site, watched  # noqa: F401
from connectors.conformance.values import *
