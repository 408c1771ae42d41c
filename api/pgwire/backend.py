"""Our side of one canon backend: which reply belongs to which message, and what of it the client sees.

Every message that the canon answers leaves an entry in a queue. Replies are matched to its head in the order
in which the canon sends them, so messages of the client, messages of our own (whose replies are kept back) and
answers that we make ourselves can be in flight together and still reach the client in the right order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from api.pgwire.packets import FLUSH, INT, SYNC, parse, read_data_row, read_error
from connectors.errors import Error, SourceError

PARSE, BIND, CLOSE, DESCRIBE, EXECUTE, SYNCED, QUERY, LOCAL, BARRIER, STARTUP = range(10)

_D, _d, _C, _E, _Z, _G, _S, _N, _A, _K, _R = b"DdCEZGSNAKR"
# Replies that end what the head of the queue waits for.
_ROWS = frozenset((_D, _d))
_ENDS = {
    PARSE: frozenset(b"1"),
    BIND: frozenset(b"2"),
    CLOSE: frozenset(b"3"),
    DESCRIBE: frozenset(b"Tn"),
    EXECUTE: frozenset(b"CIs"),
    SYNCED: frozenset(b"Z"),
    QUERY: frozenset(b"Z"),
    STARTUP: frozenset(b"Z"),
}
_LOCAL_KINDS = (LOCAL, BARRIER)
FAILING = parse(b"", b"fail")


class CanonError(Error):
    """An error that the canon raised: `raw` is its own ErrorResponse; `told` when the client has seen it."""

    def __init__(self, raw: bytes, told: bool = False) -> None:
        self.told = told
        self.fields = read_error(raw[5:])
        super().__init__(self.fields.get("M", ""), sqlstate=self.fields.get("C", "XX000"))
        self.raw = raw


class Out(Protocol):
    """Where a backend's replies go."""

    def write(self, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def setting(self, name: str, value: str) -> None: ...
    def command(self, tag: str) -> None: ...
    def ready(self) -> None: ...
    def secret(self, pid: int, key: bytes) -> None: ...
    def lost(self) -> None: ...


class Reply:
    """One entry of the queue. `patch` may change a shown message; `keep` collects those of a hidden one; `loud`
    shows an error where the rest is hidden; `future` is told of the end where this is the `last` that it waits for."""

    __slots__ = ("data", "future", "keep", "kind", "last", "loud", "patch", "shown")

    def __init__(
        self,
        kind: int,
        shown: bool = True,
        patch: Callable[[int, bytes], bytes] | None = None,
        keep: list[tuple[int, bytes]] | None = None,
        future: asyncio.Future[None] | None = None,
        data: bytes = b"",
        loud: bool = False,
        last: bool = True,
    ) -> None:
        self.kind, self.shown, self.patch, self.loud = kind, shown, patch, loud or shown
        self.keep, self.future, self.data, self.last = keep, future, data, last


class Backend(asyncio.Protocol):
    """One connection to the canon, past its startup."""

    def __init__(self, out: Out) -> None:
        self.out = out
        self.transport: asyncio.Transport | None = None
        self.queue: deque[Reply] = deque()
        self.status = "I"  # as the last ReadyForQuery had it
        self.unsynced = False  # something was sent since the last Sync
        self.failed = False  # the canon skips what comes until Sync
        self.copying = False  # the canon reads the client's CopyData
        self.heard = asyncio.Event()  # the canon has said its first word, or never will
        self.ready = asyncio.Event()  # the login is over, one way or the other
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = 5
        self._sending: list[bytes] = []
        self._drained: asyncio.Future[None] | None = None

    # -- asyncio's side -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.transport = None
        self._purge(SourceError("the canon closed the session", sqlstate="57P01"), everything=True)
        self._wake()
        self.heard.set()
        self.ready.set()
        self.out.lost()

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data: bytes) -> None:
        self._have += len(data)
        if self._pieces or self._have < self._need:
            self._pieces.append(data)
            if self._have < self._need:
                return
            data = b"".join(self._pieces)
        position = self._walk(data)
        rest = data[position:] if position else data
        self._pieces = [rest] if rest else []
        self._have = len(rest)
        self._need = 5 if self._have < 5 else int(INT.unpack_from(rest, 1)[0]) + 1
        self.out.flush()

    def _walk(self, data: bytes) -> int:
        """Handle the whole messages in `data`, writing those that are shown in runs; where the rest starts."""
        size, start, position = len(data), 0, 0
        unpack = INT.unpack_from
        while size - position >= 5:
            end = position + 1 + unpack(data, position + 1)[0]
            if end > size:
                break
            kind = data[position]
            if kind in _ROWS and self.queue and self.queue[0].shown:
                position = end
                continue
            shown = self._take(kind, data, position, end)
            if shown is not True:
                if start < position:
                    self.out.write(data[start:position])
                if shown:
                    self.out.write(shown)
                start = end
            position = end
            if self.queue and self.queue[0].kind in _LOCAL_KINDS:
                if start < position:
                    self.out.write(data[start:position])
                start = position
                self._release()
        if start < position:
            self.out.write(data[start:position] if start or position < size else data)
        return position

    # -- replies ------------------------------------------------------------------------------------------------

    def _take(self, kind: int, data: bytes, position: int, end: int) -> bytes | bool:
        """Account for one message: True to show it as it is, False to hide it, or what to show in its place."""
        if kind in (_S, _N, _A):
            if kind == _S:
                name, value, _ = data[position + 5 : end].split(b"\0", 2)
                self.out.setting(name.decode(), value.decode(errors="replace"))
            return True
        if not self.queue:
            return True  # a FATAL error of an idle session
        head = self.queue[0]
        if kind == _E:
            return self._error(head, data[position:end])
        if kind == _C and head.kind in (EXECUTE, QUERY):
            self._completed(head, data[position + 5 : end - 1].decode(errors="replace"))
        elif kind == _G:
            self._copy_in()
        elif kind == _R:
            self.heard.set()
        elif kind == _K:
            self.out.secret(INT.unpack_from(data, position + 5)[0], data[position + 9 : end])
        elif kind == _Z:
            self.status = chr(data[position + 5])
            self.ready.set()
            if head.shown:
                self.out.ready()
        if kind in _ENDS[head.kind]:
            self.queue.popleft()
            if head.future is not None and head.last and not head.future.done():
                head.future.set_result(None)
        if head.keep is not None:
            head.keep.append((kind, data[position:end]))
        if not head.shown:
            return False
        return head.patch(kind, data[position:end]) if head.patch is not None else True

    def _error(self, head: Reply, raw: bytes) -> bytes | bool:
        self.copying = False
        if head.kind == QUERY:
            return True
        self._purge(CanonError(raw, head.loud))
        if not head.loud:
            return False
        return head.patch(_E, raw) if head.patch is not None else True

    def _completed(self, head: Reply, tag: str) -> None:
        # Until the next ReadyForQuery: what a BEGIN, COMMIT or ROLLBACK in the middle has changed.
        after = {"BEGIN": "T", "START TRANSACTION": "T", "ROLLBACK": "T", "COMMIT": "I"}.get(tag)
        if after is not None and (tag != "ROLLBACK" or self.status == "E"):
            self.status = after
        if head.shown:
            self.out.command(tag)

    def _copy_in(self) -> None:
        # While it reads CopyData the canon ignores Sync, so those that stand behind the Execute get no answer.
        self.copying = True
        if self.queue[0].kind == EXECUTE:
            self.queue = deque(reply for reply in self.queue if reply.kind != SYNCED)

    def _purge(self, error: Error, everything: bool = False) -> None:
        """Drop what the canon skips: up to the next Sync."""
        while self.queue and (everything or self.queue[0].kind != SYNCED):
            reply = self.queue.popleft()
            if reply.future is not None and not reply.future.done():
                reply.future.set_exception(error)
                reply.future.exception()  # marks it as seen: nobody may be waiting any more
        if not everything and not self.queue:
            self.failed = True

    def _release(self) -> None:
        """What stands at the head and waits for nothing."""
        while self.queue and self.queue[0].kind in _LOCAL_KINDS:
            reply = self.queue.popleft()
            if reply.data:
                self.out.write(reply.data)
            if reply.future is not None and not reply.future.done():
                reply.future.set_result(None)

    # -- sending ------------------------------------------------------------------------------------------------

    def send(self, raw: bytes, reply: Reply | None = None) -> None:
        """Queue a message for the canon (flush sends it) with the reply that it will cause."""
        self._sending.append(raw)
        if reply is None:
            return
        self.queue.append(reply)
        if reply.kind in (SYNCED, QUERY):
            self.unsynced = self.failed = False
        else:
            self.unsynced = True

    def flush(self) -> None:
        """Hand what was sent to the socket."""
        if self._sending and self.transport is not None:
            self.transport.write(b"".join(self._sending) if len(self._sending) > 1 else self._sending[0])
        self._sending.clear()

    async def writable(self) -> None:
        """Wait while the canon does not read what it is sent."""
        if self._drained is not None:
            await self._drained

    def say(self, data: bytes) -> None:
        """Show the client a message of our own, behind the replies to everything sent so far."""
        if self.queue:
            self.queue.append(Reply(LOCAL, data=data))
        else:
            self.out.write(data)

    async def settle(self) -> bool:
        """Wait until all that was sent is answered; False when the canon now skips until Sync."""
        if self.queue:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.queue.append(Reply(BARRIER, future=future))
            self._sending.append(FLUSH)
            self.flush()
            try:
                await future
            except Error:
                return False
        return not self.failed

    async def ask(self, *messages: tuple[bytes, int]) -> list[tuple[int, bytes]]:
        """Send messages of our own, wait, and give the replies; CanonError when the canon says no.

        Each is (message, kind of its reply). The client sees nothing of it. A session that stood idle is
        synced again; else the client's own Sync ends what this has begun.
        """
        idle = not self.unsynced and not self.queue
        kept: list[tuple[int, bytes]] = []
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for number, (raw, kind) in enumerate(messages, 1):
            self.send(raw, Reply(kind, shown=False, keep=kept, future=future, last=number == len(messages)))
        if idle:
            self.send(SYNC, Reply(SYNCED, shown=False))
        else:
            self._sending.append(FLUSH)
        self.flush()
        await future
        return kept

    def future(self, failed: Callable[[], object]) -> asyncio.Future[None]:
        """For a Reply: `failed` is called if it turns out to be an error."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(it: asyncio.Future[None]) -> None:
            if not it.cancelled() and it.exception() is not None:
                failed()

        future.add_done_callback(done)
        return future

    def fail(self) -> None:
        """Put the canon's transaction into the failed state too: something of ours has failed."""
        if not self.failed and (self.unsynced or self.status != "I" or self.queue):
            self.send(FAILING, Reply(PARSE, shown=False))
            self.flush()
        self.failed = True

    def abort(self) -> None:
        """Drop the connection."""
        if self.transport is not None:
            self.transport.abort()


def rows(kept: list[tuple[int, bytes]]) -> list[list[bytes | None]]:
    """The rows among kept replies."""
    return [read_data_row(raw[5:]) for kind, raw in kept if kind == _D]
