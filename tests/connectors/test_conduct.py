"""Streaming, stopping, recovering, doing no harm: every connector of conftest.ALL."""

from connectors.conformance.conduct import *  # noqa: F403
