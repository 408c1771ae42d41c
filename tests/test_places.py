"""Places that servers of one machine share: never more than the owner's, none lost with who dies, none hoarded."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.gate import places
from federation.gate.pace import Pace
from federation.gate.places import Places

FOREVER = 1e9


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Places]]:
    """Makes servers' parts; two of one process are as strange to each other as those of two processes."""
    where = tmp_path / "vdw"
    made: list[Places] = []

    def make() -> Places:
        made.append(Places("crm", where, clock))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert where.stat().st_mode & 0o777 == 0o700


def test_together_they_never_have_more_than_all(server: Callable[[], Places]) -> None:
    one, two = server(), server()
    taken = [one.take(3, FOREVER, 0.0), two.take(3, FOREVER, 0.0), two.take(3, FOREVER, 0.0)]
    assert sorted(place for place in taken if place is not None) == [0, 1, 2]
    assert one.take(3, FOREVER, 0.0) is None
    assert one.crowded
    assert taken[1] is not None
    two.leave(taken[1])
    assert one.take(3, FOREVER, 0.0) == taken[1]


def test_a_dead_one_s_statements_keep_their_places_for_as_long_as_they_may_run(
    server: Callable[[], Places], clock: Clock
) -> None:
    dead, heir = server(), server()
    for seconds, orphaned in ((30.0, 2.5), (30.0, FOREVER), (30.0, 0.0)):
        assert dead.take(3, seconds, orphaned) is not None
    dead.close()
    assert heir.take(3, 1.0, 0.0) == 2  # it ran inside the process
    assert heir.take(3, 1.0, 0.0) is None
    clock.now += 2.4
    assert heir.take(3, 1.0, 0.0) is None
    clock.now += 0.2
    assert heir.take(3, 1.0, 0.0) == 0
    clock.now += 27.3
    assert heir.take(3, 1.0, 0.0) is None
    clock.now += 0.2
    assert heir.take(3, 1.0, 0.0) == 1


def test_a_process_that_is_killed_leaves_its_place_to_time_alone(tmp_path: Path) -> None:
    where = tmp_path / "vdw"
    script = (
        "import sys, time; from pathlib import Path; from federation.gate.places import Places\n"
        f"places = Places('crm', Path({str(where)!r})); print(places.take(1, 30.0, 0.2), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        mine = Places("crm", where)
        assert mine.take(1, 30.0, 0.2) is None, "it is held"
        process.kill()
        process.wait()
        assert mine.take(1, 30.0, 0.2) is None, "its statement may still run"
        later = places.time.monotonic() + 0.5
        late = Places("crm", where, lambda: later)
        assert late.take(1, 30.0, 0.2) == 0
        late.close()
        mine.close()


def test_one_that_has_nothing_gets_its_turn(server: Callable[[], Places], clock: Clock) -> None:
    """A busy server takes its place again at once, as nobody waits long; then the other's turn comes."""
    busy, other = server(), server()
    held = busy.take(1, FOREVER, 0.0)
    turns = []
    for _ in range(40):
        clock.now += 0.01
        assert held is not None
        assert other.take(1, FOREVER, 0.0) is None
        busy.leave(held)
        held = busy.take(1, FOREVER, 0.0)
        turns.append(held is not None)
        if held is None:
            break
    assert 2 <= len(turns) <= 10, "it is left to the other after about fifty milliseconds"
    assert other.take(1, FOREVER, 0.0) == 0


def test_who_has_more_leaves_the_next_to_who_has_fewer(server: Callable[[], Places], clock: Clock) -> None:
    many, few = server(), server()
    held = [many.take(4, FOREVER, 0.0) for _ in range(4)]
    assert few.take(4, FOREVER, 0.0) is None
    clock.now += 0.06
    assert few.take(4, FOREVER, 0.0) is None
    many.leave(held[0] or 0)
    assert many.take(4, FOREVER, 0.0) is None
    assert few.take(4, FOREVER, 0.0) is not None


def test_a_rate_holds_for_all_of_them(server: Callable[[], Places], clock: Clock) -> None:
    one, two = server(), server()
    pace = Pace(0.1, 0.4)  # ten a second, five at once
    went = 0
    for i in range(2000):
        clock.now += 0.001
        went += not (one, two)[i % 2].paced(pace)
    assert 24 <= went <= 25


def test_a_folder_that_others_may_enter_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    where = tmp_path / "open"
    where.mkdir(mode=0o755)
    where.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        assert places.opened("crm", where) is None
    assert "limits of sources hold for each server alone" in caplog.text


def test_the_folder_is_this_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert places.folder() == tmp_path / "vdw"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(os.getuid()) in places.folder().name
