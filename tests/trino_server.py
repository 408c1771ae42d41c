"""A private Trino server from Maven Central's release, kept in a cache folder that all runs share.

`python -m tests.trino_server` fetches and unpacks it (800 MB, once). Wanted besides: Maven and a JDK of version 24 or
later with the module jdk.incubator.vector.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.servers import Missing, Server, free_port, lifetime

VERSION = "476"  # later releases are not in Maven Central
JAVA = 24
CATALOGS = {
    "memory": "connector.name=memory\nmemory.splits-per-node=1\n",
    "tpch": "connector.name=tpch\ntpch.splits-per-node=1\n",
}
PLUGINS: tuple[str, ...] = (
    "memory",
    "tpch",
    "postgresql",
    "geospatial",
    "password-authenticators",
    "spooling-filesystem",
)
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
# Quick to start and small: C1 and one collector, for a server that lives a minute.
JVM = (
    "-Xmx1G", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC", "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
)  # fmt: skip


@dataclass
class TrinoServer(Server):
    """One node, coordinator and worker, with the catalogs `memory` and `tpch`; more by CREATE CATALOG.

    Two doors: `port` takes anybody over HTTP, `secure_port` asks for the password, or for a certificate or a token, of
    `user` over TLS. `run` takes statements without a semicolon.
    """

    patience = 240
    pause = 0.5
    secure_port: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  # of tokens
    settings: dict[str, object] = field(default_factory=dict)  # more lines of config.properties
    files: dict[str, str] = field(default_factory=dict)  # more of its configuration, by their names
    store: Server | None = None  # where it spools, if it does

    def create(self) -> None:
        etc = self.folder / "etc"
        (etc / "catalog").mkdir(parents=True)
        (self.folder / "plugin").mkdir()
        for name in PLUGINS:
            (self.folder / "plugin" / name).symlink_to(home() / "plugin" / name)
        for name, text in CATALOGS.items():
            (etc / "catalog" / f"{name}.properties").write_text(text)
        (etc / "log.properties").write_text("io.trino=WARN\nio.airlift=WARN\n")
        (etc / "catalog-store.properties").write_text(f"catalog.config-dir={etc / 'catalog'}\n")
        _certificates(etc, self.user)
        (etc / "jwt.key").write_text(base64.b64encode(self.key).decode())
        self.account(self.user, self.password)
        chosen = f"password-authenticator.name=file\nfile.password-file={etc / 'passwords'}\nfile.refresh-period=1s\n"
        (etc / "password-authenticator.properties").write_text(chosen)
        for name, text in self.files.items():
            (etc / name).write_text(text)

    def command(self) -> list[str]:
        etc = self.folder / "etc"
        self.secure_port = self.secure_port or free_port()
        config = etc / "config.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self._configuration(etc).items()))
        files = (f"-Dconfig={config}", f"-Dlog.levels-file={etc / 'log.properties'}")
        main = ("-cp", f"{home() / 'lib'}/*", "io.trino.server.TrinoServer")
        # It ends with us, even if we are killed.
        return ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", str(java()), *JVM, *files, *main]

    def remove(self) -> None:
        self.stop(signal.SIGKILL)  # nobody wants its data
        super().remove()

    def _configuration(self, etc: Path) -> dict[str, object]:
        own = {
            "node.environment": "test",
            "node.id": "one",
            "node.bind-ip": self.host,
            "node.internal-address": self.host,
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": self.port,
            "discovery.uri": f"http://{self.host}:{self.port}",
            "plugin.dir": self.folder / "plugin",
            "catalog.management": "dynamic",
            "catalog.store": "file",
            "query.max-memory-per-node": "300MB",
            "query.client.timeout": "20s",
            "task.concurrency": 1,  # few rows, many small statements
            "internal-communication.shared-secret": secrets.token_hex(32),
            "http-server.https.enabled": "true",
            "http-server.https.port": self.secure_port,
            "http-server.https.keystore.path": etc / "server.pem",
            "http-server.https.truststore.path": etc / "ca.pem",
            "http-server.authentication.type": "PASSWORD,JWT,CERTIFICATE",
            "http-server.authentication.allow-insecure-over-http": "true",
            "http-server.authentication.jwt.key-file": etc / "jwt.key",
            "http-server.authentication.certificate.user-mapping.pattern": ".*CN=([^,]+).*",
        }
        return {**own, **self.settings}

    @property
    def options(self) -> dict[str, Any]:
        """Of the door that asks."""
        return {
            "host": self.host,
            "port": self.secure_port,
            "tls": {"ca": str(self.folder / "etc" / "ca.pem")},
            "user": self.user,
            "password": self.password,
            "catalog": "memory",
        }

    @property
    def certificate(self) -> dict[str, str]:
        """The files of the authority and of a certificate of `user`, as `tls:` says them."""
        etc = self.folder / "etc"
        return {"ca": str(etc / "ca.pem"), "certificate": str(etc / "client.crt"), "key": str(etc / "client.key")}

    def account(self, user: str, password: str) -> None:
        """Let somebody log in, from a second later on, with that password and no other. One caller at a time."""
        place = self.folder / "etc" / "passwords"
        lines = place.read_text().splitlines() if place.exists() else []
        kept = [line for line in lines if not line.startswith(f"{user}:")]
        made = place.with_suffix(".new")
        made.write_text("\n".join([*kept, f"{user}:{_hashed(password)}", ""]))
        made.replace(place)

    def token(self, seconds: int = 3600) -> str:
        """A JSON web token of `user`, good for so many seconds."""
        head, body = {"alg": "HS256", "typ": "JWT"}, {"sub": self.user, "exp": int(time.time()) + seconds}
        text = ".".join(_coded(json.dumps(part).encode()) for part in (head, body))
        return f"{text}.{_coded(hmac.digest(self.key, text.encode(), 'sha256'))}"

    @contextlib.contextmanager
    def catalog(self, name: str, behind: Server, database: str) -> Iterator[str]:
        """While inside, a catalog over a database of that PostgreSQL server."""
        password = behind.password.replace("'", "''")
        self.run(
            f"CREATE CATALOG {name} USING postgresql WITH ("
            f"\"connection-url\" = 'jdbc:postgresql://{behind.host}:{behind.port}/{database}', "
            f"\"connection-user\" = '{behind.user}', \"connection-password\" = '{password}')"
        )
        try:
            yield name
        finally:
            self.run(f"DROP CATALOG {name}")

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


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _hashed(password: str) -> str:
    """As Trino's password file wants it."""
    salt, rounds = secrets.token_bytes(16), 1000
    made = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, rounds, 32)
    return f"{rounds}:{salt.hex()}:{made.hex()}"


