"""Kill switches: sources, views, users and fingerprints that are disabled at run time, by all servers of a project.

They stand in a file of the state folder, which every server looks at twice a second: a restart keeps them.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from connectors.errors import ConfigError, QueryError, SourceError
from federation.operations import state

NAME = "switches.json"
EVERY = 0.5  # seconds between two looks at the file
Kind = Literal["source", "view", "user", "fingerprint"]
KINDS: tuple[str, ...] = get_args(Kind)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Switch:
    """Something that is disabled: `name` is a source's, "schema.view", a user's or a fingerprint; times in seconds
    since the epoch, `until` None: until it is enabled again."""

    kind: str
    name: str
    reason: str
    by: str
    since: float
    until: float | None = None

    @property
    def told(self) -> str:
        """Who, why and until when, for messages."""
        until = "until it is enabled again" if self.until is None else f"until {_moment(self.until)}"
        return f"disabled by {self.by} since {_moment(self.since)}, {until}: {self.reason}"

    def error(self) -> SourceError | QueryError:
        """For whoever asks for it all the same: as a source that is down, or as a right that is missing."""
        hint = f"An administrator can end that: vdw enable {self.kind} {self.name}"
        message = f"{self.kind} {self.name} is {self.told}"
        if self.kind == "source":
            return SourceError(message, sqlstate="57P03", place=self.name, hint=hint)
        return QueryError(message, sqlstate="42501", hint=hint)


Key = tuple[str, str]


class Switches:
    """Those of one project, as this server knows them: `look` first. `changed` is called with the switches that are
    new and those that are gone, on the event loop, whoever changed them. `folder` None: in memory."""

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float] = time.time,
        changed: Callable[[list[Switch], list[Switch]], None] = lambda _new, _gone: None,
    ) -> None:
        self._path = None if folder is None else folder / NAME
        self._clock, self.changed = clock, changed
        self._seen: tuple[int, int, int] | None = None
        self._failing = ""
        self._known: dict[Key, Switch] = {}  # in the file, expired ones too
        self.on: dict[Key, Switch] = {}  # in force; empty nearly always, so that asking costs nothing

    def __iter__(self) -> Iterator[Switch]:
        return iter(sorted(self.on.values(), key=lambda one: (one.kind, one.name)))

    def find(self, kind: Kind, name: str) -> Switch | None:
        """The switch, where it is in force."""
        switch = self.on.get((kind, name))
        return switch if switch is not None and (switch.until is None or self._clock() < switch.until) else None

    def check(self, user: str, views: Iterable[tuple[str, str]], fingerprints: Iterable[str]) -> None:
        """QueryError 42501 where the user, one of the views (schema, name) or of the fingerprints is disabled."""
        if not self.on:
            return
        found = [self.find("user", user)]
        found += [self.find("fingerprint", one) for one in fingerprints]
        found += [self.find("view", f"{schema}.{name}") for schema, name in views]
        for switch in filter(None, found):
            raise switch.error()

    def disable(self, kind: str, name: str, reason: str, by: str, seconds: float | None = None) -> Switch:
        """Disable it from the next `look` on, for so many seconds; ConfigError where that cannot be kept or makes no
        sense. Waits for the disk: not on the loop."""
        _sensible(kind, name, reason)
        now = self._clock()
        switch = Switch(kind, name, reason, by, now, None if seconds is None else now + seconds)
        with self._changing() as known:
            known[kind, name] = switch
        return switch

    def enable(self, kind: str, name: str) -> bool:
        """Enable it again from the next `look` on; whether it had been disabled. Waits for the disk, too."""
        _sensible(kind, name, "-")
        with self._changing() as known:
            return known.pop((kind, name), None) is not None

    async def run(self) -> None:
        """Look at the file twice a second, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Take over what the file says now, and let go of what has expired."""
        if self._path is not None:
            try:
                seen = _identity(self._path)
                if seen != self._seen or self._failing:
                    self._known, self._seen = _read(self._path), seen
                self._failing = ""
            except (OSError, ValueError, TypeError, KeyError) as error:
                if str(error) != self._failing:
                    log.error("switches stay as they were: %s cannot be read: %s", self._path, error)
                self._failing = str(error)
        self._settle()

    def _settle(self) -> None:
        now = self._clock()
        on = {key: one for key, one in self._known.items() if one.until is None or now < one.until}
        if on == self.on:
            return
        before, self.on = self.on, on
        new = [one for key, one in on.items() if before.get(key) != one]
        self.changed(new, [one for key, one in before.items() if key not in on])

    @contextmanager
    def _changing(self) -> Iterator[dict[Key, Switch]]:
        """The switches to be changed, while no other server changes them."""
        if self._path is None:
            yield self._known
            return
        try:
            state.folder(self._path.parent)
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = _read(self._path)
                yield known
                _write(self._path, known, self._clock())
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"switches cannot be kept in {self._path}: {error}", place="vdw.yml, state") from None


def _sensible(kind: str, name: str, reason: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f'"{kind}" cannot be disabled', hint=f"One of {', '.join(KINDS)} can.")
    if not name or not reason.strip():
        raise ConfigError("a switch needs a name and a reason", hint="The reason is told to whoever is refused.")


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 -- often: half the time of Path.stat
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> dict[Key, Switch]:
    try:
        listed: list[Mapping[str, object]] = json.loads(path.read_text())["switches"]
    except FileNotFoundError:
        return {}
    made = [Switch(**one) for one in listed]  # type: ignore[arg-type]
    return {(one.kind, one.name): one for one in made}


def _write(path: Path, known: Mapping[Key, Switch], now: float) -> None:
    """All at once: a reader sees the file as it was or as it is to be."""
    kept = [asdict(one) for one in known.values() if one.until is None or now < one.until]
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write(json.dumps({"version": 1, "switches": kept}, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
