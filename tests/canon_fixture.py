"""The canon for tests: one embedded PostgreSQL for the whole session, its shells as the last `install` left them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.canon import server
from federation.canon.binaries import Binaries
from federation.canon.server import Account, Canon
from federation.canon.shell import install_relations


@pytest.fixture(scope="session", autouse=True)
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """initdb takes most of a canon's start, and there are hundreds: it runs for the first one of this process; those
    that follow begin with a copy of what it made."""
    made, run = tmp_path_factory.mktemp("initialised"), server._cluster

    def copied(binaries: Binaries, account: Account, home: Path) -> None:
        kept = made / f"{binaries.major}-{account.uid}"
        if kept.exists():
            subprocess.run(["cp", "-a", kept, home / "data"], check=True)
            return
        run(binaries, account, home)
        whole = made / f"{home.name}.new"
        subprocess.run(["cp", "-a", home / "data", whole], check=True)
        if not kept.exists():
            whole.rename(kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_cluster", copied)
        yield


@pytest.fixture(scope="session")
def canon() -> Iterator[Canon]:
    """Started, with the supporting schema and no shells."""
    with Canon() as started:
        install_relations(started.dsn(), [])
        yield started
