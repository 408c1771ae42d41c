"""What the benchmarks need from PyPI beside vdw: TPC's generators and texts, and DuckDB 1.5 with its scanners.

They get an environment of their own in the cache folder, made when first asked for: vdw itself runs on another DuckDB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DUCKDB = "1.5.5"  # the last whose scanners are on PyPI
EXTENSIONS = ("postgres_scanner", "mysql_scanner", "tpch", "tpcds")
PACKAGES = (
    f"duckdb=={DUCKDB}",
    *(f"duckdb-extension-{name.replace('_', '-')}=={DUCKDB}" for name in EXTENSIONS),
    "tpchgen-cli==4.0.0",
)
PEER = Path(__file__).parent / "attach.py"


class Unavailable(Exception):
    """The tools cannot be had; says why."""


def cache_folder() -> Path:
    """Where loaded servers and tools stay between runs: readable for the servers' own users, and not in the tree."""
    return Path(tempfile.gettempdir()) / f"vdw-benchmarks-{os.getuid()}"


class Tools:
    """The environment in `cache`."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "tools"
        self._python = self._folder / "bin" / "python"
        made = self._folder / "made"
        if not made.exists() or made.read_text() != "\n".join(PACKAGES):
            _run([sys.executable, "-m", "venv", "--clear", str(self._folder)])
            _run([str(self._python), "-m", "pip", "install", "--quiet", *PACKAGES])
            made.write_text("\n".join(PACKAGES))

    def generate(self, scale: float, folder: Path, form: str, tables: Sequence[str]) -> None:
        """TPC-H's tables as files <table>.<form> ("csv" or "parquet") in `folder`."""
        program = str(self._folder / "bin" / "tpchgen-cli")
        _run([program, form, "-s", f"{scale:g}", "-o", str(folder), "-T", ",".join(tables)])

    def peer(self) -> Peer:
        """A process of DuckDB with its extensions."""
        return Peer(self._python, self._folder)


class Peer:
    """DuckDB in a process of its own; `ask` it, `close` it. See attach.py for what it understands."""

    def __init__(self, python: Path, folder: Path) -> None:
        found = {path.name.removesuffix(".duckdb_extension"): str(path) for path in folder.rglob("*.duckdb_extension")}
        command = [str(python), str(PEER), *(found[name] for name in EXTENSIONS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def process_id(self) -> int:
        """Of its process."""
        return self._process.pid

    def ask(self, **what: Any) -> dict[str, Any]:
        """Its answer; RuntimeError with DuckDB's words where it has an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("DuckDB's process has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} failed: {(done.stderr or done.stdout).strip()[-500:]}")
