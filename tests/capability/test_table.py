"""docs/capability.md is what the tables say."""

from __future__ import annotations

from pathlib import Path

from connectors.capability.table import ENGINES, page, rows

DOCS = Path(__file__).parents[2] / "docs" / "capability.md"


def test_the_page_is_in_step() -> None:
    assert DOCS.read_text() == page(), "run: python -m connectors.capability.table > docs/capability.md"


def test_enough_is_claimed() -> None:
    assert len(rows()) >= 250
    claimed = [s for _, s in rows() if any(s in engine.scalars for engine in ENGINES.values())]
    assert len(claimed) >= 250
