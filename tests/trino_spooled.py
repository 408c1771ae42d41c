"""A private Trino that spools: large answers go to an S3 server, from which whoever asked fetches them."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace

from tests import s3_server, trino_server
from tests.s3_server import BUCKET, KEY, SECRET, S3Server
from tests.trino_server import TrinoServer


@contextlib.contextmanager
def running(**settings: object) -> Iterator[TrinoServer]:
    """A fresh server that hands out addresses at the S3 server; removed at the end, as that one."""
    with s3_server.running() as s3:
        own: dict[str, object] = {
            "protocol.spooling.enabled": "true",
            "protocol.spooling.shared-secret-key": base64.b64encode(secrets.token_bytes(32)).decode(),
            "protocol.spooling.inlining.enabled": "false",
            "protocol.spooling.initial-segment-size": "1kB",  # what is less comes in the answer itself all the same
            **settings,
        }
        with trino_server.running({"spooling-manager.properties": _manager(s3)}, **own) as server:
            server.store = replace(s3, process=None)
            yield server


def _manager(s3: S3Server) -> str:
    settings = {
        "spooling-manager.name": "filesystem",
        "fs.s3.enabled": "true",
        "fs.location": f"s3://{BUCKET}/spooled/",
        "fs.segment.encryption": "false",  # with the client's keys, which S3Proxy does not know
        "s3.endpoint": s3.endpoint,
        "s3.region": "us-east-1",
        "s3.path-style-access": "true",
        "s3.aws-access-key": KEY,
        "s3.aws-secret-key": SECRET,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
