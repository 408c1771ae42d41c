"""The run: round after round of a schema under several placements, and queries under several configurations each."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from federation.canon.server import Canon
from tests.differential.loaders import needed, started
from tests.differential.oracle import Answer, Oracle
from tests.differential.placements import Placement
from tests.differential.suite import Difference, How, Running
from tests.fuzz import configurations
from tests.fuzz.cases import Failure, Spots, write
from tests.fuzz.queries import Query
from tests.fuzz.rare import Rare
from tests.fuzz.schema import tables
from tests.fuzz.shrink import settled, smaller_data, smaller_query, verdict
from tests.fuzz.siblings import rebound, sibling
from tests.fuzz.world import Oracles, Schema, draw_views, placed, relations, served
from tests.servers import Server

QUERIES = 150  # of a round
WAYS = 2  # (placement, configuration) for each query
SIBLINGS = 0.3  # of the queries, asked again with other constants
PLACEMENTS = 3
MOST_ALIKE = 3  # failures that say the same are shrunk, the others are kept as they are
SHRINK_SECONDS = 30.0
PATIENCE = "2s"  # of the oracle


@dataclass(slots=True)
class Counts:
    """What came of it: executions by verdict, those by feature, and queries that prove nothing and why."""

    tried: int = 0
    equal: int = 0
    wrong: int = 0
    refused: int = 0
    queries: int = 0
    rounds: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    features: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, query: Query, found: Difference | None, more: Sequence[str]) -> None:
        """One execution."""
        self.tried += 1
        kind = found.kind if found is not None else "equal"
        setattr(self, kind, getattr(self, kind) + 1)
        for feature in (*query.features, *more):
            self.features.setdefault(feature, Counter()).update(("tried", kind))

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        features = {
            name: {key: found[key] for key in ("tried", "wrong", "refused")}
            for name, found in sorted(self.features.items())
        }
        counts = {key: getattr(self, key) for key in ("tried", "equal", "wrong", "refused", "queries", "rounds")}
        return {**counts, "left_out": dict(self.left_out), "by_feature": features}


@contextlib.contextmanager
def oracles() -> Iterator[Oracles]:
    """Two oracles in a canon of their own."""
    with Canon() as canon, contextlib.ExitStack() as stack:
        made = []
        for name in ("one", "other"):
            with psycopg.connect(canon.dsn(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            oracle = Oracle(canon.dsn(dbname=name))
            oracle.run(f"SET statement_timeout = '{PATIENCE}'")
            stack.callback(oracle.close)
            made.append(oracle)
        yield Oracles(*made)


class Run:
    """A whole run."""

    def __init__(
        self, seed: int, engines: Sequence[str], keep: Path, quiet: bool, reduce: bool = True, queries: int = QUERIES
    ) -> None:
        self.queries = queries
        self.seed, self.engines, self.keep, self.quiet, self.reduce = seed, engines, keep, quiet, reduce
        self.counts = Counts()
        self.failures: list[str] = []
        self.found: list[Failure] = []
        self.alike: Counter[str] = Counter()

    def go(self, seconds: float, only: int = 0) -> dict[str, Any]:
        """Rounds until the time is over (the one under way is ended); what came of them."""
        start = time.monotonic()
        kinds = needed(self.engines)
        with contextlib.ExitStack() as stack:
            both = stack.enter_context(oracles())
            servers = {kind: stack.enter_context(started(kind)) for kind in kinds}
            number = only or 1
            while number == (only or 1) or (not only and time.monotonic() - start < seconds):
                self.round(number, both, servers, start + seconds)
                number += 1
        took = round(time.monotonic() - start, 1)
        total = {"seed": self.seed, "seconds": took, **self.counts.told(), "failures": self.failures}
        return total | {"kept": str(self.keep) if self.failures else ""}

    def round(self, number: int, both: Oracles, servers: dict[str, Server], end: float) -> None:
        """One schema under some placements, and queries over it."""
        seed = self.seed * 1_000_003 + number
        r = random.Random(seed)
        schema = Schema(f"r{number}", tables(seed, r.choice((3, 4, 5))))
        both.load(schema)
        schema = draw_views(schema, both, r, r.randint(2, 7))
        places = placed(schema, [r.randrange(3000) for _ in range(PLACEMENTS)], self.engines)
        self.counts.rounds += 1
        with served([(schema, place) for place in places], servers, f"f{number}") as project:
            for line in project.diagnostics:
                self.tell(f"[round {number}] {line}")
                self.counts.left_out["diagnostics"] += 1
            readable = relations(schema, both)
            for at in range(self.queries):
                if time.monotonic() > end:
                    break
                writer = Rare(random.Random(seed * 1000 + at), readable, both.describe, parameters=at % 3 == 0)
                self.query(writer.query(), schema, places, project, both, random.Random(seed * 1000 + at))
        both.drop(schema)
        told = self.counts
        self.tell(f"round {number}: {told.tried} tried, {told.wrong} wrong, {told.refused} refused so far")
        self.keep_all(number, both, servers)

    def query(
        self,
        query: Query,
        schema: Schema,
        places: Sequence[Placement],
        project: Running,
        both: Oracles,
        r: random.Random,
    ) -> None:
        """One query under some placements and configurations."""
        self.counts.queries += 1
        wanted, why = settled(query, both)
        if why:
            self.counts.left_out[why] += 1
            return
        for place in r.sample(list(places), WAYS):
            if self.tried(Failure(query, schema, _spots(place), configurations.draw(r)), wanted, place, project, both):
                return
        others = [rebound(query, r), rebound(query, r)] if not wanted.error else []
        others += [sibling(query, r)] if r.random() < SIBLINGS and not wanted.error else []
        for other in (each for each in others if each is not None):
            answer, why = settled(other, both)
            place = r.choice(list(places))
            if not why:
                earlier = query.params if other.sql == query.sql else ()
                failure = Failure(other, schema, _spots(place), How(), before=(query.sql,), earlier=earlier)
                self.tried(failure, answer, place, project, both)

    def tried(
        self, failure: Failure, wanted: Answer, place: Placement, project: Running, both: Oracles
    ) -> Difference | None:
        """One execution, counted; what is wrong with it is shrunk and remembered."""
        found = verdict(failure, wanted, project, both, place.schema)
        self.counts.add(failure.query, found, _features(place, failure.how, wanted))
        if found is not None:
            query = failure.query
            self.tell(f"{found.kind} [{place}] ({failure.how}): {found.text}\n{query.sql}\n{query.params}")
            failure = replace(failure, said=f"{found.kind} {found.text}"[:600])
            self.found.append(self.shrunk(failure, place, project, both))
        return found

    def shrunk(self, failure: Failure, place: Placement, project: Running, both: Oracles) -> Failure:
        """The failure with a smaller query, as far as there is time."""
        self.alike[failure.said[:60]] += 1
        if not self.reduce or self.alike[failure.said[:60]] > MOST_ALIKE:
            return failure
        smaller = smaller_query(failure, project, both, place.schema, SHRINK_SECONDS)
        self.tell(f"shrunk to ({smaller.how}) {smaller.query.sql} {smaller.query.params}")
        self.tell(project.explain(smaller.query.case, smaller.how, (place.schema,)))
        return smaller

    def keep_all(self, number: int, both: Oracles, servers: dict[str, Server]) -> None:
        """Each failure of the round as a file."""
        for at, failure in enumerate(self.found):
            if self.reduce and at < MOST_ALIKE:
                failure = smaller_data(failure, servers, both, self.engines)
            path = self.keep / f"seed{self.seed}-round{number}-{at}.yml"
            write(failure, path)
            self.failures.append(f"{path.name}: {failure.said.splitlines()[0][:200]}")
        self.found = []

    def tell(self, text: str) -> None:
        """To a person who watches."""
        if not self.quiet:
            print(text, file=sys.stderr)


def _spots(place: Placement) -> Spots:
    return {name: [piece.spot for piece in pieces] for name, pieces in place.pieces.items()}


def _features(place: Placement, how: How, wanted: Answer) -> list[str]:
    """What the way there exercises."""
    found = [*(f"at {piece}" for piece in {piece.source for piece in place.all}), *how.knobs]
    found += [f"without {rule}" for rule in how.off]
    found += ["error raised"] if wanted.error else []
    found += ["statistics that lie"] if how.lies else []
    found += ["split table"] if any(len(pieces) > 1 for pieces in place.pieces.values()) else []
    return found
