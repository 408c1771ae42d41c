"""What sources told of their tables when they were last read: for a start while one of them is down."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from connectors.base import Profile, Table
from federation.operations import state

Told = tuple[Profile, tuple[Table, ...]]
_FORM: TypeAdapter[tuple[str, str, Profile, tuple[Table, ...]]] = TypeAdapter(
    tuple[str, str, Profile, tuple[Table, ...]]
)
log = logging.getLogger("vdw.remembered")


class Remembered:
    """In the project's state folder, a file for each source. What cannot be written or read is as if never told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, source: str, identity: str, told: Told) -> None:
        """Remember what a source has told; `identity` says of which server, and of which of its tables."""
        made = (identity, datetime.now(UTC).isoformat(timespec="seconds"), *told)
        try:
            place = state.folder(self._folder) / "sources"
            place.mkdir(mode=0o700, exist_ok=True)
            new = place / f".{source}.{os.getpid()}"
            new.write_bytes(_FORM.dump_json(made))
            new.replace(place / f"{source}.json")
        except OSError as error:
            log.info("what source %s tells of its tables cannot be kept: %s", source, error)

    def recall(self, source: str, identity: str) -> tuple[Told, str] | None:
        """What it told, and when (ISO text); None where that was another server's, or nothing is known."""
        try:
            known, when, profile, tables = _FORM.validate_json(
                (self._folder / "sources" / f"{source}.json").read_bytes()
            )
        except (OSError, ValidationError):
            return None
        if known != identity:
            return None
        return (replace(profile, facts=_frozen(profile.facts)), tables), when


def _frozen(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
