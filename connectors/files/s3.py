"""Objects of S3 through obstore: each read asks for the very object that was listed (If-Match), and ends in time."""

from __future__ import annotations

import datetime as dt
import fnmatch
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from connectors.errors import ConfigError, Error, SourceError
from connectors.files import needs
from connectors.files.options import S3Options
from connectors.files.places import Entry, File
from connectors.files.table import Work, changed

with needs("S3", "obstore"):
    import obstore
    from fsspec.spec import AbstractFileSystem
    from obstore import exceptions
    from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    from _typeshed import WriteableBuffer

SCHEME = "vdws3"
S3 = "s3://"
_PINNED = f"{SCHEME}://pinned/"  # what DuckDB may read: objects that a statement has pinned, by its token
_AHEAD = 1 << 22  # bytes that are asked for at once when a file is read from front to back
T = TypeVar("T")
_REFUSED = re.compile(r"\b(401|403)\b|Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch")
_MAGIC = re.compile(r"[*?\[]")


class S3Place:
    """The buckets that one set of keys opens."""

    remote = True
    prefix = _PINNED

    def __init__(self, options: S3Options, base: Path) -> None:
        self._options = options
        self._ca = _certificates(options, base)
        self._store = lru_cache(64)(self._connected)
        self._pinned: dict[str, _Pinned] = {}

    def files(self, pattern: str, most: int, work: Work) -> Iterator[File]:
        bucket, key = _parts(pattern)
        fixed = key[: match.start()] if (match := _MAGIC.search(key)) else key
        wanted = _compiled(key)
        found: list[File] = []
        for meta in self._listed(bucket, fixed, work):
            if meta["path"] == key or wanted.fullmatch(meta["path"]):
                found.append(_file(bucket, meta))
            if len(found) > most:
                raise SourceError(f"{pattern} names more than {most} files", hint="raise max_files")
        yield from sorted(found, key=lambda file: file.path)

    def entries(self, folder: str, work: Work) -> Sequence[Entry]:
        bucket, key = _parts(folder)
        store = self._store(bucket)
        found = self._guarded(folder, work, lambda: obstore.list_with_delimiter(store, key.strip("/") or None))
        folders = [Entry(path.rstrip("/").rpartition("/")[2], True) for path in found["common_prefixes"]]
        objects = [Entry(meta["path"].rpartition("/")[2], False) for meta in found["objects"]]
        return sorted([*folders, *objects], key=lambda entry: entry.name)

    def exists(self, path: str, work: Work) -> bool:
        bucket, key = _parts(path)
        return next(iter(self._listed(bucket, key, work)), None) is not None

    def open(self, file: File, work: Work) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(S3File(self, file, work), _AHEAD))

    def current(self, files: Sequence[File]) -> bool:
        """Every byte came from the object that was listed, as each request said so."""
        del files
        return True

    def url(self, file: File, work: Work) -> str:
        pinned = self._pinned.setdefault(work.token, _Pinned(work))
        name = file.path.removeprefix(S3)
        pinned.files[name] = file
        return f"{_PINNED}{work.token}/{name}"

    def register(self, root: duckdb.DuckDBPyConnection) -> None:
        root.register_filesystem(_FileSystem(self))

    def release(self, work: Work) -> None:
        self._pinned.pop(work.token, None)

    def blame(self, work: Work) -> None:
        pinned = self._pinned.get(work.token)
        if pinned is not None and pinned.fault is not None:
            raise pinned.fault from None

    def delta_options(self) -> dict[str, str]:
        found = {f"AWS_{key.upper()}": str(value) for key, value in self._config().items()}
        return found | {
            "AWS_ALLOW_HTTP": str(self._plain).lower(),
            "timeout": f"{max(self._options.timeout, 1):.0f}s",
            "connect_timeout": "5s",
            "max_retries": str(self._options.retries),
            "retry_timeout": f"{max(self._options.timeout, 1) * 2:.0f}s",
        }

    def iceberg_options(self) -> dict[str, str]:
        """What PyIceberg needs to reach it."""
        said = self._options
        found = {
            "s3.endpoint": said.endpoint,
            "s3.region": said.region or "us-east-1",
            "s3.access-key-id": _told(said.access_key_id),
            "s3.secret-access-key": _told(said.secret_access_key),
            "s3.session-token": _told(said.session_token),
            "s3.anonymous": "true" if said.anonymous else None,
            "s3.connect-timeout": "5",
            "s3.request-timeout": str(said.timeout),
        }
        return {key: value for key, value in found.items() if value is not None}

    def read(self, file: File, start: int, end: int, work: Work) -> bytes:
        """Bytes [start, end) of the object that was listed; Changed where it is another by now."""
        bucket, key = _parts(file.path)
        store = self._store(bucket)

        def get() -> bytes:
            options: Any = {"range": (start, end)}
            if file.stamp:
                options["if_match"] = file.stamp
            else:  # a service without entity tags
                options["if_unmodified_since"] = dt.datetime.fromtimestamp(int(file.modified) + 1, dt.UTC)
            return bytes(obstore.get(store, key, options=options).bytes())

        return self._guarded(file.path, work, get)

    @property
    def _plain(self) -> bool:
        return bool(self._options.endpoint and self._options.endpoint.startswith("http://"))

    def _config(self) -> dict[str, Any]:
        said = self._options
        found = {
            "endpoint": said.endpoint,
            "region": said.region or "us-east-1",
            "access_key_id": _told(said.access_key_id),
            "secret_access_key": _told(said.secret_access_key),
            "session_token": _told(said.session_token),
            "skip_signature": "true" if said.anonymous else None,
        }
        return {key: value for key, value in found.items() if value is not None}

    def _connected(self, bucket: str) -> S3Store:
        said = self._options
        client: dict[str, Any] = {
            "allow_http": self._plain,
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=said.timeout),
            "timeout": timedelta(seconds=said.timeout * 6),
        }
        if self._ca is not None:
            client["root_certificate"] = self._ca
        retry: Any = {"max_retries": said.retries, "retry_timeout": timedelta(seconds=said.timeout * 2)}
        return S3Store(bucket, config=cast(Any, self._config()), client_options=cast(Any, client), retry_config=retry)

    def _listed(self, bucket: str, prefix: str, work: Work) -> Iterator[Any]:
        """Objects below the folder of a prefix, page by page."""
        folder = prefix.rpartition("/")[0]
        store = self._store(bucket)
        pages = iter(obstore.list(store, folder or None, chunk_size=1000))
        while (page := self._guarded(f"{S3}{bucket}/{folder}", work, lambda: next(pages, None))) is not None:
            yield from (meta for meta in page if meta["path"].startswith(prefix))

    def _guarded(self, place: str, work: Work, call: Callable[[], T]) -> T:
        try:
            return work.waited(call)
        except (exceptions.PreconditionError, exceptions.NotModifiedError):
            raise changed(place) from None
        except (FileNotFoundError, exceptions.NotFoundError):
            raise changed(place) from None
        except (exceptions.BaseError, OSError) as error:
            raise _unreachable(place, error) from None


