"""The stage of every benchmark: real servers, a project folder over them, and `vdw serve` as a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.web import Web
from tests.servers import Server, running

START = "import sys; from api.cli import main; sys.argv = ['vdw', *sys.argv[1:]]; main()"
ADDRESS = re.compile(r"host=(\S+) port=(\d+) dbname=(\S+) user=(\w+)|http://([^:]+):(\d+)/graphql")


@dataclass
class Served:
    """A running `vdw serve`: where it listens, and its process."""

    process: subprocess.Popen[str]
    options: dict[str, Any]  # libpq's
    http: tuple[str, int]

    def peak(self) -> int:
        """Most bytes of memory that the process had at once since `forget_peak`."""
        return self._memory("VmHWM")

    def memory(self) -> int:
        """Bytes of memory that it has now."""
        return self._memory("VmRSS")

    def forget_peak(self) -> None:
        """Count the peak from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def processor(self) -> float:
        """Seconds of processor time that the process, without the canon, has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def metrics(self) -> dict[str, float]:
        """What /metrics says now, by name and labels as they are written there."""
        web = await Web.connect(*self.http)
        _, body = await web.get("/metrics")
        web.close()
        lines = [line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(kilobytes) * 1024


def complaint(place: Path) -> str:
    """The first error of ours that the server of the folder has logged, or ''."""
    _, found, rest = (place / "served.log").read_text(errors="replace").partition("Traceback")
    return (found + rest)[:12_000]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that is gone at the end."""
    made = Path(tempfile.mkdtemp(prefix="vdw-benchmark-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def servers(*kinds: str) -> Iterator[dict[str, Server]]:
    """Fresh servers, by kind."""
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(running(kind)) for kind in kinds}


def write(
    place: Path, sources: Mapping[str, Mapping[str, Any]], views: Mapping[str, str], connections: int = 100, **more: Any
) -> None:
    """A project folder. A source's plain password goes into a file of its own; views are whole files by full name;
    `more` is what vdw.yml says besides."""
    listen = {"http": {"port": 0}, "postgresql": {"port": 0, "connections": connections}}
    _dump(place / "vdw.yml", {"name": "benchmark", "listen": listen, **more})
    for name, source in sources.items():
        connection = dict(source["connection"])
        if "password" in connection:
            secret = place / "secrets" / name
            secret.parent.mkdir(exist_ok=True)
            secret.write_text(connection["password"])
            connection["password"] = {"file": f"secrets/{name}"}
        _dump(place / "sources" / f"{name}.yml", {**source, "connection": connection})
    for name, text in views.items():
        schema, view = name.split(".")
        path = place / "views" / schema / f"{view}.view.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def view(name: str, query: str, **header: Any) -> str:
    """The file of a view."""
    told = yaml.safe_dump({"view": name, **header}, sort_keys=False)
    return f"/*---\n{told}---*/\n{query}\n"


@contextlib.contextmanager
def served(place: Path, whole: bool = True) -> Iterator[Served]:
    """`vdw serve` over the folder, from when it listens until it has ended; `whole`: only if nothing is amiss."""
    command = [sys.executable, "-c", START, "serve", "--project", str(place)]
    with (place / "served.log").open("a") as log:  # a pipe that nobody reads would stop it once it is full
        start = log.tell()
        process = subprocess.Popen(command, stderr=log, text=True, cwd=Path(__file__).parent.parent)
    try:
        yield Served(process, *_addresses(process, place / "served.log", start, whole))
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _addresses(
    process: subprocess.Popen[str], log: Path, start: int, whole: bool
) -> tuple[dict[str, Any], tuple[str, int]]:
    options: dict[str, Any] = {}
    http = ("", 0)
    said = []
    for line in _lines(process, log, start):
        said.append(line)
        if found := ADDRESS.search(line):
            host, port, database, user, web, web_port = found.groups()
            if host:
                options = {"host": host, "port": int(port), "dbname": database, "user": user}
            else:
                http = (web, int(web_port))
        if line.startswith("ready"):
            if whole and any("errors in the project" in told for told in said):
                raise RuntimeError("the benchmark's project has errors:\n" + "".join(said))
            return options, http
    raise RuntimeError("vdw serve ended before it listened:\n" + "".join(said))


def _lines(process: subprocess.Popen[str], log: Path, start: int) -> Iterator[str]:
    """The lines of the log from `start` on, as they come, until the process has ended."""
    with log.open() as file:
        file.seek(start)
        while True:
            ended = process.poll() is not None
            yield from file
            if ended:
                return
            time.sleep(0.01)


def _dump(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(value), sort_keys=False))
