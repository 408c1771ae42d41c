"""Random faults at real servers under load: python -m tests.faults --seconds N --seed S [--json]; one JSON object."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import api.project
from tests.faults.run import Run
from tests.servers import running


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="faults are begun for so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--only", default="", help="names of faults, by commas (default: all)")
    parser.add_argument("--json", action="store_true", help="print nothing but the one object")
    return parser.parse_args()


def main() -> int:
    """0 only if nothing was wrong or late, and everything was answered again."""
    arguments = _arguments()
    api.project.RETRY = 1.0
    only = frozenset(filter(None, arguments.only.split(",")))
    folder = tempfile.TemporaryDirectory(prefix="vdw-faults-")
    with folder, running("postgresql") as postgresql, running("mariadb") as mariadb:
        run = Run(postgresql, mariadb, Path(folder.name), arguments.seed, arguments.clients, only)
        totals = run.go(arguments.seconds, arguments.json)
    print(json.dumps(totals.json(), ensure_ascii=False))
    return 0 if totals.good else 1


if __name__ == "__main__":
    sys.exit(main())