def _unreachable(place: str, error: Exception) -> SourceError:
    told = str(error)
    refused = exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError
    if isinstance(error, refused) or _REFUSED.search(told):
        return SourceError(
            f"S3 does not let us read {place}", sqlstate="08001", hint="check the keys and what they may do"
        )
    kind = "its certificate is not trusted" if "certificate" in told.lower() else "the service does not answer as S3"
    return SourceError(
        f"{place} cannot be read: {kind}",
        sqlstate="08006",
        hint="check s3.endpoint, s3.region and s3.ca_file, and whether the service is well",
        detail=re.sub(r"<[^>]*>", " ", told.splitlines()[0])[:300] if told else "",
    )


class S3File(io.RawIOBase):
    """One object, read in ranges."""

    def __init__(self, place: S3Place, file: File, work: Work) -> None:
        self._place, self._file, self._work = place, file, work
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """Bytes of it (PyArrow asks)."""
        return self._file.size

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._file.size)
        if end <= self._at:
            return 0
        data = self._place.read(self._file, self._at, end, self._work)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


@dataclass
class _Pinned:
    """The objects of one statement, and what went wrong with them."""

    work: Work
    files: dict[str, File] = field(default_factory=dict)
    fault: Error | None = None


class _FileSystem(AbstractFileSystem):  # type: ignore[misc]
    """What DuckDB asks: the objects that a statement has pinned, and no others."""

    protocol = SCHEME
    cachable = False

    def __init__(self, place: S3Place) -> None:
        super().__init__()
        self._place = place

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._found(path)[1].size, "type": "file"}

    def modified(self, path: str) -> Any:
        return dt.datetime.fromtimestamp(self._found(path)[1].modified, dt.UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            raise PermissionError("read only")
        found = self._found(path)
        return _Watched(S3File(self._place, found[1], found[0].work), found[0])

    def _found(self, path: str) -> tuple[_Pinned, File]:
        token, _, name = path.removeprefix(f"{SCHEME}://").removeprefix("pinned/").partition("/")
        pinned = self._place._pinned.get(token)
        if pinned is None or name not in pinned.files:
            raise FileNotFoundError("no statement reads this object")
        return pinned, pinned.files[name]


class _Watched(io.RawIOBase):
    """Remembers the error in its own class, as DuckDB makes text of it."""

    def __init__(self, raw: S3File, pinned: _Pinned) -> None:
        self._raw, self._pinned = raw, pinned

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return self._raw.readinto(buffer)
        except Error as fault:
            self._pinned.fault = self._pinned.fault or fault
            raise OSError(fault.message) from fault


def _parts(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix(S3).partition("/")
    return bucket, key


def _file(bucket: str, meta: Any) -> File:
    return File(f"{S3}{bucket}/{meta['path']}", meta["size"], meta["e_tag"] or "", meta["last_modified"].timestamp())


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of * (within a folder) and ** (through folders) as the disk has it."""
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    found = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(found.get(part) or fnmatch.translate(part)[4:-3] for part in parts))


def _told(secret: Any) -> str | None:
    return None if secret is None else str(secret.get_secret_value())


def _certificates(options: S3Options, base: Path) -> str | None:
    if options.ca_file is None:
        return None
    try:
        return (base / options.ca_file).read_text()
    except OSError:
        raise ConfigError(f"s3.ca_file {options.ca_file} cannot be read", place="connection") from None
