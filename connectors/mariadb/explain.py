"""MariaDB's and MySQL's EXPLAIN, read for what it would examine.

As a table: FORMAT=JSON of MariaDB leaves quotes in conditions unescaped, which under ANSI_QUOTES is no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.reading import Reading, Step, aliased

Row = tuple[str | None, ...]


def question(statement: str, engine: str) -> str:
    """The statement that asks how `statement` would run, with the share of rows that each table's filter keeps."""
    how = "EXTENDED" if engine == "mariadb" else "FORMAT=TRADITIONAL"  # explain_format may say another
    return f"EXPLAIN {how} {statement}"


def read(rows: Sequence[Row], statement: str, engine: str) -> Reading:
    """The reading of EXPLAIN's rows."""
    # id, select_type, table, (MySQL: partitions,) type, possible_keys, key, key_len, ref, rows, filtered, Extra
    plain = [row if engine == "mariadb" else (*row[:3], *row[4:]) for row in rows]
    steps = tuple(_steps(plain, aliased(statement)))
    lines = (f"{s.table}, {'by ' + s.index if s.index else 'from end to end'}, {s.rows or 0:,.0f} rows" for s in steps)
    return Reading(steps, "\n".join(lines))


def _steps(rows: Sequence[Row], names: dict[str, str]) -> Iterator[Step]:
    """Tables in the order in which they are joined: each is read once for every row that those before let through."""
    times, select = 1.0, None
    for number, _, table, how, _, key, _, _, count, filtered, _ in rows:
        if number != select:
            times, select = 1.0, number
        if table is None or how is None:  # nothing is read: no row can match
            continue
        # With a rowid filter MariaDB says "ref|filter", "by_day|by_city" and "12 (38%)": what is read and what is kept.
        examined = float((count or "0").partition(" ")[0])
        how, key = how.partition("|")[0], key and key.partition("|")[0]
        whole = how in ("ALL", "index")
        begun = 1.0 if whole else times  # a scan's rows are kept in the join buffer
        if not table.startswith("<"):
            yield Step(names.get(table, table), examined * begun, "" if whole else key or "unique", begun)
        times *= max(examined * float(filtered or 100) / 100, 1.0)
