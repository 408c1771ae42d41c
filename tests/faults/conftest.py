"""The world of the fault tests: one for all, checked after each for what it left behind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

import api.project
from tests.faults.world import PLACES, Footprint, Question, Site, World, background, eventually
from tests.servers import Server

LOOK = 0.3  # seconds between two looks at sources that are down; 5 in earnest


@pytest.fixture(scope="package")
def site(postgresql: Server, mariadb: Server, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The servers with their data, and the project's folder."""
    made = Site(postgresql, mariadb, tmp_path_factory.mktemp("faults"))
    made.create()
    return made


@pytest.fixture(scope="package")
def shared(site: Site) -> Iterator[World]:
    """The project, served."""
    before, api.project.RETRY = api.project.RETRY, LOOK
    with World(site, site.folder) as made:
        assert not [one for one in made.runtime.diagnostics if one.severity == "error"]
        for _ in range(3):
            made.healthy()
        yield made
    api.project.RETRY = before


@pytest.fixture(scope="package")
def settled(shared: World) -> Footprint:
    """Threads and files once everything has been used that may stay open."""
    for source in ("shop", "desk"):
        for protocol in ("postgresql", "graphql"):
            ask = partial(shared.ask, protocol, Question(f"crm.hasty_{source}", ("id", "name")))
            with background(ask), background(ask):
                pass
    shared.healthy()
    shared.quiet()
    return Footprint.now()


@pytest.fixture
def world(shared: World, settled: Footprint) -> Iterator[World]:
    """The project; after the test it answers as before, nothing runs at the sources, and nothing has grown."""
    yield shared
    shared.healthy()
    shared.quiet()
    assert eventually(lambda: shared.backends() == 0), "sessions of clients that have gone"
    slack = 4 * PLACES  # connections that a pool may have open now and had not then
    assert eventually(lambda: Footprint.now().within(settled, slack, 2 * slack)), (settled, Footprint.now())


@pytest.fixture(params=["postgresql", "graphql"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Who asks."""
    found: str = request.param
    return found


@pytest.fixture(params=["shop", "desk"])
def source(request: pytest.FixtureRequest) -> str:
    """Which server fails."""
    found: str = request.param
    return found
