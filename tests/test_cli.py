"""The command line: exit codes, messages with place and remedy, formats equal to PostgreSQL's own, no tracebacks."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import console, formats
from api.cli import main
from connectors.errors import ConfigError, LimitExceeded, QueryError, SourceError
from connectors.types import PgType, numeric
from federation.canon.server import Canon
from tests.folders import write
from views.schema import text

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vdw(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


def spawn(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    """The command line in a process of its own."""
    command = [sys.executable, "-c", "from api.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def sample(tmp_path: Path, vdw: Cli) -> Path:
    """What `vdw init` writes."""
    folder = tmp_path / "my project"
    assert vdw("init", folder)[0] == 0
    return folder


# -- init, check, schema


def test_init_writes_a_project_without_fault(vdw: Cli, sample: Path) -> None:
    code, out, err = vdw("check", "-p", sample, "--offline")
    assert (code, out, err) == (0, "", "0 errors, 0 warnings\n")
    with sqlite3.connect(sample / "data" / "shop.sqlite") as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (3,)
    connection.close()


def test_init_overwrites_nothing(vdw: Cli, sample: Path) -> None:
    (sample / "vdw.yml").write_text("name: mine\n")
    code, _, err = vdw("init", sample)
    assert code == 1
    assert "already exists" in err and "nothing has been written" in err
    assert (sample / "vdw.yml").read_text() == "name: mine\n"


def test_init_where_nothing_can_be_written(vdw: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = vdw("init", tmp_path / "file" / "folder")
    assert code == 1 and err.startswith("error: cannot write ")


def test_check_tells_file_line_and_remedy(vdw: Cli, tmp_path: Path) -> None:
    folder = write(tmp_path, {"vdw.yml": "name: x\nlistn: {}\n", "views/crm/a.view.sql": "select a\nfrom nowhere.t"})
    code, out, err = vdw("check", "--project", folder, "--offline")
    assert code == 1
    assert out.splitlines() == [
        "vdw.yml:2:1: error: unknown key `listn`",
        "    did you mean `listen`? known: cache, description, listen, merge, name, users",
        'views/crm/a.view.sql:2: error: there is no "nowhere.t"',
        "    known: crm.a; or add sources/nowhere.yml or views/nowhere/t.view.sql",
    ]
    assert err == "2 errors, 0 warnings\n"


def test_check_for_programs(vdw: Cli, tmp_path: Path) -> None:
    folder = write(tmp_path, {"vdw.yml": "name: x\nlistn: {}\n"})
    code, out, err = vdw("check", "-p", folder, "--offline", "--json")
    told = json.loads(out)
    assert (code, err, told["ok"], told["version"]) == (1, "", False, 1)
    assert told["diagnostics"] == [
        {
            "severity": "error",
            "file": "vdw.yml",
            "line": 2,
            "message": "unknown key `listn`",
            "remedy": "did you mean `listen`? known: cache, description, listen, merge, name, users",
            "column": 1,
        }
    ]


def test_warnings_alone_are_no_failure(vdw: Cli, tmp_path: Path) -> None:
    folder = write(tmp_path, {"views/crm/a.sql": "select 1"})
    code, out, _ = vdw("check", "-p", folder, "--offline")
    assert code == 0 and "a.sql:1: warning: not read" in out


def test_check_where_no_project_is(vdw: Cli, tmp_path: Path) -> None:
    code, out, _ = vdw("check", "-p", tmp_path / "nowhere")
    assert code == 1 and "there is no vdw.yml" in out and "vdw init" in out


@pytest.mark.parametrize("which", ["project", "source", "view"])
def test_schema(vdw: Cli, which: str) -> None:
    assert vdw("schema", which) == (0, text(which), "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["schema"],
        ["schema", "nothing"],
        ["check", "--nothing"],
        ["query"],
        ["query", " "],
        ["query", "select 1", "--format", "xml"],
        ["query", "select 1", "--timeout", "5"],
        ["query", "select 1", "--rows", "0"],
        ["query", "select 1", "-o", "file"],
        ["explain", "select 1", "--timeout", "soon"],
    ],
)
def test_usage_errors(vdw: Cli, arguments: list[str]) -> None:
    code, out, err = vdw(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: vdw" in err and "Traceback" not in err


def test_version(vdw: Cli) -> None:
    code, out, _ = vdw("--version")
    assert code == 0 and out.startswith("vdw 0.")


# -- errors


@pytest.mark.parametrize(
    ("problem", "code", "told"),
    [
        (QueryError("no such thing", hint="another"), 1, ["error: no such thing", "hint: another"]),
        (ConfigError("wrong", place="vdw.yml:3"), 1, ["error: vdw.yml:3: wrong"]),
        (SourceError("down", place="crm", detail="refused"), 3, ["error: down (source crm)", "detail: refused"]),
        (LimitExceeded("too many"), 4, ["error: too many"]),
        (
            RuntimeError("hunter2"),
            1,
            ["error: internal error: RuntimeError; this is a bug of vdw (VDW_DEBUG=1 shows where)"],
        ),
    ],
)
def test_exit_codes(
    vdw: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, problem: Exception, code: int, told: list[str]
) -> None:
    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr("api.sample.create", fail)
    monkeypatch.delenv("VDW_DEBUG", raising=False)
    found, out, err = vdw("init", tmp_path)
    assert (found, out, err.splitlines()) == (code, "", told)
    assert "hunter2" not in err


def test_tracebacks_on_demand(vdw: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("api.sample.create", lambda _: 1 / 0)
    monkeypatch.setenv("VDW_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["init", str(tmp_path)])


@pytest.mark.parametrize(
    ("sql", "position", "lines"),
    [
        ("select x from t", 8, ["line 1: select x from t", "               ^"]),
        ("select 1\n  from nope", 17, ["line 2:   from nope", "               ^"]),
        ("select 1", None, []),
        ("select 1", 99, []),
        ("", 1, []),
    ],
)
def test_errors_point_into_the_sql(
    capsys: pytest.CaptureFixture[str], sql: str, position: int | None, lines: list[str]
) -> None:
    console.error(QueryError("wrong", position=position), sql)
    assert capsys.readouterr().err.splitlines() == ["error: wrong", *lines]


def test_a_long_line_is_shown_around_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    sql = "select " + "a, " * 100 + "wrong, " + "b, " * 100
    console.error(QueryError("x", position=sql.index("wrong") + 1), sql)
    _, line, caret = capsys.readouterr().err.splitlines()
    assert line[caret.index("^") :].startswith("wrong,")
    assert len(line) < 90


# -- tables


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(["name", "n"], [["ada\x1b[31m", "1"], [None, "22"], ["[b]", "é"]], [False, True])
    assert capsys.readouterr().out.splitlines() == [
        "name           n",
        "────────────────",
        "ada\\x1b[31m    1",
        "NULL          22",
        "[b]            é",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def plain(self) -> list[str]:
        """What was printed, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue()).splitlines()


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    console.table(["a", "b"], [["x" * 100, "y" * 100]], stream=screen)
    lines = screen.plain()
    assert all(len(line) <= 40 for line in lines)
    assert "…" in lines[2]


