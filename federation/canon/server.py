"""The canon's life: a private PostgreSQL in a private folder, up in about a second, gone with its parent."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from connectors.errors import ConfigError, Error
from connectors.surroundings import harmless
from federation.canon.binaries import Binaries, locate

OWNER = "vdw"  # our superuser; only our own operating system user may log in as it
MERGE = "vdw_merge"  # unprivileged, runs residuals; may become any client's role
PORT = 5432  # names the socket only
LONGEST = 107 - len(f"/.s.PGSQL.{PORT}.lock")  # what sockaddr_un leaves for the folder
START_TIMEOUT = 30.0
SESSIONS = 100  # of clients, unless told otherwise
OWN = 200  # further connections: analysis, merging, and those that are just ending

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "superuser_reserved_connections": "10",
    "max_locks_per_transaction": "128",  # one transaction makes thousands of shells
    "shared_buffers": "32MB",
    "huge_pages": "off",
    # Nothing here outlives the process, and a crash of the process alone loses no written page.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "min_wal_size": "16MB",
    "checkpoint_timeout": "30min",
    "restart_after_crash": "off",  # a crash ends the server; the supervisor starts the next generation
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_worker_processes": "1",
    "max_logical_replication_workers": "0",
    # Analysis makes and rolls back views all day: dead catalog rows, at once removable.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_vacuum_scale_factor": "0.1",
    "autovacuum_analyze_threshold": "20000",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "datestyle": "'ISO, MDY'",
    "lc_messages": "'C'",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",  # no statement of a user in a file
    "password_encryption": "'scram-sha-256'",
    "allow_alter_system": "off",
}

HBA = f"""local all {OWNER},{MERGE} peer map=own
local all +vdw_open trust
local all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system user that the server runs as; None for our own (PostgreSQL refuses root)."""

    uid: int | None = None
    gid: int | None = None


class Canon:
    """One embedded PostgreSQL: superuser role and database `vdw`, Unix socket only.

    `folder`: where its private folder is made (default: the temporary folder, also where `folder` is too
    long for a socket's path); `binaries`: a PostgreSQL's folder; `sessions`: clients at once. `generation` grows by
    each restart, and with it every connection, temporary table and prepared statement is gone.
    """

    def __init__(self, folder: Path | None = None, binaries: Path | None = None, sessions: int = SESSIONS) -> None:
        self._parent, self._configured, self.sessions = folder, binaries, sessions
        self._home: Path | None = None
        self._watch: subprocess.Popen[str] | None = None
        self._changed = threading.Condition()
        self.generation = 0
        self.fault = ""

    @property
    def socket_dir(self) -> str:
        """The folder of the socket, for `host=`."""
        if self._home is None:
            raise Error("the canon has not been started")
        return str(self._home)

    @property
    def port(self) -> int:
        return PORT

    @property
    def pid(self) -> int:
        """The server's process id; 0 where it is not up."""
        try:
            return int(Path(self.socket_dir, "data", "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return 0

    def dsn(self, user: str = OWNER, dbname: str = "vdw") -> str:
        """A libpq connection string for `user`."""
        return make_conninfo("", host=self.socket_dir, port=self.port, user=user, dbname=dbname)

    def start(self) -> None:
        """Bring it up; about a second. ConfigError without binaries, Error with the server's own words else."""
        if self._watch is not None:
            return
        binaries = locate(self._configured)
        account = _account()
        home, lock = _make_home(self._parent, account)
        self._home = home
        try:
            binaries = _readable(binaries, account, home)
            _initdb(binaries, account, home, self.sessions + OWN)
            self._supervise(binaries, account, home, lock)
            self.wait(1)
            _finish(self.dsn(dbname="template1"))
        except BaseException:
            self.stop()
            shutil.rmtree(home, ignore_errors=True)
            raise
        finally:
            os.close(lock)

    def stop(self) -> None:
        """Stop it and remove all it had; harmless when repeated."""
        watch, self._watch = self._watch, None
        if watch is None or watch.stdin is None:
            return
        watch.stdin.close()
        try:
            watch.wait(15)
        except subprocess.TimeoutExpired:
            watch.kill()
            watch.wait()
        self._listener.join(5)

    def wait(self, generation: int, timeout: float = START_TIMEOUT) -> None:
        """Until that generation is up; Error when it does not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.generation >= generation or self.fault, timeout):
                raise Error(f"the embedded PostgreSQL did not come up within {timeout:.0f} s", detail=self._log())
        if self.generation < generation:
            raise Error(self.fault, detail=self._log())

    def __enter__(self) -> Canon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _supervise(self, binaries: Binaries, account: Account, home: Path, lock: int) -> None:
        spec = {
            "home": str(home),
            "data": str(home / "data"),
            "postgres": str(binaries.postgres),
            "uid": account.uid,
            "gid": account.gid,
            "parent": os.getpid(),
        }
        program = Path(__file__).with_name("watch.py")
        self._watch = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(program), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(lock,),  # held as long as the supervisor lives
            start_new_session=True,  # Ctrl-C is ours to handle
            env=harmless(os.environ),
        )
        self._listener = threading.Thread(target=self._listen, args=(self._watch,), name="canon", daemon=True)
        self._listener.start()

    def _listen(self, watch: subprocess.Popen[str]) -> None:
        assert watch.stdout is not None  # noqa: S101
        with watch.stdout:
            for line in watch.stdout:
                word, _, number = line.partition(" ")
                with self._changed:
                    if word == "ready":
                        self.generation = int(number)
                    else:
                        self.fault = "the embedded PostgreSQL keeps failing"
                    self._changed.notify_all()
        with self._changed:
            self.fault = self.fault or "the embedded PostgreSQL's supervisor ended"
            self._changed.notify_all()

    def _log(self) -> str:
        with contextlib.suppress(OSError):
            return Path(self.socket_dir, "log").read_text(errors="replace")[-2000:]
        return ""


def _account() -> Account:
    if os.geteuid() != 0:
        return Account()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigError(
            "PostgreSQL does not run as root, and there is no user `nobody` to run it as",
            place="canon",
            hint="Run vdw as an ordinary user.",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _make_home(parent: Path | None, account: Account) -> tuple[Path, int]:
    """A new private folder and the descriptor of its lock; what dead processes left there is removed."""
    prefix = f"vdw-{os.geteuid()}-"
    for place in (parent, Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108
        if place is None or len(os.fsencode(place.absolute())) + len(prefix) + 9 > LONGEST:
            continue
        if account.uid is not None and not _reaches(place.absolute(), account):
            continue
        place.mkdir(parents=True, exist_ok=True)
        sweep(place.absolute(), prefix, account)
        home = Path(tempfile.mkdtemp(prefix=prefix, dir=place.absolute()))
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if account.uid is not None and account.gid is not None:
            os.chown(home, account.uid, account.gid)
        return home, lock
    raise ConfigError("no folder with a path short enough for a Unix socket", place="canon", hint="Set TMPDIR.")


def _reaches(folder: Path, account: Account) -> bool:
    """Whether the server's user can walk down to `folder`; what does not exist yet will be ours to open."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    return existing == folder and all(_walks(step, account) for step in (folder, *folder.parents))


def _walks(folder: Path, account: Account) -> bool:
    facts = folder.stat()
    shift = 6 if facts.st_uid == account.uid else 3 if facts.st_gid == account.gid else 0
    return bool(facts.st_mode >> shift & 1)


def sweep(place: Path, prefix: str, account: Account) -> None:
    """Remove the folders whose supervisor is dead: their lock is free."""
    for home in place.glob(prefix + "*"):
        with contextlib.suppress(OSError):
            facts = home.lstat()
            if facts.st_uid not in (os.geteuid(), account.uid) or not home.is_dir() or home.is_symlink():
                continue
            if _free(home, facts.st_mtime):
                shutil.rmtree(home, ignore_errors=True)


def _free(home: Path, changed: float) -> bool:
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - changed > 3600  # perhaps just being made
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _readable(binaries: Binaries, account: Account, home: Path) -> Binaries:
    """Binaries that the server's user can run: a copy where our environment is closed to it."""
    if account.uid is None:
        return binaries
    try:
        tried = _run([binaries.initdb, "--version"], account, home)
        if tried.returncode == 0 and _run([binaries.postgres, "--version"], account, home).returncode == 0:
            return binaries
    except PermissionError:
        pass
    copy = home / "postgresql"
    copy.mkdir()
    return binaries.copy(copy)


def _run(command: list[Path | str], account: Account, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        user=account.uid,
        group=account.gid,
        extra_groups=None if account.uid is None else [],
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", "")},
    )


def _cluster(binaries: Binaries, account: Account, home: Path) -> None:
    """What initdb makes, in `home`/data."""
    options = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    speed = ["--no-sync", "--wal-segsize=4", "--no-instructions", "--auth=reject"]
    made = _run([binaries.initdb, "-D", home / "data", "-U", OWNER, *options, *speed], account, home)
    if made.returncode != 0:
        raise Error("initdb of the embedded PostgreSQL failed", detail=(made.stderr or made.stdout).strip()[-2000:])


def _initdb(binaries: Binaries, account: Account, home: Path, connections: int) -> None:
    _cluster(binaries, account, home)
    settings = {**SETTINGS, "unix_socket_directories": _quoted(str(home)), "max_connections": str(connections)}
    if binaries.major >= 18:
        settings["io_method"] = "sync"  # no helpers for reads that never happen
    me = pwd.getpwuid(os.geteuid()).pw_name
    _append(home / "data" / "postgresql.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
    (home / "data" / "pg_hba.conf").write_text(HBA)
    (home / "data" / "pg_ident.conf").write_text(f'own "{me}" {OWNER}\nown "{me}" {MERGE}\n')


def _quoted(text: str) -> str:
    # unix_socket_directories is itself a list: its item is quoted within the setting's own quotes.
    return "'\"" + text.replace('"', '""').replace("'", "''") + "\"'"


def _append(file: Path, text: str) -> None:
    with file.open("a") as out:
        out.write(text)


def _finish(dsn: str) -> None:
    """The database under its name: renaming the one that initdb made is much faster than making another."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")  # a crash of the server must not undo it
        connection.execute("ALTER DATABASE postgres RENAME TO vdw")
        connection.execute("ALTER DATABASE vdw SET timezone TO 'UTC'")
