"""A public corpus of SQL with its tables spread over sources: python -m tests.slt --files N --seed S [--json]."""

from __future__ import annotations

import argparse
import json
import sys

from tests.differential.placements import ENGINES, USUAL
from tests.slt.run import Run, corpus, picked


def main() -> int:
    """0 only if every answer was equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.slt", description=__doc__)
    parser.add_argument("--files", type=int, default=0, help="so many scripts, of every folder in turn (default: all)")
    parser.add_argument("--queries", type=int, default=0, help="at most so many of each state of a script's tables")
    parser.add_argument("--only", default="", help="scripts whose name contains this")
    parser.add_argument("--seed", type=int, default=1, help="of placements, configurations and choices")
    parser.add_argument("--engines", default=",".join(USUAL), help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--json", action="store_true", help="print nothing but the one object")
    arguments = parser.parse_args()
    scripts = picked([s for s in corpus() if arguments.only in s.name], arguments.files, arguments.seed)
    run = Run(arguments.seed, arguments.engines.split(","), arguments.json)
    total = run.go(scripts, arguments.queries)
    print(json.dumps(total, ensure_ascii=False))
    return 0 if not total["wrong"] and not total["refused"] else 1


if __name__ == "__main__":
    sys.exit(main())
