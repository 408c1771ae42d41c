"""Plays scripts over tables spread at random: every query must answer as the canon does, and as the script expects
wherever PostgreSQL agrees with it."""

from __future__ import annotations

import contextlib
import random
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.loaders import needed, started
from tests.differential.oracle import Answer, Oracle
from tests.differential.placements import Placement, draw
from tests.differential.suite import Difference, How, Running, served
from tests.fuzz import configurations
from tests.fuzz.run import oracles
from tests.fuzz.verdict import differs
from tests.servers import Server
from tests.slt.script import Record, agrees, records
from tests.slt.states import Asked, State, order_of, play

CORPUS = Path(__file__).parent / "corpus.tar.xz"
AT_ONCE = 12  # states in one project


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the corpus."""

    name: str
    records: tuple[Record, ...]


def corpus() -> list[Script]:
    """All scripts that have queries, by name."""
    with tarfile.open(CORPUS) as archive:
        texts = {entry.name: archive.extractfile(entry) for entry in archive}
        read = [Script(name, tuple(records(stream.read().decode()))) for name, stream in texts.items() if stream]
    return sorted((script for script in read if any(r.is_query for r in script.records)), key=lambda each: each.name)


class Run:
    """Some scripts, each over a placement of its own."""

    def __init__(self, seed: int, engines: Sequence[str], quiet: bool) -> None:
        self.seed, self.engines, self.quiet = seed, engines, quiet
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def go(self, scripts: Sequence[Script], queries: int = 0) -> dict[str, Any]:
        """All of them; `queries` is the most of one state (0: all). What came of it."""
        start = time.monotonic()
        kinds = needed(self.engines)
        with contextlib.ExitStack() as stack:
            oracle = stack.enter_context(oracles()).one
            servers = {kind: stack.enter_context(started(kind)) for kind in kinds}
            states = self.states(scripts, oracle, queries)
            for batch in range(0, len(states), AT_ONCE):
                self.batch(states[batch : batch + AT_ONCE], servers, f"slt{batch}")
        total = {"seed": self.seed, "seconds": round(time.monotonic() - start, 1), "scripts": len(scripts)}
        keys = (
            *("states", "queries", "tried", "equal", "wrong", "refused", "refused_by_postgresql", "for_other_engines"),
            *("statements_refused_by_postgresql", "left_out", "as_the_script_says", "postgresql_says_otherwise"),
        )
        return total | {key: self.counts[key] for key in keys} | {"failures": self.failures}

    def states(self, scripts: Sequence[Script], oracle: Oracle, queries: int) -> list[State]:
        """What the scripts make in PostgreSQL, and its answers."""
        found: list[State] = []
        r = random.Random(self.seed)
        for number, script in enumerate(scripts):
            played = play(script.records, oracle, f"s{number}")
            self.counts["for_other_engines"] += played.others
            self.counts["statements_refused_by_postgresql"] += played.refused
            for state in played.states:
                self.counts["queries"] += len(state.asked)
                if queries and len(state.asked) > queries:
                    self.counts["left_out"] += len(state.asked) - queries
                    state.asked = r.sample(state.asked, queries)
                found.append(state)
            oracle.run(f"DROP SCHEMA s{number} CASCADE")
        return found

    def batch(self, states: Sequence[State], servers: dict[str, Server], tag: str) -> None:
        """Some states in one project."""
        r = random.Random(f"{self.seed} {tag}")
        places = [draw(r.randrange(3000), s.tables, self.engines, f"p{at}", f"p{at}_") for at, s in enumerate(states)]
        with _served(list(zip(states, places, strict=True)), servers, tag) as project:
            for line in project.diagnostics:
                self.tell(line)
            for state, place in zip(states, places, strict=True):
                self.counts["states"] += 1
                for asked in state.asked:
                    self.ask(asked, place, configurations.draw(r), project)

    def ask(self, asked: Asked, place: Placement, how: How, project: Running) -> None:
        """One query."""
        self.counts["tried"] += 1
        if asked.wanted.error:
            self.counts["refused_by_postgresql"] += 1
        elif asked.record.expected or not asked.wanted.rows:
            agreed = agrees(asked.record, asked.wanted.rows)
            self.counts["as_the_script_says" if agreed else "postgresql_says_otherwise"] += 1
        try:
            got = project.ask(asked.query.case, how, (place.schema,))
            found = compared(asked, got)
        except Exception as error:  # a query that hangs or breaks the harness must not end the run
            found = Difference("refused", f"harness: {type(error).__name__}: {error}")
        self.counts[found.kind if found is not None else "equal"] += 1
        if found is not None:
            text = f"{found.kind} [{place}] ({how}): {found.text}\n{asked.record.sql}"
            self.failures.append(text)
            self.tell(text)

    def tell(self, text: str) -> None:
        """To a person who watches."""
        if not self.quiet:
            print(text, file=sys.stderr)


def compared(asked: Asked, got: Answer) -> Difference | None:
    """As PostgreSQL answered; in the order of ORDER BY where that is of output columns."""
    found = differs(asked.query, asked.wanted, got, lambda: asked.wanted)
    keys = order_of(asked.record.sql) if found is None and not asked.wanted.error else ()
    if not keys:
        return found

    def first(answer: Answer) -> Answer:
        return Answer(rows=tuple(tuple(row[key] for key in keys) for row in answer.rows))

    # Only the order: that the rows are the same is known.
    if first(asked.wanted).rows != first(got).rows:
        return Difference("wrong", f"order: {first(asked.wanted).rows[:4]} wanted, {first(got).rows[:4]} got")
    return None


def _served(
    spaces: Sequence[tuple[State, Placement]], servers: dict[str, Server], tag: str
) -> contextlib.AbstractContextManager[Running]:
    views = [
        (f"{place.schema}.{name}", body.replace(f"{state.schema}.", f"{place.schema}."))
        for state, place in spaces
        for name, body in state.views
    ]
    return served("slt", [place for _, place in spaces], views, servers, tag)


def picked(scripts: Sequence[Script], count: int, seed: int) -> list[Script]:
    """So many scripts, of every folder of the corpus in turn (0: all)."""
    if not count:
        return list(scripts)
    r = random.Random(seed)
    folders: dict[str, list[Script]] = {}
    for script in scripts:
        folders.setdefault(script.name.rpartition("/")[0].replace("/1000", "/10").replace("/100", "/10"), []).append(
            script
        )
    found: list[Script] = []
    while len(found) < min(count, len(scripts)):
        for each in folders.values():
            left = [script for script in each if script not in found]
            if left and len(found) < count:
                found.append(r.choice(left))
    return found
