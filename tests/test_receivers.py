"""The example's receivers, by clients of the standard library: what came, once each, however often it is sent."""

from __future__ import annotations

import asyncio
import http.client
import json
import smtplib
from email.message import EmailMessage

from examples.crm.receivers import HOST, Inbox, Message, receiving

TEXT = "T-1 is late\n.a line with a point\n日本町: zäh"


def post(inbox: Inbox, path: str, key: str) -> int:
    connection = http.client.HTTPConnection(HOST, inbox.http, timeout=30)
    for _ in range(2):  # twice, over one connection
        body = json.dumps({"to": "+1-555-0301", "text": TEXT}).encode()
        connection.request("POST", path, body, {"Idempotency-Key": key})
        answer = connection.getresponse()
        answer.read()
    connection.close()
    return answer.status


def mail(inbox: Inbox) -> None:
    message = EmailMessage()
    message["Subject"], message["To"], message["Message-ID"] = "Späte Beschwerde", "lead@example.net", "<1@example.net>"
    message.set_content(TEXT)
    with smtplib.SMTP(HOST, inbox.smtp, timeout=30) as server:
        server.send_message(message, "vdw@example.net")
        server.send_message(message, "vdw@example.net")


def test_what_came_is_kept_once() -> None:
    async def run() -> Inbox:
        async with receiving() as inbox:
            assert await asyncio.to_thread(post, inbox, "/sms", "k1") == 200
            assert await asyncio.to_thread(post, inbox, "/desk", "k1") == 200
            await asyncio.to_thread(mail, inbox)
        return inbox

    inbox = asyncio.run(run())
    assert inbox.repeated == 3
    sms, desk, letter = inbox.messages.values()
    assert sms == Message("sms", "k1", "+1-555-0301", TEXT)
    assert desk.channel == "desk"
    assert (letter.id, letter.to) == ("<1@example.net>", "lead@example.net")
    assert letter.text.splitlines() == ["Späte Beschwerde", *TEXT.splitlines()]
    assert inbox.about("T-1", "sms") == [sms]
    assert inbox.about("T-2") == []
