"""What is understood while the shells change is understood again, and nobody plans in between."""

from __future__ import annotations

import asyncio

import pytest

from connectors.errors import QueryError
from federation.canon.turn import Turn


def test_who_comes_while_it_turns_waits() -> None:
    async def run() -> None:
        turn, asked = Turn(), list[int]()

        async def work() -> int:
            asked.append(1)
            return len(asked)

        turn.begin()
        waiting = asyncio.create_task(turn.outside(work))
        await asyncio.sleep(0.01)
        assert not asked
        turn.end()
        turn.end()
        assert await waiting == 1

    asyncio.run(run())


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("over", [False, True])
def test_what_was_under_way_is_done_again(fails: bool, over: bool) -> None:
    async def run() -> None:
        turn, go, asked = Turn(), asyncio.Event(), list[int]()

        async def work() -> int:
            asked.append(1)
            first = len(asked) == 1
            await go.wait()
            if fails and first:
                raise QueryError("of the shells of before", sqlstate="42P01")
            return len(asked)

        task = asyncio.create_task(turn.outside(work))
        await asyncio.sleep(0)
        turn.begin()
        if over:
            turn.end()
        go.set()
        await asyncio.sleep(0.01)
        assert task.done() is over
        turn.end()
        assert await task == 2

    asyncio.run(run())


def test_an_error_of_now_is_told() -> None:
    async def run() -> None:
        async def work() -> None:
            raise QueryError("no such thing", sqlstate="42P01")

        with pytest.raises(QueryError, match="no such thing"):
            await Turn().outside(work)

    asyncio.run(run())
