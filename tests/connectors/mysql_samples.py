# ruff: noqa: E501 - samples are a table
"""Every type of MySQL with its extremes: MariaDB's samples, but where the two differ."""

from __future__ import annotations

from connectors.conformance import Sample, Types, nul, printed
from connectors.types import PgType, numeric, varchar
from tests.connectors.mariadb_samples import BINARY, NUMBERS, TEXTUAL, TIMES
from tests.connectors.texts import TEXTS

T = PgType
_ELSEWHERE = frozenset(("varchar(40) collate utf8mb4_nopad_bin", "json", "uuid", "inet4", "inet6", "geometry"))
_ADAM = '\'{"b":  1, "aa": 1e2, "aa": [1.5, true]}\''  # keys are sorted by length, the last of two stays
OWN = (
    Sample("decimal(10,2) unsigned", numeric(10, 2), printed("12345678.90", "0")),
    Sample("double unsigned", T("float8"), printed("1e308", "5e-324")),
    Sample("int GENERATED ALWAYS AS (-7 * 6) VIRTUAL", T("int4"), (("DEFAULT", -42),)),
    Sample("varchar(40) collate utf8mb4_0900_bin", varchar(40), nul(*TEXTS)),
    Sample("varchar(40) collate utf8mb4_0900_ai_ci", varchar(40), nul(*TEXTS)),
    Sample("varchar(40) collate utf8mb4_bin", varchar(40), nul(*TEXTS)),
    Sample("varchar(40) character set gb18030", varchar(40), nul(("'漢字 🎉'", "漢字 🎉"))),
    Sample("json", T("json"), nul((_ADAM, '{"b": 1, "aa": [1.5, true]}'), ("'12345678901234567890.5'", "1.2345678901234567e19"), ("'\"\\u0000\"'", '"\\u0000"'), ("CAST(CAST('2024-02-29 01:02:03.5' AS DATETIME(6)) AS JSON)", '"2024-02-29 01:02:03.500000"'), ("CAST(9.50 AS JSON)", "9.50")), equal=False),
    Sample("geometry", T("bytea"), printed("ST_GeomFromText('POINT(1 2)', 4326)"), equal=False),
    Sample("vector(3)", T("bytea"), printed("STRING_TO_VECTOR('[1, -2.5, 3e38]')"), equal=False),
)  # fmt: skip
MYSQL = (*(sample for sample in (*NUMBERS, *TEXTUAL, *BINARY, *TIMES) if sample.ddl not in _ELSEWHERE), *OWN)

# All that MySQL's manual lists; `vector` from 9.0 on.
_DOCUMENTED = (
    "bigint", "binary", "bit", "blob", "char", "date", "datetime", "decimal", "double", "enum", "float", "geomcollection",
    "geometry", "int", "json", "linestring", "longblob", "longtext", "mediumblob", "mediumint", "mediumtext",
    "multilinestring", "multipoint", "multipolygon", "point", "polygon", "set", "smallint", "text", "time", "timestamp",
    "tinyblob", "tinyint", "tinytext", "varbinary", "varchar", "vector", "year",
)  # fmt: skip
TYPES = Types(
    f"""SELECT d.name FROM ({" UNION ALL ".join(f"SELECT '{name}' AS name" for name in _DOCUMENTED)}) AS d
    WHERE d.name NOT IN (SELECT data_type FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = '{{table}}')"""
)
