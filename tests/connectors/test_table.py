"""docs/conformance.md is what the suite proves: the cells that it runs, and those of engines that do not run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.conformance import Unproven
from connectors.conformance.cells import Record
from connectors.conformance.table import CELL, Cell, declared_cells, page, told, unproven_cells
from tests.connectors.conftest import ALL, APART
from tests.connectors.unproven import UNPROVEN

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.mark.parametrize("engine", UNPROVEN, ids=[one.name for one in UNPROVEN])
def test_cells_of_engines_that_do_not_run_here(engine: Unproven, record_property: Record) -> None:
    cells = unproven_cells(engine)
    for one in cells:
        record_property(CELL, told(one))
    assert cells
    assert engine.reason


def test_the_page_is_in_step() -> None:
    written = "python -m connectors.conformance.table tests/connectors docs/conformance.md"
    assert PAGE.read_text() == page(declared_cells((*ALL, *APART), UNPROVEN)), f"write it anew: {written}"


def test_no_cell_is_blank() -> None:
    with pytest.raises(ValueError, match="nothing is known of bulk"):
        page([Cell("sqlite", "text", "text", "point", "right")])
