"""The process behind `api.bounded`: one job from standard input, its answer to standard output."""

from __future__ import annotations

import importlib
import os
import resource
import sys
from typing import Any

import orjson

from connectors.errors import Error, LimitExceeded, QueryError

JOBS = {"upload": "api.uploads.job", "fit": "api.segments.job"}  # each has run(job)


def main(do: str, memory: str, seconds: str) -> None:
    """Do it within those bytes and seconds; what goes wrong is part of the answer."""
    os.nice(5)  # queries go first
    bounds = ((resource.RLIMIT_AS, int(memory)), (resource.RLIMIT_CPU, int(seconds)), (resource.RLIMIT_CORE, 0))
    for bound, value in bounds:
        resource.setrlimit(bound, (value, value))
    sys.stdout.buffer.write(orjson.dumps(_answer(do, orjson.loads(sys.stdin.buffer.read()))))


def _answer(do: str, job: Any) -> dict[str, Any]:
    try:
        return {"done": importlib.import_module(JOBS[do]).run(job)}
    except MemoryError:
        return _told(LimitExceeded("it needs more memory than it may take"))
    except Error as error:
        return _told(error)


def _told(error: Error) -> dict[str, Any]:
    family = "query" if isinstance(error, QueryError) else "limit" if isinstance(error, LimitExceeded) else "error"
    names = ("message", "sqlstate", "place", "hint", "detail")
    return {"family": family, "error": {name: getattr(error, name) for name in names}}


if __name__ == "__main__":
    main(*sys.argv[1:])
