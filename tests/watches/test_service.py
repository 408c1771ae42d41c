"""Watches of a served project: what is asked, what is believed, who sends, and what people see and do."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.watches.service import Alerts
from tests.command_line import Cli
from tests.watches.alarm import Alarm, outbox, settled, states, until
from tests.watches.project import LATE, closed, made, opened
from tests.watches.receivers import Web
from views.load import load

USERS = {
    "alarm": {"password": {"file": "secret"}, "reads": ["support.*"]},
    "guest": {"password": {"file": "secret"}, "reads": ["support.other"]},
    "root": {"password": {"file": "secret"}, "reads": ["*"], "admin": True},
}
WATCH = LATE.replace("    key: [ticket_id]\n", "    key: [ticket_id]\n    user: alarm\n")


@pytest.fixture
def desk(web: Web, tmp_path: Path) -> Path:
    """The project's folder."""
    retry = {"first": "50ms", "most": "100ms"}
    folder = made(
        tmp_path / "project", {"desk": {"kind": "webhook", "url": web.url, "retry": retry}}, WATCH, users=USERS
    )
    (folder / "secret").write_text("x")
    return folder


@pytest.fixture
def served(desk: Path) -> Iterator[Alarm]:
    alarm = Alarm(desk)
    yield alarm
    alarm.close()


def test_it_tells_once_and_survives_a_restart(web: Web, desk: Path) -> None:
    opened(desk, [1, 2])
    first = Alarm(desk)
    try:
        assert first.serving.diagnostics == []
        until(lambda: settled(desk, 2))
    finally:
        first.close()
    opened(desk, [3])
    closed(desk, [1])
    second = Alarm(desk)
    try:
        until(lambda: settled(desk, 3))
        until(lambda: second.sql("SELECT * FROM vdw.breaches WHERE cleared IS NOT NULL"))
    finally:
        second.close()
    assert [one.body["key"]["ticket_id"] for one in web.attempts] == ["1", "2", "3"]


