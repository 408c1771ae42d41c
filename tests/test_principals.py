"""What users share: rows that a source gave are the same for all; what depends on who asks is each one's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from connectors.errors import QueryError
from federation.canon.server import MERGE, Canon
from federation.session import Session
from tests.test_engine import engine, rows

USERS = ("ann", "bob")
WHOSE = """SELECT c.id, {} AS who FROM crm.customers c JOIN erp.orders o ON o.customer_id = c.id
           WHERE c.id = 7 AND (c.name <> {} OR c.name IS NULL) ORDER BY o.id LIMIT 1"""
OWN = (
    "current_user",
    "session_user",
    "current_role",
    "user",
    "getpgusername()",
    "quote_ident(current_user)",
    "current_user::text || ''",
    "has_schema_privilege('crm', 'USAGE')::text",
    "pg_has_role(current_user, 'ann', 'USAGE')::text",
    "(SELECT max(rolname) FROM pg_roles WHERE rolname = current_user)::text",
    "current_setting('TimeZone')",
    "current_schema()::text",
)


@pytest.fixture(scope="module", autouse=True)
def _users(canon: Canon) -> None:
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        for user in USERS:
            connection.execute(f"DROP ROLE IF EXISTS {user}")
            connection.execute(f"CREATE ROLE {user}")
            connection.execute(f"GRANT {user} TO {MERGE} WITH INHERIT FALSE, SET TRUE")


def test_two_users_share_the_rows_of_a_source(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = "SELECT name FROM crm.customers WHERE id < 4 ORDER BY id"
            answers = [await rows(await made.query(sql, Session(user))) for user in USERS]
            assert answers[0] == answers[1] == [("name 1",), ("name 2",), ("name 3",)]
            assert world.asked == (1, 0)

    asyncio.run(run())


def test_each_is_told_his_own_name_over_shared_rows(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = WHOSE.format("current_user", "current_user")
            for _ in range(2):
                for user in USERS:
                    assert await rows(await made.query(sql, Session(user))) == [(7, user)]
            assert world.asked == (1, 1)

    asyncio.run(run())


@pytest.mark.parametrize("own", OWN)
def test_what_depends_on_who_asks_is_never_text_for_a_source(own: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            for text in (
                WHOSE.format(own, own),
                f"SELECT id FROM crm.customers WHERE name <> {own} AND id = 1",
                f"SELECT {own} FROM crm.customers WHERE id = 1",
                f"SELECT count(*) FROM crm.customers WHERE name > {own} GROUP BY {own}",
            ):
                await rows(await made.query(text, Session("ann")))
            for query in (*world.crm.asked, *world.erp.asked):
                said = query.sql.lower()
                assert not any(word in said for word in ("user", "role", "privilege", "setting", "schema", "quote")), (
                    said
                )

    asyncio.run(run())


def test_who_may_not_read_is_told_so_even_where_the_rows_are_kept(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            with psycopg.connect(canon.dsn(), autocommit=True) as connection:
                connection.execute("GRANT USAGE ON SCHEMA crm TO ann, bob")
                connection.execute("GRANT SELECT ON crm.customers TO ann")
            made.restricted = True
            sql = "SELECT name FROM crm.customers WHERE id = 1"
            assert await rows(await made.query(sql, Session("ann"))) == [("name 1",)]
            with pytest.raises(QueryError) as caught:
                await made.query(sql, Session("bob"))
            assert caught.value.sqlstate == "42501"
            assert world.asked == (1, 0)

    asyncio.run(run())
