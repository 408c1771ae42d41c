"""GraphQL over HTTP's rules for a request: methods, media types, sizes, and the parameters inside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
MAX_BODY = 256 * 1024

_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)\Z")


class Refused(Exception):
    """A request that is answered without looking at GraphQL: an HTTP status, a message and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a GraphQL request."""

    query: str
    operation: str | None
    variables: dict[str, Any]


@lru_cache(256)
def media_type(accept: str | None) -> str:
    """The media type of the answer for an Accept header; Refused (406) where we speak none of what it lists."""
    weights = {name: _accepts(accept or "*/*", name) for name in (JSON, GRAPHQL)}
    # A client that lists the newer type at the same quality prefers it; `*/*` alone is an old client.
    explicit = GRAPHQL in (accept or "")
    best = GRAPHQL if explicit and weights[GRAPHQL] >= weights[JSON] else max(weights, key=lambda name: weights[name])
    if not weights[best]:
        raise Refused(406, f"the answer can be {GRAPHQL} or {JSON}")
    return best


def _accepts(accept: str, name: str) -> float:
    found = {"": 0.0}
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        if kind in (name, "application/*", "*/*"):
            quality = next((float(m[1]) for m in map(_QUALITY.match, parameters) if m), 1.0)
            found[kind] = max(quality, found.get(kind, 0.0))
    return next((found[kind] for kind in (name, "application/*", "*/*") if kind in found), 0.0)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page, not for an answer."""
    accept = request.headers.get("accept", "")
    return request.method == "GET" and "text/html" in accept and "query" not in request.query_params


async def body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, up to `limit` bytes; Refused (413) for more, before it is read where its length is told."""
    length = request.headers.get("content-length", "0")
    size, pieces = (int(length) if length.isdecimal() else 0), []
    if size <= limit:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            pieces.append(piece)
            if size > limit:
                break
    if size > limit:
        raise Refused(413, f"the body is larger than {limit >> 10} KB", {"Connection": "close"})
    return b"".join(pieces)


def json_only(request: Request) -> None:
    """Refused (415) for a body that is not JSON: a page of another site can send the rest without asking first."""
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charset = next((p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if kind != JSON or charset not in ("utf-8", "utf8"):
        raise Refused(415, "send Content-Type: application/json", {"Accept-Post": JSON})


async def asked(request: Request, kept: MutableMapping[str, str]) -> Asked:
    """The parameters of a GET or POST; Refused says what is wrong with them. `kept` holds documents by SHA-256."""
    if request.method == "GET":
        values: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            values[name] = _loads(values[name].encode(), name) if values.get(name) else None
    elif request.method == "POST":
        json_only(request)
        values = _loads(await body(request), "the body")
    else:
        raise Refused(405, "use GET or POST", {"Allow": "GET, POST"})
    if isinstance(values, list):
        raise Refused(400, "batches of requests are not supported: send one object")
    if not isinstance(values, dict):
        raise Refused(400, "the body must be a JSON object")
    return _checked(values, kept)


def _checked(values: dict[str, Any], kept: MutableMapping[str, str]) -> Asked:
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str), ("query", str)):
        if not isinstance(values.get(name), kind | None):
            raise Refused(400, f"`{name}` must be {'an object' if kind is dict else 'a string'}")
    query = _persisted(values, kept)
    if not query:
        raise Refused(400, "`query` is missing")
    return Asked(query, values.get("operationName") or None, values.get("variables") or {})


def _persisted(values: dict[str, Any], kept: MutableMapping[str, str]) -> str | None:
    """The document's text; automatic persisted queries may send its hash alone once we know it."""
    query: str | None = values.get("query")
    entry = (values.get("extensions") or {}).get("persistedQuery")
    if not isinstance(entry, dict):
        return query
    digest = entry.get("sha256Hash")
    if not isinstance(digest, str) or entry.get("version") != 1:
        raise Refused(400, "`persistedQuery` needs version 1 and a sha256Hash")
    if query is None:
        query = kept.get(digest)
        if query is None:
            raise Refused(200, "PersistedQueryNotFound")
        return query
    if hashlib.sha256(query.encode("utf-8", "replace")).hexdigest() != digest:
        raise Refused(400, "provided sha does not match query")
    return query


def _loads(data: bytes, what: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Refused(400, f"{what} is not valid JSON") from None
