"""How a connection is encrypted, and whom it believes: the same options for every connector."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.errors import SourceError

CHECK = "check host, port, database, user and password of its file in sources/, and that the server runs"

Mode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
SYSTEM = "system"
FILES = ("ca", "certificate", "key")


class Tls(BaseModel):
    """`tls:` of a source's connection."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mode: Mode = Field(
        default="verify-full",
        description="verify-full: the certificate is of an authority we trust and names the host; verify-ca: only the "
        "former; require: encrypted, to whomever; prefer: where the server can; disable: never",
    )
    ca: str = Field(
        default=SYSTEM, description="file of the certificate authorities (PEM), or `system`: the machine's own"
    )
    certificate: str | None = Field(
        default=None, description="file of our certificate (PEM), where the server asks for one"
    )
    key: str | None = Field(default=None, description="file of its private key (PEM), readable to us alone")
    passphrase: SecretStr | None = Field(default=None, description="of the private key, by reference")

    @model_validator(mode="after")
    def _sane(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.mode == "disable" and self.certificate is not None:
            raise ValueError("a certificate is of no use where mode is disable")
        return self

    @property
    def verifies(self) -> bool:
        """Whether the server has to prove who it is."""
        return self.mode in ("verify-ca", "verify-full")

    @property
    def authorities(self) -> str:
        """The file (or folder) of the authorities that are trusted."""
        if self.ca != SYSTEM:
            return self.ca
        paths = ssl.get_default_verify_paths()
        return paths.cafile or paths.capath or paths.openssl_cafile


def chosen(tls: Tls | None, *hosts: str | None) -> Tls:
    """What counts for these hosts (None: a Unix socket). Where nothing is said, a server elsewhere has to prove who it
    is, and one on this machine need not."""
    if tls is not None:
        return tls
    return Tls(mode="prefer") if all(map(local, hosts)) else Tls()


def local(host: str | None) -> bool:
    """Whether that is this machine: a Unix socket (its folder, or None) or a loopback address.

    >>> local(None), local("/run/postgresql"), local("127.0.0.2"), local("db.internal")
    (True, True, True, False)
    """
    if host is None or not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def context(tls: Tls) -> ssl.SSLContext:
    """What it says as Python's ssl has it. OSError where a file of it cannot be read."""
    made = ssl.create_default_context(cafile=None if tls.ca == SYSTEM else tls.ca)
    made.check_hostname = tls.mode == "verify-full"
    made.verify_mode = ssl.CERT_REQUIRED if tls.verifies else ssl.CERT_NONE
    if tls.certificate is not None:
        # without any passphrase the terminal would be asked for it
        made.load_cert_chain(tls.certificate, tls.key, tls.passphrase.get_secret_value() if tls.passphrase else "")
    return made


def placed(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """`tls:` as written, its files (a path, or {file: path}) found from the project's folder."""
    found = dict(options)
    for key in FILES:
        value = found.get(key)
        if isinstance(value, Mapping) and set(value) == {"file"}:
            value = value["file"]
        if isinstance(value, str) and not (key == "ca" and value == SYSTEM):
            found[key] = str(folder / value)
    return found


def unreachable(source: str, server: str, tls: Tls, why: str, check: str = CHECK) -> SourceError:
    """08001, with the reason in `detail`; `check` is the remedy where it was not for TLS's sake."""
    return SourceError(
        f'cannot connect to source "{source}" ({server})',
        sqlstate="08001",
        detail=why,
        hint=reason(tls, why) or check,
    )


def reason(tls: Tls, detail: str) -> str:
    """What to do about a connection that failed with that message; '' where it was not for TLS's sake."""
    text = detail.lower()
    if any(word in text for word in ("private key", "bad decrypt", "processing error")):
        return "check tls: {key, passphrase}"
    if not any(word in text for word in ("ssl", "tls", "certificate")):
        return ""
    if "client certificate" in text or "certificate required" in text:
        return "the server asks for a certificate of ours: tls: {certificate: FILE, key: FILE}"
    if "expired" in text:
        return "the server's certificate has expired: its owner has to renew it"
    if not tls.verifies:
        return "see tls: in its file in sources/"
    return (
        "name its authority's file in tls: {ca: FILE}, and the host as its certificate does; without TLS at the "
        "server, and on a network that you trust, write tls: {mode: disable}"
    )
