"""Types as introspected, values as parameters, errors for what does not fit: every connector of conftest.ALL."""

from connectors.conformance.values import *  # noqa: F403
