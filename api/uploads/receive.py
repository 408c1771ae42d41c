"""A request's body onto disk, bounded: a file alone, or a form that has it as one of its parts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request

from api.graphql.negotiate import Refused

FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/jsonl": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
}
ENDINGS = {".csv": "csv", ".json": "json", ".ndjson": "json", ".jsonl": "json", ".xml": "xml", ".parquet": "parquet"}
FORM = "multipart/form-data"
SAID = 1 << 20  # bytes of what is said of a file
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """A file with its format, and what was `said` of it: JSON by part or parameter (description, segmentation)."""

    file: IO[bytes]
    form: str
    said: Mapping[str, Any] = field(default_factory=dict)


def own_page(request: Request) -> None:
    """Refused (403) for what a page of another site sends: browsers say whose it is."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Refused(403, "a page of another site cannot do that")


@asynccontextmanager
async def received(request: Request, most: int) -> AsyncIterator[Received]:
    """The request's file, gone afterwards; Refused 413 for more than `most` bytes, 415 for a format that is not read,
    400 for what is malformed."""
    own_page(request)
    kind = _kind(request.headers.get("content-type", ""))
    if kind == FORM:
        async with _form(request, most) as found:
            yield found
        return
    form = FORMATS.get(kind)
    if form is None:
        raise Refused(415, f"send {FORM}, or one of {', '.join(FORMATS)}", {"Accept": ", ".join([FORM, *FORMATS])})
    said = {name: _loads(text, name) for name, text in request.query_params.items() if name in PARTS}
    with tempfile.TemporaryFile() as file:
        await _spool(request, file, most)
        yield Received(file, form, said)


PARTS = ("description", "segmentation")


def _kind(header: str) -> str:
    return header.partition(";")[0].strip().lower()


async def _spool(request: Request, file: IO[bytes], most: int) -> None:
    pieces, size = [], 0
    async for piece in _bounded(request, most):
        pieces.append(piece)
        size += len(piece)
        if size >= PIECE:
            await asyncio.to_thread(file.write, b"".join(pieces))
            pieces, size = [], 0
    await asyncio.to_thread(file.write, b"".join(pieces))
    file.flush()


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    length = request.headers.get("content-length", "0")
    size = int(length) if length.isdecimal() else 0
    if size <= most:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                break
            yield piece
    if size > most:
        raise _large(most)


def _large(most: int) -> Refused:
    message = f"the data is larger than {most >> 10:,} kB, which uploads.size in vdw.yml allows"
    return Refused(413, message, {"Connection": "close"})


@asynccontextmanager
async def _form(request: Request, most: int) -> AsyncIterator[Received]:
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    stream = _bounded(request, most + SAID)
    parser = MultiPartParser(request.headers, stream, max_files=3, max_fields=4, max_part_size=SAID)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Refused(400, f"the form is malformed: {getattr(error, 'message', error)}") from None
    try:
        strange = sorted(form.keys() - {*PARTS, "data"})
        if strange or len(form.multi_items()) != len(form):
            raise Refused(400, f"a form has the parts data, {', '.join(PARTS)}, each once")
        data = form.get("data")
        if not isinstance(data, UploadFile):
            raise Refused(400, "the part `data` is missing, or is no file: give it a filename")
        if (data.size or 0) > most:
            raise _large(most)
        said = {name: _loads(await _text(form[name]), name) for name in PARTS if name in form}
        yield Received(_on_disk(data.file), _form_of(data.content_type, data.filename), said)
    finally:
        await form.close()


def _on_disk(file: Any) -> IO[bytes]:
    file.rollover()  # a worker takes it by its descriptor
    file.flush()
    found: IO[bytes] = file
    return found


async def _text(part: Any) -> str | bytes:
    if isinstance(part, str):
        return part
    if part.size > SAID:
        raise Refused(413, f"what is said of the data is larger than {SAID >> 10} kB")
    found: bytes = await part.read()
    return found


def _form_of(kind: str | None, filename: str | None) -> str:
    ending = "." + (filename or "").rpartition(".")[2].lower()
    form = FORMATS.get(_kind(kind or "")) or ENDINGS.get(ending)
    if form is None:
        raise Refused(415, f"the part `data` has no Content-Type of {', '.join(FORMATS)}, and no name that ends in one")
    return form


def _loads(text: str | bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"`{name}` is not valid JSON: {error}") from None
