"""A private Trino server from Maven Central's release, kept in a cache folder that all runs share.

`python -m tests.trino_server` fetches and unpacks it (800 MB, once). Wanted besides: Maven and a JDK of version 24 or
later with the module jdk.incubator.vector.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import Missing, Server

VERSION = "476"  # later releases are not in Maven Central
JAVA = 24
PLUGINS = ("memory",)  # a plugin may hold hard links into others, not only into lib: see the archive before adding one
SETTINGS = {"memory": "memory.splits-per-node=1\n"}
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
# Quick to start and small: C1 and one collector, for a server that lives a minute.
JVM = (
    "-Xmx1G", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC", "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
)  # fmt: skip


class TrinoServer(Server):
    """One node, coordinator and worker; catalog `memory`. `run` takes statements without a semicolon."""

    patience = 240
    pause = 0.5

    def create(self) -> None:
        catalogs = self.folder / "etc" / "catalog"
        catalogs.mkdir(parents=True)
        for name in PLUGINS:
            (catalogs / f"{name}.properties").write_text(f"connector.name={name}\n{SETTINGS.get(name, '')}")
        (self.folder / "etc" / "log.properties").write_text("io.trino=WARN\nio.airlift=WARN\n")

    def command(self) -> list[str]:
        release = home()
        settings = {
            "node.environment": "test",
            "node.id": "one",
            "node.bind-ip": self.host,
            "node.internal-address": self.host,
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": self.port,
            "discovery.uri": f"http://{self.host}:{self.port}",
            "plugin.dir": release / "plugin",
            "catalog.config-dir": self.folder / "etc" / "catalog",
            "query.max-memory-per-node": "300MB",
            "task.concurrency": 1,  # few rows, many small statements
        }
        config = self.folder / "etc" / "config.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        files = (f"-Dconfig={config}", f"-Dlog.levels-file={self.folder / 'etc' / 'log.properties'}")
        main = ("-cp", f"{release / 'lib'}/*", "io.trino.server.TrinoServer")
        return ["nice", "-n", "5", str(java()), *JVM, *files, *main]

    def admin(self, database: str | None = None) -> Any:
        """A DB-API connection to schema `database` of the catalog `memory`, once the server answers queries."""
        import trino

        connection = trino.dbapi.connect(  # type: ignore[no-untyped-call]
            host=self.host,
            port=self.port,
            user=self.user,
            catalog="memory",
            schema=database or "default",
            timezone="UTC",
            legacy_primitive_types=True,
            max_attempts=1,
        )
        cursor = connection.cursor()
        cursor.execute("SHOW SCHEMAS FROM memory")
        cursor.fetchall()
        return connection


@contextlib.contextmanager
def running() -> Iterator[TrinoServer]:
    """A fresh server, removed at the end; Missing where Trino or a JDK for it cannot be had."""
    java()
    home()
    server = TrinoServer("trino", Path(tempfile.mkdtemp(prefix="vdw-trino-")))
    atexit.register(server.remove)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.remove()
        atexit.unregister(server.remove)


def java() -> Path:
    """The `java` of an installed JDK that Trino runs on."""
    on_path = shutil.which("java")
    folders = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    folders += [Path(on_path).resolve().parents[1]] if on_path else []
    folders += sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)
    for folder in folders:
        program = folder / "bin" / "java"
        if program.exists() and _fits(folder / "release"):
            return program
    raise Missing(f"no JDK of version {JAVA} or later with jdk.incubator.vector (set JAVA_HOME, or see .ci/setup)")


def _fits(release: Path) -> bool:
    """Whether a JDK's `release` file names the version and the module."""
    lines = release.read_text().splitlines() if release.exists() else []
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    version = told.get("JAVA_VERSION", "").strip('"').split(".")[0]
    return version.isdigit() and int(version) >= JAVA and "jdk.incubator.vector" in told.get("MODULES", "")


def home() -> Path:
    """The unpacked release, fetched where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdw"
    folder = cache / f"trino-server-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "trino.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs side by side fetch it once
        if not all((folder / "plugin" / name).is_dir() for name in PLUGINS):
            _unpack(_archive(), folder)
    return folder


def _archive() -> Path:
    """The release in Maven's local repository, put there by Maven if need be."""
    repository = Path.home() / ".m2" / "repository"
    archive = repository / "io" / "trino" / "trino-server" / VERSION / f"trino-server-{VERSION}.tar.gz"
    if archive.exists():
        return archive
    if shutil.which("mvn") is None:
        raise Missing("Trino is not here and no Maven to fetch it with (Debian: apt-get install maven)")
    artifact = f"-Dartifact=io.trino:trino-server:{VERSION}:tar.gz"
    # Java takes the home from the user's entry, not from HOME.
    local = f"-Dmaven.repo.local={repository}"
    done = subprocess.run(
        ["mvn", "-q", "-B", local, FETCH, artifact, "-Dtransitive=false"],
        check=False, timeout=1800, capture_output=True, text=True,
    )  # fmt: skip
    if not archive.exists():
        raise Missing(f"Maven cannot fetch Trino: {(done.stdout + done.stderr)[-500:]}")
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    """Only what the tests use; plugins hold hard links to the files of lib."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        top = f"trino-server-{VERSION}"
        parts = [f"{top}/lib", *(f"{top}/plugin/{name}" for name in PLUGINS)]
        subprocess.run(["nice", "tar", "xzf", str(archive), "-C", made, *parts], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(made) / top).rename(folder)


if __name__ == "__main__":
    try:
        print(f"Trino {VERSION} in {home()}, on {java()}")
    except Missing as reason:
        sys.exit(str(reason))
