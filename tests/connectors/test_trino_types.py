"""What Trino's protocol tells of a map's keys, which are texts there whatever they were."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.trino.types import to_batch
from connectors.types import PgType

QUERY = SourceQuery(("SELECT 1",), (), (PgType("json"),))


def batch(key: str, value: Any) -> Any:
    arguments = [{"value": {"rawType": kind, "arguments": []}} for kind in (key, "bigint")]
    return to_batch([[value]], [{"typeSignature": {"rawType": "map", "arguments": arguments}}], QUERY)


@pytest.mark.parametrize(
    ("key", "text", "printed"), [("bigint", "1", '{"1":2}'), ("varbinary", "AP8=", '{"\\\\x00ff":2}')]
)
def test_keys_as_text(key: str, text: str, printed: str) -> None:
    assert batch(key, {text: 2}).column(0).to_pylist() == [printed]


@pytest.mark.parametrize("key", ["row", "array", "map"])
def test_keys_of_several_values_are_refused(key: str) -> None:
    """ROW('a, b', 'c') and ROW('a', 'b, c') are both [a, b, c] there: an entry would be lost."""
    with pytest.raises(SourceError, match=f"keys that are {key}s") as error:
        batch(key, {"[a, b, c]": 2})
    assert error.value.sqlstate == "HV004"
