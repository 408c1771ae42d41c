"""Figures as they are shown: one JSON object a line, or a line for people."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from typing import Any

MS = 1000.0


def arguments(description: str | None, seconds: float) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"for each measurement (default {seconds:g})")
    return parser


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(as_json: bool, what: str, **figures: Any) -> None:
    """One line of figures; floats are rounded to what they are worth."""
    told = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    if as_json:
        print(json.dumps({"what": what, **told}), flush=True)
    else:
        print(f"{what:<44}" + "  ".join(f"{name} {value}" for name, value in told.items()), flush=True)


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was."""
    return {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "python": platform.python_version()}
