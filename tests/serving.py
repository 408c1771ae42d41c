"""A project served in this process, by an event loop of a thread of its own."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from api.project import open_project

T = TypeVar("T")


class Serving:
    """The open project is `runtime`; `patience`: seconds for one piece of work, None: however long it takes."""

    def __init__(self, folder: Path, patience: float | None = None) -> None:
        self._patience = patience
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, args=(folder,), name=f"project-{folder.name}", daemon=True)
        self._thread.start()
        self._ready.result(timeout=300)

    def _main(self, folder: Path) -> None:
        try:
            asyncio.run(self._serve(folder))
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self, folder: Path) -> None:
        async with open_project(folder) as runtime:
            self.runtime = runtime
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set_result(None)
            await self._stop.wait()

    @property
    def diagnostics(self) -> list[str]:
        """What loading the project complained about."""
        return [str(diagnostic) for diagnostic in self.runtime.diagnostics]

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives, run by the project's loop."""
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(timeout=self._patience)
        except TimeoutError:
            if not asked.done():  # what everybody is at, for who reads the test's report
                faulthandler.dump_traceback(sys.__stderr__)
                for task in asyncio.all_tasks(self._loop):
                    task.print_stack()
            raise

    def close(self) -> None:
        """Close the project and end the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
