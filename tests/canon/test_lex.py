"""The lexer against PostgreSQL's own: where statements end, where parameters stand, what an operator is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus

from federation.canon.lex import params, statements, words
from federation.canon.server import Canon

SLOW = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def connection(canon: Canon) -> Iterator[psycopg.Connection]:
    with psycopg.connect(canon.dsn(), autocommit=True) as made:
        yield made


def cut(text: str, standard: bool = True) -> list[str]:
    return [text[start:end] for start, end in statements(text, standard)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;; -- x ; y\n ; /* ; */", []),
        ("select 1", ["select 1"]),
        ("select 1;select 2 ;", ["select 1", "select 2"]),
        ("select 'a;b', \"c;d\", $$e;f$$, $x$ ; $$ ; $x$ ; b", ["select 'a;b', \"c;d\", $$e;f$$, $x$ ; $$ ; $x$", "b"]),
        ("select 'it''s;', E'it\\';', U&'\\0041;' ; b", ["select 'it''s;', E'it\\';', U&'\\0041;'", "b"]),
        ("/* a /* nested ; */ ; */ select 1 -- ;", ["select 1"]),
        ("select 'a'\n  ';b' ; c", ["select 'a'\n  ';b'", "c"]),
        ("select 'a' -- x\n ';b' ; c", ["select 'a' -- x\n ';b'", "c"]),
        ("select a$1;b$$;$$", ["select a$1", "b$$", "$$"]),
        ("select (1;2); 3", ["select (1;2)", "3"]),
        (
            "create rule r as on insert to t do (select 1; select 2); x",
            ["create rule r as on insert to t do (select 1; select 2)", "x"],
        ),
        (
            "create function f() returns int begin atomic select case when a then 1 end; select 2; end; x",
            ["create function f() returns int begin atomic select case when a then 1 end; select 2; end", "x"],
        ),
        (
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC; END; x",
            ["CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC; END", "x"],
        ),
        ("begin; atomic; end", ["begin", "atomic", "end"]),
        ("select 'open; /* 1", ["select 'open; /* 1"]),
        ("select $a$ open; $b$ ", ["select $a$ open; $b$ "]),
    ],
)
def test_statements(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_backslashes_without_standard_conforming_strings() -> None:
    text = r"select 'a\';b'; c"
    assert cut(text, standard=False) == [r"select 'a\';b'", "c"]
    assert cut(text)[0] == r"select 'a\'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1", [(0, 2, 1)]),
        ("a$1 $12+$3", [(4, 7, 12), (8, 10, 3)]),
        ("'$1' \"$2\" $$ $3 $$ $x$ $4 $x$ -- $5\n /* $6 */ $7", [(46, 48, 7)]),
        ("x[$1:$2]::int = any($3)", [(2, 4, 1), (5, 7, 2), (20, 22, 3)]),
        ("1$1", [(1, 3, 1)]),
        ("no", []),
    ],
)
def test_params(text: str, expected: list[tuple[int, int, int]]) -> None:
    assert params(text) == expected


def test_tokens_cover_the_text_but_for_space_and_comments() -> None:
    text = "SELECT a.b::int4[] , 1.5e-3 || 'x' , $1 <= all(0x1F) -- end"
    found = list(words(text))
    assert [text[t.start : t.end] for t in found] == [t.text for t in found]
    assert [t.kind for t in found[:6]] == ["word", "word", "punct", "word", "punct", "word"]
    assert "".join(t.text for t in found) == text.split("--")[0].replace(" ", "")


@pytest.mark.slow
def test_ten_megabytes_take_seconds_not_minutes() -> None:
    text = "select " + ", ".join(["'abc' || $1 /* x */ + a.b"] * 200_000)
    assert len(params(text)) == 200_000


# A literal, and whether it is one: each is an expression of its own for PostgreSQL.
LITERALS = st.one_of(
    st.text("ab;'$\"/*- \n\\é", max_size=8).map(lambda s: "'" + s.replace("'", "''") + "'"),
    st.text("ab;'$\"/*- \n", max_size=8).map(lambda s: "E'" + s.replace("'", "\\'") + "\\n'"),
    st.tuples(st.sampled_from(["", "x", "a_1", "é"]), st.text("ab;'\"/*-\n", max_size=8)).map(
        lambda p: f"${p[0]}${p[1]}${p[0]}$"
    ),
    st.sampled_from(
        ["1", "1.5", ".5", "1e10", "0x1F", "1_000", "NULL", "'a'\n'b'", "U&'\\0041'", "b'01'", "(1 + -2)", "3 - -4"]
    ),
    st.just("\0::text"),
)
GAPS = st.sampled_from([" ", "\n", "\t", " /* ; ' $1 */ ", ' /* a /* b; */ " */ ', " -- ; $2 '\n", "\r\n"])
# \0 stands for the next parameter.
SELECTS = st.lists(st.tuples(GAPS, LITERALS, GAPS), min_size=1, max_size=4).map(
    lambda items: "select" + ",".join("".join(item) for item in items)
)


@SLOW
@given(st.lists(SELECTS, max_size=4), st.sampled_from([";", " ; ", ";;\n", "; -- x ;\n"]), GAPS)
def test_statements_as_postgresql_sees_them(
    connection: psycopg.Connection, made: list[str], joint: str, tail: str
) -> None:
    made = [text.replace("\0", "'p'") for text in made]
    text = joint.join(made) + tail
    connection.pgconn.send_query(text.encode())
    results = 0
    while (result := connection.pgconn.get_result()) is not None:
        assert result.status in (ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY), (text, result.error_message)
        results += result.status == ExecStatus.TUPLES_OK
    assert len(statements(text)) == results
    assert cut(text) == [text.strip() for text in map(_stripped, made)]


def _stripped(text: str) -> str:
    """Without the comments at its end."""
    last = list(words(text))[-1]
    return text[: last.end]


@SLOW
@given(SELECTS)
def test_parameters_as_postgresql_sees_them(connection: psycopg.Connection, text: str) -> None:
    count = text.count("\0")
    for number in range(1, count + 1):
        text = text.replace("\0", f"${number}", 1)
    described = connection.pgconn.prepare(b"", text.encode())
    assert described.status == ExecStatus.COMMAND_OK, described.error_message
    assert connection.pgconn.describe_prepared(b"").nparams == count
    assert [number for _, _, number in params(text)] == list(range(1, count + 1))
    assert all(text[start:end] == f"${number}" for start, end, number in params(text))


@SLOW
@given(st.text("+-*/<>=~!@#%^&|`?", min_size=1, max_size=6))
def test_operators_as_postgresql_sees_them(connection: psycopg.Connection, signs: str) -> None:
    text = f"select 1 {signs} 'x'::bytea --\n"
    answer = connection.pgconn.prepare(b"", text.encode())
    told = re.search(r"operator does not exist: (?:integer )?(\S+) ", answer.error_message.decode())
    operators = [token.text for token in words(text) if token.kind == "op"]
    if told is not None:
        assert told[1] in ["<>" if sign == "!=" else sign for sign in operators]  # one operator, two spellings
        assert "".join(operators) == signs.split("--")[0].split("/*")[0]
