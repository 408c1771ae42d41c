"""Work that is heavy or done on what strangers send: in a process of its own, bounded in time and memory.

Neither its libraries nor what it takes ever are in the server; it can be stopped at once, and a crash of it is told.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from connectors.errors import Error, LimitExceeded, QueryError
from connectors.surroundings import harmless

ROOT = Path(__file__).resolve().parent.parent
WAITING = 8  # for each place
KILLED = (-9, -6, -11, -24)  # what the limits of a process end it with
OUT_OF_MEMORY = (b"MemoryError", b"failed to map segment", b"Cannot allocate memory")
_FAMILIES: dict[str, type[Error]] = {"query": QueryError, "limit": LimitExceeded, "error": Error}
# One thread: the same sums in the same order, on any machine.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(slots=True)
class Bench:
    """Places for such work; `what` is said of it in messages, `remedy` which setting it is."""

    what: str
    places: int
    seconds: float
    memory: int
    remedy: str
    _free: asyncio.Semaphore = field(init=False)
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.places)

    async def run(self, do: str, job: Mapping[str, Any], files: Sequence[int] = ()) -> Any:
        """What `api.worker` gives for a job; `files` are the descriptors that it may use. Its errors are raised here;
        LimitExceeded past time or memory, and where too many wait."""
        async with self._place():
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "api.worker", do, str(self.memory), str(int(self.seconds) + 1)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=tuple(files),
                cwd=ROOT,
                env={**harmless(os.environ), **_ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            )
            return await self._awaited(process, orjson.dumps(job))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._free.locked() and self._waiting >= WAITING * self.places:
            raise LimitExceeded(f"too many {self.what} wait", sqlstate="53300", hint="Try again in a while.")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def _awaited(self, process: asyncio.subprocess.Process, job: bytes) -> Any:
        try:
            async with asyncio.timeout(self.seconds):
                told, noise = await process.communicate(job)
        except TimeoutError:
            message = f"{self.what} may take {self.seconds:g} s, and this one needs more"
            raise LimitExceeded(message, sqlstate="57014", hint=self.remedy) from None
        finally:
            if process.returncode is None:  # nobody waits for it any more
                process.kill()
                await asyncio.shield(process.wait())
        if process.returncode != 0:
            raise self._died(process.returncode or 0, noise)
        answer = orjson.loads(told)
        if "error" in answer:
            raise _FAMILIES[answer["family"]](**answer["error"])
        return answer["done"]

    def _died(self, code: int, noise: bytes) -> Exception:
        if code in KILLED or any(mark in noise for mark in OUT_OF_MEMORY):
            return LimitExceeded(
                f"{self.what} may take {self.memory >> 20} MB, and this one needs more", hint=self.remedy
            )
        return RuntimeError(f"the worker ended with {code}: {noise.decode(errors='replace')[-2000:]}")
