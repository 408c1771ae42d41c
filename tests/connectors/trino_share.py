"""Which tests of the conformance suite run over Trino, and which of them in the gate: each statement costs it some tens
of milliseconds, and its server is shared by all tests."""

from __future__ import annotations

import pytest

from tests.connectors.trino_cases import MEMORY

_RESTARTS = (
    "test_a_restarted_server_is_found_again",
    "test_a_server_that_dies_in_the_middle",
    "test_a_server_that_hangs",
)
_TYPES = ("test_every_cell", "test_types_are_introspected")
_DEEP = (
    "test_eight_threads_share_three_connections", "test_text_is_never_taken_for_sql",
    "test_rows_come_whole_and_in_order", "test_a_large_answer_streams_in_bounded_memory",
    "test_a_value_that_does_not_fit_is_an_error", "test_no_row_is_lost_where_pieces_and_batches_meet",
    "test_lists_go_in_as_one_parameter", "test_empty_lists", "test_waiting_for_a_connection_ends_at_the_timeout",
)  # fmt: skip
_BOTH = ("test_every_cell", "test_timeout", "test_cancel_stops_the_work_at_the_server")


def shared(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Who stops a server has one of its own; over another server only types are Trino's. The rest is marked deep."""
    away = [item for item in items if _ours(item) and not _kept(item)]
    config.hook.pytest_deselected(items=away)
    items[:] = [item for item in items if item not in away]
    for item in items:
        if _ours(item) and _deep(item):
            item.add_marker("deep")


def _ours(item: pytest.Item) -> bool:
    return item.path.name == "test_trino.py" and item.path.parent.name == "connectors"


def _kept(item: pytest.Item) -> bool:
    name = getattr(item, "originalname", "")
    label = item.callspec.params["case"].name if hasattr(item, "callspec") else MEMORY.name
    return name not in _RESTARTS and (label == MEMORY.name or name in _TYPES)


def _deep(item: pytest.Item) -> bool:
    name = getattr(item, "originalname", "")
    small = item.callspec.params.get("small") if hasattr(item, "callspec") else None
    return name in _DEEP or (small is False and name not in _BOTH)
