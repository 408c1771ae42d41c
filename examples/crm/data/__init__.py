"""The example's tables: orders are CDNOW's real purchases, up to now; everything else is made up from a seed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from examples.crm.cdnow import Purchase
from examples.crm.data import (
    billing,
    complaints,
    crm,
    history,
    lifecycle,
    marketing,
    network,
    partners,
    policy,
    reviews,
    sales,
    stores,
    supply,
    tickets,
    visits,
)
from examples.crm.data.table import Table
from examples.crm.data.world import SEED, World, of

__all__ = ["MODULES", "SEED", "Table", "World", "build"]

# each with tables(world): source -> tables
MODULES = (
    crm,
    sales,
    tickets,
    billing,
    stores,
    supply,
    policy,
    history,
    marketing,
    lifecycle,
    reviews,
    visits,
    partners,
    network,
    complaints,
)


def build(purchases: Sequence[Purchase], now: dt.datetime | None = None, seed: int = SEED) -> dict[str, list[Table]]:
    """The tables of each source; the same for the same purchases, instant and seed.

    `now` is the instant at which the data ends, with a time zone; the clock's where it is not said.
    """
    world = of(purchases, (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).replace(microsecond=0), seed)
    found: dict[str, list[Table]] = {}
    for module in MODULES:
        for source, tables in module.tables(world).items():
            found.setdefault(source, []).extend(tables)
    return found
