"""Reading a project folder: every fault has its file and line, and nothing that stands in a file raises."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.folders import only, read, told, write
from views.load import load

DESIGN = """
/*---
view: crm.customer_360
owner: crm-data@example.com
description: One row per customer.
key: [customer_id]
freshness:
  ttl: 15s
guard: {timeout: 2s}
columns:
  email: {description: Contact address, tags: [pii]}
---*/
select c.customer_id,              -- CRM surrogate key
       c.account_id, c.full_name, c.email, c.region,
       b.balance, w.ltv_12m
from shop.customers c
left join shop.balances b on b.customer_id = c.customer_id
left join shop.customer_ltv w on w.customer_id = c.customer_id;
"""


def test_a_view_as_the_design_has_it(tmp_path: Path) -> None:
    project = read(tmp_path, {"views/crm/customer_360.view.sql": DESIGN})
    assert project.diagnostics == ()
    (view,) = project.views
    assert (view.full_name, view.line) == ("crm.customer_360", 12)
    assert view.query.startswith("select c.customer_id,") and view.query.endswith("= c.customer_id")
    assert view.columns == ("customer_id", "account_id", "full_name", "email", "region", "balance", "ltv_12m")
    assert view.column_comments == {"customer_id": "CRM surrogate key", "email": "Contact address"}
    assert view.reads == {("shop", "customers"), ("shop", "balances"), ("shop", "customer_ltv")}
    assert (view.header.freshness.ttl, view.header.guard.timeout) == (15.0, 2.0)


def test_a_catalogs_view(tmp_path: Path) -> None:
    (draft,) = read(tmp_path, {"views/crm/customer_360.view.sql": DESIGN}).views
    view = draft.view((), "SELECT ...", (("shop", "customers"),))
    assert (view.key, view.ttl, view.timeout) == (("crm", "customer_360"), 15.0, 2.0)
    assert (view.key_columns, view.comment) == (("customer_id",), "One row per customer.")
    assert view.header["guard"] == {"timeout": 2.0}


def test_a_view_needs_no_header(tmp_path: Path) -> None:
    (view,) = read(tmp_path, {"views/crm/a.view.sql": "\n\n  select 1 as one"}).views
    assert (view.line, view.query, view.columns) == (1, "select 1 as one", ("one",))


def test_positions_are_lines_of_the_file(tmp_path: Path) -> None:
    (view,) = read(tmp_path, {"views/crm/customer_360.view.sql": DESIGN}).views
    position = view.query.index("b.balance") + 1
    assert view.place(position) == (14, 0)
    assert (view.place(None), view.place(1)) == ((12, 0), (12, 0))


@pytest.mark.parametrize(
    ("sql", "comments"),
    [
        ("select a -- one\n, b -- two\n from shop.t", {"a": "one", "b": "two"}),
        ("select a, b, -- of b only\n c from shop.t", {"b": "of b only"}),
        ("select a as x, -- named\n f(a, -- inner\n b) as y -- outer\n from shop.t", {"x": "named", "y": "outer"}),
        ("-- of nothing\nselect a from shop.t -- of no column", {}),
        ("select -- lead\n a from shop.t", {}),
        ('select "Mixed", -- quoted\n Folded -- folded\n from shop.t', {"Mixed": "quoted", "folded": "folded"}),
        ("with q as (select a, -- inner\n b from shop.t) select a, -- outer\n b from q", {"a": "outer"}),
        ("select 'a -- b' as s, -- real\n 1 as n from shop.t", {"s": "real"}),
        ("select count(*), -- unnamed\n a from shop.t", {}),
        ("select a, --\n b from shop.t", {}),
        ("select distinct a, -- one\n b from shop.t", {"a": "one"}),
        ("select a -- one\n from shop.t union select a -- two\n from shop.u", {"a": "one"}),
    ],
)
def test_inline_comments_describe_columns(tmp_path: Path, sql: str, comments: dict[str, str]) -> None:
    project = read(tmp_path, {"views/crm/a.view.sql": sql})
    (view,) = project.views
    assert view.column_comments == comments


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select * from shop.t", None),
        ("select a, t.* from shop.t", None),
        ("select a, count(*) from shop.t group by a", None),
        ('select a as "A", B, (1 + 2) as c, shop.t.d from shop.t', ("A", "b", "c", "d")),
        ("with q as (select 1 as x) select x from q union all select y from shop.t", ("x",)),
        ("(select a from shop.t)", ("a",)),
    ],
)
def test_columns_that_the_text_tells(tmp_path: Path, sql: str, columns: tuple[str, ...] | None) -> None:
    (view,) = read(tmp_path, {"views/crm/a.view.sql": sql}).views
    assert view.columns == columns


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as a from shop.t, lateral generate_series(1, 2) g",
        "select 1 as a where exists (select from shop.t)",
        "with q as (select * from shop.t) select 1 as a from q join q z on true",
        'select 1 as a from "shop"."t"',
        "select 1 as a from SHOP.T",
        "select 1 as a from (values (1)) v, only (shop.t)",
        "select a from shop.t group by grouping sets ((a), ()) order by a using ~<~",
        "select count(*) filter (where 1 OPERATOR(pg_catalog.=) 1) as a from shop.t",
    ],
)
def test_what_a_view_reads(tmp_path: Path, sql: str) -> None:
    (view,) = read(tmp_path, {"views/crm/a.view.sql": sql}).views
    assert ("shop", "t") in view.reads


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("select 1 as a;\nselect 2", 1, "exactly one SELECT"),
        ("", 1, "there is no SELECT"),
        ("-- nothing\n", 1, "there is no SELECT"),
        (";;", 1, "there is no SELECT"),
        ("\ninsert into shop.t values (1)", 1, "not INSERT"),
        ("drop table shop.t", 1, "not DROP"),
        ("values (1)", 1, "not VALUES"),
        ("explain select 1", 1, "not EXPLAIN"),
        ("select 1 as a into x", 1, "INTO is not allowed"),
        ("select a from shop.t for update", 1, "FOR UPDATE"),
        ("with d as (delete from shop.t returning a) select a from d", 1, "DELETE is not allowed"),
        ("select a from shop.t where a = $1", 1, "no parameters"),
        ("select 'open", 1, "cannot be read"),
        ("select 1 /* open", 1, "cannot be read"),
    ],
)
def test_bodies_that_are_not_one_select(tmp_path: Path, body: str, line: int, message: str) -> None:
    project = read(tmp_path, {"views/crm/a.view.sql": body})
    error = only(project)
    assert (error.line, message in error.message) == (line, True), error.message
    assert error.remedy
    assert project.views == ()


def test_the_second_statement_has_its_line(tmp_path: Path) -> None:
    body = "/*---\nowner: x\n---*/\nselect 1 as a\n;\n\nselect 2"
    assert only(read(tmp_path, {"views/crm/a.view.sql": body})).line == 5


def test_syntax_that_only_postgresql_can_judge_is_left_to_it(tmp_path: Path) -> None:
    (view,) = read(tmp_path, {"views/crm/a.view.sql": "select a frm shop.t where where"}).views
    assert (view.columns, ("shop", "t") in view.reads) == (None, True)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("/*---\nowner: '*/5 * * * *'\n---*/", 2, "`*/` inside the header"),
        ("/*---\nowner: x */", 2, "`*/` inside the header"),
        ("/*---\nowner: x\n", 1, "never closed"),
        ("/*---\nowner: a/*b\n---*/", 2, "`/*` inside the header"),
        ("/*---\nowner: [a\n---*/", 3, "malformed YAML"),
        ("/*---\nowner: a: b\n---*/", 2, "malformed YAML"),
        ("/*---\nowner: a\n\tkey: [a]\n---*/", 3, "malformed YAML"),
        ("/*---\nowner: a\nowner: b\n---*/", 3, "stands twice (first in line 2)"),
        ("/*---\nowner: &a x\n---*/", 2, "anchors and aliases"),
        ("/*---\nowner: !!python/object:os.system x\n---*/", 2, "tags (!)"),
        ("/*---\n? [a]\n: b\n---*/", 2, "a key must be plain text"),
        ("/*---\n- a\n---*/", 2, "must be a mapping"),
        ("/*---\njust text\n---*/", 2, "must be a mapping"),
        ("/*---\nview: crm.b\n---*/", 2, "disagrees with the file's path, crm.a"),
        ("/*---\nview: b\n---*/", 2, "not a full name"),
        ("/*---\nowner: 5\n---*/", 2, "`owner` must be text"),
        ("/*---\nkey: customer_id\n---*/", 2, "`key` must be a list"),
        ("/*---\nkey:\n  - a\n  - 5\n---*/", 4, "`key.1` must be text"),
        ('/*---\nowner: "\\U00110000"\n---*/', 2, "malformed YAML"),
    ],
)
def test_headers_at_fault(tmp_path: Path, header: str, line: int, message: str) -> None:
    error = only(read(tmp_path, {"views/crm/a.view.sql": header + "\nselect 1 as a"}))
    assert (error.line, message in error.message) == (line, True), str(error)


def test_yaml_errors_have_line_and_column(tmp_path: Path) -> None:
    error = only(read(tmp_path, {"vdw.yml": "name: x\nmerge: {threads: 2\ncache: {}\n"}))
    assert (error.file, error.line, error.column) == ("vdw.yml", 3, 6)
    assert "malformed YAML" in error.message
    assert str(error).startswith("vdw.yml:3:6: error: ")


def test_words_of_yaml_1_1_are_text(tmp_path: Path) -> None:
    project = read(tmp_path, {"vdw.yml": "name: no\ndescription: 12:30\n"})
    assert (project.file.name, project.file.description) == ("no", "12:30")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("views/a.view.sql", "stands in views/<schema>/<name>.view.sql"),
        ("views/a/b/c.view.sql", "stands in views/<schema>/<name>.view.sql"),
        ("views/CRM/a.view.sql", '"CRM" cannot name a schema'),
        ("views/crm/A b.view.sql", '"A b" cannot name a view'),
        ("views/pg_crm/a.view.sql", "reserved"),
        ("views/information_schema/a.view.sql", "reserved"),
        ("views/vdw/a.view.sql", "reserved"),
        ("sources/Shop.yml", '"Shop" cannot name a source'),
        ("sources/crm.yaml", "ends in .yml"),
    ],
)
def test_names_and_places_of_files(tmp_path: Path, path: str, message: str) -> None:
    error = only(read(tmp_path, {path: "select 1 as a"}))
    assert (error.file, error.line, message in error.message) == (path, 1, True), error.message


def test_other_sql_files_are_not_silently_ignored(tmp_path: Path) -> None:
    project = read(tmp_path, {"views/crm/a.sql": "select 1"})
    assert told(project, "warning") == ["views/crm/a.sql:1: not read: a view's file ends in .view.sql"]


def test_no_project(tmp_path: Path) -> None:
    project = load(tmp_path)
    assert told(project) == [f'vdw.yml:1: there is no vdw.yml in "{tmp_path}"']
    assert "vdw init" in project.diagnostics[0].remedy
    assert not load(tmp_path / "nowhere").ok


def test_names_of_files_that_are_no_text(tmp_path: Path) -> None:
    write(tmp_path, {})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/sources/\xff.yml")).write_text("kind: sqlite\n")
    error = only(load(tmp_path))
    assert error.file == "sources/\\udcff.yml"
    str(error).encode()


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "vdw.yml").mkdir()
    assert "cannot be read" in only(load(tmp_path)).message


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"name: x\n# \xff\n", 2, "not UTF-8"),
        (b"name: x\n\x00", 2, "NUL"),
        (b"name: \x07", 1, "malformed YAML: character 0x0007"),
        (b"name: x\n" + b"#" * (1 << 20), 1, "larger than"),
        (b"name: x\n---\nname: y\n", 2, "malformed YAML"),
        (b"[" * 5000, 1, "nested too deeply"),
        (b'name: "\\ud800"', 1, "valid string"),
        (b"name: " + b"9" * 6000, 1, "`name` must be text"),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    project = read(tmp_path, {"vdw.yml": content})
    error = only(project)
    assert (error.line, message in error.message) == (line, True), str(error)


def test_windows_files(tmp_path: Path) -> None:
    view = DESIGN.replace("crm.customer_360", "crm.a").replace("\n", "\r\n").encode()
    files = {"vdw.yml": b"\xef\xbb\xbfname: x\r\nmerge:\r\n  threads: 3\r\n", "views/crm/a.view.sql": view}
    project = read(tmp_path, files)
    assert project.ok and project.file.merge.threads == 3
    assert project.views[0].line == 13


BYTES = st.binary(max_size=200)
YAMLISH = st.text(st.sampled_from("abk:{}[]-,'\"#&*!|>%@`\n\t 0159.\\/~?\ud7ff\x85\u2028é"), max_size=120).map(
    str.encode
)
KEYS = st.sampled_from(
    ["name", "kind", "view", "key", "freshness", "ttl", "listen", "users", "connection", "columns", "a"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["15s", "crm.a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = VALUES.map(lambda value: repr(value).replace("None", "null").encode("utf-8", "surrogatepass"))
WORDS = (
    "select with a as ( ) , ; from shop.t crm.b --x\n /* */ ' \" $$ $1 union * 1 case end join on not [ :: . \\ E'"
).split(" ")
SQL = st.lists(st.sampled_from([*WORDS, "/*---\n", "\n---*/\n"]), max_size=25).map(
    lambda words: " ".join(words).encode()
)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    BYTES | YAMLISH | DOCUMENTS,
    BYTES | YAMLISH | DOCUMENTS,
    BYTES | SQL | st.builds(lambda h, s: b"/*---\n" + h + b"\n---*/\n" + s, YAMLISH | DOCUMENTS, SQL),
)
@example(b"name: x", b"kind: sqlite", b"select " + b"(" * 5000 + b"1" + b")" * 5000)
@example(b"name: x", b"kind: sqlite", b"select " + b"not " * 30000 + b"a")
@example(b"name: x", b"kind: sqlite", b"select 1" + b"+1" * 9000)
@example(b"name: x", b"kind: sqlite", b"select 1 from " + b"a join " * 40 + b"b")
@example(b"name: x", b"kind: sqlite", b"select 1 from " + b"a natural join " * 40 + b"b" + b" cross join c" * 40)
@example(b"{" * 900, b"- " * 900, b"/*---\n" + b"a:\n " * 900 + b"\n---*/ select 1")
@example(b"a: &a [*a]", b"a: &x [1]\nb: [*x, *x]", b"/*---\n<<: {a: 1}\n---*/ select 1")
def test_nothing_in_a_file_raises(project: bytes, source: bytes, view: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {"vdw.yml": project, "sources/shop.yml": source, "views/crm/a.view.sql": view}
        found = read(Path(folder), files)
        lines = {name: content.count(b"\n") + content.count(b"\r") + 1 for name, content in files.items()}
    for diagnostic in found.diagnostics:
        assert diagnostic.file in files
        assert 1 <= diagnostic.line <= lines[diagnostic.file] + 4 * files[diagnostic.file].count(b"\xe2\x80\xa8") + 200
        str(diagnostic).encode()
    assert found.ok or any(d.severity == "error" for d in found.diagnostics)
