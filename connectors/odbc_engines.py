"""The engines that are known behind ODBC."""

from __future__ import annotations

from connectors.odbc_engine import Engine
from connectors.odbc_generic import Generic
from connectors.odbc_mariadb import Mariadb, Mysql
from connectors.odbc_oracle import Oracle
from connectors.odbc_postgresql import Postgresql
from connectors.odbc_sqlite import Sqlite
from connectors.odbc_sqlserver import Sqlserver

KNOWN: tuple[Engine, ...] = (Postgresql(), Mariadb(), Mysql(), Sqlite(), Sqlserver(), Oracle())
GENERIC: Engine = Generic()
BY_NAME: dict[str, Engine] = {engine.name: engine for engine in KNOWN}


def guessed(driver: str) -> Engine | None:
    """The engine that a driver of that name is for, before it is asked."""
    lower = driver.lower()
    return next((engine for engine in KNOWN if any(word in lower for word in engine.drivers)), None)
