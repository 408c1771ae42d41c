"""Where the example's alerts arrive: an SMS gateway, a webhook and a mail server: python -m examples.crm.receivers.

They take everything, recognise a repetition by its id, and keep what came. They are as small as they can be, on
loopback, and nothing to copy: a real gateway wants a key, a real mail server TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

HTTP, SMTP = 8091, 8092  # as vdw.yml has them
HOST = "127.0.0.1"
LARGEST = 1 << 20  # bytes of a message


@dataclass(frozen=True, slots=True)
class Message:
    """What came: by `channel` (sms, desk or mail), to whom, and its text."""

    channel: str
    id: str
    to: str
    text: str


@dataclass(slots=True)
class Inbox:
    """What came, each id once by channel; `repeated` counts what came again. Ports are as they were taken."""

    messages: dict[tuple[str, str], Message] = field(default_factory=dict)
    repeated: int = 0
    http: int = 0
    smtp: int = 0
    told: Callable[[Message], None] = lambda _: None

    def url(self, kind: str) -> str:
        """Where a notifier of that kind posts."""
        return f"http://{HOST}:{self.http}/{'sms' if kind == 'sms' else 'desk'}"

    def take(self, message: Message) -> None:
        """Keep one, unless it is known."""
        if (message.channel, message.id) in self.messages:
            self.repeated += 1
            return
        self.messages[message.channel, message.id] = message
        self.told(message)

    def about(self, token: str, channel: str = "") -> list[Message]:
        """Those that name a complaint, in the order in which they came."""
        return [one for one in self.messages.values() if token in one.text and one.channel.startswith(channel)]


@contextlib.asynccontextmanager
async def receiving(http: int = 0, smtp: int = 0) -> AsyncIterator[Inbox]:
    """Both servers, on these ports of loopback or on free ones."""
    inbox = Inbox()

    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _closing(writer, _web(inbox, reader, writer))

    async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _closing(writer, _mail(inbox, reader, writer))

    async with (
        await asyncio.start_server(web, HOST, http, limit=LARGEST) as first,
        await asyncio.start_server(mail, HOST, smtp, limit=LARGEST) as second,
    ):
        inbox.http, inbox.smtp = (one.sockets[0].getsockname()[1] for one in (first, second))
        yield inbox


async def _closing(writer: asyncio.StreamWriter, work: Any) -> None:
    """A connection's work; that its client left is nothing to tell."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await work
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _web(inbox: Inbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """POSTs of one connection, one after the other."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        channel = request.split(" ")[1].strip("/")
        inbox.take(Message(channel, headers.get("idempotency-key", ""), body.get("to", ""), body.get("text", "")))
        answer = b'{"reference": "taken"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(f"Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()


async def _mail(inbox: Inbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One SMTP session."""
    writer.write(b"220 example.net ESMTP\r\n")
    while line := (await reader.readline()).strip():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 go on\r\n")
            raw = (await reader.readuntil(b"\r\n.\r\n"))[:-5].replace(b"\r\n..", b"\r\n.")
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            text = f"{mail['Subject']}\n{mail.get_content()}"
            inbox.take(Message("mail", str(mail["Message-ID"]), str(mail["To"]), text.strip()))
        writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 example.net\r\n")
        await writer.drain()
        if verb == b"QUIT":
            return


async def _main() -> None:
    async with receiving(HTTP, SMTP) as inbox:
        inbox.told = lambda one: print(f"{one.channel:5} {one.to:32} {one.text!r}", flush=True)
        print(
            f"SMS gateway and webhook on {HOST}:{inbox.http}, mail on {HOST}:{inbox.smtp}; Ctrl-C ends them", flush=True
        )
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
