"""From a failure that was found to a case worth keeping: smaller query, plainer way, fewer rows, simpler placement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.differential.data import Table
from tests.differential.oracle import Answer
from tests.differential.placements import Spot
from tests.differential.suite import Difference, Running
from tests.fuzz import configurations, reduce
from tests.fuzz.cases import Failure, needed, with_rows
from tests.fuzz.queries import Query
from tests.fuzz.verdict import differs
from tests.fuzz.world import DEEPEST, Oracles, Schema, served
from tests.servers import Server

GENERATIONS = 6  # projects that are built to find fewer rows
AT_ONCE = 10  # variants in one of them


def settled(query: Query, both: Oracles) -> tuple[Answer, str]:
    """The oracles' answer, and why it proves nothing ('' where it does)."""
    wanted = both.one.ask(query.case)
    if wanted.error == "57014":
        return wanted, "slow"
    if len(wanted.rows) > MOST_ROWS:
        return wanted, "large"
    again = both.other.ask(query.case)
    if differs(query, wanted, again, lambda: both.one.ask(query.whole)) is not None:
        return wanted, "undetermined"
    return wanted, ""


MOST_ROWS = 5_000


def verdict(failure: Failure, wanted: Answer, project: Running, both: Oracles, schema: str) -> Difference | None:
    """How the project's answer differs, if it does; `schema` is where it has the failure's tables."""
    query = failure.query
    try:
        for sql in failure.before:
            project.ask(replace(query.case, sql=sql, params=failure.earlier or query.params), failure.how, (schema,))
        got = project.ask(query.case, failure.how, (schema,))
    except Exception as error:  # a query that hangs or breaks the harness must not end the run
        return Difference("refused", f"harness: {type(error).__name__}: {error}")
    return differs(query, wanted, got, lambda: both.one.ask(query.whole))


def smaller_query(failure: Failure, project: Running, both: Oracles, schema: str, seconds: float) -> Failure:
    """The query shrunk where it was found, then the configuration."""
    kind = failure.said.split()[0]

    def fails(query: Query, of: Failure = failure) -> bool:
        wanted, why = settled(query, both)
        # A text that PostgreSQL refuses is another failure than the one that is shrunk.
        if why or (wanted.error and not wanted.error.startswith("22")):
            return False
        found = verdict(replace(of, query=query), wanted, project, both, schema)
        return found is not None and found.kind == kind

    if failure.before and fails(failure.query, replace(failure, before=())):
        failure = replace(failure, before=())
    if failure.before:
        return needed(failure)
    query = reduce.shrink(failure.query, fails, seconds)
    for _ in range(DEEPEST):
        written_out = reduce.inlined(query, dict(failure.schema.views))
        if written_out is None or not fails(written_out):
            break
        query = reduce.shrink(written_out, fails, seconds)
    for how in configurations.simpler(failure.how):
        if fails(query, replace(failure, how=how)):
            failure = replace(failure, how=how)
            break
    return needed(replace(failure, query=query))


def smaller_data(failure: Failure, servers: dict[str, Server], both: Oracles, engines: Sequence[str]) -> Failure:
    """Fewer rows and plainer places, as long as it fails; many variants stand in one project at a time."""
    for generation in range(GENERATIONS):
        variants = list(_variants(failure, engines, first=generation == 0))[:AT_ONCE]
        failing = [v for v, fails in zip(variants, _try(variants, servers, both), strict=True) if fails]
        if not failing:
            break
        failure = min(failing, key=lambda each: (each.rows, len(each.sources)))
    return failure


def _variants(failure: Failure, engines: Sequence[str], first: bool) -> Iterator[Failure]:
    every = {table.name: list(range(len(table.rows))) for table in failure.schema.tables}
    if first:
        bare = with_rows(failure, every)
        for engine in ("lite", "pq", "duck", "plain"):
            if engine in engines:
                spots = {t.name: [_whole(engine, t, n)] for n, t in enumerate(failure.schema.tables)}
                yield replace(bare, spots=spots)
    if failure.rows > 4:
        yield with_rows(failure, {name: rows[: len(rows) // 2] for name, rows in every.items()})
        yield with_rows(failure, {name: rows[len(rows) // 2 :] for name, rows in every.items()})
    for name, rows in sorted(every.items(), key=lambda each: -len(each[1])):
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :], rows[: len(rows) // 4], rows[len(rows) // 4 :]):
            if len(part) < len(rows):
                yield with_rows(failure, {**every, name: part})


def _whole(engine: str, table: Table, seed: int) -> Spot:
    return Spot(engine, seed, "", tuple(range(len(table.rows))))


def _try(variants: Sequence[Failure], servers: dict[str, Server], both: Oracles) -> list[bool]:
    """Whether each still fails."""
    spaces = [(variant.schema, variant.placement(f"z{at}")) for at, variant in enumerate(variants)]
    results = []
    with served(spaces, servers, "shrink") as project:
        for at, variant in enumerate(variants):
            schema = Schema(f"z{at}", variant.schema.tables, variant.schema.views)
            results.append(guarded(lambda v=variant, s=schema: _fails(v, s, project, both)))  # type: ignore[misc]
    return results


def guarded(check: Callable[[], bool]) -> bool:
    """False where the check itself breaks: a variant that cannot be built is not smaller, but none."""
    try:
        return check()
    except Exception:
        return False


def _fails(variant: Failure, schema: Schema, project: Running, both: Oracles) -> bool:
    both.load(schema)
    try:
        wanted, why = settled(variant.query, both)
        if why:
            return False
        found = verdict(variant, wanted, project, both, schema.name)
        return found is not None and found.kind == variant.said.split()[0]
    finally:
        both.drop(schema)
