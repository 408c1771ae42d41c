"""A server that all processes of a test run share: the first that asks has it started, and it is gone with the last.

Each holds a connection to a keeper, a process of its own. Whoever dies or is killed lets go of it too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import pkgutil
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from tests.servers import Missing, Server, children

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)  # the same in all workers of a run
ATTEMPTS = 5
LONELY = 60  # seconds that a keeper waits for the first to come
PATIENCE = 2400  # seconds for a server that has to be fetched first


@contextlib.contextmanager
def shared(factory: str) -> Iterator[Any]:
    """The server of `factory` ("module:name" of a context manager), as it was when it had started; it cannot be stopped
    from here. When the last of a run leaves, it waits until nothing is left. Raises what the factory raised."""
    line, found = _joined(factory)
    with line:
        if isinstance(found, Exception):
            raise found
        try:
            yield found
        finally:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
                line.recv(1)  # ends when the keeper does, or at once where others remain


def _joined(factory: str) -> tuple[socket.socket, Any]:
    address = f"\0vdw-tests-{RUN}-{factory}"  # of Linux's abstract names, which vanish with their owner
    with tempfile.TemporaryFile() as log:
        for _ in range(ATTEMPTS):
            _kept(address, factory, log)
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError, EOFError):  # the last has just left, or the first is not ready
                line.connect(address)
                with line.makefile("rb") as answer:
                    return line, pickle.load(answer)
            line.close()
            time.sleep(0.2)
        log.seek(0)
        raise RuntimeError(f"no keeper for {factory}: {log.read().decode(errors='replace')[-2000:]}")


def _kept(address: str, factory: str, log: IO[bytes]) -> None:
    """Start a keeper unless there is one. It must not be our child: it may outlive us, and hears no Ctrl-C."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(address)
        except OSError:
            return
        listener.listen(64)
        subprocess.run(
            ["setsid", "--fork", sys.executable, "-m", "tests.shared", str(listener.fileno()), factory],
            check=True, pass_fds=(listener.fileno(),), cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip


class Door:
    """Who is there. `empty` is set when all have gone, after which nobody comes any more."""

    def __init__(self, listener: socket.socket) -> None:
        self.empty = threading.Event()
        self._listener = listener
        self._lines: list[socket.socket] = []
        self._leaver: socket.socket | None = None  # the last: closed when this process ends
        self._answer = b""
        self._lock = threading.Lock()

    def tell(self, answer: object) -> None:
        """What everybody is told that comes or is there."""
        with self._lock:
            self._answer = pickle.dumps(answer)
            for line in self._lines:
                self._send(line)

    def watch(self) -> None:
        """Until all have gone; what this process has started then ends, if it is not ready yet."""
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while self._leaver is None:
                events = selector.select(None if self._lines else LONELY)
                if not events:
                    break  # who started this has died
                for key, _ in events:
                    self._heard(key.fileobj, selector)
        self.empty.set()
        if not self._answer:  # it is still about to start
            for child in children(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _heard(self, which: Any, selector: selectors.BaseSelector) -> None:
        with self._lock:
            if which is self._listener:
                self._entered(selector)
                return
            selector.unregister(which)
            self._lines.remove(which)
            if not self._lines:
                self._entered(selector)  # whom a busy machine has not shown yet
            if self._lines:
                which.close()
            else:
                self._leaver = which

    def _entered(self, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(BlockingIOError):
            line, _ = self._listener.accept()
            line.setblocking(True)
            self._lines.append(line)
            selector.register(line, selectors.EVENT_READ)
            if self._answer:
                self._send(line)

    def _send(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            line.sendall(self._answer)


def main(descriptor: int, factory: str) -> None:
    """Start the server, and keep it until all have gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without removing the server
    door = Door(socket.socket(fileno=descriptor))
    threading.Thread(target=door.watch, daemon=True).start()
    try:
        with pkgutil.resolve_name(factory)() as server:
            door.tell(replace(server, process=None) if isinstance(server, Server) else server)
            door.empty.wait()
    except (Missing, RuntimeError) as error:
        door.tell(error)
        door.empty.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
