"""A source's errors in the words of whoever asked: which source it was, and which of its columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pyarrow as pa

from connectors.arrow import KEY
from connectors.errors import Error, SourceError

LOG = logging.getLogger("vdw.connectors")

_COLUMN = re.compile(r"\bcolumn c(\d+)\b")
_QUOTED = r"[\"`](?P<name>(?:[^\"`]|\"\"|``)+)[\"`]"


def named(batches: Iterator[pa.RecordBatch], source: str, sql: str) -> Generator[pa.RecordBatch, None, None]:
    """The batches of one statement; a connector's error leaves with the source's name, and that of the column.

    Closing it closes `batches`. `sql` is the statement's text without values.
    """
    try:
        with blamed(source):
            yield from batches
    except SourceError as error:
        raise explained(error, source, sql) from error.__cause__


@contextmanager
def blamed(source: str) -> Iterator[None]:
    """A connector may be anybody's: what it did not expect is its source's error, and the log has the traceback.

    Raises SourceError. The message of what was raised stays out of it: a driver's may hold values.
    """
    try:
        yield
    except (Error, MemoryError, TimeoutError):
        raise
    except Exception as error:
        LOG.error("the connector of source %s failed", source, exc_info=error)
        raise SourceError(
            f"the connector failed: {type(error).__name__}",
            place=f'source "{source}"',
            hint="this is a fault of the connector: report it to its makers; the log of vdw has the traceback",
        ) from error


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
