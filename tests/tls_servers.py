"""Certificates of an authority of our own, and servers that show them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from tests.servers import PASSWORD, Server, own, running

RELOAD = {"postgresql": "SELECT pg_reload_conf()", "mariadb": "FLUSH SSL", "mysql": "ALTER INSTANCE RELOAD TLS"}


@dataclass
class Papers:
    """Certificate files in a folder: `ca` whom to trust, `other` whom not to; a client's, with its key."""

    folder: Path
    authority: trustme.CA
    certificate: Path
    key: Path
    sealed: Path  # the same key, under the passphrase

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    @property
    def other(self) -> str:
        return str(self.folder / "other.pem")


def papers(folder: Path, client: str) -> Papers:
    """An authority, a stranger, and a client's certificate for that user."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    made = authority.issue_cert(common_name=client)
    certificate, key, sealed = folder / "client.pem", folder / "client.key", folder / "sealed.key"
    made.cert_chain_pems[0].write_to_path(str(certificate))
    made.private_key_pem.write_to_path(str(key))
    loaded = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    sealed.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    for file in (key, sealed):
        file.chmod(0o600)
    return Papers(folder, authority, certificate, key, sealed)


def show(server: Server, made: Papers, *names: str, expired: bool = False) -> None:
    """Have a server show a certificate with these names from now on, read again as its kind does."""
    until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1) if expired else None
    begun = until - datetime.timedelta(days=2) if until is not None else None
    issued = made.authority.issue_cert(*names, not_before=begun, not_after=until)
    contents = {
        "server.pem": issued.cert_chain_pems[0].bytes(),
        "server.key": issued.private_key_pem.bytes(),
        "authority.pem": Path(made.ca).read_bytes(),
    }
    for name, content in contents.items():
        file = server.folder / name
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(content)
        own(file, server.kind)
    if server.process is not None and server.more:
        server.run(RELOAD[server.kind])


@contextmanager
def encrypted(kind: str, made: Papers) -> Iterator[Server]:
    """A server that speaks TLS as 127.0.0.1, and knows the authority of its clients."""
    with running(kind) as server:
        show(server, made, "127.0.0.1")
        server.stop()
        words = {"cert": "server.pem", "key": "server.key", "ca": "authority.pem"}
        if kind == "postgresql":
            server.more = ("--ssl=on", *(f"--ssl_{k}_file={server.folder / v}" for k, v in words.items()))
        else:
            server.more = tuple(f"--ssl-{k}={server.folder / v}" for k, v in words.items())
        server.start()
        yield server
