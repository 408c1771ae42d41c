"""The canon's supervisor, a process of its own: restarts the server, and ends it when the product's process ends.

Runs by file name under `python -I -S` with nothing but the standard library. The product holds the other end of its
standard input and never writes to it: end of file, however the product died, means stop. A signal on the
parent's death would not do for that: Linux ties it to the *thread* that forked. For the server it does, since this
process has one thread.

Prints `ready <generation>` for each start, `failed` when it gives up. Removes the whole folder at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FAILURES = 5  # to come up, in a row, then give up; what kills a server that was up may pass
LONGEST_PAUSE = 5.0  # seconds between two starts
PR_SET_PDEATHSIG = 1


class Watch:
    """One server's life. `spec`: home, postgres (path), data, uid, gid (or null), parent (pid)."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.home, self.data = Path(spec["home"]), Path(spec["data"])
        self.command = [spec["postgres"], "-D", spec["data"]]
        self.uid, self.gid, self.parent = spec["uid"], spec["gid"], spec["parent"]
        self.generation = 0
        self.wake, self.waker = os.pipe()
        os.set_blocking(self.waker, False)
        os.set_blocking(self.wake, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> int:
        """Keep the server up until the product is gone."""
        quick = failures = 0
        while failures < FAILURES:
            began = time.monotonic()
            server = self._launch()
            try:
                up = self._until_ready(server)
                if up:
                    self.generation += 1
                    print(f"ready {self.generation}", flush=True)  # noqa: T201 (the protocol)
                gone = self._until_end(server)
            finally:
                self._end(server)
            quick = quick + 1 if time.monotonic() - began < 2 else 0
            failures = 0 if up else failures + 1
            if gone or self._orphaned_within(min(0.025 * 2**quick, LONGEST_PAUSE) if quick else 0.0):
                return 0
        print("failed", flush=True)  # noqa: T201
        self._until_end(None)  # the product reads the log, then lets go
        return 1

    def _launch(self) -> subprocess.Popen[bytes]:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", "")},
                preexec_fn=die_with_parent,  # safe: one thread here
            )

    def _until_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether the server came up; its eighth line of postmaster.pid says so, as pg_ctl reads it."""
        while server.poll() is None and not self._orphaned(0.002):
            with contextlib.suppress(OSError, IndexError):
                if (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                    return True
        return False

    def _until_end(self, server: subprocess.Popen[bytes] | None) -> bool:
        """Wait; True when the product is gone, False when the server is."""
        while server is None or server.poll() is None:
            if self._orphaned(1.0):
                return True
        return self._orphaned(0)

    def _orphaned_within(self, seconds: float) -> bool:
        """Let so much time pass, unless the product is gone."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._orphaned(left):
                return True
        return self._orphaned(0)

    def _orphaned(self, timeout: float) -> bool:
        # The parent's pid is asked too: a process forked off the product may hold the pipe open.
        ready, _, _ = select.select([0, self.wake], [], [], timeout)
        if self.wake in ready:
            os.read(self.wake, 4096)
        return (0 in ready and not os.read(0, 4096)) or os.getppid() != self.parent

    def _end(self, server: subprocess.Popen[bytes]) -> None:
        """Stop at once: nothing here is worth a checkpoint."""
        if server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(8)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def die_with_parent() -> None:
    """In the child: have the kernel send SIGQUIT when the supervisor itself is killed (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def main() -> int:
    """Watch, and leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the product decides when to stop
    spec = json.loads(sys.argv[1])
    try:
        return Watch(spec).run()
    finally:
        shutil.rmtree(spec["home"], ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
