"""A hundred clients ask the same at once over both protocols: how often was each source asked, by its own account?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx

from benchmarks import figures, stage
from benchmarks.crm import Crm, crm
from benchmarks.figures import MS, percentile, show

HALF = 50  # clients of each protocol
SQL = "SELECT customers, orders FROM {schema}.slow"
GRAPHQL = "{{{schema}Slow {{customers orders}}}}"
Ask = Callable[[], Awaitable[Any]]


class Statistics:
    """What the two servers say that they were asked; views and tables of ours only."""

    def __init__(self, made: Crm) -> None:
        self._made = made

    def forget(self) -> None:
        """Count from now on."""
        self._made.postgresql.run("SELECT pg_stat_statements_reset()", database=self._made.postgresql.database)
        self._made.mariadb.run("TRUNCATE performance_schema.events_statements_summary_by_digest")

    def calls(self) -> dict[str, int]:
        """Executions of statements about `slow`, by source."""
        crm = self._made.postgresql.run(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query ~ 'slow' AND query !~ 'pg_stat'",
            database=self._made.postgresql.database,
        )
        shop = self._made.mariadb.run(
            "SELECT coalesce(sum(count_star), 0) FROM performance_schema.events_statements_summary_by_digest "
            "WHERE digest_text LIKE '%slow%' AND digest_text NOT LIKE '%performance_schema%'"
        )
        return {"crm": int(crm[0][0]), "shop": int(shop[0][0])}


@contextlib.asynccontextmanager
async def clients(served: stage.Served, schema: str) -> AsyncIterator[list[Ask]]:
    """Half of them asyncpg, half GraphQL, each with a connection of its own that stands already."""
    options = {**served.options, "database": served.options["dbname"]}
    del options["dbname"]
    async with contextlib.AsyncExitStack() as stack:
        made: list[Ask] = []
        for _ in range(HALF):
            connection = await asyncpg.connect(**options)
            stack.push_async_callback(connection.close)
            made.append(_by_sql(connection, SQL.format(schema=schema)))
            limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
            url = "http://{}:{}".format(*served.http)
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, limits=limits, timeout=60))
            await client.post("/graphql", json={"query": "{__typename}"})
            made.append(_by_graphql(client, GRAPHQL.format(schema=schema)))
        yield made


def _by_sql(connection: Any, text: str) -> Ask:
    async def ask() -> Any:
        (row,) = await connection.fetch(text)
        return tuple(row)

    return ask


def _by_graphql(client: httpx.AsyncClient, query: str) -> Ask:
    async def ask() -> Any:
        answer = json.loads((await client.post("/graphql", json={"query": query})).content)
        ((row,),) = answer["data"].values()
        return tuple(int(value) for value in row.values())

    return ask


async def burst(asks: list[Ask]) -> tuple[set[Any], list[float]]:
    """All at once; the different answers, and how long each client waited."""
    times: list[float] = []

    async def timed(ask: Ask) -> Any:
        began = time.perf_counter()
        answer = await ask()
        times.append(time.perf_counter() - began)
        return answer

    return set(await asyncio.gather(*(timed(ask) for ask in asks))), times


async def measure(made: Crm, served: stage.Served, schema: str, bursts: int) -> dict[str, Any]:
    """So many bursts after one another; the counts of all of them."""
    statistics = Statistics(made)
    answers: set[Any] = set()
    times: list[float] = []
    async with clients(served, schema) as asks:
        statistics.forget()
        for _ in range(bursts):
            found, took = await burst(asks)
            answers |= found
            times += took
        calls = statistics.calls()
    return {
        "clients": 2 * HALF,
        "questions": len(times),
        "answers": len(answers),
        **{f"asked_{source}": count for source, count in calls.items()},
        "p50_ms": percentile(times, 0.5) * MS,
        "p99_ms": percentile(times, 0.99) * MS,
    }


def main() -> None:
    """Exits with 1 where a source was asked more than once for a burst."""
    given = figures.arguments(__doc__, 0).parse_args()
    wrong = False
    with crm() as made, stage.served(made.folder) as served:
        for what, schema, bursts, most in (
            ("ttl 0: one burst", "live", 1, 1),
            ("ttl 0: three bursts", "live", 3, 3),
            ("ttl 60 s: three bursts", "kept", 3, 1),
        ):
            told = asyncio.run(measure(made, served, schema, bursts))
            wrong = wrong or told["answers"] != 1 or max(told["asked_crm"], told["asked_shop"]) > most
            show(given.json, what, **told, **figures.machine())
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()
