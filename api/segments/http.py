"""Segmentations over HTTP: fit, list, describe, classify, delete."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.auth import Principal
from api.bounded import Bench
from api.graphql.negotiate import Refused, body, json_only
from api.segments.request import Request
from api.segments.rows import gather, statement
from api.uploads.describe import read
from api.uploads.http import Uploads, answer, method, moment, told
from api.uploads.receive import own_page, received
from api.uploads.shelf import Entry
from connectors.base import Cancel
from connectors.errors import LimitExceeded, QueryError
from views.catalog import SEGMENTS, UPLOADS
from views.uploads import Segmentations as Limits

BODY = 4 << 20  # bytes of the customers that are classified


class Segmentations:
    """Answers for one server's `Runtime`. `uploads` takes what is sent to be segmented at once."""

    def __init__(self, runtime: Any, uploads: Uploads) -> None:
        self._runtime, self._uploads = runtime, uploads
        limits = runtime.project.file.segmentations or Limits()
        remedy = "segmentations.timeout and segmentations.memory in vdw.yml are what it may take."
        self._bench = Bench("a segmentation", limits.at_once, limits.timeout, limits.memory, remedy)
        self._known: tuple[Any, Any] = (None, None)

    def routes(self, guard: Any) -> list[BaseRoute]:
        """All endpoints."""
        return [
            Route("/segmentations", guard(self._all)),
            Route("/segmentations/{name}", guard(self._one)),
            Route("/segmentations/{name}/classify", guard(self._classify)),
        ]

    async def _all(self, request: HttpRequest, who: Principal, _cancel: Cancel) -> Response:
        method(request, "GET")
        store, _ = self._store()
        entries = await asyncio.to_thread(store.shelf.entries)
        mine = [_brief(one) for one in entries.values() if who.admin or one.owner == who.name]
        return answer({"segmentations": sorted(mine, key=lambda one: str(one["name"]))})

    async def _one(self, request: HttpRequest, who: Principal, cancel: Cancel) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            return await self._put(request, name, who, cancel)
        method(request, "GET", "PUT", "DELETE")
        store, _ = self._store()
        entry = await asyncio.to_thread(store.shelf.find, name, None if who.admin else who.name)
        if request.method == "DELETE":
            own_page(request)
            await asyncio.to_thread(store.drop, name)
            await self._runtime.renew()
            return answer({"deleted": f"{SEGMENTS}.{name}"})
        _, facts = await asyncio.to_thread(store.read, entry, _version(request))
        versions = await asyncio.to_thread(store.versions, name)
        return answer({**told(SEGMENTS, entry), **facts, "versions": versions})

    async def _put(self, request: HttpRequest, name: str, who: Principal, cancel: Cancel) -> Response:
        """Fit: to what the server has (JSON), or to a file that comes with the request (a form)."""
        self._store()
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            return await self._sent(request, name, who, cancel)
        json_only(request)
        own_page(request)
        asked = read(Request, _json(await body(request, 1 << 20)), "segmentation")
        return answer(*await self.fit(name, asked, who, cancel))

    async def _sent(self, request: HttpRequest, name: str, who: Principal, cancel: Cancel) -> Response:
        limits = self._runtime.project.file.uploads
        if limits is None:
            raise Refused(404, "uploads are not allowed here: `uploads: {}` in vdw.yml does that")
        async with received(request, limits.size) as file:
            if not isinstance(file.said.get("segmentation"), dict):
                raise Refused(400, "the part `segmentation` is missing: a JSON object with what to segment by")
            asked = read(Request, {**file.said["segmentation"], "from": {"upload": name}}, "segmentation")
            _, entry = await self._uploads.keep(name, who, file)
        made, status = await self.fit(name, asked, who, cancel)
        return answer({**made, "upload": told(UPLOADS, entry)}, status)

    async def fit(self, name: str, asked: Request, who: Principal, cancel: Cancel) -> tuple[dict[str, Any], int]:
        """A new version of that name: what is told of it, and the HTTP status."""
        store, limits = self._store()
        if len(asked.by) > limits.attributes:
            message = f"segmentations.attributes in vdw.yml allows {limits.attributes} attributes"
            raise LimitExceeded(message, sqlstate="54000")
        await asyncio.to_thread(store.shelf.room, name, who.name, limits.kept, limits.kept)
        began, into = time.perf_counter(), store.shelf.part(name)
        asked = self._ruled(asked, who)
        try:
            with tempfile.TemporaryFile() as file:
                job = await self._rows(asked, who, cancel, file, limits)
                fitted = await self._bench.run("fit", {**job, "into": str(into)}, (file.fileno(),))
            about = {
                "request": asked.told(),
                "method": asked.method,
                "key": job["key"],
                "description": asked.description,
            }
            about |= {"fitted": moment(time.time()), "seconds": round(time.perf_counter() - began, 3)}
            new = name not in store.shelf.entries()
            entry = await asyncio.to_thread(store.put, name, who.name, into, fitted, about, limits.versions)
        finally:
            into.unlink(missing_ok=True)
        await self._runtime.renew()
        return told(SEGMENTS, entry), 201 if new else 200

    def _ruled(self, asked: Request, who: Principal) -> Request:
        """With an upload's own key, kinds and rules for missing values where the request says none."""
        shelf = self._runtime.owned.shelves.get(UPLOADS)
        if asked.source.upload is None or shelf is None:
            return asked
        entry = shelf.find(asked.source.upload, None if who.operator else who.name)
        attributes = {one["name"]: one for one in entry.facts["description"]["attributes"]}
        key = next((name for name, one in attributes.items() if one.get("role") == "key"), None)
        by = []
        for one in asked.by:
            rule = attributes.get(one.name, {}).get("missing")
            given = {
                **one.model_dump(mode="json", exclude_unset=True),
                **({"missing": rule} if rule and not one.missing else {}),
            }
            by.append(given)
        return read(Request, {**asked.told(), "by": by, "key": asked.key or key}, "segmentation")

    async def _rows(self, asked: Request, who: Principal, cancel: Cancel, file: Any, limits: Limits) -> dict[str, Any]:
        key, engine = asked.key, self._runtime.engine
        columns = [*([key] if key is not None else []), *(one.name for one in asked.by)]
        sql = statement(asked.source, columns, engine.catalog)
        who = replace(who, reads=(*who.reads, *self._runtime.owned.reads(who.name)))  # what has just come is theirs too
        types = await gather(engine, sql, columns, who, cancel, file, limits.rows, limits.timeout)
        return {"fd": file.fileno(), "request": asked.told(), "types": types, "key": key}

    async def _classify(self, request: HttpRequest, who: Principal, _cancel: Cancel) -> Response:
        from api.segments.classify import classify

        method(request, "POST")
        json_only(request)
        store, limits = self._store()
        given = _json(await body(request, BODY))
        customers = given.get("customers", [given["customer"]] if "customer" in given else None)
        if not isinstance(customers, list) or given.keys() - {"customers", "customer"}:
            raise QueryError('send {"customers": [{...}, ...]} or {"customer": {...}}', sqlstate="22023")
        if len(customers) > limits.classify:
            message = f"segmentations.classify in vdw.yml allows {limits.classify:,} customers at once"
            raise LimitExceeded(message, sqlstate="54000")
        name = request.path_params["name"]
        entry = await asyncio.to_thread(store.shelf.find, name, None if who.operator else who.name)
        model, facts = await asyncio.to_thread(store.read, entry, _version(request))
        found = await asyncio.to_thread(classify, model, customers, facts["key"])
        return answer({"segmentation": name, "version": facts["version"], "customers": found})

    def _store(self) -> tuple[Any, Limits]:
        from api.segments.store import Store

        limits, shelf = self._runtime.project.file.segmentations, self._runtime.owned.shelves.get(SEGMENTS)
        if limits is None or shelf is None:
            raise Refused(404, "segmentations are not allowed here: `segmentations: {}` in vdw.yml does that")
        if self._known[0] is not shelf:
            self._known = shelf, Store(shelf)
        return self._known[1], limits


def _brief(entry: Entry) -> dict[str, Any]:
    """Without the segments one by one."""
    return {
        name: value for name, value in told(SEGMENTS, entry).items() if name not in ("segments", "cleaning", "expires")
    }


def _version(request: HttpRequest) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Refused(400, "`version` is a whole number")
    return int(text)


def _json(data: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise Refused(400, "the body must be a JSON object")
    return given
