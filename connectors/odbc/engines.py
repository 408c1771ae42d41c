"""The engines that are known behind ODBC."""

from __future__ import annotations

from connectors.odbc.engine import Engine
from connectors.odbc.generic import Generic
from connectors.odbc.mariadb import Mariadb, Mysql
from connectors.odbc.oracle import Oracle
from connectors.odbc.postgresql import Postgresql
from connectors.odbc.sqlite import Sqlite
from connectors.odbc.sqlserver import Sqlserver

KNOWN: tuple[Engine, ...] = (Postgresql(), Mariadb(), Mysql(), Sqlite(), Sqlserver(), Oracle())
GENERIC: Engine = Generic()
BY_NAME: dict[str, Engine] = {engine.name: engine for engine in KNOWN}


def guessed(driver: str) -> Engine | None:
    """The engine that a driver of that name is for, before it is asked."""
    lower = driver.lower()
    return next((engine for engine in KNOWN if any(word in lower for word in engine.drivers)), None)
