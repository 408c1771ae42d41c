"""A source's errors in the words of whoever asked: which source it was, and which of its columns."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator

import pyarrow as pa

from connectors.arrow import KEY
from connectors.errors import SourceError

_COLUMN = re.compile(r"\bcolumn c(\d+)\b")
_QUOTED = r"[\"`](?P<name>(?:[^\"`]|\"\"|``)+)[\"`]"


def named(batches: Iterator[pa.RecordBatch], source: str, sql: str) -> Generator[pa.RecordBatch, None, None]:
    """The batches of one statement; a connector's error leaves with the source's name, and that of the column.

    Closing it closes `batches`. `sql` is the statement's text without values.
    """
    try:
        yield from batches
    except SourceError as error:
        raise explained(error, source, sql) from error.__cause__


def explained(error: SourceError, source: str, sql: str) -> SourceError:
    """The error, changed in place: connectors know a column by its number only (c0, c1 ... in the statement)."""
    if error.place is None and f'"{source}"' not in error.message:
        error.place = f'source "{source}"'
    number = _COLUMN.search(error.message)
    if number is not None:
        column = re.search(rf"(?:(?P<of>\w+)\.)?{_QUOTED} AS [\"`\[]?c{number[1]}\b", sql)
        if column is not None:
            error.message = error.message.replace(number[0], f'column "{column["name"]}"', 1)
            error.args = (error.message,)
            table = re.search(rf"{_QUOTED} (?:AS )?{column['of']}\b", sql)
            if table is not None and error.hint:
                error.hint = error.hint.replace(KEY, f"{table['name']}.{column['name']}")
        error.detail = error.detail or f"The source was asked: {sql}"
    return error
