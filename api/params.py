"""Values of parameters from texts, read by PostgreSQL itself, so that every form that it accepts is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from connectors.base import Bound
from connectors.errors import QueryError
from connectors.types import PgType
from federation.canon.server import Canon

NULL = "\\N"


async def bound(canon: Canon, kinds: Sequence[PgType], texts: Sequence[str]) -> tuple[Bound, ...]:
    """Each text as a value of its type; QueryError for the wrong number of them, or with what PostgreSQL says."""
    if len(kinds) != len(texts):
        message = f"the statement has {len(kinds)} parameters, and {len(texts)} values are given"
        raise QueryError(message, sqlstate="08P01", hint="give one --param for each of $1, $2 ..., in order")
    if not kinds:
        return ()
    async with await psycopg.AsyncConnection.connect(
        canon.dsn(), options="-c TimeZone=UTC", autocommit=True
    ) as connection:
        return tuple(
            [
                await _read(connection, number, kind, text)
                for number, (kind, text) in enumerate(zip(kinds, texts, strict=True), 1)
            ]
        )


async def _read(connection: psycopg.AsyncConnection[Any], number: int, kind: PgType, text: str) -> Bound:
    if text == NULL:
        return Bound(kind, None)
    form = sql.SQL("SELECT %s::text::{}{}").format(sql.SQL(kind.sql), sql.SQL(_as_text(kind)))
    try:
        row = await (await connection.execute(form, (text,))).fetchone()
    except psycopg.Error as error:
        message = error.diag.message_primary or str(error)
        raise QueryError(
            f"${number}: {message}", sqlstate=error.sqlstate or "22P02", hint=error.diag.message_hint
        ) from None
    return Bound(kind, row[0] if row is not None else None)


def _as_text(kind: PgType) -> str:
    """A cast to text for the types whose values travel as PostgreSQL's text."""
    if kind.name.startswith("_"):
        element = PgType(kind.name[1:])
        return "::text[]" if element.arrow == pa.string() or element.name == "numeric" else ""
    return "::text" if kind.arrow == pa.string() or kind.name == "numeric" else ""
