"""What follows from one answer of a watch: pure, and so testable for all that time may bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from views.templates import filled
from views.watch_file import Message, Recipient, WatchFile

Event = Literal["breach", "reminder", "cleared"]
Whom = tuple[str, str]  # notifier and address
LONGEST_SUBJECT, LONGEST_ADDRESS, LONGEST_TEXT = 200, 320, 10_000  # characters


@dataclass(frozen=True, slots=True)
class Row:
    """A row in breach: `key` is the JSON of its key, `values` its columns as PostgreSQL's text, `document` all of it as
    JSON, `chosen` whether it is for each recipient of the watch, in their order."""

    key: str
    values: Mapping[str, str | None]
    document: str
    chosen: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What was last planned for one address about one breach: `at` when (sent, else planned), `number` of reminders;
    `state` of that delivery; `heard`: whether the address has, or may have, anything of the breach."""

    at: float
    number: int
    state: str
    heard: bool


@dataclass(slots=True)
class Breach:
    """A breach that lasts, as it is remembered: times in seconds since the epoch; `absent`: since when no answer had
    it; `silenced`: nothing is told of it for now; `mute`: its key was told once, which was to be the only time."""

    since: float
    seen: float
    absent: float | None = None
    acknowledged: float | None = None
    silenced: bool = False
    mute: bool = False
    told: dict[Whom, Told] = field(default_factory=dict)
    values: Mapping[str, str | None] = field(default_factory=dict)
    document: str = "{}"
    id: int = 0
    written: object = None  # what its file has of it


@dataclass(frozen=True, slots=True)
class Planned:
    """Something to tell."""

    key: str
    event: Event
    number: int
    whom: Whom
    subject: str
    text: str
    document: str


@dataclass(slots=True)
class Changes:
    """What to write, all of it or nothing: breaches by key as they are now, those that are over, and what to tell."""

    breaches: dict[str, Breach] = field(default_factory=dict)
    over: dict[str, Breach] = field(default_factory=dict)
    planned: list[Planned] = field(default_factory=list)


def step(
    name: str,
    watch: WatchFile,
    known: Mapping[str, Breach],
    rows: Sequence[Row],
    now: float,
    fresh: Callable[[str], Breach] | None = None,
) -> Changes:
    """The changes after a whole answer at `now`. `known` are the breaches that lasted until now, by key; `fresh` makes
    one of a key that is none of them. Of rows with the same key the first counts."""
    changes = Changes()
    for row in rows:
        if row.key in changes.breaches:
            continue
        breach = known.get(row.key) or (fresh(row.key) if fresh is not None else Breach(since=now, seen=now))
        breach.seen, breach.absent, breach.values, breach.document = now, None, row.values, row.document
        changes.breaches[row.key] = breach
        if not breach.silenced and not breach.mute:
            changes.planned += _tellings(name, watch, breach, row, now)
    for key, breach in known.items():
        if key in changes.breaches:
            continue
        breach.absent = now if breach.absent is None else breach.absent
        changes.breaches[key] = breach
        if now - breach.absent >= watch.clears_after:
            changes.over[key] = breach
            changes.planned += _farewells(name, watch, breach, key)
    return changes


def _tellings(name: str, watch: WatchFile, breach: Breach, row: Row, now: float) -> Iterator[Planned]:
    fresh: set[Whom] = set()
    for recipient, chosen in zip(watch.to, row.chosen, strict=True):
        whom = address(recipient, row.values)
        told = breach.told.get(whom)
        if whom in fresh or not chosen:
            continue
        if told is None:
            late = recipient.after > 0 and breach.acknowledged is not None
            if now - breach.since >= recipient.after and not late:
                fresh.add(whom)
                yield _planned(name, watch.alert, "breach", 0, whom, row)
        elif _due(watch, breach, told, now):
            fresh.add(whom)
            yield _planned(name, watch.alert, "reminder", told.number + 1, whom, row)


def _due(watch: WatchFile, breach: Breach, told: Told, now: float) -> bool:
    """Whether it is time for a reminder: never ahead of what still waits to be sent."""
    if watch.remind is None or breach.acknowledged is not None or told.state not in ("sent", "observed"):
        return False
    return now - told.at >= watch.remind


def _farewells(name: str, watch: WatchFile, breach: Breach, key: str) -> Iterator[Planned]:
    if watch.cleared is None:
        return
    row = Row(key, breach.values, breach.document, ())
    for whom, told in breach.told.items():
        if told.heard:
            yield _planned(name, watch.cleared, "cleared", 0, whom, row)


def _planned(name: str, message: Message, event: Event, number: int, whom: Whom, row: Row) -> Planned:
    subject = one_line(filled(message.subject, row.values)) or name
    text = filled(message.text, row.values)
    cut = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    return Planned(row.key, event, number, whom, subject, cut, row.document)


def address(recipient: Recipient, values: Mapping[str, str | None]) -> Whom:
    """Whom a recipient means for a row."""
    return recipient.notifier, one_line(filled(recipient.address, values), LONGEST_ADDRESS)


def one_line(text: str, most: int = LONGEST_SUBJECT) -> str:
    """The text without anything that could begin another line or hide in one.

    >>> one_line("late\\r\\nBcc: all@example.com")
    'late Bcc: all@example.com'
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    found = " ".join(plain.split())
    return found if len(found) <= most else found[: most - 3] + "..."
