"""What `vdw upload` and `vdw segment` do: ask a server of the project, or the one at a URL as a user of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import typer
import yaml

from api import console
from api.ask import listed
from api.remote import Remote, running
from api.uploads.receive import ENDINGS, FORMATS
from connectors.errors import ConfigError

PATIENCE = 600.0  # seconds; the server's own limits are less


@dataclass(frozen=True, slots=True)
class Where:
    """Whom a command is for."""

    project: Path
    url: str = ""
    user: str = ""

    @property
    def server(self) -> Remote:
        """One server: they share what users own. ConfigError where none runs."""
        return running(self.project, self.url, self.user)[0]


def upload(where: Where, name: str, file: Path | None, describe: Path | None, delete: bool, as_json: bool) -> int:
    """Send a file, list, show or delete."""
    path = f"/uploads/{quote(name, safe='')}"
    if file is not None:
        if describe is None:
            raise typer.BadParameter("a file of attributes, their types and roles", param_hint="--describe")
        body, kind = _form(file, _read(describe))
        told = where.server.send("PUT", path, body, kind, PATIENCE)
    elif delete:
        told = where.server.send("DELETE", path, b"", "", PATIENCE)
    else:
        told = where.server.get(path if name else "/uploads")
    if as_json or delete or (name and file is None):
        typer.echo(listed(told))
    elif file is not None:
        console.note(f"{told['table']}: {told['rows']:,} rows, kept until {told['expires']}")
    else:
        rows = [(one["table"], one["owner"], f"{one['rows']:,}", one["expires"]) for one in told["uploads"]]
        console.table(("table", "owner", "rows", "kept until"), rows, (False, False, True, False))
    return 0


def segment(where: Where, what: str, name: str, file: Path | None, as_json: bool) -> int:
    """Fit, list, show, classify, delete."""
    if what != "list" and not name:
        raise typer.BadParameter("which segmentation?", param_hint="NAME")
    if what in ("fit", "classify") and file is None:
        raise typer.BadParameter("a YAML or JSON file; see docs/segmentation.md", param_hint="FILE")
    path = f"/segmentations/{quote(name, safe='')}"
    given = _read(file) if file is not None else None
    if what == "fit":
        return _shown(_sent(where, "PUT", path, given), as_json)
    if what == "show":
        return _shown(where.server.get(path), as_json)
    if what == "classify":
        body = given if isinstance(given, dict) and given.keys() & {"customers", "customer"} else {"customers": given}
        typer.echo(listed(_sent(where, "POST", f"{path}/classify", body)["customers"]))
    elif what == "delete":
        typer.echo(listed(where.server.send("DELETE", path, b"", "", PATIENCE)))
    else:
        _all(where.server.get("/segmentations"), as_json)
    return 0


def _sent(where: Where, method: str, path: str, given: Any) -> Any:
    return where.server.send(method, path, json.dumps(given, default=str).encode(), "application/json", PATIENCE)


def _all(told: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(listed(told))
        return
    rows = [
        (one["table"], one["owner"], str(one["version"]), one["method"], str(one["segment_count"]), _quality(one))
        for one in told["segmentations"]
    ]
    console.table(("table", "owner", "version", "method", "segments", "silhouette"), rows, (False, False, True))


def _quality(one: Mapping[str, Any]) -> str:
    found = one["quality"].get("silhouette")
    return "" if found is None else f"{found:.3f}"


def _shown(told: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        typer.echo(listed(told))
        return 0
    names = [one["attribute"] for one in told["cleaning"]]
    rows = [
        (str(one["segment"]), one["label"], f"{one['size']:,}", *(_figure(one["profile"][name]) for name in names))
        for one in told["segments"]
    ]
    console.table(("segment", "label", "size", *names), rows, (True, False, True, *(True for _ in names)))
    console.note(f"{told['table']}, version {told['version']}, {told['method']}, silhouette {_quality(told) or 'none'}")
    for note in told["notes"]:
        console.note(note)
    return 0


def _figure(profile: Mapping[str, Any]) -> str:
    """The median, or the most frequent category with its share."""
    if "shares" in profile:
        best = next(iter(profile["shares"].items()), ("", 0.0))
        return f"{best[0]} {best[1]:.0%}"
    found = profile.get("median")
    return f"{found:,.2f}" if isinstance(found, int | float) else str(found or "")


def _form(file: Path, description: Any) -> tuple[bytes, str]:
    """The body of a form with both, and its media type."""
    said = json.dumps(description, default=str)
    parts: Any = {"data": (file.name, file.read_bytes(), _kind(file)), "description": (None, said, "application/json")}
    made = httpx.Request("PUT", "http://server", files=parts)
    return made.read(), made.headers["content-type"]


def _kind(file: Path) -> str:
    form = ENDINGS.get(file.suffix.lower())
    if form is None:
        raise typer.BadParameter(f"its name should end in {', '.join(ENDINGS)}", param_hint="FILE")
    return next(kind for kind, name in FORMATS.items() if name == form)


def _read(file: Path) -> Any:
    """A YAML or JSON file, which is YAML too."""
    try:
        return yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"it is neither YAML nor JSON: {error}".splitlines()[0], place=f"{file}{line}") from None