def test_too_many_columns_for_the_terminal_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    console.table([f"column{i}" for i in range(9)], [["v" * 60] * 9], stream=screen)
    lines = screen.plain()
    assert lines[0].startswith("row 1 ")
    assert "column8  " + "v" * 60 in lines


# -- formats


COLUMNS: list[tuple[str, PgType]] = [
    ("flag", PgType("bool")),
    ("n", PgType("int8")),
    ('odd "name", x', PgType("text")),
    ("at", PgType("timestamptz")),
    ("raw", PgType("bytea")),
    ("amount", numeric(10, 2)),
    ("real", PgType("float8")),
]
SQL = """
    SELECT * FROM (VALUES
      (true, 1::int8, 'plain'::text, '2024-01-01 00:00:00+00'::timestamptz, '\\x00ff'::bytea, 1.50::numeric(10,2),
       1e300::float8),
      (false, -9223372036854775808, 'a,"b"', '1999-12-31 23:59:59.5+00', '\\x', -0.01, 'NaN'),
      (NULL, NULL, '', NULL, NULL, NULL, NULL),
      (true, 0, E'two\\nlines\\r', 'infinity', '\\x2c', 0.00, 0.1),
      (true, 2, ' é ', '0044-03-15 12:00:00+00 BC', '\\x22', 12345678.90, '-0')
    ) AS t
"""


