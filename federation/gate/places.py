"""Places at one source that all servers of one user on this machine share, so that the owner's limits hold for them
together.

A place is a byte of a file that its holder has locked; the kernel frees it when the holder dies. Its record says until
when a statement of a dead holder may still run at the source, and until then nobody takes the place. Times are those of
the machine's monotonic clock.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import stat
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from federation.gate.pace import Pace

MOST = 4_096  # places of one source
SERVERS = 64  # that take part in sharing fairly; more of them keep the limits too
QUANTUM = 0.05  # seconds that a server without a place waits before others leave it one
FRESH = 0.15  # seconds for which a server's word that it waits is believed
TRIES = 3
# The file is numbers of eight bytes: three of all, three of each server (places held, waiting since, seen), two of each
# place (until when a statement may run there, seconds that it outlives its client or -1).
_ARRIVAL, _WANTED, _WIDEST, _ROWS, _RECORDS = 0, 1, 2, 8, 8 + SERVERS * 3
_SIZE = (_RECORDS + MOST * 2) * 8
_RATE_LOCK, _ROW_LOCK, _PLACE_LOCK = 1 << 20, (1 << 20) + 1, 1 << 21  # bytes to lock, beyond the file's end
log = logging.getLogger("vdw.places")


def folder() -> Path:
    """Where this user's servers on this machine meet: private, and gone with the machine's next start."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "vdw" if base else Path(tempfile.gettempdir()) / f"vdw-{os.getuid()}"


