"""One served project for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.segments.served import Served, project


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VDW_TEST_SECRET", "secret")
        made = Served(project(tmp_path_factory.mktemp("segments")))
        yield made
        made.close()
