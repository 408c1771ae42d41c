"""Fitted segmentations on disk: each version's model as JSON; the last version's members are the table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from api.segments.model import Model
from api.uploads.shelf import Entry, Shelf
from connectors.errors import QueryError

LOADED = 64  # models kept in memory


class Store:
    """Beside a shelf of member tables. Waits for the disk; not for two threads at once."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._folder = shelf.tables.with_name(shelf.schema + ".models")
        self._models: LRUCache[tuple[str, int, float], tuple[Model, Mapping[str, Any]]] = LRUCache(LOADED)

    def put(
        self, name: str, owner: str, made: Path, fitted: Mapping[str, Any], about: Mapping[str, Any], most: int
    ) -> Entry:
        """Keep a fit as the next version of that name."""
        entry = self.shelf.entries().get(name)
        version = int(entry.facts["version"]) + 1 if entry is not None else 1
        folder = self._folder / name
        if entry is None:  # what is left of one that was deleted is nobody's
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = {"version": version, **about, **fitted["told"]}
        part = folder / f"{version}.part"
        part.write_text(json.dumps({"model": fitted["model"], "facts": facts}, ensure_ascii=False), "utf-8")
        part.replace(folder / f"{version}.json")
        for old in self.versions(name)[:-most]:
            (folder / f"{old}.json").unlink(missing_ok=True)
        return self.shelf.put(name, owner, made, facts)

    def versions(self, name: str) -> list[int]:
        """Those that are kept, the oldest first."""
        return sorted(int(path.stem) for path in (self._folder / name).glob("*.json") if path.stem.isdecimal())

    def read(self, entry: Entry, version: int | None = None) -> tuple[Model, Mapping[str, Any]]:
        """A version's model, the last one's if none is named, and what is told of it; QueryError 42P01."""
        wanted = int(entry.facts["version"]) if version is None else version
        path = self._folder / entry.name / f"{wanted}.json"
        try:
            key = (entry.name, wanted, path.stat().st_mtime)
            if key not in self._models:
                given = json.loads(path.read_text("utf-8"))
                self._models[key] = Model.of(given["model"]), given["facts"]
        except (OSError, ValueError, TypeError, KeyError):
            kept = ", ".join(map(str, self.versions(entry.name))) or "none"
            message = f"segmentation {entry.name} has no version {wanted}"
            raise QueryError(message, sqlstate="42P01", hint=f"Versions that are kept: {kept}.") from None
        return self._models[key]

    def drop(self, name: str) -> None:
        """Delete it with all versions."""
        self.shelf.drop(name)
        shutil.rmtree(self._folder / name, ignore_errors=True)