class Places:
    """One server's part in them. To be used from one thread."""

    def __init__(self, identity: str, where: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """OSError where the folder is not this user's own, or cannot be made."""
        self._clock = clock
        self._held: set[int] = set()
        self._spare: list[int] = []  # those that we had last, the newest at the end
        self._closed = False
        self._since = 0.0  # when we began to wait in vain; 0.0: we do not
        self._file = os.open(_path(identity, where), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(self._file).st_size < _SIZE:
                os.ftruncate(self._file, _SIZE)
            self._map = mmap.mmap(self._file, _SIZE)
            self._cells = memoryview(self._map).cast("d")
        except BaseException:
            os.close(self._file)
            raise
        self._row = next((row for row in range(SERVERS) if self._lock(_ROW_LOCK + row)), None)
        self._tell(0.0)

    def take(self, most: int, seconds: float, orphaned: float) -> int | None:
        """One of the first `most` places, for a statement that its source ends after `seconds`, or `orphaned` seconds
        after its client has died; None where other servers have them all, or one waits to whom the next belongs."""
        now = self._clock()
        if not self._yields(now):
            if self._spare and (last := self._spare.pop()) < most and self._try(last, now):
                return self._taken(last, most, now, seconds, orphaned)  # nobody has had it since
            for place in range(min(most, MOST)):
                if place not in self._held and self._try(place, now):
                    return self._taken(place, most, now, seconds, orphaned)
        self._in_vain(now)
        return None

    def _taken(self, place: int, most: int, now: float, seconds: float, orphaned: float) -> int | None:
        """It is locked; whether it can be had, and that it is."""
        cells = self._cells
        widest = cells[_WIDEST]
        if most > widest:
            cells[_WIDEST] = min(most, MOST)
        elif most < widest and self._too_many(most, int(widest), place, now):
            self._unlock(_PLACE_LOCK + place)
            self._in_vain(now)
            return None
        at = _RECORDS + place * 2
        cells[at], cells[at + 1] = now + seconds, orphaned
        self._held.add(place)
        if self._since:
            self._since = 0.0
            self._tell(now)
        return place

    def _in_vain(self, now: float) -> None:
        self._since = self._since or now
        self._tell(now)

    def leave(self, place: int, orphaned: float = 0.0) -> None:
        """Give it back; after `orphaned` seconds, as the statement may still run so long."""
        if self._closed:
            return
        cells, at = self._cells, _RECORDS + place * 2
        cells[at] = min(cells[at], self._clock() + orphaned) if orphaned else 0.0
        cells[at + 1] = -1.0
        self._held.discard(place)
        self._spare.append(place)
        self._unlock(_PLACE_LOCK + place)
        if self._since:
            self._tell(self._clock())

    def paced(self, pace: Pace) -> float:
        """0.0, and a statement may go now; or the seconds until it may."""
        for _ in range(TRIES):
            if self._lock(_RATE_LOCK):
                self._cells[_ARRIVAL], wait = pace.take(self._cells[_ARRIVAL], self._clock())
                self._unlock(_RATE_LOCK)
                return wait
        return 0.001

    def close(self) -> None:
        """Let go of the file; places that are held then count as those of a holder who died. Idempotent."""
        if not self._closed:
            self._closed = True
            self._cells.release()
            self._map.close()
            os.close(self._file)

    @property
    def held(self) -> int:
        """Places that we have."""
        return len(self._held)

    @property
    def crowded(self) -> bool:
        """Whether others had all the rest when we looked last."""
        return self._since > 0

    def _try(self, place: int, now: float) -> bool:
        """Lock it, if no statement of a dead holder may still run there."""
        if not self._lock(_PLACE_LOCK + place):
            return False
        cells, at = self._cells, _RECORDS + place * 2
        if cells[at] <= now:
            return True
        if cells[at + 1] >= 0:  # we are the first to see that the holder is dead
            cells[at], cells[at + 1] = min(cells[at], now + cells[at + 1]), -1.0
            if cells[at] <= now:
                return True
        self._unlock(_PLACE_LOCK + place)
        return False

    def _too_many(self, most: int, widest: int, mine: int, now: float) -> bool:
        """Whether places beyond `most`, from when the owner allowed more, are taken still, and there are too many of
        them with `mine`."""
        busy = [place for place in range(widest) if place == mine or self._busy(place, now)]
        if busy[-1] < most:
            self._cells[_WIDEST] = most
        return len(busy) > most

    def _busy(self, place: int, now: float) -> bool:
        if place in self._held or not self._try(place, now):
            return True
        self._unlock(_PLACE_LOCK + place)
        return False

    def _yields(self, now: float) -> bool:
        """Whether another server has waited a while and has fewer places than we, so that the next is theirs."""
        cells = self._cells
        if not 0 <= now - cells[_WANTED] < FRESH:
            return False
        mine = len(self._held)
        for row in range(SERVERS):
            if row == self._row:
                continue
            held, since, seen = cells[_ROWS + row * 3 : _ROWS + row * 3 + 3]
            waits = since and now - seen < FRESH and now - since >= QUANTUM
            if waits and (held < mine or (held == mine == 0 and since < (self._since or now))):
                return True
        return False

    def _tell(self, now: float) -> None:
        """Let the others know what we have, and since when we wait in vain."""
        if self._row is not None:
            at = _ROWS + self._row * 3
            self._cells[at], self._cells[at + 1], self._cells[at + 2] = len(self._held), self._since, now
        if self._since and now - self._since >= QUANTUM:
            self._cells[_WANTED] = now

    def _lock(self, byte: int) -> bool:
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, byte))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte))


def opened(identity: str, where: Path | None = None) -> Places | None:
    """The places; None, and a line in the log, where servers cannot share any: each then keeps to the limits alone."""
    if not hasattr(fcntl, "F_OFD_SETLK"):
        log.warning("this system has no locks of open files: limits of sources hold for each server alone")
        return None
    try:
        return Places(identity, where)
    except OSError as error:
        log.warning("limits of sources hold for each server alone: %s", error)
        return None


def _path(identity: str, where: Path | None) -> Path:
    place = where or folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = place.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{place} must be a folder of this user's that nobody else can enter")
    started = ""  # of the machine: its clock begins anew
    with suppress(OSError):
        started = Path("/proc/sys/kernel/random/boot_id").read_text()
    return place / (hashlib.sha256(f"2\0{started}\0{identity}".encode()).hexdigest()[:32] + ".places")


@cache
def _flock(kind: int, byte: int) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
