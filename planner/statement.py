"""A statement as the canon analysed it: the planner's only input besides the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.types import PgType


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT in canonical text: names qualified, `*` and USING expanded, casts explicit.

    A parameter stands in the text as `vdw.param(n, NULL::type)`, n from 1. `columns` are the names and exact
    types of the answer; `params` the types of the parameters. `relations` are the virtual relations it reads;
    `session` tells that it also reads relations of the session itself (temporary tables, catalogs), so that it
    can only be merged in the session's own canon backend. `fleeting` tells that PostgreSQL may have read the
    clock while it read the text ('today'::date is a constant by now): neither it nor a plan of it may be kept.
    `zone` is the time zone in which it was read and will run; '' where that may be any.
    """

    sql: str
    text: str
    columns: tuple[tuple[str, PgType], ...]
    params: tuple[PgType, ...] = ()
    relations: tuple[tuple[str, str], ...] = ()
    session: bool = False
    fleeting: bool = False
    zone: str = ""
