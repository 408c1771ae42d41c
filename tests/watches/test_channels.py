"""Each channel against a real receiver: what comes, and what follows each kind of failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.watches.alarm import alarm, outbox, settled, until
from tests.watches.project import LATE, made, opened
from tests.watches.receivers import PostOffice, Web

FAST = {"first": "50ms", "most": "100ms"}


def desk(web: Web, **more: object) -> dict[str, object]:
    return {"kind": "webhook", "url": web.url, "retry": FAST, **more}


def post(office: PostOffice, **more: object) -> dict[str, object]:
    told = {"kind": "smtp", "host": "127.0.0.1", "port": office.port, "security": "none"}
    return {**told, "sender": "CRM alerts <crm@example.com>", "retry": FAST, **more}


def to(*lines: str) -> str:
    """The watch with other recipients."""
    return LATE.replace("      - {notifier: desk}\n", "".join(f"      - {line}\n" for line in lines))


def test_a_webhook_gets_the_whole_alert(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_TOKEN", "Bearer s3cret")
    folder = made(tmp_path, {"desk": desk(web, headers={"Authorization": {"env": "DESK_TOKEN"}})})
    opened(folder, [7], hours=12)
    with alarm(folder):
        until(lambda: settled(folder, 1))
    (came,) = web.attempts
    (kept,) = outbox(folder)
    assert came.key == came.body["id"] == kept["id"]
    assert came.headers["Authorization"] == "Bearer s3cret"
    assert came.body["text"] == "Customer 7: 12 h late."
    assert came.body["row"]["grave"] is True
    assert (kept["state"], kept["reference"]) == ("sent", "r-1")


def test_a_gateway_gets_its_own_form(web: Web, tmp_path: Path) -> None:
    body = {"to": "{address}", "text": "{text}", "ref": "{id}"}
    sms = {"kind": "sms", "url": web.url, "encoding": "form", "body": body}
    folder = made(tmp_path, {"field": sms}, to('{notifier: field, address: "{phone}"}'))
    opened(folder, [7])
    with alarm(folder):
        until(lambda: settled(folder, 1))
    (came,) = web.attempts
    assert came.body == {"to": "+46700000007", "text": "Customer 7: 1 h late.", "ref": came.key}


def test_a_mail_arrives(office: PostOffice, tmp_path: Path) -> None:
    watch = to('{notifier: mail, address: "{mail}", when: grave}')
    folder = made(tmp_path, {"mail": post(office)}, watch)
    opened(folder, [1])
    opened(folder, [2], hours=30)
    with alarm(folder):
        until(lambda: settled(folder, 1))
    (came,) = office.mails
    assert came.to == "c2@example.com"
    assert came.message["Subject"] == "Ticket 2 is late"
    assert came.message.get_content().strip() == "Customer 2: 30 h late."
    assert re.fullmatch(r"<[0-9a-f-]{36}@example\.com>", str(came.message["Message-ID"]))
