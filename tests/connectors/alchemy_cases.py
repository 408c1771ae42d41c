"""The conformance cases of SQLAlchemy: engines with a kind of their own by other drivers, and engines without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from connectors.conformance import PRINTED, Case, Sample, Site
from connectors.types import PgType
from tests.connectors.cases import CASES
from tests.connectors.embedded_cases import EMBEDDED

Opened = Callable[[pytest.FixtureRequest], AbstractContextManager[Site]]
_NATIVE = {case.kind: case for case in (*CASES, *EMBEDDED)}
# between two fetches of a cursor the server waits in its transaction
_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw' AND state <> 'idle'"


def by(case: Case, url: str, **options: Any) -> Opened:
    """The site of a case, reached by a URL of SQLAlchemy's."""

    @contextmanager
    def open_site(request: pytest.FixtureRequest) -> Iterator[Site]:
        with case.open(request) as site:
            given = {key: value for key, value in site.options.items() if key != "path"}
            if "path" in site.options:
                given["database"] = site.options["path"]
            yield replace(site, options={"url": url, **given, **options})

    return open_site


def _known(kind: str, url: str, **changes: Any) -> Case:
    case = _NATIVE[kind]
    return replace(
        case, kind="sqlalchemy", label=f"sqlalchemy {url.removesuffix('://')}", open=by(case, url), **changes
    )


_DUCKDB = _NATIVE["duckdb"]


def _generic(sample: Sample) -> Sample:
    """As an engine of which nothing is known: parameters are compared only where the driver's types say how, and of
    dates as it prints them only those are read that ISO 8601 has."""
    kind = _WIDE.get(sample.ddl, sample.type)
    if kind.name == "text":
        values = tuple((literal, PRINTED if value is not None else None) for literal, value in sample.values)
        return replace(sample, type=kind, equal=False, values=values, unfit=sample.unfit if sample.type == kind else ())
    if kind.name not in ("date", "timestamp", "timestamptz"):
        return replace(sample, type=kind, equal=sample.equal and sample.type.name in _BOUND)
    odd = tuple(literal for literal, _ in sample.values if _NOT_ISO.search(literal))
    values = tuple(pair for pair in sample.values if pair[0] not in odd)
    far = tuple(pair for pair in sample.unfit if "after" in pair[1])
    refused = tuple(
        (literal, "an invalid date")
        for literal in (*odd, *(one for one, _ in sample.unfit if "BC" in one or "." in one))
    )
    refused += far
    return replace(sample, values=values, unfit=refused)


_NOT_ISO = re.compile(r"BC")
_WIDE = {
    **dict.fromkeys(("ubigint", "hugeint", "uhugeint"), PgType("numeric")),
    **dict.fromkeys(("bignum", "timestamptz_ns", "time_ns"), PgType("text")),
}


_BOUND = frozenset(("bool", "int2", "int4", "int8", "float8", "text", "date", "time", "timestamp", "timestamptz"))

ALCHEMY = (
    _known("postgresql", "postgresql+psycopg://", active=_RUNNING),
    _known("postgresql", "postgresql+pg8000://", active=_RUNNING),
    _known("mariadb", "mariadb+pymysql://"),
    _known("sqlite", "sqlite://"),
    replace(
        _DUCKDB,
        kind="sqlalchemy",
        label="sqlalchemy duckdb",
        open=by(_DUCKDB, "duckdb://"),
        samples=tuple(_generic(sample) for sample in _DUCKDB.samples),
        unfit=(("varchar", "'abc'", PgType("int4")), ("bigint", "70000", PgType("int2"))),
    ),
)
ONLY_DEEP = frozenset(("sqlalchemy postgresql+pg8000", "sqlalchemy mariadb+pymysql", "sqlalchemy sqlite"))