def batch() -> pa.RecordBatch:
    """The rows of SQL, but for the year before Christ, which has no Python value."""
    stamps = [1704067200_000000, 946684799_500000, None, 2**63 - 1, -63517780800000000]
    values: list[tuple[list[object], pa.DataType]] = [
        ([True, False, None, True, True], pa.bool_()),
        ([1, -(2**63), None, 0, 2], pa.int64()),
        (["plain", 'a,"b"', "", "two\nlines\r", " é "], pa.string()),
        (list(stamps), pa.timestamp("us", tz="UTC")),
        ([b"\x00\xff", b"", None, b",", b'"'], pa.binary()),
        ([Decimal("1.50"), Decimal("-0.01"), None, Decimal("0.00"), Decimal("12345678.90")], pa.decimal128(10, 2)),
        ([1e300, float("nan"), None, 0.1, -0.0], pa.float64()),
    ]
    arrays = [pa.array(column, kind) for column, kind in values]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{i}" for i in range(len(arrays))])


def written(form: str, *batches: pa.RecordBatch, columns: list[tuple[str, PgType]] = COLUMNS) -> bytes:
    stream = io.BytesIO()
    writer = formats.writer(form, columns, stream)
    for one in batches:
        writer.write(one)
    writer.close()
    return stream.getvalue()


@pytest.mark.service
def test_csv_is_postgresqls_own(canon: Canon) -> None:
    names = ", ".join(psycopg.sql.Identifier(name).as_string() for name, _ in COLUMNS)
    with psycopg.connect(canon.dsn(), options="-c TimeZone=UTC -c DateStyle=ISO,MDY") as connection:
        statement = f"COPY (SELECT * FROM ({SQL}) AS t({names})) TO STDOUT (FORMAT csv, HEADER)"
        with connection.cursor().copy(statement.encode()) as copy:
            own = b"".join(bytes(part) for part in copy)
    assert written("csv", batch().slice(0, 2), batch().slice(2)) == own


@pytest.mark.service
@pytest.mark.parametrize("value", ["", "\\.", "a", ",", None, '"'])
def test_csv_of_one_column(canon: Canon, value: str | None) -> None:
    with psycopg.connect(canon.dsn()) as connection:
        statement = b"COPY (SELECT %s::text AS v) TO STDOUT (FORMAT csv, HEADER)"
        with psycopg.ClientCursor(connection).copy(statement, (value,)) as copy:
            own = b"".join(bytes(part) for part in copy)
    one = pa.RecordBatch.from_arrays([pa.array([value], pa.string())], names=["c0"])
    assert written("csv", one, columns=[("v", PgType("text"))]) == own


def test_json(tmp_path: Path) -> None:
    two = pa.RecordBatch.from_arrays([pa.array([1, None]), pa.array(["}\n{", "é"])], names=["c0", "c1"])
    columns = [("n", PgType("int4")), ("t", PgType("text"))]
    two = two.cast(pa.schema([("c0", pa.int32()), ("c1", pa.string())]))
    expected = [{"n": 1, "t": "}\n{"}, {"n": None, "t": "é"}]
    assert json.loads(written("json", two, columns=columns)) == expected
    assert json.loads(written("json", two, two.slice(0, 0), two, columns=columns)) == expected * 2
    assert json.loads(written("json", columns=columns)) == []
    assert json.loads(written("json", two.slice(0, 0), columns=columns)) == []


def test_json_has_one_value_a_name() -> None:
    with pytest.raises(QueryError, match="same name"):
        formats.writer("json", [("a", PgType("int4")), ("a", PgType("int4"))], io.BytesIO())


def test_arrow_and_parquet_keep_types() -> None:
    expected = pa.Table.from_batches([batch()]).rename_columns([name for name, _ in COLUMNS])
    arrow = pa.ipc.open_stream(written("arrow", batch().slice(0, 1), batch().slice(1))).read_all()
    parquet = pq.read_table(io.BytesIO(written("parquet", batch())))
    assert arrow.schema == parquet.schema == expected.schema
    without_nan = [column for column in expected.column_names if column != "real"]
    assert arrow.select(without_nan).equals(expected.select(without_nan))
    assert parquet.select(without_nan).equals(expected.select(without_nan))
    assert pq.read_table(io.BytesIO(written("parquet"))).num_rows == 0
