"""The least that an HTTP client must do: one connection kept alive, so that asking costs the asker next to nothing."""

from __future__ import annotations

import asyncio
import base64


class Web:
    """A connection; one request at a time. ConnectionError where the server closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    @classmethod
    async def connect(cls, host: str, port: int, user: tuple[str, str] | None = None) -> Web:
        """A new connection, for a user with a password."""
        secret = base64.b64encode(":".join(user or ()).encode()).decode()
        head = f"Host: localhost\r\nAuthorization: Basic {secret}\r\n" if user else "Host: localhost\r\n"
        return cls(*await asyncio.open_connection(host, port, limit=1 << 20), head)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a JSON request."""
        return await self._exchange(f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n", body)

    async def get(self, path: str) -> tuple[int, bytes]:
        """The same of a GET."""
        return await self._exchange(f"GET {path} HTTP/1.1\r\n", b"")

    async def _exchange(self, head: str, body: bytes) -> tuple[int, bytes]:
        self._writer.write(f"{head}{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            told = await self._reader.readuntil(b"\r\n\r\n")
            return int(told[9:12]), await self._body(told.lower())
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("the server closed the connection") from None

    def close(self) -> None:
        """Leave, whatever is still to come."""
        self._writer.close()

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            pieces = []
            while size := int(await self._reader.readline(), 16):
                pieces.append(await self._reader.readexactly(size))
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
            return b"".join(pieces)
        _, found, rest = head.partition(b"content-length:")
        return await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0])) if found else b""
