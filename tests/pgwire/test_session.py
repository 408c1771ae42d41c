"""What a client sees of virtual relations is what one PostgreSQL with all the data would show it."""
# ruff: noqa: E501  (statements as they are sent)

from __future__ import annotations

import select
from typing import Any

import psycopg
import pytest
from psycopg.pq import ExecStatus

from tests.pgwire.conftest import Front, Oracle

pytestmark = pytest.mark.service

# Each script is sent statement by statement, as simple queries, on a connection of its own.
SCRIPTS: dict[str, list[str]] = {
    "rows": ["select * from sales.people order by id", "table crm.customers", "values (1), ((select 2 from crm.many limit 1))"],
    "merge": ["select * from sales.spending order by 1", "select name, total from sales.spending where total > 5 order by total"],
    "merged by one text, asked with values of other types": [
        "select label, (select name from crm.customers where id = 2) from crm.many where id = 3 order by 1 limit 2",
        "select label, (select name from crm.customers where id = 2) from crm.many where label = 'row 3' order by 1 limit 2",
        "select count(*), max(c.since) from crm.customers c join shop.orders o on o.customer_id = c.id where o.id > 10",
        "select count(*), max(c.since) from crm.customers c join shop.orders o on o.customer_id = c.id where c.region = 'north'",
        "select count(*), max(c.since) from crm.customers c join shop.orders o on o.customer_id = c.id where c.name = 'Bob' or c.region is null",
        "select count(*), max(c.since) from crm.customers c join shop.orders o on o.customer_id = c.id where o.placed < '2024-02-01'",
    ],
    "one query, several statements": ["select 1 as a; select id from crm.customers order by 1 limit 2; select 'x'"],
    "several, the last wrong": ["select id from crm.customers where id = 1; select 1/0; select 2", "select 3"],
    "several, wrong name": ["select 1; select nonsense from crm.customers", "select 3"],
    "transaction": ["begin", "select count(*) from crm.many", "select now() = (select now() from crm.customers limit 1)", "commit"],
    "read only": ["begin read only", "select name from crm.customers order by id", "commit"],
    "failed transaction": [
        "begin", "select 1/(id-1) from crm.customers", "select id from crm.customers", "select 1", "rollback",
        "select id from crm.customers order by 1",
    ],
    "failed by us": ["begin", "select nonsense from crm.customers", "select 1", "select id from crm.customers", "rollback"],
    "savepoint": [
        "begin", "savepoint s", "select nonsense from crm.customers", "rollback to s",
        "select id from crm.customers where id = 2", "commit",
    ],
    "rollback in one": ["begin", "select nope", "rollback; select id from crm.customers where id = 1"],
    "prepare": [
        "prepare q(bigint, text) as select id, name, $2 from crm.customers where id >= $1 order by id",
        "execute q(1 + 1, upper('x'))", "execute q(4, null)", "execute q(1)", "deallocate q", "execute q(1, 'x')",
    ],
    "declare": [
        "begin", "declare c cursor for select id, label from crm.many order by id", "fetch 2 from c", "fetch forward 3 from c",
        "move 5 in c", "fetch next from c", "fetch c", "close c", "fetch c", "rollback",
    ],
    "declare, all": ["begin", "declare c no scroll cursor for select id from crm.customers", "fetch all from c", "fetch all in c",
                     "move all in c", "commit", "fetch c"],
    "declare scroll": ["begin", "declare c scroll cursor for select id from crm.customers order by id", "fetch last from c",
                       "fetch prior from c", "fetch absolute 1 from c", "commit"],
    "declare hold": ["begin", "declare c cursor with hold for select id from crm.customers order by id", "commit", "fetch 2 from c",
                     "close c"],
    "declare merge": ["begin; declare c cursor for select * from sales.spending order by 1", "fetch 2 from c", "fetch 9 from c",
                      "commit"],
    "declare outside": ["declare c cursor for select id from crm.many", "fetch c"],
    "declare twice": ["begin", "declare c cursor for select id from crm.many", "declare c cursor for select id from crm.many", "rollback"],
    "declare, rolled back": ["begin", "savepoint s", "declare c cursor for select id from crm.many", "rollback to s", "fetch c",
                             "rollback"],
    "declare, rolled back, declared again": [
        "begin", "savepoint s", "declare c cursor for select id from crm.many", "fetch c", "rollback to s",
        "declare c cursor for select 'other'", "fetch c", "commit", "begin", "declare c cursor for select 'third'", "fetch c", "rollback"],
    "create table as": ["create temp table t as select id, name from crm.customers", "select * from t order by id",
                        "create temp table if not exists t as select id from crm.customers", "drop table t"],
    "create table types": ["create temp table t(a, b) as select amount, placed from shop.orders where id < 12",
                           "select * from t order by 1", "select format_type(atttypid, atttypmod) from pg_attribute"
                           " where attrelid = 't'::regclass and attnum > 0 order by attnum"],
    "create table, no data": ["create temp table t as select * from sales.spending with no data", "select * from t"],
    "select into": ["select id, name into temp t from crm.customers where id < 3", "select * from t order by 1"],
    "insert": ["create temp table t(a bigint primary key, b text)",
               "insert into t(a, b) select id, name from crm.customers where id > 1",
               "insert into t select id, 'again' from crm.customers on conflict (a) do update set b = excluded.b returning a",
               "with x as (select 7 as y) insert into t select id + y, region from crm.customers, x",
               "select * from t order by a"],
    "own table beside a view": [
        "create temp table mine(id bigint, note text)", "insert into mine values (1, 'one'), (3, 'three'), (9, 'nine')",
        "select m.note, c.name from mine m left join crm.customers c using (id) order by m.id",
        "begin", "select count(*) from mine join crm.many on many.id = mine.id", "savepoint s",
        "select m.id from mine m join shop.orders o on o.customer_id = m.id order by 1", "commit",
    ],
    "own table before a view": ["set search_path = crm", "create temp table customers(x int)", "insert into customers values (5)",
                                "select * from customers", "select count(*) from crm.customers", "drop table customers",
                                "select count(*) from customers"],
    "temp view": [
        "create temp view v as select id, name from crm.customers where id < 3", "select * from v order by id",
        "select a.id, b.name from v a join pg_temp.v b using (id) order by 1", "with w as (select * from v) select count(*) from w",
        "create or replace temp view v as select id, name from crm.customers where id = 4", "select * from v",
        "drop view v", "select * from v",
    ],
    "temp view, columns": ["create temp view v(x, y) as select id, region from crm.customers", "select x, y from v order by 1"],
    "search path": ["set search_path = sales, crm", "select name from people where id = 1", "select count(*) from customers",
                    "set search_path = public", "select name from people"],
    "search path within one query": ["set search_path = sales; select name from people where id = 1", "select name from people where id = 2",
                                     "set search_path = crm; select name from customers where id = 1; select 1/0",
                                     "select name from customers where id = 1",
                                     "begin", "set local search_path = crm", "select name from customers where id = 1", "rollback",
                                     "select name from customers where id = 1"],
    "names": ['select 1 as "Ä b", count(*), count(*), id + 1, case when true then 1 end from crm.customers group by id order by 4'],
    "settings": ["set timezone = 'Europe/Berlin'", "select since, since::timestamptz from crm.customers where id = 1",
                 "set datestyle = 'German'", "select since from crm.customers where id = 1", "set extra_float_digits = -10",
                 "select score / 3 from crm.customers where id = 1", "select score from crm.customers where id = 1",
                 "reset all", "select score / 3 from crm.customers where id = 1"],
    "bytea output": ["set bytea_output = 'escape'", "select name::bytea from crm.customers where id = 3"],
    "encoding": ["set client_encoding = 'LATIN1'", "select name from crm.customers where id = 3"],
    "errors": ["select nope from crm.customers", "select * from crm.nothing", "select id from crm.customers group by name",
               "select  id +  'x' from crm.customers", "select id from crm.customers where", "select name + 1 from crm.customers"],
    "runtime error": ["select 10 / (id - 1) from crm.customers where id = 1", "select 1"],
    "writes refused": ["update crm.customers_nope set name = 'x'"],
    "empty": ["", ";", "-- only a comment about crm.customers", "/* crm.customers */ ; ;"],
    "copy": ["copy (select id, name, region, since, score from crm.customers order by id) to stdout",
             "copy (select * from sales.people order by id) to stdout with (format csv, header)",
             "copy (select name from crm.customers order by id) to stdout csv header delimiter ';' force quote name",
             "copy (select * from sales.spending order by 1) to stdout (format csv, force_quote *, null 'NULL')",
             "copy (select id, name, score from crm.customers order by id) to stdout (format binary)",
             "copy (select * from sales.spending order by 1) to stdout (format binary)",
             "copy (select id from crm.customers where false) to stdout (format binary)",
             "copy (select id, interval '1 day' * id, array[id, 2] from crm.customers order by 1) to stdout (format binary)",
             "copy (select id from crm.customers) to stdout (format csv, delimiter 'ab')",
             "copy (select nope from crm.customers) to stdout", "copy (select id from crm.customers where id=1) to stdout; select 1"],
    "copy, own table": ["create temp table m(id bigint)", "insert into m values (1), (2)",
                        "copy (select m.id, c.name from m join crm.customers c using (id) order by 1) to stdout csv"],
    "sub-selects": ["select (select max(id) from crm.many), exists (select 1 from shop.orders where amount > 99)",
                    "select * from (values (1), (2)) v(i) where i in (select id from crm.customers) order by 1"],
    "discard": ["prepare q as select id from crm.customers where id = 1", "execute q", "discard all", "execute q",
                "select id from crm.customers where id = 1"],
    "catalog": ["select relname from pg_class where oid = 'crm.customers'::regclass",
                "select count(*) from information_schema.columns where table_name = 'people'"],
    "limit": ["select id from crm.many order by id desc limit 3 offset 1", "select id from crm.many where false"],
    "types": ["select true, 1::int2, 1.50::numeric, 'a'::char(3), '{1,2}'::int[], '1 day'::interval, null, 'x'::\"char\", '{}'::jsonb,"
              " '2020-01-01'::date, 'infinity'::timestamp, gen_random_uuid() is not null from crm.customers where id = 1"],
}  # fmt: skip