def _certificates(etc: Path, user: str) -> None:
    """An authority, and certificates of it for the server and for `user`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(etc / "ca.pem"))
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(etc / "server.pem"))
    client = authority.issue_cert(f"{user}@example.org", common_name=user)
    client.private_key_pem.write_to_path(str(etc / "client.key"))
    (etc / "client.crt").write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))


@contextlib.contextmanager
def running(files: dict[str, str] | None = None, **settings: object) -> Iterator[TrinoServer]:
    """A fresh server, removed at the end; Missing where Trino or a JDK for it cannot be had. `settings` go into its
    config.properties, `files` beside it."""
    java()
    home()
    folder = Path(tempfile.mkdtemp(prefix="vdw-trino-"))
    server = TrinoServer("trino", folder, settings=settings, files=files or {})
    with lifetime(server):
        yield server


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
    """Only what the tests use, beside what is there: a server may be running on it. Plugins hold hard links into lib
    and into other plugins, of which these files come too, but stay no plugins."""
    wanted = [name for name in PLUGINS if not (folder / "plugin" / name).is_dir()]
    top = f"trino-server-{VERSION}"
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        parts = [f"{top}/lib", *(f"{top}/plugin/{name}" for name in wanted)]
        subprocess.run(["nice", "tar", "xzf", str(archive), "-C", made, *parts, *_linked(archive, parts)], check=True)
        (folder / "plugin").mkdir(parents=True, exist_ok=True)
        if not (folder / "lib").is_dir():
            (Path(made) / top / "lib").rename(folder / "lib")
        for name in wanted:
            (Path(made) / top / "plugin" / name).rename(folder / "plugin" / name)


def _linked(archive: Path, parts: list[str]) -> list[str]:
    """Files elsewhere to which hard links below `parts` lead."""
    found = set()
    with tarfile.open(archive, "r|gz") as files:
        for entry in files:
            if entry.islnk() and _below(entry.name, parts) and not _below(entry.linkname, parts):
                found.add(entry.linkname)
    return sorted(found)


def _below(name: str, parts: list[str]) -> bool:
    return any(name.startswith(part + "/") for part in parts)


if __name__ == "__main__":
    try:
        print(f"Trino {VERSION} in {home()}, on {java()}")
    except Missing as reason:
        sys.exit(str(reason))
