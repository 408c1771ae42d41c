"""One world for all tests of dashboards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards.world import PASSWORDS, World, write
from tests.servers import Missing, Server, running


@pytest.fixture(scope="package")  # it does not outlive its tests
def live() -> Iterator[Server]:
    """A PostgreSQL of our own, as tests stop it."""
    try:
        with running("postgresql") as server:
            yield server
    except Missing as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))


@pytest.fixture(scope="package")  # it does not outlive its tests
def world(live: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The project of `world.py`, served."""
    folder: Path = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        patch.setenv("LIVE_SECRET", live.password)
        for user, password in PASSWORDS.items():
            patch.setenv(f"{user.upper()}_SECRET", password)
        made = World(write(folder, live), live)
        yield made
        made.close()
