"""Each type as its engine prints it, as a point and as bulk: every connector of conftest.ALL."""

from connectors.conformance.cells import *  # noqa: F403
