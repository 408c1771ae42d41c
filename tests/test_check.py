"""Checks across files: names, cycles, order, times; and that what cannot be honoured yet is never silently ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.folders import only, read, told
from views.check import LATER, check_columns, order
from views.files import ViewHeader
from views.project import ViewDraft


def header(text: str, query: str = "select a, b from shop.t") -> str:
    return f"/*---\n{text}\n---*/\n{query}\n"


def test_a_cycle_is_printed_with_its_files(tmp_path: Path) -> None:
    files = {
        "views/crm/a.view.sql": "select x from crm.b",
        "views/crm/b.view.sql": header("owner: x", "select x from erp.c"),
        "views/erp/c.view.sql": "select x\nfrom crm.a",
        "views/crm/d.view.sql": "select x from crm.a",
        "views/crm/e.view.sql": "select x from shop.t",
    }
    project = read(tmp_path, files)
    assert told(project) == [
        "views/crm/a.view.sql:1: views read each other in a cycle: crm.a -> crm.b -> erp.c -> crm.a "
        "(files: views/crm/a.view.sql:1, views/crm/b.view.sql:4, views/erp/c.view.sql:1)",
        "views/crm/d.view.sql:1: crm.d reads crm.a, which is not served",
    ]
    assert [view.full_name for view in project.views] == ["crm.e"]


def test_a_view_that_reads_itself(tmp_path: Path) -> None:
    error = only(read(tmp_path, {"views/crm/a.view.sql": "select x from crm.a"}))
    assert "crm.a -> crm.a (files" in error.message


def test_two_cycles_are_both_told(tmp_path: Path) -> None:
    pairs = {"a": "b", "b": "a", "c": "d", "d": "c"}
    files = {f"views/crm/{one}.view.sql": f"select x from crm.{other}" for one, other in pairs.items()}
    messages = told(read(tmp_path, files))
    assert len(messages) == 2
    assert "crm.a -> crm.b -> crm.a" in messages[0]
    assert "crm.c -> crm.d -> crm.c" in messages[1]


def test_a_cycle_through_sql_that_only_postgresql_can_judge(tmp_path: Path) -> None:
    odd = "select x from crm.b order by x using operator(pg_catalog.<) frm where"
    files = {"views/crm/a.view.sql": odd, "views/crm/b.view.sql": "select x from crm.a"}
    assert "crm.a -> crm.b -> crm.a" in only(read(tmp_path, files)).message


def test_a_cte_of_the_same_name_is_no_view(tmp_path: Path) -> None:
    query = "with a as (select 1 as x) select x from a"
    assert read(tmp_path, {"views/crm/a.view.sql": query}).ok


def test_order(tmp_path: Path) -> None:
    files = {f"views/crm/v{i}.view.sql": f"select x from crm.v{i + 1}" for i in range(40)}
    files |= {"views/crm/v40.view.sql": "select x from shop.t"}
    project = read(tmp_path, files)
    assert project.ok
    assert [view.name for view in project.views] == [f"v{i}" for i in range(40, -1, -1)]


def test_any_depth() -> None:
    drafts = [
        ViewDraft("s", f"v{i}", ViewHeader(), "", f"{i}", 1, reads=frozenset({("s", f"v{i + 1}")})) for i in range(5000)
    ]
    views, diagnostics = order(drafts)
    assert (len(views), views[0].name, diagnostics) == (5000, "v4999", [])


GRAPHS = st.dictionaries(st.integers(0, 8), st.frozensets(st.integers(0, 8), max_size=3), max_size=9)


@given(GRAPHS)
def test_order_puts_each_view_behind_what_it_reads(graph: dict[int, frozenset[int]]) -> None:
    drafts = [
        ViewDraft("s", f"v{i}", ViewHeader(), "", f"{i}", 1, reads=frozenset(("s", f"v{j}") for j in reads))
        for i, reads in graph.items()
    ]
    views, cycles = order(drafts)
    place = {view.key: i for i, view in enumerate(views)}
    assert all(place[name] < place[view.key] for view in views for name in view.reads if name in place)
    dropped = [draft for draft in drafts if draft.key not in place]
    assert sum(message.message.count(" -> ") for message in cycles) == len(dropped)


@pytest.mark.parametrize(
    ("text", "line", "message", "meant"),
    [
        ("key: [c]", 2, 'crm.v has no column "c"', ""),
        ("key:\n  - a\n  - bb", 4, 'crm.v has no column "bb"', "did you mean `b`?"),
        ("guard:\n  require_any_filter: [a, zz]", 3, 'crm.v has no column "zz"', ""),
        ("columns:\n  zz: {tags: [x]}", 3, 'crm.v has no column "zz"', ""),
        ("tests:\n  - unique: [a]\n  - not_null: [zz]", 4, 'crm.v has no column "zz"', ""),
        ("relations:\n  o: {to: crm.w, join: {zz: x}}", 3, 'crm.v has no column "zz"', ""),
        ("relations:\n  o: {to: crm.w, join: {a: zz}}", 3, 'crm.w has no column "zz"', "known: x"),
        ("relations:\n  o: {to: crm.ww, join: {a: x}}", 3, 'there is no "crm.ww"', "did you mean `crm.w`?"),
        ("relations:\n  o: {to: nowhere.t, join: {a: x}}", 3, 'there is no "nowhere.t"', ""),
        ("relations:\n  a: {to: crm.w, join: {a: x}}", 3, 'relation "a" has the name of a column', "rename"),
        ("on_source_down:\n  shp: fail", 3, 'there is no source "shp"', "did you mean `shop`?"),
    ],
)
def test_names_in_a_header(tmp_path: Path, text: str, line: int, message: str, meant: str) -> None:
    files = {"views/crm/v.view.sql": header(text), "views/crm/w.view.sql": "select x from shop.t"}
    project = read(tmp_path, files)
    error = only(project)
    assert (error.file, error.line, error.message) == ("views/crm/v.view.sql", line, message)
    assert meant in error.remedy
    assert [view.full_name for view in project.views] == ["crm.w"]


def test_columns_that_only_a_database_knows_are_checked_later(tmp_path: Path) -> None:
    text = "key: [a]\nrelations:\n  o: {to: shop.orders, join: {b: cid}}"
    project = read(tmp_path, {"views/crm/v.view.sql": header(text, "select * from shop.t")})
    assert project.ok
    (draft,) = project.views
    columns = {("crm", "v"): ("a", "b"), ("shop", "orders"): ("cid",)}
    assert check_columns(draft, columns, {"shop"}) == ()
    found = check_columns(draft, {**columns, ("crm", "v"): ("b",), ("shop", "orders"): ("id",)}, {"shop"})
    assert [(d.line, d.message) for d in found] == [
        (2, 'crm.v has no column "a"'),
        (4, 'shop.orders has no column "cid"'),
    ]
    found = check_columns(draft, {("crm", "v"): ("a", "b")}, {"shop"})
    assert [(d.line, d.message) for d in found] == [(4, 'there is no "shop.orders"')]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select x\nfrom shp.t", 'there is no "shp.t"'),
        ("select *\nfrom shp.t", 'there is no "shp.t"'),
        ("select x\nfrom crm.nothing", 'there is no "crm.nothing"'),
    ],
)
def test_what_a_view_reads_must_exist(tmp_path: Path, query: str, message: str) -> None:
    error = only(read(tmp_path, {"views/crm/v.view.sql": query}))
    assert (error.line, error.message) == (2, message)


def test_names_in_sql_that_only_postgresql_can_judge_are_left_to_it(tmp_path: Path) -> None:
    query = "select shop.x, crm.y, z.a from shop.t crm frm z where"
    assert read(tmp_path, {"views/crm/v.view.sql": query}).ok


def test_system_catalogs_may_be_read(tmp_path: Path) -> None:
    query = "select oid as x from pg_catalog.pg_class, information_schema.tables"
    assert read(tmp_path, {"views/crm/v.view.sql": query}).ok


def test_views_over_a_broken_one_say_which(tmp_path: Path) -> None:
    files = {
        "views/crm/a.view.sql": "drop table x",
        "views/crm/b.view.sql": "select x from crm.a",
        "views/crm/c.view.sql": "select x from crm.b",
        "sources/erp.yml": "kind: nothing\n",
        "views/crm/d.view.sql": "select x from erp.t",
    }
    project = read(tmp_path, files)
    assert project.views == ()
    assert told(project)[2:] == [
        "views/crm/b.view.sql:1: crm.b reads crm.a, which is not served",
        "views/crm/c.view.sql:1: crm.c reads crm.b, which is not served",
        "views/crm/d.view.sql:1: crm.d reads erp.t, which is not served",
    ]
    assert [d.remedy for d in project.diagnostics][-1] == "first correct sources/erp.yml"


@pytest.mark.parametrize(
    "text",
    [
        "columns:\n  b: {mask: \"'***'\"}",
        "columns:\n  b: {mask: \"regexp_replace(b,'^[^@]+','***')\", unmasked_for: [lead]}",
        "row_filter: \"a = any(session_attribute('regions'))\"",
    ],
)
def test_what_cannot_be_protected_yet_is_not_served(tmp_path: Path, text: str) -> None:
    project = read(tmp_path, {"views/crm/v.view.sql": header(text)})
    error = only(project)
    assert error.message.endswith("which this version cannot apply: the view is not served")
    assert error.line in (2, 3)
    assert project.views == ()


def test_protection_is_checked_all_the_same(tmp_path: Path) -> None:
    text = 'columns:\n  b: {mask: "upper(zz)"}\nrow_filter: "region = (("'
    messages = told(read(tmp_path, {"views/crm/v.view.sql": header(text)}))
    assert 'views/crm/v.view.sql:3: crm.v has no column "zz"' in messages
    assert "views/crm/v.view.sql:4: `row_filter` is not a SQL expression" in messages


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tests: [{unique: [a]}]", "tests"),
    ],
)
def test_what_a_later_version_honours_is_told(tmp_path: Path, text: str, key: str) -> None:
    project = read(tmp_path, {"views/crm/v.view.sql": header(text)})
    assert told(project, "warning") == [f"views/crm/v.view.sql:2: `{key}`: {LATER}"]
    assert project.ok and len(project.views) == 1


def test_what_is_never_reached_is_warned_of(tmp_path: Path) -> None:
    text = "on_source_down:\n  shop: [stale, nulls, partial]"
    (said,) = told(read(tmp_path, {"views/crm/v.view.sql": header(text)}), "warning")
    assert said.startswith("views/crm/v.view.sql:3: `on_source_down.shop`: nulls always does, so partial")


def test_what_is_honoured_now_is_not_warned_of(tmp_path: Path) -> None:
    text = (
        "freshness: {ttl: 5s, class: real_time}\non_source_down: {shop: [stale, partial]}\n"
        "guard: {timeout: 1s, max_rows: 5, require_any_filter: [a]}\nkey: [a]"
    )
    assert read(tmp_path, {"views/crm/v.view.sql": header(text)}).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "severity", "message"),
    [
        ("freshness: {class: real_time, ttl: 2h}", "error", "class real_time promises at most 3600 s"),
        ("freshness: {class: near_real_time, ttl: 2d}", "error", "class near_real_time promises at most 86400 s"),
        ("freshness: {ttl: 31d}", "error", "more than 30 days"),
        ("freshness: {class: batch, stale_if_error: 31d}", "error", "more than 30 days"),
        (
            "freshness: {class: real_time, ttl: 30m, stale_if_error: 31m}",
            "error",
            "`freshness.stale_if_error` of 1860 s past a ttl of 1800 s is too long: class real_time promises",
        ),
        ("freshness: {class: near_real_time, stale_while_revalidate: 2d}", "error", "at most 86400 s"),
        ("freshness: {ttl: 20s}", "warning", "looser than source shop allows (10)"),
        ("guard: {timeout: 10s}", "warning", "looser than source shop allows (5)"),
        ("guard: {max_rows: 101}", "warning", "looser than source shop allows (100)"),
        ("guard: {timeout: 0s}", "error", "no query could run"),
    ],
)
def test_times_and_limits(tmp_path: Path, text: str, severity: str, message: str) -> None:
    source = "kind: sqlite\nconnection: {path: x}\nttl: 10s\nlimits: {timeout: 5s, rows: 100}\n"
    project = read(tmp_path, {"sources/shop.yml": source, "views/crm/v.view.sql": header(text)})
    assert any(message in line for line in told(project, severity)), told(project, severity)


def test_the_place_of_a_time_that_a_class_does_not_allow(tmp_path: Path) -> None:
    text = "freshness:\n  class: real_time\n  ttl: 10m\n  stale_if_error: 2h"
    assert only(read(tmp_path, {"views/crm/v.view.sql": header(text)})).line == 5


def test_a_schema_of_views_in_the_place_of_a_source_is_no_fault(tmp_path: Path) -> None:
    """What another project has as source `lager` are views here; what reads it stays as it is."""
    text = header("on_source_down:\n  lager: [stale, nulls]")
    files = {"views/crm/v.view.sql": text, "views/lager/t.view.sql": "select 1 as a"}
    (found,) = read(tmp_path, files).diagnostics
    assert (found.severity, found.line) == ("warning", 3)
    assert found.message.startswith('"lager" is a schema of views here')


DATED = "as_of: {kind: file}\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (f"{DATED}copy_of: shpo\n", 4, 'there is no source "shpo"'),
        (f"{DATED}copy_of: copy\n", 4, "source copy cannot be a copy of itself"),
        (f"{DATED}copy_of: other\n", 4, "source other is a copy itself"),
        ("copy_of: shop\n", 3, "nothing tells how old the copies in source copy are"),
        (f"{DATED}copies:\n  a: shop.t\n  b: nowhere.t\n", 6, 'there is no source "nowhere"'),
        (f"{DATED}copies: {{a: shop}}\n", 4, '"shop" is not a full name'),
    ],
)
def test_copies_name_another_source_and_tell_their_age(tmp_path: Path, text: str, line: int, message: str) -> None:
    source = "kind: sqlite\nconnection: {path: x}\n"
    other = f"{source}{DATED}copy_of: shop\n"
    found = only(read(tmp_path, {"sources/copy.yml": source + text, "sources/other.yml": other}))
    assert (found.file, found.line) == ("sources/copy.yml", line)
    assert message in found.message and found.remedy


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ("[crm.vv]", 'user "ada": there is no "crm.vv"'),
        ("[nowhere.*]", 'user "ada": there is no "nowhere.*"'),
        ("[crm]", "names nothing"),
    ],
)
def test_what_users_may_read_must_exist(tmp_path: Path, reads: str, message: str) -> None:
    project_file = f"name: x\nusers:\n  ada:\n    password: {{env: ADA}}\n    reads: {reads}\n"
    error = only(read(tmp_path, {"vdw.yml": project_file, "views/crm/v.view.sql": "select a from shop.t"}))
    assert message in error.message
    assert error.file == "vdw.yml" and error.line in (3, 5)


def test_a_user_who_may_read_nothing_is_told_of(tmp_path: Path) -> None:
    project = read(tmp_path, {"vdw.yml": "name: x\nusers:\n  ada: {password: {env: ADA}}\n"})
    assert told(project, "warning") == ['vdw.yml:3: user "ada" may read nothing']


def test_users_who_read_what_is_there(tmp_path: Path) -> None:
    project_file = "name: x\nusers: {ada: {password: {env: ADA}, reads: ['*', crm.*, crm.v, shop.t, shop.*]}}\n"
    project = read(tmp_path, {"vdw.yml": project_file, "views/crm/v.view.sql": "select a from shop.t"})
    assert project.diagnostics == ()
