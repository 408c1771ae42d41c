"""All that users own on one server: which tables are whose, and when the catalog has to follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from api.uploads.shelf import Shelf
from views.catalog import SEGMENTS, UPLOADS
from views.files import ProjectFile


class Owned:
    """The shelves of a project's folder `state`; none where vdw.yml allows no uploads and no segmentations."""

    def __init__(self, state: Path, file: ProjectFile) -> None:
        allowed = {UPLOADS: file.uploads, SEGMENTS: file.segmentations}
        self.shelves = {schema: Shelf(schema, state) for schema, said in allowed.items() if said is not None}
        for shelf in self.shelves.values():
            shelf.open()

    def reads(self, user: str) -> tuple[str, ...]:
        """What the user may read as its owner, as in `reads` of vdw.yml."""
        return tuple(self._names(user)) if self.shelves else ()

    def _names(self, user: str) -> Iterator[str]:
        for schema, shelf in self.shelves.items():
            for entry in shelf.entries().values():
                if entry.owner == user:
                    yield f"{schema}.{entry.name}"

    def listing(self) -> tuple[object, ...]:
        """Changes when something comes, goes or is replaced, by whichever server; what is over its time goes now."""
        for shelf in self.shelves.values():
            shelf.expire()
        return tuple(shelf.listing() for shelf in self.shelves.values())
