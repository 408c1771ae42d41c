"""Which tables and columns a statement may read, by the words that stand in it: too many rather than too few."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectors.base import Column

_WORD = re.compile(r'"((?:[^"]|"")*)"|(\w+)')
_ALL = re.compile(r"(\bselect|\bdistinct|[,.])\s*\*|\bcolumns\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mentioned:
    """The words of a statement in lower case, and whether it asks for all columns of something."""

    words: frozenset[str]
    all_columns: bool

    def table(self, name: str) -> bool:
        """Whether the statement may read the table."""
        return name.lower() in self.words

    def begin(self, name: str) -> bool:
        """Whether it may read a table whose name begins so: name_sheet, name_format."""
        start = name.lower()
        return start in self.words or any(word.startswith(f"{start}_") for word in self.words)

    def columns(self, columns: Sequence[Column]) -> list[Column]:
        """Those of a table's columns that it may need; one at least, as rows must be counted."""
        if self.all_columns:
            return list(columns)
        return [column for column in columns if column.name.lower() in self.words] or list(columns[:1])


@lru_cache(1024)
def mentioned(sql: str) -> Mentioned:
    """What a statement in DuckDB's SQL mentions; what stands in its texts counts too."""
    words = (match[2] or (match[1] or "").replace('""', '"') for match in _WORD.finditer(sql))
    # a name within a text hides others there: so the words inside quotes count one by one as well
    inner = (word for match in _WORD.finditer(sql) if match[1] for word in re.findall(r"\w+", match[1]))
    return Mentioned(frozenset(word.lower() for word in (*words, *inner)), bool(_ALL.search(sql)))
