"""Trino's spooling protocol: parts of an answer that lie in a store, from which they are fetched and unpacked."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import lz4.block
import orjson
import requests
import zstandard

from connectors.tls import Tls, local
from connectors.trino.driver import FAULTS, Access, Line, Unfetched

Rows = list[list[Any]]
ENCODINGS = ["json+zstd", "json+lz4", "json"]  # the best first
_PROMPT = 2.0  # seconds for what nobody waits for


class Segments:
    """What one statement's answer has elsewhere. `cut` may be called by other threads."""

    def __init__(self, access: Access, deadline: float, patient: Callable[..., requests.Response]) -> None:
        """`patient(ask)` asks again what a server cannot answer just now."""
        self._access = access
        self._deadline = deadline
        self._patient = patient
        self._lines: dict[bool, Line] = {}  # to the coordinator without saying who asks, and to others
        self._thanked = True

    def rows(self, data: Mapping[str, Any]) -> Iterator[Rows]:
        """Rows of each of a page's segments; the server is told of those that are here."""
        for segment in data["segments"]:
            where = "the answer itself" if segment["type"] == "inline" else _place(segment["uri"])
            with _whole(where):
                rows = unpacked(self._packed(segment), str(data["encoding"]), segment["metadata"])
            yield rows
            if "ackUri" in segment and self._thanked:
                self._thank(segment)

    def cut(self) -> None:
        """Whoever reads gets an error at once."""
        for line in list(self._lines.values()):
            line.cut()

    def close(self) -> None:
        """Close what is open."""
        for line in self._lines.values():
            line.close()

    def _packed(self, segment: Mapping[str, Any]) -> bytes:
        if segment["type"] == "inline":
            return base64.b64decode(segment["data"])
        address = segment["uri"]
        line, headers = self._line(address), _headers(segment)
        line.deadline = self._deadline
        try:
            answer = self._patient(lambda: line.get(address, headers=headers))
        except requests.RequestException as error:
            raise Unfetched(_place(address), type(error).__name__) from error
        if not answer.ok:
            raise Unfetched(_place(address), f"HTTP status {answer.status_code}")
        return answer.content

    def _thank(self, segment: Mapping[str, Any]) -> None:
        """The server may delete it now, and does so later where it does not hear this."""
        address = segment["ackUri"]
        line = self._line(address)
        line.deadline = min(self._deadline, time.monotonic() + _PROMPT)
        self._thanked = False
        with contextlib.suppress(*FAULTS):
            self._thanked = line.get(address, headers=_headers(segment)).ok

    def _line(self, address: str) -> Line:
        parts = urlsplit(address)
        own = parts.netloc == f"{self._access.host}:{self._access.port}"
        if parts.scheme != "https" and self._access.scheme == "https" and not local(parts.hostname):
            raise Unfetched(_place(address), "the connection is to be encrypted, and that address is not")
        if own not in self._lines:
            self._lines[own] = Line(self._access, self._access.tls if own else Tls())
        return self._lines[own]


def unpacked(packed: bytes, encoding: str, metadata: Mapping[str, Any]) -> Rows:
    """Rows of a segment's bytes; ValueError where these are damaged."""
    size = metadata.get("uncompressedSize")  # without it they were too few to be packed
    if size is not None:
        packed = _unpacked(packed, encoding, int(size))
        if len(packed) != int(size):
            raise ValueError(f"{len(packed)} bytes where {size} were told")
    rows: Rows = orjson.loads(packed)
    if len(rows) != metadata.get("rowsCount", len(rows)):
        raise ValueError(f"{len(rows)} rows where {metadata['rowsCount']} were told")
    return rows


def _unpacked(packed: bytes, encoding: str, size: int) -> bytes:
    try:
        if encoding == "json+lz4":
            return bytes(lz4.block.decompress(packed, uncompressed_size=size))
        return bytes(zstandard.ZstdDecompressor().decompress(packed, max_output_size=size))
    except (zstandard.ZstdError, lz4.block.LZ4BlockError) as error:
        raise ValueError(str(error)) from error


@contextlib.contextmanager
def _whole(place: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise Unfetched(place, f"it is damaged ({type(error).__name__})") from error


def _headers(segment: Mapping[str, Any]) -> dict[str, str]:
    return {name: ", ".join(values) for name, values in segment.get("headers", {}).items()}


def _place(address: str) -> str:
    """Without what lets anybody read it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
