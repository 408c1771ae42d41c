"""COPY TO's encodings of Arrow batches: text, CSV and binary, a CopyData message per row as PostgreSQL sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.pgwire import rows, textual
from api.pgwire.encodings import transcoded
from api.pgwire.packets import message

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
ESCAPES = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
Options = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class CopyFormat:
    """What COPY's options say; those that PostgreSQL refuses have been refused before."""

    kind: str = "text"  # text | csv | binary
    delimiter: str = "\t"
    null: str = "\\N"
    quote: str = '"'
    escape: str = '"'
    forced: frozenset[int] = frozenset()  # columns that are quoted whatever they hold
    header: bool = False

    @classmethod
    def of(cls, options: Options, names: Sequence[str]) -> CopyFormat:
        """From the options as they were written, names in lower case."""
        kind = str(options.get("format", "text")).lower()
        csv = kind == "csv"
        quote = str(options.get("quote", '"'))
        forced = options.get("force_quote", [])
        listed = names if forced == "*" else forced
        return cls(
            kind,
            str(options.get("delimiter", "," if csv else "\t")),
            str(options.get("null", "" if csv else "\\N")),
            quote,
            str(options.get("escape", quote)),
            frozenset(place for place, name in enumerate(names) if name in listed),
            str(options.get("header", "false")).lower() in ("true", "on", "1", ""),
        )

    def begin(self) -> bytes:
        """What stands before the first row, as a message of its own (none for text and CSV without header)."""
        return message(b"d", SIGNATURE) if self.kind == "binary" else b""

    def end(self) -> bytes:
        """What stands behind the last row."""
        return message(b"d", b"\xff\xff") if self.kind == "binary" else b""


def copy_rows(batch: pa.RecordBatch, columns: rows.Columns, form: CopyFormat, settings: Mapping[str, str]) -> bytes:
    """The batch as CopyData messages."""
    if form.kind == "binary":
        return rows.data_rows(batch, columns, (1,), settings, b"d")
    if not batch.num_rows:
        return b""
    where = rows.session_zone(settings)
    cells: list[pa.Array] = []
    for place, (array, (_, kind)) in enumerate(zip(batch.columns, columns, strict=True)):
        words = textual.text(array, kind, where)
        cells.append(_quoted(words, form, place, len(columns)) if form.kind == "csv" else _escaped(words, form))
    lines = pc.binary_join_element_wise(*cells, form.delimiter) if cells else pa.array([""] * batch.num_rows)
    return messages(transcoded(pc.binary_join_element_wise(lines, pa.scalar("\n"), ""), settings))


def messages(lines: pa.Array) -> bytes:
    """A CopyData message for each line."""
    sizes = pc.binary_length(lines).to_numpy(zero_copy_only=False)
    head = np.empty((len(lines), 5), np.uint8)
    head[:, 0] = ord("d")
    head[:, 1:] = rows.words(sizes + 4)
    return rows.joined([head, lines])


def _escaped(words: pa.Array, form: CopyFormat) -> pa.Array:
    special = "".join((*ESCAPES, "\\", form.delimiter))
    if _any(words, special):
        words = pc.replace_substring(words, "\\", "\\\\")
        for plain, escaped in ESCAPES.items():
            words = pc.replace_substring(words, plain, escaped)
        if form.delimiter not in ESCAPES:
            words = pc.replace_substring(words, form.delimiter, "\\" + form.delimiter)
    return pc.fill_null(words, form.null)


def _quoted(words: pa.Array, form: CopyFormat, place: int, width: int) -> pa.Array:
    doubled = words
    if _any(words, form.quote + form.escape):
        if form.escape != form.quote:
            doubled = pc.replace_substring(doubled, form.escape, form.escape * 2)
        doubled = pc.replace_substring(doubled, form.quote, form.escape + form.quote)
    quoted = pc.binary_join_element_wise(pa.scalar(form.quote), doubled, pa.scalar(form.quote), "")
    if place in form.forced:
        return pc.fill_null(quoted, form.null)
    needed = pc.equal(words, form.null)
    pattern = _class(form.delimiter + form.quote + "\n\r")
    needed = pc.or_(needed, pc.match_substring_regex(words, pattern))
    if width == 1:
        needed = pc.or_(needed, pc.equal(words, "\\."))
    return pc.fill_null(pc.if_else(needed, quoted, words), form.null)


def _any(words: pa.Array, letters: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(words, _class(letters))).as_py())


def _class(letters: str) -> str:
    return "[" + "".join(f"\\x{{{ord(letter):x}}}" for letter in letters) + "]"
