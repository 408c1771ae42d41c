"""What users own on disk: Parquet files that are served, and beside them who owns each and what it is."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from connectors.errors import LimitExceeded, QueryError
from federation.operations.state import folder as private
from views.values import NAME

ABOUT = ".about"  # the folder beside that of the tables
LEFTOVERS = 3600.0  # seconds after which a file that nobody finished goes


@dataclass(frozen=True, slots=True)
class Entry:
    """One table: who owns it, since when and until when (seconds since the epoch), and `facts` that are told."""

    name: str
    owner: str
    created: float
    expires: float | None
    bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class Shelf:
    """The tables of one schema. Servers of one project share it; each sees what the others do. Waits for the disk."""

    def __init__(self, schema: str, state: Path) -> None:
        self.schema, self.tables, self.about = schema, state / schema, state / (schema + ABOUT)
        self._state = state
        self._seen: tuple[int, int] | None = None
        self._known: dict[str, Entry] = {}

    def open(self) -> None:
        """Make the folders, and drop what somebody left half done."""
        private(self._state)
        for made in (self.tables, self.about):
            made.mkdir(mode=0o700, exist_ok=True)
        for path in [*self.tables.iterdir(), *self.about.iterdir()]:
            known = path.suffix in (".parquet", ".json") and (self.about / f"{path.stem}.json").exists()
            with contextlib.suppress(OSError):
                if not known and path.stat().st_mtime < time.time() - LEFTOVERS:
                    path.unlink()

    def entries(self) -> dict[str, Entry]:
        """All, by name."""
        seen = (self.about.stat().st_mtime_ns, self.tables.stat().st_mtime_ns)
        if seen != self._seen:
            self._known = {entry.name: entry for entry in self._read()}
            self._seen = seen
        return self._known

    def listing(self) -> tuple[int, int] | None:
        """Changes with what is there."""
        self.entries()
        return self._seen

    def find(self, name: str, who: str | None) -> Entry:
        """That of this owner (None: of anybody); QueryError 42P01 where there is none, or none of theirs."""
        entry = self.entries().get(name)
        if entry is None or who not in (None, entry.owner):
            raise QueryError(f"there is no {self.schema}.{name} of yours", sqlstate="42P01")
        return entry

    def room(self, name: str, owner: str, most: int, per_user: int, total: int | None = None) -> None:
        """Whether one of that name may be put there now; QueryError 42P07, LimitExceeded 53400."""
        known = self.entries()
        if not re.fullmatch(NAME, name):
            hint = "Use lower-case letters, digits and _, 63 at most, no digit first."
            raise QueryError(f'"{name[:80]}" cannot name a table', sqlstate="42602", hint=hint)
        if name in known and known[name].owner != owner:
            raise QueryError(f"the name {self.schema}.{name} is taken", sqlstate="42P07", hint="Choose another name.")
        others = [entry for entry in known.values() if entry.name != name]
        mine = sum(entry.owner == owner for entry in others)
        if mine >= per_user or len(others) >= most:
            count = f"you have {mine}" if mine >= per_user else f"there are {len(others)}"
            raise LimitExceeded(
                f"{count} in {self.schema}, as many as may be kept", hint="Delete one that is done with."
            )
        if total is not None and sum(entry.bytes for entry in others) >= total:
            raise LimitExceeded(
                f"what {self.schema} holds takes as much room as it may", hint="Delete what is done with."
            )

    def put(self, name: str, owner: str, made: Path, facts: Mapping[str, Any], keep: float | None = None) -> Entry:
        """Take over a finished file, in the place of an older one of that name."""
        now = time.time()
        expires = None if keep is None else now + keep
        entry = Entry(name, owner, now, expires, made.stat().st_size, facts)
        self._write(entry)
        made.replace(self.tables / f"{name}.parquet")
        return entry

    def drop(self, name: str) -> None:
        """Delete one."""
        for path in (self.tables / f"{name}.parquet", self.about / f"{name}.json"):
            path.unlink(missing_ok=True)

    def expire(self) -> list[str]:
        """Delete those whose time is over; their names."""
        over = [e.name for e in self.entries().values() if e.expires is not None and e.expires <= time.time()]
        for name in over:
            self.drop(name)
        return over

    def part(self, name: str) -> Path:
        """Where a file may be made that `put` takes over."""
        return self.about / f"{name}.{time.monotonic_ns()}.part"

    def _write(self, entry: Entry) -> None:
        part = self.part(entry.name)
        part.write_text(json.dumps(asdict(entry), ensure_ascii=False), "utf-8")
        part.replace(self.about / f"{entry.name}.json")

    def _read(self) -> Iterator[Entry]:
        for path in self.about.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                entry = Entry(**json.loads(path.read_text("utf-8")))
                if (self.tables / f"{entry.name}.parquet").exists():
                    yield entry
