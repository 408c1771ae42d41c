"""Each channel against a real receiver: what comes, and what follows each kind of failure."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path

import pytest

from tests.watches.alarm import delivering, outbox, row, settled, states, until
from tests.watches.project import LATE, made
from tests.watches.receivers import Mail, Post, PostOffice, Web

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
    with delivering(folder) as out:
        out.see(row(7, 12))
        until(lambda: settled(folder, 1))
    (came,) = web.attempts
    (kept,) = outbox(folder)
    assert came.key == came.body["id"] == kept["id"]
    assert came.headers["Authorization"] == "Bearer s3cret"
    assert came.body["text"] == "Customer 7: 12 h late."
    assert came.body["row"]["hours_late"] == "12"
    assert (kept["state"], kept["reference"]) == ("sent", "r-1")


def test_a_gateway_gets_its_own_form(web: Web, tmp_path: Path) -> None:
    body = {"to": "{address}", "text": "{text}", "ref": "{id}"}
    sms = {"kind": "sms", "url": web.url, "encoding": "form", "body": body}
    folder = made(tmp_path, {"field": sms}, to('{notifier: field, address: "{phone}"}'))
    with delivering(folder) as out:
        out.see(row(7))
        until(lambda: settled(folder, 1))
    (came,) = web.attempts
    assert came.body == {"to": "+46700000007", "text": "Customer 7: 1 h late.", "ref": came.key}


def test_a_mail_arrives(office: PostOffice, tmp_path: Path) -> None:
    watch = to('{notifier: mail, address: "{mail}"}')
    folder = made(tmp_path, {"mail": post(office)}, watch)
    with delivering(folder) as out:
        out.see(row(2, 30))
        until(lambda: settled(folder, 1))
    (came,) = office.mails
    assert came.to == "c2@example.com"
    assert came.message["Subject"] == "Ticket 2 is late"
    assert came.message.get_content().strip() == "Customer 2: 30 h late."
    assert re.fullmatch(r"<[0-9a-f-]{36}@example\.com>", str(came.message["Message-ID"]))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_over_tls_with_a_password(
    security: str, authority: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "p4ss")
    path, context = authority
    office = PostOffice(context, ("vdw", "p4ss"), implicit=security == "tls")
    more = {"security": security, "authorities": str(path), "user": "vdw", "password": {"env": "MAIL_PASSWORD"}}
    folder = made(tmp_path, {"mail": post(office, host="localhost", **more)}, to('{notifier: mail, address: "{mail}"}'))
    try:
        with delivering(folder) as out:
            out.see(row(3))
            until(lambda: settled(folder, 1), str([dict(row) for row in outbox(folder)]))
    finally:
        office.close()
    (came,) = office.mails
    assert came.secure and came.to == "c3@example.com"


def test_a_webhook_over_tls_only_with_a_certificate(authority: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    path, context = authority
    secure = Web(context)
    known = {"desk": desk(secure, authorities=str(path)), "other": desk(secure)}
    folder = made(tmp_path, known, to("{notifier: desk}", "{notifier: other}"))
    try:
        with delivering(folder) as out:
            out.see(row(1))
            until(lambda: states(folder) and outbox(folder)[0]["state"] == "sent" and outbox(folder)[1]["error"])
    finally:
        secure.close()
    _, other = outbox(folder)
    assert len(secure.attempts) == 1
    assert other["state"] == "pending" and "CERTIFICATE_VERIFY_FAILED" in other["error"]


def test_what_may_pass_is_tried_again_under_the_same_id_and_bytes(web: Web, tmp_path: Path) -> None:
    answers = {0: 500, 1: -1, 2: 409, 3: 200}
    web.behave = lambda post, before: answers[before]
    folder = made(tmp_path, {"desk": desk(web)})
    with delivering(folder) as out:
        out.see(row(7))
        until(lambda: settled(folder, 1))
    assert len({(one.key, one.raw) for one in web.attempts}) == 1
    (kept,) = outbox(folder)
    assert (kept["state"], kept["attempts"], len(web.attempts)) == ("sent", 4, 4)


def test_a_time_out_after_the_receiver_took_it(web: Web, tmp_path: Path) -> None:
    def behave(_post: Post, before: int) -> int:
        if before == 0:
            time.sleep(1.5)
        return 200

    web.behave = behave
    folder = made(tmp_path, {"desk": desk(web, timeout="500ms")})
    with delivering(folder) as out:
        out.see(row(7))
        until(lambda: settled(folder, 1))
    until(lambda: len(web.delivered) == 1)
    assert len(web.attempts) == 2 and len(web.keys()) == 1


def test_a_receiver_that_says_when(web: Web, tmp_path: Path) -> None:
    web.behave = lambda post, before: (429, {"Retry-After": "1"}, b"slow down") if before == 0 else 200
    folder = made(tmp_path, {"desk": desk(web)})
    with delivering(folder) as out:
        out.see(row(1), row(2))
        until(lambda: settled(folder, 2))
    first, second, *_ = web.attempts
    assert first.key == second.key and second.at - first.at >= 0.95


def test_what_is_refused_for_good_is_put_aside_and_holds_nobody_up(
    web: Web, office: PostOffice, tmp_path: Path
) -> None:
    web.behave = lambda post, before: (422, {}, b"no such desk s3cret") if post.body["subject"] == "T1 is late" else 200
    office.refuse = lambda address: "550 unknown" if address.startswith("c1@") else ""
    watch = to("{notifier: desk}", '{notifier: mail, address: "{mail}"}').replace('"Ticket {', '"T{')
    folder = made(tmp_path, {"desk": desk(web), "mail": post(office)}, watch)
    with delivering(folder) as out:
        out.see(row(1), row(2))
        until(lambda: settled(folder, 4))
    found = {(row["notifier"], row["subject"]): row for row in outbox(folder)}
    assert found["desk", "T1 is late"]["state"] == found["mail", "T1 is late"]["state"] == "failed"
    assert found["desk", "T1 is late"]["error"].startswith("HTTP 422")
    assert found["mail", "T1 is late"]["error"].startswith("SMTP 550")
    assert found["desk", "T2 is late"]["state"] == found["mail", "T2 is late"]["state"] == "sent"
    assert len(web.attempts) == 2 and [mail.to for mail in office.mails] == ["c2@example.com"]


def test_a_mail_server_that_says_not_now(office: PostOffice, tmp_path: Path) -> None:
    said: list[Mail] = []

    def behave(mail: Mail) -> str:
        said.append(mail)
        return "451 later" if len(said) == 1 else "250 taken"

    office.behave = behave
    folder = made(tmp_path, {"mail": post(office)}, to('{notifier: mail, address: "{mail}"}'))
    with delivering(folder) as out:
        out.see(row(3))
        until(lambda: settled(folder, 1))
    assert [mail.id for mail in said] == [said[0].id] * 2
    assert said[0].raw == said[1].raw and len(office.mails) == 1


def test_a_dead_and_a_slow_channel_delay_nobody(web: Web, tmp_path: Path) -> None:
    slow = Web()
    slow.behave = lambda post, before: time.sleep(30) or 200  # type: ignore[func-returns-value]
    dead = {"kind": "webhook", "url": "http://127.0.0.1:9/none", "retry": FAST}
    told = {"dead": dead, "slow": desk(slow, timeout="20s"), "desk": desk(web)}
    folder = made(tmp_path, told, to("{notifier: dead}", "{notifier: slow}", "{notifier: desk}"))
    with delivering(folder) as out:
        out.see(*(row(i) for i in range(20)))
        until(lambda: len(web.delivered) == 20)
        waiting = [row for row in outbox(folder) if row["notifier"] != "desk"]
        assert len(waiting) == 40 and {row["state"] for row in waiting} <= {"pending", "sending"}
        out.see()
        until(lambda: states(folder).count("withdrawn") == 39)  # but for the one that is under way
    slow.close()


def test_a_redirect_is_not_followed(web: Web, tmp_path: Path) -> None:
    web.behave = lambda post, before: (302, {"Location": "http://127.0.0.1:9/elsewhere"}, b"")
    folder = made(tmp_path, {"desk": desk(web)})
    with delivering(folder) as out:
        out.see(row(7))
        until(lambda: settled(folder, 1))
    assert states(folder) == ["failed"] and len(web.attempts) == 1


def test_no_value_adds_a_header_and_no_bad_address_is_used(web: Web, office: PostOffice, tmp_path: Path) -> None:
    watch = to('{notifier: mail, address: "{mail}"}', '{notifier: field, address: "{customer}"}')
    watch = watch.replace('"Ticket {ticket_id} is late"', '"{customer}"')
    sms = {"kind": "sms", "url": web.url, "body": {"to": "{address}", "text": "{text}"}}
    folder = made(tmp_path, {"mail": post(office), "field": sms}, watch)
    eve = row(1, customer="Eve\r\nBcc: all@example.com\r\n\r\nhello", mail="eve@example.com")
    with delivering(folder) as out:
        out.see(eve, row(2, customer="Eve", mail="a@example.com, b@example.com"))
        until(lambda: settled(folder, 4))
    (came,) = office.mails
    assert came.message["Subject"] == "Eve Bcc: all@example.com hello" and came.message["Bcc"] is None
    assert [row["state"] for row in outbox(folder)] == ["sent", "failed", "failed", "failed"]
    assert web.attempts == []
