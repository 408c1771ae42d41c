"""1,000 breaches, each told by webhook, mail and SMS, while the server is killed at random: what arrives, how often?

Exits with 1 where a breach has not arrived by each channel, or under more than one id.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import stage
from benchmarks.figures import machine, show
from tests.watches.receivers import Mail, Post, PostOffice, Web

CHANNELS = ("webhook", "smtp", "sms")
PATIENCE = 600.0  # seconds without anything arriving, after which it is given up
WATCH = """\
query: |
  select breach_id, token, phone, mail from ops.breaches
key: [breach_id]
every: 200ms
alert: {subject: "Complaint {token}", text: "{token} is past its time."}
to:
  - {notifier: webhook, address: "{mail}"}
  - {notifier: smtp, address: "{mail}"}
  - {notifier: sms, address: "{phone}"}
"""


@dataclass
class Arrived:
    """What came by one channel: ids by breach, and how often each id was taken."""

    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, token: str, id: str) -> None:
        """One that was taken."""
        self.ids[token].add(id)
        self.taken[id] += 1


class Receivers:
    """Real servers that misbehave by chance: they say no, take what comes and cut the line, or are slow."""

    def __init__(self, seed: int, faults: float) -> None:
        self._dice, self._faults = random.Random(seed), faults
        self.web, self.gateway, self.office = Web(), Web(), PostOffice()
        self.arrived = {name: Arrived() for name in CHANNELS}
        self.web.behave = lambda post, before: self._answer("webhook", post, post.body["row"]["token"])
        self.gateway.behave = lambda post, before: self._answer("sms", post, post.body["text"].split()[0])
        self.office.behave = self._mail

    def _answer(self, channel: str, post: Post, token: str) -> int:
        chance = self._dice.random()
        if chance < self._faults:
            return 503
        self.arrived[channel].add(token, post.key)
        return -1 if chance < 2 * self._faults else 500 if chance < 2.5 * self._faults else 200

    def _mail(self, mail: Mail) -> str:
        if self._dice.random() < self._faults:
            return "451 not now"
        self.arrived["smtp"].add(str(mail.message["Subject"]).split()[1], mail.id)
        return "250 taken"

    def done(self, tokens: Iterable[str]) -> bool:
        """Whether all have arrived by each channel."""
        return all(token in arrived.ids for token in tokens for arrived in self.arrived.values())

    def count(self) -> int:
        """All that was taken."""
        return sum(sum(arrived.taken.values()) for arrived in self.arrived.values())

    def notifiers(self) -> dict[str, Any]:
        """As vdw.yml has them."""
        retry = {"first": "50ms", "most": "1s"}
        body = {"to": "{address}", "text": "{text}", "reference": "{id}"}
        mail = {"host": "127.0.0.1", "port": self.office.port, "security": "none", "sender": "vdw <vdw@example.com>"}
        return {
            "webhook": {"kind": "webhook", "url": self.web.url, "timeout": "2s", "retry": dict(retry)},
            "smtp": {"kind": "smtp", **mail, "timeout": "5s", "retry": dict(retry)},
            "sms": {"kind": "sms", "url": self.gateway.url, "body": body, "timeout": "2s", "retry": dict(retry)},
        }

    def close(self) -> None:
        """Stop listening."""
        for one in (self.web, self.gateway, self.office):
            one.close()


def project(place: Path, notifiers: Mapping[str, Any]) -> None:
    """The project: a table of breaches in SQLite, and one watch."""
    connection = {"path": str(place / "ops.db")}
    stage.write(
        place, {"ops": {"kind": "sqlite", "connection": connection, "ttl": "0s"}}, {}, notifiers=dict(notifiers)
    )
    (place / "watches").mkdir()
    (place / "watches" / "late.yml").write_text(WATCH)
    with contextlib.closing(sqlite3.connect(place / "ops.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE breaches (breach_id INTEGER PRIMARY KEY, token TEXT, phone TEXT, mail TEXT)")


def breach(place: Path, numbers: Iterable[int]) -> None:
    """Let so many more be in breach."""
    rows = [(n, token(n), f"+4670{n % 50:07}", f"t{n % 50}@example.com") for n in numbers]
    with contextlib.closing(sqlite3.connect(place / "ops.db", timeout=30)) as database:
        database.executemany("INSERT INTO breaches VALUES (?, ?, ?, ?)", rows)
        database.commit()


def token(number: int) -> str:
    """What a breach is called."""
    return f"T{number:05}"


@contextlib.contextmanager
def serving(place: Path) -> Iterator[subprocess.Popen[str]]:
    """`vdw serve`, which is killed at the end."""
    command = [sys.executable, "-c", stage.START, "serve", "--project", str(place)]
    with (place / "served.log").open("a") as log:
        process = subprocess.Popen(command, stderr=log, text=True, cwd=Path(__file__).parent.parent)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def sending(place: Path) -> int:
    """Alerts that were being sent at that moment: theirs is the doubt that the id resolves."""
    if not (place / ".vdw" / "alerts.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(place / ".vdw" / "alerts.db", timeout=30)) as database:
        try:
            (count,) = database.execute("SELECT count(*) FROM delivery WHERE state = 'sending'").fetchone()
        except sqlite3.OperationalError:  # it was killed before it had made its tables
            return 0
    return int(count)


def run(place: Path, breaches: int, seed: int, longest: float, faults: float, kills: int = 1_000) -> dict[str, Any]:
    """Kill and start again, `kills` times at most, until all has arrived; what came. `longest`: seconds that a server
    lives once it works."""
    dice, receivers = random.Random(seed), Receivers(seed, faults)
    project(place, receivers.notifiers())
    tokens = [token(number) for number in range(breaches)]
    killed, doubtful, began = 0, 0, time.monotonic()
    first = min(breaches, 20)
    breach(place, range(first))
    waiting = list(range(first, breaches))
    try:
        while not receivers.done(tokens):
            end = None if killed >= kills else dice.uniform(0.0, longest)
            with serving(place) as process:
                _live(process, place, receivers, tokens, waiting, dice, end)
            killed += 1
            doubtful += sending(place)
        return _told(receivers, tokens, killed, doubtful, time.monotonic() - began)
    finally:
        receivers.close()


def _live(
    process: subprocess.Popen[str],
    place: Path,
    receivers: Receivers,
    tokens: list[str],
    waiting: list[int],
    dice: random.Random,
    end: float | None,
) -> None:
    """One life of the server: until `end` seconds after something arrived, or all has; more breaches come meanwhile."""
    before, moved, works = receivers.count(), time.monotonic(), 0.0
    while not receivers.done(tokens):
        if process.poll() is not None:
            raise RuntimeError("vdw serve has ended by itself:\n" + (place / "served.log").read_text()[-4_000:])
        now = time.monotonic()
        if receivers.count() > before:
            before, moved, works = receivers.count(), now, works or now
        if works and end is not None and now - works >= end:
            return
        if now - moved > PATIENCE:
            raise RuntimeError(f"nothing has arrived for {PATIENCE:g} s")
        if waiting and works:
            more = [waiting.pop(0) for _ in range(min(len(waiting), dice.randint(1, 30)))]
            breach(place, more)
        time.sleep(dice.uniform(0.01, 0.1))


def _told(receivers: Receivers, tokens: list[str], killed: int, doubtful: int, seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "breaches": len(tokens),
        "kills": killed,
        "in_doubt_when_killed": doubtful,
        "seconds": round(seconds, 1),
    }
    for channel, arrived in receivers.arrived.items():
        told[channel] = {
            "delivered": len(arrived.ids),
            "missing": sum(token not in arrived.ids for token in tokens),
            "under_two_ids": sum(len(ids) > 1 for ids in arrived.ids.values()),
            "ids": len(arrived.taken),
            "repeated_under_the_same_id": sum(count > 1 for count in arrived.taken.values()),
        }
    told["exactly_once"] = all(
        told[channel]["missing"] == told[channel]["under_two_ids"] == 0 and told[channel]["ids"] == len(tokens)
        for channel in CHANNELS
    )
    return told


def main() -> int:
    """Run it; 1 where something was lost or told twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--breaches", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=8.0, help="seconds that a server lives once it works")
    parser.add_argument("--faults", type=float, default=0.03, help="part of the answers that are of each kind of fault")
    given = parser.parse_args()
    with stage.folder() as place:
        told = run(place, given.breaches, given.seed, given.longest, given.faults)
    doing = {name: value for name, value in told.items() if name not in CHANNELS}
    for channel in CHANNELS:
        show(given.json, f"alerts by {channel}", **told[channel])
    show(given.json, "alerts", **doing, **machine())
    return 0 if told["exactly_once"] else 1


if __name__ == "__main__":
    sys.exit(main())
