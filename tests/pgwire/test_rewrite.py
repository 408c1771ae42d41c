"""Every road to a SELECT is found, and where the query stands in it."""

# ruff: noqa: E501  (statements as they are sent)

from __future__ import annotations

import pytest

from api.pgwire.rewrite import expanded, road

ROADS = [
    ("select 1", "select", "select 1", "", ""),
    (" (select 1) union select 2", "select", "(select 1) union select 2", " ", ""),
    ("with a as (select 1) select * from a", "select", "with a as (select 1) select * from a", "", ""),
    ("with insert as (select 1) select * from insert", "select", "with insert as (select 1) select * from insert", "", ""),
    ("table crm.x", "select", "table crm.x", "", ""),
    ("select a as into from b", "select", "select a as into from b", "", ""),
    ("create temp table t (a) as select 1 with no data", "create", "select 1", "create temp table t (a) as ", " with no data"),
    ("create or replace temp view v(a) as select 1", "view", "select 1", "create or replace temp view v(a) as ", ""),
    ("create table t (a int)", "other", "", "", ""),
    ("create materialized view m as select 1", "other", "", "", ""),
    ("insert into t(a) select 1 on conflict do nothing", "insert", "select 1", "insert into t(a) ", " on conflict do nothing"),
    ("insert into t (select 1)", "insert", "(select 1)", "insert into t ", ""),
    ("insert into t default values", "other", "", "", ""),
    ("with a as (select 1) insert into t select * from a returning *", "insert", "with a as (select 1) select * from a",
     "insert into t ", " returning *"),
    ('declare "C" cursor with hold for select 1', "declare", "select 1", 'declare "C" cursor with hold for ', ""),
    ("prepare q(int) as select $1", "prepare", "select $1", "", ""),
    ("copy (select ')') to stdout csv", "copy", "select ')'", "copy (", ") to stdout csv"),
    ("copy t to stdout", "other", "", "", ""),
    ("copy t from stdin", "other", "", "", ""),
    ("update t set a = 1", "other", "", "", ""),
    ("-- nothing", "other", "", "", ""),
    ("explain select 1", "explain", "select 1", "explain ", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "query", "head", "tail"), ROADS)
def test_road(text: str, kind: str, query: str, head: str, tail: str) -> None:
    found = road(text)
    assert (found.kind, found.query, found.head, found.tail) == (kind, query, head, tail)
    if kind not in ("other", "insert"):
        assert text[found.start : found.end] == query


def test_select_into_keeps_positions() -> None:
    text = "select a, b into temp x from crm.y"
    found = road(text)
    assert (found.kind, found.head) == ("create", "CREATE temp TABLE x AS ")
    assert found.query.index("crm.y") == text.index("crm.y")


def test_options() -> None:
    assert road("copy (select 1) to stdout with (format csv, header, force_quote (a, \"B\"))").options == {
        "format": "csv", "header": "", "force_quote": ["a", "B"],
    }  # fmt: skip
    assert road("copy (select 1) to stdout csv header delimiter as E'\\t' null 'x' force quote *").options == {
        "format": "csv", "header": "true", "delimiter": "\t", "null": "x", "force_quote": "*",
    }  # fmt: skip
    assert road("explain (analyze, format json) select 1").options == {"analyze": "", "format": "json"}
    assert road("execute q(1, f(2, 3), 'a,b')").arguments == ("1", "f(2, 3)", "'a,b'")
    assert road("fetch forward 10 from c").arguments == ("forward", "10")


def test_expanded() -> None:
    views = [("v", ("a",), "select 1")]
    assert expanded("select * from pg_temp.v", views) == 'WITH "v"("a") AS (select 1) select * from v'
    assert expanded("with recursive w as (select 2) table v", views) == (
        'WITH RECURSIVE "v"("a") AS (select 1),  w as (select 2) table v'
    )
