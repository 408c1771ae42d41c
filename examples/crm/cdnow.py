"""The real purchases: CDNOW's master file, taken out of the wheel of PyPI's lifetimes, which is never installed."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

PACKAGE = "lifetimes==0.11.3"
MEMBER = "lifetimes/datasets/CDNOW_master.txt"
PURCHASES, CUSTOMERS = 69_659, 23_570  # what the file is known to hold


class Unavailable(Exception):
    """The purchases cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the file: who bought how many CDs for how much, on which day."""

    customer: int
    day: dt.date
    items: int
    amount: Decimal


def purchases(cache: Path) -> list[Purchase]:
    """All purchases, in the file's order; the file is fetched once into `cache`. Raises Unavailable."""
    file = cache / "CDNOW_master.txt"
    if not file.exists():
        _fetch(file)
    found = list(parse(file.read_text("ascii")))
    customers = len({purchase.customer for purchase in found})
    if (len(found), customers) != (PURCHASES, CUSTOMERS):
        raise Unavailable(
            f"{file} holds {len(found)} purchases by {customers} customers, not {PURCHASES} by {CUSTOMERS}: delete it "
            "and build again"
        )
    return found


def parse(text: str) -> Iterator[Purchase]:
    """The lines below the heading: customer, YYYYMMDD, number of CDs, dollars."""
    for line in text.splitlines()[1:]:
        if line.strip():
            customer, day, items, amount = line.split()
            date = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
            yield Purchase(int(customer), date, int(items), Decimal(amount))


def default_cache() -> Path:
    """Where the file is kept between builds: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdw" / "cdnow"


def _fetch(file: Path) -> None:
    """The wheel, by pip and whatever index pip is configured for; only the one file of it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        wheel = next(Path(folder).glob("*.whl"), None)
        if done.returncode or wheel is None:
            lines = done.stderr.strip().splitlines()
            raise Unavailable(
                f"the wheel of {PACKAGE} cannot be downloaded ({lines[-1] if lines else 'pip said nothing'}). Connect "
                f"to a package index, or put {MEMBER} of that wheel at {file}"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            whole = file.with_suffix(".part")
            whole.write_bytes(archive.read(MEMBER))
            whole.rename(file)
