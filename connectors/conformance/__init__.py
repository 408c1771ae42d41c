"""The suite that every connector passes, ours and others': each type as the engine itself prints it, and no harm done.

A package with a connector of its own runs all of it (it needs pytest, which is no dependency of the product):

    # tests/test_conformance.py
    from connectors.conformance import Case, Sample, Site, cases
    from connectors.conformance.suite import *  # noqa: F403 -- the tests and their fixtures

    case = cases(Case(kind="mine", ...))
"""

from __future__ import annotations

import pytest

for _name in ("asking", "fixtures", "values", "conduct", "cells"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")

from connectors.conformance.case import PRINTED, Case, Printing, Sample, Server, Site, Types, Unproven, nul, printed  # noqa: E402
from connectors.conformance.fixtures import cases  # noqa: E402

__all__ = ["PRINTED", "Case", "Printing", "Sample", "Server", "Site", "Types", "Unproven", "cases", "nul", "printed"]
