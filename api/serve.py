"""`vdw serve`: both listeners over one project, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette

from api import console, handles, logs, memory, traces
from api.http import app, control
from api.pgwire import server as pgwire
from api.project import Runtime, open_project
from api.socket import listening
from api.watches.service import alerting
from connectors.errors import ConfigError, Error
from federation.canon.roles import ANONYMOUS
from views.files import Listener, SqlListener, Tls

GRACE = 5  # seconds that running requests get when the server stops
KEEP_ALIVE = 75  # seconds that an idle HTTP connection may stay, longer than the usual proxy keeps its own

log = logging.getLogger("vdw.serve")


@dataclass(frozen=True, slots=True)
class Serving:
    """Where it listens; None where a listener is off."""

    http: tuple[str, int] | None
    postgresql: tuple[str, int] | None
    tls: bool = False


def serve(folder: Path, ready: Callable[[Runtime, Serving], None] | None = None) -> int:
    """Serve the project until SIGINT or SIGTERM; SIGHUP reloads it. `ready` is called once both listen."""
    memory.settle()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its comings and goings are told below
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(folder, ready or announce))
    return 0


async def _serve(folder: Path, ready: Callable[[Runtime, Serving], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    opening = asyncio.create_task(_until(stop, folder, ready))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            await asyncio.wait({opening}, timeout=2 * GRACE)
    finally:
        stopped.cancel()
        if not opening.done():
            opening.cancel()  # it was still coming up, or does not come down
        with contextlib.suppress(asyncio.CancelledError):
            await opening


async def _until(stop: asyncio.Event, folder: Path, ready: Callable[[Runtime, Serving], None]) -> None:
    async with open_project(folder) as runtime, serving(runtime) as where, contextlib.AsyncExitStack() as stack:
        stack.enter_context(frozen())
        _tell(runtime, stack)
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = asyncio.create_task(_reload(runtime))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        ready(runtime, where)
        with frozen():
            await stop.wait()


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """What there is after the start lives as long as the process: the garbage collector need not look at it each time,
    nor as often as for small programs, since a plan alone makes thousands of objects."""
    known = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*known)
        gc.unfreeze()


@contextlib.asynccontextmanager
async def serving(runtime: Runtime, explore: bool | None = None) -> AsyncIterator[Serving]:
    """Both listeners of a project's vdw.yml, for the time of the block; `explore` as in `api.http.app`."""
    listen = runtime.project.file.listen
    folder = runtime.project.folder
    async with contextlib.AsyncExitStack() as stack:
        http = sql = None
        if listen.http.enabled:
            http = await stack.enter_async_context(_http(runtime, listen.http, folder, explore))
        if listen.postgresql.enabled:
            sql = await stack.enter_async_context(_postgresql(runtime, listen.postgresql, folder))
        await stack.enter_async_context(_control(runtime))
        await stack.enter_async_context(alerting(runtime))
        yield Serving(http, sql, listen.http.tls is not None)


def _tell(runtime: Runtime, stack: contextlib.AsyncExitStack) -> None:
    """Logs and traces, as the project wants them."""
    telemetry, listeners = runtime.project.file.telemetry, runtime.engine.watch.listeners
    if telemetry.queries:
        stack.enter_context(logs.written())
        listeners.append(logs.QueryLog())
    if telemetry.traces is not None:
        listeners.append(stack.enter_context(traces.exported(telemetry.traces, runtime.project.file.name)))


def announce(runtime: Runtime, where: Serving) -> None:
    """What to connect with, for the one who started it."""
    catalog = runtime.engine.catalog
    lines = [f"{runtime.project.file.name}: {len(catalog.views)} views over {len(runtime.project.sources)} sources"]
    user = next(iter(runtime.project.file.users), ANONYMOUS)
    if where.postgresql is not None:
        host, port = where.postgresql
        lines.append(f'  SQL      psql "host={host} port={port} dbname=vdw user={user}"')
    if where.http is not None:
        scheme = "https" if where.tls else "http"
        lines.append(f"  GraphQL  {scheme}://{_printed(where.http)}/graphql")
        if runtime.dashboards:
            lines.append(f"  Pages    {scheme}://{_printed(where.http)}/dashboards")
    errors = sum(one.severity == "error" for one in runtime.diagnostics)
    if errors:
        lines.append(f"  {errors} errors in the project's files: what they concern is not served (vdw check tells)")
    for line in [*lines, "ready; Ctrl-C stops it"]:
        console.note(line)


class _Server(uvicorn.Server):
    """Signals are ours to handle: there is more to stop than HTTP."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _http(
    runtime: Runtime, listener: Listener, folder: Path, explore: bool | None
) -> AsyncIterator[tuple[str, int]]:
    bound = _bound(listener.host, listener.port, "listen.http")
    try:
        async with _answering(app(runtime, explore), bound, _files(listener.tls, folder)):
            yield bound.getsockname()[:2]
    finally:
        bound.close()


@contextlib.asynccontextmanager
async def _control(runtime: Runtime) -> AsyncIterator[None]:
    """The commands of our own operating system user; the server does without them where there can be no socket."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            made = stack.enter_context(listening(runtime.project.folder))
        except (OSError, ConfigError) as error:
            log.warning("commands such as vdw running will not reach this server: %s", error)
        else:
            await stack.enter_async_context(_answering(control(runtime), made))
        yield


@contextlib.asynccontextmanager
async def _answering(
    what: Starlette, bound: socket.socket, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[None]:
    """Serve an application on a listening socket, for the time of the block."""
    config = uvicorn.Config(
        what,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110  (it has no event to wait for)
            await asyncio.sleep(0.005)
        if running.done():
            running.result()
        yield
    finally:
        server.should_exit = True
        await asyncio.wait({running})


@contextlib.asynccontextmanager
async def _postgresql(runtime: Runtime, listener: SqlListener, folder: Path) -> AsyncIterator[tuple[str, int]]:
    tls = _files(listener.tls, folder)
    context = pgwire.certificate(*tls) if tls else None
    file = runtime.project.file
    names = ("vdw", file.name)
    most = runtime.canon.sessions  # as it was started, whatever a reload has read since
    handles.ask(most)
    server = pgwire.Server(
        runtime.canon, runtime.engine, users=file.users, databases=names, tls=context, connections=most
    )
    try:
        await server.start(listener.host, listener.port)
    except OSError as error:
        raise _taken(listener.host, listener.port, "listen.postgresql", error) from None
    try:
        yield server.address
    finally:
        await server.stop()


async def _reload(runtime: Runtime) -> None:
    try:
        diagnostics = await runtime.reload()
    except Error as error:
        log.error("not reloaded, the old project goes on serving: %s", error)
        return
    errors = sum(one.severity == "error" for one in diagnostics)
    log.info("reloaded: catalog %s, %d errors", runtime.engine.catalog.version, errors)


def _bound(host: str, port: int, key: str) -> socket.socket:
    """A listening socket; ConfigError where the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(256)
    except OSError as error:
        made.close()
        raise _taken(host, port, key, error) from None
    return made


def _taken(host: str, port: int, key: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot listen on {host}:{port}: {error.strerror or error}",
        place=f"vdw.yml, {key}",
        hint="Stop what listens there, or choose another port (0 takes a free one).",
    )


def _files(tls: Tls | None, folder: Path) -> tuple[Path, Path] | None:
    return None if tls is None else (folder / tls.certificate, folder / tls.key)


def _printed(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