def replies(dsn: str, script: list[str]) -> list[Any]:
    """All that comes back: rows, columns, tags, errors."""
    found: list[Any] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        pgconn = connection.pgconn
        for text in script:
            pgconn.send_query(text.encode())
            while (result := awaited(pgconn)) is not None:
                if result.status == ExecStatus.COPY_OUT:
                    found.append(copied(pgconn))
                else:
                    found.append(shown(result))
            found.append(pgconn.transaction_status)
    return found


def awaited(pgconn: Any) -> Any:
    """The next result. libpq's own waiting would hold the interpreter, and with it the server in this process."""
    pgconn.flush()
    while pgconn.is_busy():
        assert select.select([pgconn.socket], [], [], 20)[0], "no answer"
        pgconn.consume_input()
    return pgconn.get_result()


def copied(pgconn: Any) -> list[bytes]:
    found = []
    while (got := pgconn.get_copy_data(1))[0] >= 0:
        if got[0]:
            found.append(bytes(got[1]))
        else:
            assert select.select([pgconn.socket], [], [], 20)[0], "no answer"
            pgconn.consume_input()
    return found


def shown(result: Any) -> Any:
    if result.status == ExecStatus.FATAL_ERROR:
        from psycopg.pq import DiagnosticField as D

        told = (D.SQLSTATE, D.MESSAGE_PRIMARY, D.MESSAGE_HINT, D.STATEMENT_POSITION, D.SEVERITY)
        return ("error", *(result.error_field(what) for what in told))
    columns = [(result.fname(i), result.ftype(i), result.fmod(i), result.fsize(i)) for i in range(result.nfields)]
    rows = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
    return (ExecStatus(result.status).name, result.command_status, columns, rows)


@pytest.mark.parametrize("name", SCRIPTS)
def test_simple_queries(front: Front, oracle: Oracle, name: str) -> None:
    assert replies(front.dsn(), SCRIPTS[name]) == replies(oracle.dsn(), SCRIPTS[name])
