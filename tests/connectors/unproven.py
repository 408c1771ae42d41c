"""Engines that do not run here, and their types: nothing is claimed of them."""

from __future__ import annotations

from connectors.conformance import Unproven
from tests.connectors.rest_cases import ODATA

_SQLSERVER = "no SQL Server runs here; the connector is written from its documentation"
_ORACLE = "no Oracle runs here; the connector is written from its documentation"
SQLSERVER = (
    "bit", "tinyint", "smallint", "int", "bigint", "decimal", "numeric", "money", "smallmoney", "real", "float", "date",
    "time", "datetime", "datetime2", "smalldatetime", "datetimeoffset", "char", "varchar", "text", "nchar", "nvarchar",
    "ntext", "binary", "varbinary", "image", "rowversion", "uniqueidentifier", "xml", "sql_variant", "hierarchyid",
    "geometry", "geography",
)  # fmt: skip
ORACLE = (
    "NUMBER", "FLOAT", "BINARY_FLOAT", "BINARY_DOUBLE", "VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR", "CLOB", "NCLOB",
    "LONG", "RAW", "LONG RAW", "BLOB", "BFILE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP WITH LOCAL TIME ZONE",
    "INTERVAL YEAR TO MONTH", "INTERVAL DAY TO SECOND", "ROWID", "UROWID", "JSON", "BOOLEAN", "XMLTYPE", "SDO_GEOMETRY",
)  # fmt: skip

UNPROVEN = (
    Unproven("odbc to SQL Server", SQLSERVER, _SQLSERVER),
    Unproven("odbc to Oracle", ORACLE, _ORACLE),
    ODATA,
)
