"""Offsets of a time zone for whole columns, from the zone files of the very PostgreSQL that the canon runs."""

from __future__ import annotations

import re
import struct
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

SECOND = 1_000_000
CYCLE = 146_097 * 86_400  # the Gregorian calendar repeats every 400 years, to the second
LAST = int(datetime(2440, 1, 1, tzinfo=UTC).timestamp())
WEEK = 7 * 86_400
UTC_NAMES = frozenset({"UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Z"})
# How PostgreSQL prints a zone that was set as a number of hours: <+02>-02.
_FIXED = re.compile(r"<[+-]\d\d(?::\d\d)?>([+-])(\d\d)(?::(\d\d))?")


class Zone:
    """`starts` (seconds since 1970, ascending) are the instants from which `shifts` (seconds east of UTC) hold."""

    def __init__(self, starts: np.ndarray, shifts: np.ndarray) -> None:
        self.starts, self.shifts = starts, shifts

    def offsets(self, values: np.ndarray) -> np.ndarray:
        """Seconds east of UTC at each instant, given in microseconds since 1970."""
        seconds = values // SECOND
        late = seconds >= LAST
        if late.any():
            seconds = np.where(late, (seconds - LAST) % CYCLE + LAST - CYCLE, seconds)
        return self.shifts[np.searchsorted(self.starts, seconds, side="right")]


@cache
def zone(name: str, folder: Path | None) -> Zone | None:
    """The zone of that name; KeyError where it cannot be known exactly. None stands for UTC."""
    if name in UTC_NAMES:
        return None
    fixed = _FIXED.fullmatch(name)
    if fixed is not None:
        east = (int(fixed[2]) * 3600 + int(fixed[3] or 0) * 60) * (1 if fixed[1] == "-" else -1)
        return Zone(np.empty(0, np.int64), np.array([east], np.int64))
    if folder is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]*", name):
        raise KeyError(name)
    try:
        with (folder / name).open("rb") as file:
            data = file.read()
            file.seek(0)
            return _zone(data, zoneinfo.ZoneInfo.from_file(file))
    except (OSError, ValueError, struct.error):
        raise KeyError(name) from None


def _zone(data: bytes, info: zoneinfo.ZoneInfo) -> Zone:
    """From a TZif file: its own table first, then what its rule for the future says, for one whole cycle."""
    counts = struct.unpack_from(">6I", data, 20)
    start = 44 + counts[3] * 5 + counts[4] * 6 + counts[5] + counts[2] * 8 + counts[1] + counts[0]
    _, _, _, times, types, _ = struct.unpack_from(">6I", data, start + 20)
    at = start + 44
    starts = list(struct.unpack_from(f">{times}q", data, at))
    which = data[at + 8 * times : at + 9 * times]
    kinds = [struct.unpack_from(">i", data, at + 9 * times + 6 * i)[0] for i in range(types)]
    shifts = [kinds[0], *(kinds[i] for i in which)]
    here = starts[-1] if starts else 0
    while here < LAST:
        there = here + WEEK
        shift = _shift(info, there)
        if shift != shifts[-1]:
            starts.append(_edge(info, here, there, shift))
            shifts.append(shift)
        here = there
    return Zone(np.array(starts, np.int64), np.array(shifts, np.int64))


def _shift(info: zoneinfo.ZoneInfo, seconds: int) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return int((moment.astimezone(info).utcoffset() or timedelta()).total_seconds())


def _edge(info: zoneinfo.ZoneInfo, low: int, high: int, shift: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _shift(info, middle) == shift else (middle, high)
    return high
