"""A private S3 server: S3Proxy of Maven Central over a folder of files, with keys, TLS where asked, and real ETags."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import Missing, Server, lifetime

VERSION = "3.1.0"
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
BUCKET = "lake"
KEY, SECRET = "key-of-the-lake", "secret/of+the lake"
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m")


class S3Server(Server):
    """One server with one bucket; its options are those of `connection.s3`."""

    patience = 120
    keystore: Path | None = None  # PKCS 12 without a password: then it speaks TLS only

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"{'https' if self.keystore else 'http'}://{self.host}:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "access_key_id": KEY, "secret_access_key": SECRET}

    def create(self) -> None:
        (self.folder / "data" / BUCKET).mkdir(parents=True)

    def command(self) -> list[str]:
        address = "secure-endpoint" if self.keystore else "endpoint"
        settings = {
            f"s3proxy.{address}": self.endpoint,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": KEY,
            "s3proxy.credential": SECRET,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": self.folder / "data",
        }
        if self.keystore:
            settings |= {"s3proxy.keystore-path": self.keystore, "s3proxy.keystore-password": "changeit"}
        file = self.folder / "s3proxy.conf"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return ["setpriv", "--pdeathsig", "KILL", "java", *JVM, "-jar", str(archive()), "--properties", str(file)]

    def admin(self, database: str | None = None) -> Any:
        """A connection that is answered, be it by a refusal."""
        import socket

        return socket.create_connection((self.host, self.port), 1)

    def put(self, key: str, content: bytes) -> None:
        """Write an object, as another client would."""
        import obstore

        obstore.put(self.store(), key, content)

    def store(self) -> Any:
        """The bucket, for a client of its own."""
        from obstore.store import S3Store

        config: Any = {**self.options, "region": "us-east-1"}
        return S3Store(BUCKET, config=config, client_options={"allow_http": True})


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """A fresh server, removed at the end; Missing where it, or a Java for it, cannot be had."""
    archive()
    server = S3Server("s3", Path(tempfile.mkdtemp(prefix="vdw-s3-")))
    with lifetime(server):
        yield server


def archive() -> Path:
    """The release in Maven's local repository, put there by Maven if need be."""
    if shutil.which("java") is None:
        raise Missing("no Java for S3Proxy (Debian: apt-get install default-jre-headless)")
    repository = Path.home() / ".m2" / "repository"
    jar = repository / "org" / "gaul" / "s3proxy" / VERSION / f"s3proxy-{VERSION}-jar-with-dependencies.jar"
    if jar.exists():
        return jar
    if shutil.which("mvn") is None:
        raise Missing("S3Proxy is not here and no Maven to fetch it with (Debian: apt-get install maven)")
    artifact = f"-Dartifact=org.gaul:s3proxy:{VERSION}:jar:jar-with-dependencies"
    done = subprocess.run(
        ["mvn", "-q", "-B", f"-Dmaven.repo.local={repository}", FETCH, artifact, "-Dtransitive=false"],
        check=False, timeout=900, capture_output=True, text=True,
    )  # fmt: skip
    if not jar.exists():
        raise Missing(f"Maven cannot fetch S3Proxy: {(done.stdout + done.stderr)[-500:]}")
    return jar


if __name__ == "__main__":
    try:
        print(f"S3Proxy {VERSION} in {archive()}")
    except Missing as reason:
        sys.exit(str(reason))
