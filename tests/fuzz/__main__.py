"""Random differential run: python -m tests.fuzz --seconds N --seed S [--json]; one JSON object at its end."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.differential.placements import ENGINES, USUAL
from tests.fuzz.run import Run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="rounds are begun for so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", default=",".join(USUAL), help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--round", type=int, default=0, help="only the round of this number (from 1)")
    parser.add_argument("--keep", type=Path, help="folder for what fails, reduced to cases (default: a temporary one)")
    parser.add_argument("--no-reduce", action="store_true", help="keep failures as they were found")
    parser.add_argument("--json", action="store_true", help="print nothing but the one object")
    return parser.parse_args()


def main() -> int:
    """0 only if every answer was equal."""
    arguments = _arguments()
    keep = arguments.keep or Path(tempfile.mkdtemp(prefix="vdw-fuzz-found-"))
    run = Run(arguments.seed, arguments.engines.split(","), keep, arguments.json, not arguments.no_reduce)
    total = run.go(arguments.seconds, arguments.round)
    print(json.dumps(total, ensure_ascii=False))
    return 0 if not total["wrong"] and not total["refused"] else 1


if __name__ == "__main__":
    sys.exit(main())
