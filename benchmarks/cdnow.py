"""Frequency, recency, age and monetary value of all CDNOW customers against lifetimes' own: python -m benchmarks.cdnow.

lifetimes needs an older pandas than anything here: it is installed, and runs, in a virtual environment of its own that
is thrown away afterwards (--environment FOLDER keeps one, or takes one that was kept). It reads the purchases' file,
shifted by as many days as the example's are; we ask segmentation.lifetimes_at of the example, built for this. --json:
one object a comparison. 1 where anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from api.project import Runtime, open_project
from examples.crm import build, cdnow
from federation.session import Session

PACKAGES = ("lifetimes==0.11.3", "pandas==1.5.3", "numpy==1.24.4", "scipy==1.10.1", "setuptools<80")
# Days before the data's last one at which the observation ends, and the unit of time. 273 is 30 September 1997, where
# the literature ends its calibration period.
ENDS = ((0, "D"), (0, "W"), (91, "D"), (182, "W"), (273, "D"), (273, "W"), (365, "D"), (540, "D"))
CLOSE = 1e-9  # of a monetary value: lifetimes sums in binary, we in decimals

SUMMARY = """
import sys, pandas, lifetimes
from lifetimes.utils import summary_data_from_transaction_data as summary
purchases = pandas.read_csv(sys.argv[1], parse_dates=["day"])
for asked in sys.argv[3:]:
    end, unit = asked.split("/")
    made = summary(purchases, "customer", "day", "amount", observation_period_end=end, freq=unit)
    made.to_csv(f"{sys.argv[2]}/{end}-{unit}.csv", float_format="%.17g")
print(lifetimes.__version__, pandas.__version__)
"""

Summary = dict[int, tuple[float, float, float, float]]  # frequency, recency, age, monetary value by customer


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cdnow", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--environment", type=Path, help="a folder for lifetimes' virtual environment, kept")
    said = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vdw-cdnow-")))
        python = _environment(said.environment or folder / "environment")
        build.build(folder / "crm")
        results = asyncio.run(_compared(folder, python))
    for result in results:
        print(json.dumps(result) if said.json else _line(result))
    return 1 if any(result["different"] for result in results) else 0


def _environment(folder: Path) -> Path:
    """lifetimes' own interpreter."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        subprocess.run([*pip, *PACKAGES], check=True)
    return python


async def _compared(folder: Path, python: Path) -> list[dict[str, Any]]:
    async with open_project(folder / "crm") as runtime:
        ((last,),) = await _rows(runtime, "SELECT max(ordered_on) FROM sales.orders")
        ends = [(last - dt.timedelta(days=days), unit) for days, unit in ENDS]
        theirs = await asyncio.to_thread(_lifetimes, folder, python, last, ends)
        return [_difference(end, unit, await _ours(runtime, end, unit), theirs[end, unit]) for end, unit in ends]


async def _rows(runtime: Runtime, sql: str) -> list[tuple[Any, ...]]:
    answer = await runtime.engine.query(sql, Session("vdw", timeout=120.0))
    return [tuple(row.values()) for row in (await answer.table()).to_pylist()]


async def _ours(runtime: Runtime, end: dt.date, unit: str) -> Summary:
    rows = await _rows(
        runtime,
        "SELECT customer_id, frequency, recency, age, monetary_value FROM segmentation.lifetimes_at "
        f"WHERE as_of = date '{end}' AND unit = '{unit}'",
    )
    return {row[0]: (float(row[1]), float(row[2]), float(row[3]), float(Decimal(row[4]))) for row in rows}


def _lifetimes(folder: Path, python: Path, last: dt.date, ends: Sequence[tuple[dt.date, str]]) -> dict[Any, Summary]:
    """What lifetimes makes of the file's purchases."""
    purchases = cdnow.purchases(cdnow.default_cache())
    shift = last - max(purchase.day for purchase in purchases)
    with (folder / "purchases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("customer", "day", "amount"))
        writer.writerows((one.customer, one.day + shift, one.amount) for one in purchases)
    asked = [f"{end}/{unit}" for end, unit in ends]
    command = [str(python), "-W", "ignore", "-c", SUMMARY, str(folder / "purchases.csv"), str(folder), *asked]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {(end, unit): dict(_read(folder / f"{end}-{unit}.csv")) for end, unit in ends}


def _read(path: Path) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            figures = (float(row[name]) for name in ("frequency", "recency", "T", "monetary_value"))
            frequency, recency, age, money = figures
            yield int(row["customer"]), (frequency, recency, age, money)


def _difference(end: dt.date, unit: str, ours: Summary, theirs: Summary) -> dict[str, Any]:
    """How many customers differ in anything, and the most that a monetary value is off."""
    missing = len(ours.keys() ^ theirs.keys())
    both = [(ours[customer], theirs[customer]) for customer in ours.keys() & theirs.keys()]
    off = [abs(one[3] - other[3]) for one, other in both]
    wrong = sum(
        one[:3] != other[:3] or not math.isclose(one[3], other[3], rel_tol=CLOSE, abs_tol=CLOSE) for one, other in both
    )
    return {
        "benchmark": "cdnow",
        "observed_until": str(end),
        "unit": unit,
        "customers": len(theirs),
        "equal": len(both) - wrong,
        "different": wrong + missing,
        "monetary_off_at_most": max(off, default=0.0),
    }


def _line(result: dict[str, Any]) -> str:
    observed = f"until {result['observed_until']} in {result['unit']}"
    return (
        f"{observed}: {result['equal']:,} of {result['customers']:,} customers equal, "
        f"{result['different']} differ (monetary value off by {result['monetary_off_at_most']:.1e} at most)"
    )


if __name__ == "__main__":
    sys.exit(main())
