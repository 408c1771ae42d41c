"""Engines that do not run here, and their types: nothing is claimed of them."""

from __future__ import annotations

from connectors.conformance import Unproven

_DEBIAN = "no MySQL server runs here (Debian has MariaDB only); the connector is that of MariaDB"
MYSQL = (
    "bit", "tinyint", "tinyint unsigned", "smallint", "smallint unsigned", "mediumint", "mediumint unsigned", "int",
    "int unsigned", "bigint", "bigint unsigned", "decimal", "float", "double", "date", "datetime", "timestamp", "time",
    "year", "char", "varchar", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text",
    "mediumtext", "longtext", "enum", "set", "json", "geometry", "point", "linestring", "polygon", "multipoint",
    "multilinestring", "multipolygon", "geometrycollection", "vector",
)  # fmt: skip

UNPROVEN = (Unproven("mysql", MYSQL, _DEBIAN),)
