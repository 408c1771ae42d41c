"""The cells of the table: each type of each engine, as a point and as bulk, against what the engine itself prints."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from connectors.arrow import left_out
from connectors.base import Connector
from connectors.conformance.asking import ask, stored
from connectors.conformance.case import PRINTED, Case, Sample, Site
from connectors.conformance.fixtures import placed
from connectors.conformance.table import BULK, CELL, POINT, cell, declared, told
from connectors.conformance.texts import column_texts
from connectors.errors import SourceError
from connectors.types import PgType

BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
TEXT = PgType("text")
SHOWN = 80  # characters of a value that a failed test shows
Record = Callable[[str, object], None]


@BOTH
def test_every_cell(
    case: Case, connector: Connector, site: Site, samples: str, refused: str, small: bool, record_property: Record
) -> None:
    """Each type comes as the engine prints it, or is refused by the policy that its sample declares."""
    prints = printed_by(case, site, samples)
    wrong = {}
    for number, sample in enumerate(case.samples):
        fault = _fault(sample, connector, samples, prints.get(sample.ddl), small) or _allowed(
            case, sample, connector, site, f"{refused}_{number}", small
        )
        verdict = f"wrong: {fault}" if fault else declared(sample)
        record_property(CELL, told(cell(case, sample, POINT if small else BULK, verdict)))
        if fault:
            wrong[sample.ddl] = fault
    assert not wrong


@pytest.fixture(scope="module")
def refused(case: Case, site: Site) -> str:
    """Tables, one for each sample with values that do not fit; the beginning of their names."""
    statements = []
    for number, sample in enumerate(case.samples):
        if sample.unfit:
            statements.append(f"CREATE TABLE refused_{number} (id int, {sample.column} {sample.ddl})")
            rows = ", ".join(f"({at}, {literal})" for at, (literal, _) in enumerate(sample.unfit))
            statements.append(f"INSERT INTO refused_{number} VALUES {rows}")
    if statements:
        site.run(*statements)
    return placed(case, "refused")


def printed_by(case: Case, site: Site, table: str) -> dict[str, list[str | None]]:
    """What the engine itself prints of each sample's column of `table`, in PostgreSQL's form; {} where it cannot."""
    if case.printing is None:
        return {}
    texts = ", ".join(case.printing.text(sample) for sample in case.samples)
    rows = site.run(*case.printing.prologue, f"SELECT {texts} FROM {table} ORDER BY id")
    canonical = case.printing.canonical
    return {
        sample.ddl: [None if row[at] is None else canonical(sample, row[at]) for row in rows]
        for at, sample in enumerate(case.samples)
    }


def _fault(sample: Sample, connector: Connector, table: str, prints: Sequence[str | None] | None, small: bool) -> str:
    """The first value that is not as the engine prints it, or as the sample says; ''."""
    text = f"SELECT {sample.column} FROM {table} ORDER BY id"
    try:
        column = ask(connector, text, columns=(sample.type,), small=small).column(0)
    except SourceError as error:
        return f"{error.sqlstate} {error.message}"
    texts, held = column_texts(column, sample.type), stored(column)
    for row, (got, value) in enumerate(zip(texts, held, strict=True)):
        literal, want = sample.values[row % len(sample.values)]
        if prints is not None and got != prints[row]:
            return _other(literal, got, prints[row])
        if want is not PRINTED and not same(value, want, sample.type):
            return _other(literal, value, want)
    return ""


def _allowed(case: Case, sample: Sample, connector: Connector, site: Site, table: str, small: bool) -> str:
    """The first value that does not fare as each of the policies says; ''."""
    for at, (literal, kind) in enumerate(sample.unfit):
        text = f"SELECT {sample.column} FROM {table} WHERE id = {at}"
        try:
            got = ask(connector, text, columns=(sample.type,), small=small).column(0)
            return f"{literal} is not refused: {column_texts(got, sample.type)}"
        except SourceError as error:
            if error.sqlstate != "HV004" or "c0" not in error.message or kind not in error.message or not error.hint:
                return f"{literal} is refused otherwise: {error.sqlstate} {error.message}"
        null = ask(connector, text, columns=(sample.type,), small=small, unfit=((0, "null"),))
        if null.column(0).to_pylist() != [None] or left_out(null) != {0: 1}:
            return f"{literal} is not NULL where it may be"
        told = ask(connector, text, columns=(TEXT,), small=small, unfit=((0, "text"),)).column(0).to_pylist()
        prints = _printed_text(case, sample, site, f"{table} WHERE id = {at}")
        if prints is not None and told != [prints]:
            return _other(literal, told[0], prints)
    return ""


def _printed_text(case: Case, sample: Sample, site: Site, where: str) -> str | None:
    """What the engine prints of a value that does not fit, as it is; None where it cannot."""
    if case.printing is None:
        return None
    as_text = replace(sample, type=TEXT)
    ((text,),) = site.run(*case.printing.prologue, f"SELECT {case.printing.text(as_text)} FROM {where}")
    found = case.printing.canonical(as_text, text)
    return "\\x" + found.encode().hex() if "\0" in found else found


def _other(literal: str, got: Any, want: Any) -> str:
    return f"{literal[:SHOWN]} is read as {str(got)[:SHOWN]}, not {str(want)[:SHOWN]}"


def same(got: Any, want: Any, kind: PgType) -> bool:
    """Whether two values are the same to the last bit; NaNs are."""
    if isinstance(want, float) and got is not None:
        if kind.name == "float4":
            want = struct.unpack("f", struct.pack("f", want))[0]
        return (math.isnan(got) and math.isnan(want)) or struct.pack("d", got) == struct.pack("d", want)
    return bool(got == want)
