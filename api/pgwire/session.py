"""One client's session: it logs in at the canon through us; its messages go there unless they are ours to answer."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import ssl
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api import errors
from api.pgwire import packets
from api.pgwire.backend import QUERY, STARTUP, SYNCED, Backend, Reply
from api.pgwire.client import Client, Gone
from api.pgwire.handover import Handover
from api.pgwire.settings import Settings
from connectors.errors import Error, LimitExceeded, QueryError, SourceError

if TYPE_CHECKING:
    from api.pgwire.server import Server

LOG = logging.getLogger("vdw.pgwire")
LOGIN_TIME = 60.0  # seconds that a client may take to log in


class Session:
    """A client and its canon backend."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        self.backend = Backend(self)
        self.settings = Settings(server.timeout)
        self.handover = Handover(self)
        self.user = ""
        self.key = (0, b"")
        self._closing = False
        client.left.append(self._left)
        client.stalled = self._stalled
        self._task = asyncio.get_running_loop().create_task(self._run())

    # -- what the backend tells (backend.Out) -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.client.write(data)

    def flush(self) -> None:
        if self.client.waits:
            self.client.flush()

    def setting(self, name: str, value: str) -> None:
        self.settings.reported(name, value)

    def command(self, tag: str) -> None:
        self.handover.command(tag)

    def ready(self) -> None:
        self.handover.ready()

    def secret(self, pid: int, key: bytes) -> None:
        self.key = (pid, key)
        self.server.sessions[self.key] = self

    def lost(self) -> None:
        """The canon's backend is gone, and with it everything that the session was."""
        self.handover.cancel(SourceError("the canon restarted", sqlstate="57P01"))
        if self.client.transport is not None:
            self.client.close()

    # -- life ---------------------------------------------------------------------------------------------------

    def _left(self) -> None:
        self._closing = True
        self.handover.cancel(LimitExceeded("the client left", sqlstate="57014"))
        self._task.cancel()

    def _stalled(self, stalled: bool) -> None:
        transport = self.backend.transport
        if transport is not None and not transport.is_closing():
            transport.pause_reading() if stalled else transport.resume_reading()

    def cancel(self) -> None:
        """A CancelRequest of this session's client has come."""
        self.handover.cancel(LimitExceeded("canceling statement due to user request", sqlstate="57014"))
        self.stop_canon()

    def stop_canon(self) -> None:
        """Stop what the session's own backend does now."""
        asyncio.get_running_loop().create_task(self._cancel_canon())

    async def _cancel_canon(self) -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(self.server.socket)
            pid, key = self.key
            writer.write(struct.pack("!iii", 12 + len(key), packets.CANCEL_REQUEST, pid) + key)
            await writer.drain()
            writer.close()

    async def stop(self, reason: Error) -> None:
        """End the session, telling its client why."""
        if self.client.transport is not None:
            self.write(packets.error(errors.letters(reason, "FATAL")))
            self.client.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            try:
                async with asyncio.timeout(LOGIN_TIME):
                    ready = await self._login()
            except TimeoutError:
                raise LimitExceeded("canceling authentication due to timeout", sqlstate="57014") from None
            while ready:
                await self._message(await self.client.next())
                if not self.client.messages:
                    self.backend.flush()
                    self.client.flush()
        except Gone:
            pass
        except asyncio.CancelledError:
            if not self._closing:
                raise
        except Exception as error:
            self.write(packets.error(errors.letters(error, "FATAL")))
        finally:
            await self._end()

    async def _end(self) -> None:
        self.server.sessions.pop(self.key, None)
        self.server.open.discard(self)
        self.client.close()
        if self.backend.transport is not None and not self.backend.transport.is_closing():
            self.backend.transport.write(packets.TERMINATE)
            self.backend.transport.close()
        await self.handover.close()

    # -- login --------------------------------------------------------------------------------------------------

    async def _login(self) -> bool:
        """Whether the client is in; False when it wanted something else (a cancel)."""
        options = await self._startup()
        if options is None:
            return False
        self.client.typed()
        self._admit(options)
        self.user = self.server.role(options["user"])
        async with self.server.logins:
            await self._connect(options)
            await self.backend.heard.wait()
        while self.backend.status == "?" and self.backend.transport is not None:
            await self._answer()
        if self.backend.transport is None:
            return False
        self.client.trust(self.server.message_limit)
        self.settings.started(self.user, options)
        return True

    async def _answer(self) -> None:
        """Carry the client's half of the authentication until the canon says that it is ready."""
        coming = asyncio.ensure_future(self.client.next())
        ready = asyncio.ensure_future(self.backend.ready.wait())
        try:
            await asyncio.wait((coming, ready), return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                raw = coming.result()
                if raw[0] == ord("p"):
                    self.backend.send(raw)
                    self.backend.flush()
                else:
                    self.client.messages.appendleft(raw)
                    self.client.waiting += len(raw)
                    await self.backend.ready.wait()
        finally:
            coming.cancel()
            ready.cancel()

    async def _startup(self) -> dict[str, str] | None:
        while True:
            raw = await self.client.next()
            (code,) = packets.INT.unpack_from(raw, 4)
            if code == packets.SSL_REQUEST:
                await self._tls()
            elif code == packets.GSS_REQUEST:
                self.write(b"N")
            elif code == packets.CANCEL_REQUEST:
                (pid,) = packets.INT.unpack_from(raw, 8)
                self.server.cancel(pid, raw[12:])
                return None
            else:
                return self._options(raw, code)

    async def _tls(self) -> None:
        transport = self.client.transport
        if self.server.tls is None or self.client.secure or transport is None:
            self.write(b"N")
            return
        if self.client.cutter.rest:
            # What came before the handshake is not encrypted: somebody put it there (CVE-2021-23214).
            raise QueryError("received unencrypted data after SSL request", sqlstate="08P01")
        transport.pause_reading()
        transport.write(b"S")
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(transport, self.client, self.server.tls, server_side=True)
        except (OSError, ssl.SSLError) as error:
            LOG.info("TLS handshake failed: %s", error)
            raise Gone from None
        self.client.transport = secured
        self.client.secure = True

    def _options(self, raw: bytes, code: int) -> dict[str, str]:
        if code >> 16 != 3:
            text = f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: server supports 3.0"
            raise QueryError(text, sqlstate="0A000")
        words = [word.decode(errors="replace") for word in raw[8:].split(b"\0")]
        options = dict(zip(words[:-2:2], words[1:-1:2], strict=False))
        unknown = [name for name in options if name.startswith("_pq_.")]
        if code & 0xFFFF or unknown:
            names = b"".join(packets.string(name) for name in unknown)
            self.write(packets.message(b"v", struct.pack("!ii", 0, len(unknown)), names))
        return {name: value for name, value in options.items() if name and name not in unknown}

    def _admit(self, options: Mapping[str, str]) -> None:
        user = options.get("user")
        if not user:
            raise QueryError("no PostgreSQL user name specified in startup packet", sqlstate="28000")
        if options.get("replication", "false") not in ("false", "off", "no", "0"):
            raise QueryError("replication is not offered", sqlstate="0A000")
        if not self.client.secure and not self._local():
            raise QueryError(
                "connections from other machines must use TLS", sqlstate="28000", hint="Connect with sslmode=require."
            )
        self.server.admit(user)

    def _local(self) -> bool:
        peer = self.client.transport.get_extra_info("peername") if self.client.transport is not None else None
        if not isinstance(peer, tuple):
            return True
        return ipaddress.ip_address(str(peer[0]).split("%")[0]).is_loopback

    async def _connect(self, options: Mapping[str, str]) -> None:
        database = options.get("database", "")
        known = database in ("", options["user"], *self.server.databases)
        login = {**options, "user": self.user, "database": self.server.database if known else database}
        body = b"".join(packets.string(name) + packets.string(value) for name, value in login.items()) + b"\0"
        self.backend.status = "?"
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: self.backend, self.server.socket)
        except OSError as error:
            raise SourceError(
                "the canon cannot be reached",
                sqlstate="57P03",
                detail=str(error),
                hint="The embedded PostgreSQL is being restarted: try again in a moment.",
            ) from None
        raw = struct.pack("!ii", len(body) + 8, packets.PROTOCOL_3) + body
        self.backend.send(raw, Reply(STARTUP))
        self.backend.flush()

    # -- messages -----------------------------------------------------------------------------------------------

    async def _message(self, raw: bytes) -> None:
        kind = raw[:1]
        if self.backend.failed and kind not in b"SXdcf":
            return  # an error makes the rest void until Sync
        if kind in b"dcf":
            await self._copy(kind, raw)
        elif kind == b"S":
            self.sync()
        elif kind == b"H":
            self.backend.send(raw)
        elif kind == b"X":
            raise Gone
        elif kind == b"F":
            self.backend.send(raw, Reply(QUERY))
        elif (handler := self.handover.handlers.get(kind)) is not None:
            await handler(raw)
            await self.backend.writable()
        else:
            raise QueryError(f"invalid frontend message type {kind[0]}", sqlstate="08P01")

    async def _copy(self, kind: bytes, raw: bytes) -> None:
        self.backend.send(raw)
        if kind != b"d":
            self.backend.copying = False
        if self.client.waiting < 65536:
            self.backend.flush()
        await self.backend.writable()

    def sync(self) -> None:
        """The client's Sync, or the end of its simple Query."""
        backend, raw = self.backend, packets.SYNC
        if backend.copying:
            backend.send(raw)  # ignored there: it reads CopyData
        elif backend.unsynced or backend.queue:
            backend.send(raw, Reply(SYNCED))
        else:
            backend.failed = False
            self.write(packets.ready(backend.status))
            self.handover.ready()
