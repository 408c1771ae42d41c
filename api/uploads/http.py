"""Uploads over HTTP: send a file with its description, list, describe, delete."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api.auth import Principal
from api.bounded import Bench
from api.graphql.negotiate import Refused
from api.uploads.describe import Description, read
from api.uploads.receive import Received, own_page, received
from api.uploads.shelf import Entry, Shelf
from connectors.base import Cancel
from connectors.errors import LimitExceeded, QueryError
from views.catalog import UPLOADS
from views.uploads import Uploads as Limits


class Uploads:
    """Answers for one server's `Runtime`."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        limits = runtime.project.file.uploads or Limits()
        remedy = "uploads.timeout and uploads.memory in vdw.yml are what it may take."
        self._bench = Bench("reading an upload", limits.at_once, limits.timeout, limits.memory, remedy)

    def routes(self, guard: Any) -> list[BaseRoute]:
        """All endpoints."""
        return [
            Route("/uploads", guard(self._all)),
            Route("/uploads/{name}", guard(self._one)),
        ]

    async def _all(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        if request.method == "POST":
            name = request.query_params.get("name")
            if not name:
                raise Refused(400, "say ?name= of the table, or PUT /uploads/NAME")
            return await self._put(request, name, who)
        method(request, "GET", "POST")
        shelf, _ = self._shelf()
        entries = await asyncio.to_thread(shelf.entries)
        mine = [told(UPLOADS, one) for one in entries.values() if who.admin or one.owner == who.name]
        return answer({"uploads": sorted(mine, key=lambda one: str(one["name"]))})

    async def _one(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            return await self._put(request, name, who)
        method(request, "GET", "PUT", "DELETE")
        shelf, _ = self._shelf()
        entry = await asyncio.to_thread(shelf.find, name, None if who.admin else who.name)
        if request.method == "DELETE":
            own_page(request)
            await asyncio.to_thread(shelf.drop, name)
            await self._runtime.renew()
            return answer({"deleted": f"{UPLOADS}.{name}"})
        return answer(told(UPLOADS, entry))

    async def _put(self, request: Request, name: str, who: Principal) -> Response:
        _, limits = self._shelf()
        async with received(request, limits.size) as file:
            new, entry = await self.keep(name, who, file)
        return answer(told(UPLOADS, entry), 201 if new else 200)

    async def keep(self, name: str, who: Principal, file: Received) -> tuple[bool, Entry]:
        """Make a table of a file; whether it is a new one, and its entry."""
        shelf, limits = self._shelf()
        if "description" not in file.said:
            hint = 'Send {"attributes": {"customer_id": "integer", ...}} as the part or parameter `description`.'
            raise QueryError("the description of the attributes is missing", sqlstate="22023", hint=hint)
        description = read(Description, file.said["description"], "description")
        if len(description.attributes) > limits.columns:
            raise LimitExceeded(f"uploads.columns in vdw.yml allows {limits.columns} attributes", sqlstate="54000")
        await asyncio.to_thread(shelf.room, name, who.name, limits.tables, limits.per_user, limits.total)
        into = shelf.part(name)
        try:
            made = await self._bench.run("upload", _job(file, description, into, limits), (file.file.fileno(),))
            facts = {"description": description.model_dump(mode="json", exclude_unset=True), **made}
            new = name not in shelf.entries()
            entry = await asyncio.to_thread(shelf.put, name, who.name, into, facts, limits.keep)
        finally:
            into.unlink(missing_ok=True)
        await self._runtime.renew()
        return new, entry

    def _shelf(self) -> tuple[Shelf, Limits]:
        limits, shelf = self._runtime.project.file.uploads, self._runtime.owned.shelves.get(UPLOADS)
        if limits is None or shelf is None:
            raise Refused(404, "uploads are not allowed here: `uploads: {}` in vdw.yml does that")
        return shelf, limits


def _job(file: Received, description: Description, into: Any, limits: Limits) -> dict[str, Any]:
    return {
        "fd": file.file.fileno(),
        "form": file.form,
        "description": description.model_dump(mode="json", exclude_unset=True),
        "into": str(into),
        "rows": limits.rows,
    }


def told(schema: str, entry: Entry) -> dict[str, Any]:
    """An entry as clients see it."""
    return {
        "name": entry.name,
        "table": f"{schema}.{entry.name}",
        "owner": entry.owner,
        "created": moment(entry.created),
        "expires": None if entry.expires is None else moment(entry.expires),
        "bytes": entry.bytes,
        **entry.facts,
    }


def moment(seconds: float) -> str:
    """ISO text of a time since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def method(request: Request, *allowed: str) -> None:
    """Refused (405) unless the request's method is one of these."""
    if request.method not in (*allowed, *(("HEAD",) if "GET" in allowed else ())):
        raise Refused(405, f"use {' or '.join(allowed)}", {"Allow": ", ".join(allowed)})


def answer(value: Any, status: int = 200) -> Response:
    """JSON that nobody keeps."""
    return JSONResponse(value, status, headers={"Cache-Control": "no-store"})