def test_a_notifiers_secret_is_taken_anew_and_a_program_that_hangs_stops_nobody(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its courier begins anew with it; the server answers while another notifier's program is waited for."""
    monkeypatch.setattr("api.watches.service.LIVE", 0.05)
    monkeypatch.setattr("views.secret_command.TIMEOUT", 600.0)
    slow = {"kind": "webhook", "url": {"command": ["sh", "-c", "echo > begun; while ! [ -e go ]; do sleep 0.05; done"]}}
    desk = {"kind": "webhook", "url": web.url, "headers": {"X-Token": {"file": "token"}}}
    folder = made(tmp_path / "project", {"desk": desk, "slow": slow})
    (folder / "token").write_text("first")
    opened(folder, [1])
    alarm = Alarm(folder)
    try:
        until(lambda: (folder / "begun").exists())
        assert alarm.sql("SELECT 1 AS one")
        (folder / "go").touch()
        until(lambda: settled(folder, 1))
        part = folder / "part"
        part.write_text("second")
        os.utime(part, (1, 1))
        part.replace(folder / "token")
        numbers = iter(range(2, 1000))

        def told_anew() -> bool:
            opened(folder, [number := next(numbers)])
            until(lambda: settled(folder, number))
            return web.attempts[-1].headers["X-Token"] == "second"

        until(told_anew)
    finally:
        (folder / "go").touch()
        alarm.close()
    assert web.attempts[0].headers["X-Token"] == "first"


def test_of_two_servers_one_sends_and_the_other_takes_over(web: Web, desk: Path, served: Alarm) -> None:
    until(lambda: served.alerts.leads)
    other = Alerts(served.serving.runtime)
    task = served.serving.wait(_started(other))
    opened(desk, [1])
    until(lambda: settled(desk, 1))
    assert not other.leads and len(web.attempts) == 1
    served.serving.wait(_stopped(served))
    opened(desk, [2])
    until(lambda: other.leads and settled(desk, 2))
    assert [one.body["key"]["ticket_id"] for one in web.attempts] == ["1", "2"]
    served.serving.wait(_cancelled(task))


VIEW = """/*---
view: desk.tickets
description: All tickets.
on_source_down: {support: partial}
---*/
select * from support.tickets
"""


@pytest.mark.parametrize(("relation", "state"), [("support.tickets", "failed"), ("desk.tickets", "partial")])
def test_an_answer_that_fails_or_lacks_a_source_changes_nothing(
    web: Web, desk: Path, relation: str, state: str
) -> None:
    (desk / "views" / "desk").mkdir(parents=True)
    (desk / "views" / "desk" / "tickets.view.sql").write_text(VIEW)
    file = desk / "watches" / "late.yml"
    file.write_text(file.read_text().replace("support.tickets", relation).replace("user: alarm", "user: root"))
    opened(desk, [1])
    served = Alarm(desk)
    try:
        until(lambda: settled(desk, 1))
        control = served.serving.runtime.control
        served.serving.wait(control.disable("source", "support", "to see it", "me"))
        told = "SELECT state, breaches, reason FROM vdw.watches"
        until(lambda: served.sql(told)[0]["state"] == state, str(served.sql(told)))
        time.sleep(0.3)
        assert served.sql(told)[0]["breaches"] == 1 and "support" in served.sql(told)[0]["reason"]
        served.serving.wait(control.enable("source", "support"))
        until(lambda: served.sql(told)[0]["state"] == "ok")
        assert len(web.attempts) == 1 and served.sql("SELECT cleared FROM vdw.breaches") == [{"cleared": None}]
        closed(desk, [1])
        until(lambda: served.sql(told)[0]["breaches"] == 0)
    finally:
        served.close()


def test_a_reload_changes_the_watches_and_keeps_what_is_known(web: Web, desk: Path, served: Alarm) -> None:
    opened(desk, [1])
    until(lambda: settled(desk, 1))
    file = desk / "watches" / "late.yml"
    good = file.read_text()
    file.write_text(good.replace("support.tickets", "support.nothing"))
    served.serving.wait(served.serving.runtime.reload())
    assert any('watch "late"' in told and "watches/late.yml:4" in told for told in served.serving.diagnostics)
    until(lambda: served.sql("SELECT state FROM vdw.watches") == [{"state": "failed"}])
    file.write_text(good.replace("h late.", "hours late."))
    opened(desk, [2])
    served.serving.wait(served.serving.runtime.reload())
    until(lambda: settled(desk, 2))
    assert [one.body["text"] for one in web.attempts] == ["Customer 1: 1 h late.", "Customer 2: 1 hours late."]


def test_who_may_see_what(desk: Path, served: Alarm) -> None:
    opened(desk, [1])
    until(lambda: settled(desk, 1))
    (mine,) = served.sql("SELECT state, address, subject FROM vdw.alerts", user="alarm")
    assert mine == {"state": "sent", "address": None, "subject": "Ticket 1 is late"}
    assert served.sql("SELECT address FROM vdw.alerts", user="root") == [{"address": ""}]
    for table in ("watches", "breaches", "alerts"):
        assert served.sql(f"SELECT * FROM vdw.{table}", user="guest") == []
    receipts = "SELECT sum(statements) > 0 AS asked FROM vdw.receipts WHERE protocol = 'watch' AND username = 'alarm'"
    until(lambda: served.sql(receipts) == [{"asked": True}])


def test_the_metrics_tell_of_what_says_nothing(web: Web, desk: Path, served: Alarm) -> None:
    from api.metrics import Meters
    from api.watches.meters import AlertMeters

    web.behave = lambda post, before: 400
    opened(desk, [1])
    until(lambda: settled(desk, 1))
    meters = Meters(served.serving.runtime.engine, AlertMeters(served.serving.runtime))

    def told() -> str:
        async def read() -> str:
            return meters.exposition().decode()

        return served.serving.wait(read())

    until(lambda: 'vdw_alerts{notifier="desk",state="failed"} 1.0' in told())
    assert 'vdw_alert_attempts_total{notifier="desk",outcome="refused"} 1.0' in told()
    assert 'vdw_watch_breaches{watch="late"} 1.0' in told()
    assert "vdw_alerts_leader 1.0" in told() and 'vdw_notifier_up{notifier="desk"} 1.0' in told()


async def _started(alerts: Alerts) -> object:
    return asyncio.create_task(alerts.run())


async def _cancelled(task: object) -> None:
    assert isinstance(task, asyncio.Task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _stopped(served: Alarm) -> None:
    await served.alerts._close()
    served.alerts._look = _never  # type: ignore[method-assign]


async def _never() -> None:
    pass


# -- files


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("{notifier: desk}", "{notifier: dekk}"),
            '13: there is no notifier "dekk" in vdw.yml',
        ),
        (("user: alarm", "user: alrm"), '7: there is no user "alrm" in vdw.yml'),
        (("    user: alarm\n", ""), "1: `user` is missing: there are users"),
        (
            ("{notifier: desk}", "{notifier: desk, when: 'a +'}"),
            "13: `when` is not a SQL condition",
        ),
        (
            ("{customer}:", "{customer!r}:"),
            '11: `alert.text`: the placeholder "customer" has a format',
        ),
        (("select ticket_id", "delete from x; select ticket_id"), "2: "),
        (("every: 100ms", "every: 1ms"), "8: `every` is too short"),
        (("every: 100ms", "evry: 100ms"), "8: unknown key `evry`"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(desk: Path, change: tuple[str, str], told: str) -> None:
    file = desk / "watches" / "late.yml"
    assert change[0].lstrip() in file.read_text()
    file.write_text(file.read_text().replace(change[0].lstrip(), change[1].lstrip()))
    found = [f"{one.file}:{one.line}: {one.message}" for one in load(desk).diagnostics]
    line, _, message = told.partition(": ")
    places = (f"watches/late.yml:{line}: {message}", f'watches/late.yml:{line}: watch "late": {message}')
    assert [one for one in found if one.startswith(places)], found
    assert "late" not in load(desk).watches


@pytest.mark.parametrize(
    ("notifier", "told"),
    [
        ({"kind": "fax"}, "notifiers.desk.kind"),
        ({"kind": "webhook"}, "kind webhook needs `url`"),
        ({"kind": "webhook", "url": "ftp://x"}, "no http:// or https:// URL"),
        ({"kind": "webhook", "url": "https://u:p@x/"}, "a password stands in the URL"),
        (
            {"kind": "webhook", "url": "https://x", "headers": {"Authorization": "s3cret"}},
            "a secret stands here",
        ),
        ({"kind": "webhook", "url": "https://x", "host": "y"}, "`host` is not for kind webhook"),
        ({"kind": "sms", "url": "https://x"}, "kind sms needs `body`"),
        ({"kind": "sms", "url": "https://x", "body": {"to": "{adress}"}}, 'an alert has no "adress"'),
        ({"kind": "smtp", "host": "x", "sender": "a@b", "password": "s3cret"}, "a secret stands here"),
        ({"kind": "smtp", "host": "x", "sender": "a@b", "user": "u"}, "`user` and `password` go together"),
    ],
)
def test_what_is_wrong_with_a_notifier(tmp_path: Path, notifier: dict[str, object], told: str) -> None:
    (tmp_path / "vdw.yml").write_text(json.dumps({"name": "x", "notifiers": {"desk": notifier}}))
    found = [str(one) for one in load(tmp_path).diagnostics]
    assert [one for one in found if told in one and one.startswith("vdw.yml:1")], found
    assert not [one for one in found if "s3cret" in one]


def test_columns_are_checked_against_the_query(desk: Path) -> None:
    from tests.serving import Serving

    file = desk / "watches" / "late.yml"
    text = file.read_text().replace("{customer}:", "{custmer}:").replace("key: [ticket_id]", "key: [ticket]")
    text = text.replace("user: alarm", "user: guest").replace("{notifier: desk}", "{notifier: desk, when: hours > 3}")
    file.write_text(text)
    serving = Serving(desk)
    told = serving.diagnostics
    serving.close()
    assert told == [
        'watches/late.yml:13: error: watch "late": column "hours" does not exist',
        'watches/late.yml:6:7: error: watch "late": the query has no column "ticket" '
        "(did you mean `ticket_id`? known: customer, grave, hours_late, mail, phone, ticket_id)",
        'watches/late.yml:11:3: error: watch "late": the query has no column "custmer" for {custmer} '
        "(did you mean `customer`? known: customer, grave, hours_late, mail, phone, ticket_id)",
        'watches/late.yml:7:1: error: watch "late": user "guest" may not read support.tickets '
        "(add it to the user's `reads` in vdw.yml, or name another user)",
    ]


def test_check_tells_secrets_that_are_missing(desk: Path, vdw: Cli) -> None:
    file = desk / "vdw.yml"
    file.write_text(
        file.read_text().replace("    kind: webhook\n", "    kind: webhook\n    headers: {X-Key: {file: no}}\n")
    )
    code, out, _ = vdw("check", "-p", desk)
    assert code == 1 and 'vdw.yml:10:15: error: notifier "desk": cannot read the secret file' in out


# -- commands


def test_a_dry_run_shows_what_would_be_sent(web: Web, desk: Path, vdw: Cli) -> None:
    opened(desk, [1, 2])
    code, out, _ = vdw("watch", "test", "late", "-p", desk, "--json")
    told = json.loads(out)
    assert (
        code == 0
        and told["rows"] == 2
        and [one["text"] for one in told["alerts"]]
        == [
            "Customer 1: 1 h late.",
            "Customer 2: 1 h late.",
        ]
    )
    assert web.attempts == [] and not (desk / ".vdw" / "alerts.db").exists()
    code, _, err = vdw("watch", "test", "lat", "-p", desk)
    assert code == 1 and "did you mean `late`?" in err


def test_what_is_put_aside_is_listed_and_sent_again(web: Web, desk: Path, vdw: Cli) -> None:
    web.behave = lambda post, before: 400 if before == 0 else 200
    opened(desk, [1])
    alarm = Alarm(desk)
    try:
        until(lambda: states(desk) == ["failed"])
        (one,) = outbox(desk)
        code, out, _ = vdw("alerts", "--state", "open", "--json", "-p", desk)
        assert code == 0 and json.loads(out)["alerts"][0]["error"].startswith("HTTP 400")
        assert vdw("alert", "acknowledge", one["id"][:8], "-p", desk)[0] == 0
        code, _, err = vdw("alert", "retry", one["id"][:8], "-p", desk)
        assert code == 0 and "sent again" in err
        until(lambda: states(desk) == ["sent"])
        (breach,) = alarm.sql("SELECT acknowledged IS NOT NULL AS done FROM vdw.breaches")
        assert breach["done"]
        assert vdw("alert", "silence", "late", "--for", "1h", "-p", desk)[0] == 0
        opened(desk, [2])
        time.sleep(0.5)
        assert vdw("alert", "unsilence", "late", "-p", desk)[0] == 0
        until(lambda: states(desk) == ["sent", "sent"] or states(desk) == ["sent", "failed"])
    finally:
        alarm.close()
    code, _, err = vdw("alert", "retry", "nothing", "-p", desk)
    assert code == 1 and 'there is no alert and no watch with alerts "nothing"' in err


def test_two_processes_write_one_file(desk: Path, web: Web) -> None:
    """What a command writes while a server writes waits for its turn and is not lost."""
    opened(desk, [1])
    alarm = Alarm(desk)
    try:
        until(lambda: settled(desk, 1))
        with sqlite3.connect(desk / ".vdw" / "alerts.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            opened(desk, [2])
            time.sleep(1.0)
            assert len(web.attempts) == 1
            other.execute("ROLLBACK")
        other.close()
        until(lambda: settled(desk, 2))
    finally:
        alarm.close()
