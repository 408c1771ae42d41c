"""Which tables a source of files has now: what lies in its folder, and what its owner names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.errors import ConfigError, SourceError
from connectors.files.mentioned import Mentioned
from connectors.files.options import FilesOptions, Reading, TableOptions
from connectors.files.places import LocalPlace, Place, literal_path
from connectors.files.table import ALL, Spec, Work, form_of
from connectors.files.typed import declared

S3 = "s3://"


class Discovery:
    """Lists the tables of a source; nothing of a table is read."""

    def __init__(self, options: FilesOptions) -> None:
        self._options = options
        self._base = Path(options.base_folder).resolve()
        self._types = _by_table(options.types, declared)
        self._formats = _by_table(options.formats, lambda text, _: text)
        self._forms: dict[str, str] = {}
        self._local, self._bucket = LocalPlace(), None if not self._remote() else self._s3()

    @property
    def places(self) -> list[Place]:
        """Where files are looked for."""
        return [self._local] if self._bucket is None else [self._local, self._bucket]

    def folders(self) -> list[str]:
        """The local folders that hold all files that may be read."""
        roots = [self._options.folder] if self._options.folder else []
        roots += [_fixed(_options(table).path) for table in self._options.tables.values()]
        return sorted({str(self._base / root) for root in roots if not root.startswith(S3)})

    def specs(self, work: Work, words: Mentioned | None = None) -> dict[str, Spec]:
        """The tables of now, by name; only those that are mentioned, where `words` are given."""
        if words is None:
            self._forms.clear()
        found = self._in_folder(work, words) if self._options.folder is not None else {}
        for name, said in self._options.tables.items():
            if words is None or words.table(name):
                found[name] = self._declared(name, _options(said), work)
        return found

    def _declared(self, name: str, table: TableOptions, work: Work) -> Spec:
        form = table.format or form_of(table.path) or ("iceberg" if table.catalog else "")
        place, path = self._placed(table.path) if table.catalog is None else (self._local, table.path)
        if not form:
            path = path.rstrip("/")
            form = self._form(place, path, work) if place.exists(path, work) else ""
            path = path if form in ("delta", "iceberg") else f"{literal_path(path)}{ALL}"
        if not form:
            raise ConfigError(f"table {name}: its path does not tell a format", hint="declare format")
        return self._spec(name, form, path, place, table)

    def _in_folder(self, work: Work, words: Mentioned | None) -> dict[str, Spec]:
        place, folder = self._placed(self._options.folder or "")
        found: dict[str, Spec] = {}
        made = list(self._entries(place, folder, work, words))
        names = [spec.name.lower() for spec in made]
        for spec in made:
            name = spec.name if names.count(spec.name.lower()) == 1 else f"{spec.name}_{spec.format}"
            found[name] = self._spec(name, spec.format, spec.path, place, spec.reading)
        return found

    def _entries(self, place: Place, folder: str, work: Work, words: Mentioned | None) -> Iterator[Spec]:
        for entry in place.entries(folder, work):
            name = entry.name if entry.folder else entry.name.split(".")[0]
            if entry.name.startswith((".", "_")) or not (words is None or words.begin(name)):
                continue
            path = posixpath.join(folder, entry.name)
            form = self._form(place, path, work) if entry.folder else form_of(entry.name)
            if not form:
                continue
            whole = path if form in ("delta", "iceberg") else literal_path(path) + (ALL if entry.folder else "")
            spec = self._spec(name, form, whole, place, self._options.reading)
            yield from _sheets(spec, work) if form == "excel" and not entry.folder else (spec,)

    def _form(self, place: Place, folder: str, work: Work) -> str:
        """A folder's format, which hardly ever is another: looked for anew when all tables are."""
        if folder not in self._forms and (found := _folder_format(place, folder, work)):
            self._forms[folder] = found
        return self._forms.get(folder, "")

    def _spec(self, name: str, form: str, path: str, place: Place, reading: Reading) -> Spec:
        said = self._options
        types, formats = self._types.get(name, {}), self._formats.get(name, {})
        return Spec(name, form, path, place, reading, types, formats, said.prove, said.max_files)

    def _placed(self, path: str) -> tuple[Place, str]:
        if path.startswith(S3) and self._bucket is not None:
            return self._bucket, path
        return self._local, str(self._base / path)

    def _remote(self) -> bool:
        paths = [self._options.folder or "", *(_options(table).path for table in self._options.tables.values())]
        return any(path.startswith(S3) for path in paths)

    def _s3(self) -> Place:
        from connectors.files.s3 import S3Place  # its package is an extra

        return S3Place(self._options.s3, self._base)


def _options(table: str | TableOptions) -> TableOptions:
    return TableOptions(path=table) if isinstance(table, str) else table


def _fixed(path: str) -> str:
    """The folder of a pattern that holds all it can match."""
    before = path.split("*")[0].split("?")[0].split("[")[0]
    return before.rpartition("/")[0] if before != path or form_of(path) else path


def _by_table(said: Mapping[str, str], read: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, text in said.items():
        table, dot, column = key.partition(".")
        if not dot:
            raise ConfigError(f'"{key}" is no table.column', place="connection, types")
        found.setdefault(table, {})[column] = read(text, key)
    return found


def _folder_format(place: Place, folder: str, work: Work) -> str:
    """delta, iceberg, or the format of the first file somewhere inside; '' where there is none."""
    names = {entry.name: entry.folder for entry in place.entries(folder, work)}
    if names.get("_delta_log"):
        return "delta"
    if names.get("metadata") and any(
        e.name.endswith(".metadata.json") for e in place.entries(f"{folder}/metadata", work)
    ):
        return "iceberg"
    forms = (form_of(name) for name, inner in names.items() if not inner and not name.startswith((".", "_")))
    inner = (
        _folder_format(place, f"{folder}/{name}", work)
        for name, inner in names.items()
        if inner and name[0] not in "._"
    )
    return next((form for form in (*filter(None, forms), *filter(None, inner))), "")


def _sheets(spec: Spec, work: Work) -> Iterator[Spec]:
    try:
        from connectors.files.excel import sheets  # its package is an extra

        names = sheets(spec, work) if spec.reading.sheet is None else (spec.reading.sheet,)
    except (ConfigError, SourceError):
        work.check()
        yield spec  # whose opening tells what is wrong: it must not hide the others
        return
    for sheet in names:
        name = spec.name if len(names) == 1 else f"{spec.name}_{sheet}"
        reading = spec.reading.model_copy(update={"sheet": sheet})
        yield Spec(name, spec.format, spec.path, spec.place, reading)
