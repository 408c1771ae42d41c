"""Clients of ours over a bank's tables: each asks a dashboard or looks a random key up, thinks, and asks again.

Half speak SQL (asyncpg), half GraphQL over a kept connection; all in one process, which must cost little.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.callers import BUGS, FAILURES, Caller, Rows, SqlCaller, WebCaller, code
from benchmarks.oltp import ACCOUNTS, Oltp
from benchmarks.stage import Served

DASHBOARDS = 0.3  # of the questions; the others are lookups


@dataclass(frozen=True, slots=True)
class Question:
    """The same in both languages, with one number in it; `right` says what is wrong with an answer, or ''."""

    name: str
    sql: str
    graphql: str
    right: Callable[[Rows, int], str]


def _account(rows: Rows, number: int) -> str:
    one = [{"aid": int(row["aid"]), "bid": int(row["bid"])} for row in rows]
    return "" if one == [{"aid": number, "bid": (number - 1) // ACCOUNTS + 1}] else f"account {number}: {one}"


def _branches(rows: Rows, _: int) -> str:
    found = {int(row["bid"]): int(row["accounts"]) for row in rows}
    return "" if found == dict.fromkeys(range(1, len(rows) + 1), ACCOUNTS) else f"branches: {found}"


def _desk(rows: Rows, number: int) -> str:
    one = [(int(row["bid"]), int(row["tellers"])) for row in rows]
    return "" if one == [(number, 10)] else f"desk {number}: {one}"


def _one_branch(rows: Rows, number: int) -> str:
    return "" if [int(row["accounts"]) for row in rows] == [ACCOUNTS] else f"branch {number}: {rows}"


def _activity(rows: Rows, _: int) -> str:
    return "" if len(rows) == 1 else f"activity: {rows}"


LOOKUP = Question(
    "lookup",
    "SELECT aid, bid, abalance FROM bank.account WHERE aid = $1",
    "query($n: Int!) { rows: bankAccount(where: {aid: {_eq: $n}}) { aid bid abalance } }",
    _account,
)
ACTIVITY = Question(
    "activity",
    "SELECT transactions, moved FROM bank.activity WHERE 0 < $1::int4",
    "query { rows: bankActivity { transactions moved } }",
    _activity,
)
KINDS = (
    Question(
        "branches",
        "SELECT bid, accounts, balance FROM bank.branch WHERE 0 < $1::int4 ORDER BY balance DESC",
        "query { rows: bankBranch(orderBy: {balance: desc}) { bid accounts balance } }",
        _branches,
    ),
    ACTIVITY,
    Question(
        "desk",
        "SELECT bid, tellers, balance FROM bank.desk WHERE bid = $1",
        "query($n: Int!) { rows: bankDesk(where: {bid: {_eq: $n}}) { bid tellers balance } }",
        _desk,
    ),
    Question(
        "one branch",
        "SELECT count(*) AS accounts, max(abalance) AS most FROM till.pgbench_accounts WHERE bid = $1",
        "query($n: Int!) { rows: bankBranch(where: {bid: {_eq: $n}}) { bid accounts balance } }",
        _one_branch,
    ),
)
VIEWS = {
    "bank.account": (["aid"], "SELECT aid, bid, abalance FROM till.pgbench_accounts"),
    "bank.branch": (
        ["bid"],
        "SELECT bid, count(*) AS accounts, sum(abalance) AS balance FROM till.pgbench_accounts GROUP BY bid",
    ),
    "bank.desk": (
        ["bid"],
        "SELECT bid, count(*) AS tellers, sum(tbalance) AS balance FROM till.pgbench_tellers GROUP BY bid",
    ),
    "bank.activity": (None, "SELECT count(*) AS transactions, sum(delta) AS moved FROM till.pgbench_history"),
}


@dataclass(slots=True)
class Tally:
    """What became of the questions; `counts` are to be judged later: (asked, answered (times of day), transactions)."""

    asked: int = 0
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    counts: list[tuple[float, float, int]] = field(default_factory=list)

    def judge(self, load: Oltp, before: int, oldest: float) -> None:
        """Counts of transactions must be those of a moment between `oldest` seconds before the question and the answer;
        there were `before` when the server's own load began."""
        ended = sorted(float(at) for part in load.done for at in part.ended)
        for asked, answered, told in self.counts:
            least = before + bisect.bisect(ended, asked - oldest)
            most = before + bisect.bisect(ended, answered) + load.loose
            if not least <= told <= most:
                self.wrong.append(f"activity: {told} transactions, not {least} to {most}")


@dataclass(slots=True)
class Crowd:
    """Clients that stand ready; `branches` is how many there are to ask about, `think` the mean of their pauses (s)."""

    askers: Sequence[Caller]
    branches: int
    think: float
    chance: random.Random

    @classmethod
    async def connect(cls, served: Served, count: int, branches: int, think: float, seed: int) -> Crowd:
        """So many, half of each protocol (one: SQL), all with their connection."""
        askers: list[Caller] = [WebCaller(served) if number % 2 else SqlCaller(served) for number in range(count)]
        await asyncio.gather(*(asker.connect() for asker in askers))
        return cls(askers, branches, think, random.Random(seed))

    async def ask(self, count: int, tally: Tally, stop: asyncio.Event) -> None:
        """The first `count` ask until told to stop; who has not got an answer a little later leaves without it."""
        tasks = [
            asyncio.create_task(self._client(asker, tally, random.Random(self.chance.random()), stop))
            for asker in self.askers[:count]
        ]
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=3)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def close(self) -> None:
        """All leave."""
        for asker in self.askers:
            await asker.close()

    async def _client(self, asker: Caller, tally: Tally, chance: random.Random, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(chance.expovariate(1 / self.think)):
                    await stop.wait()
                    return
            await self._question(asker, tally, chance)

    async def _question(self, asker: Caller, tally: Tally, chance: random.Random) -> None:
        question, number = LOOKUP, chance.randrange(self.branches * ACCOUNTS) + 1
        if chance.random() < DASHBOARDS:
            question, number = chance.choice(KINDS), chance.randrange(self.branches) + 1
        tally.asked += 1
        began, clock = time.time(), time.perf_counter()
        try:
            rows = await asker.ask(question, number)
        except FAILURES as error:
            tally.errors[code(error)] += 1
            if code(error) in BUGS:
                tally.wrong.append(f"{question.name}: {error!r}")
            return
        tally.seconds.append(time.perf_counter() - clock)
        if wrong := question.right(rows, number):
            tally.wrong.append(wrong)
        elif question is ACTIVITY:
            tally.counts.append((began, time.time(), int(rows[0]["transactions"])))
