"""The command line: exit codes, messages with place and remedy, formats equal to PostgreSQL's own, no tracebacks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import console, formats
from api.cli import main
from connectors.errors import ConfigError, LimitExceeded, QueryError, SourceError
from connectors.types import PgType, numeric
from federation.canon.server import Canon
from federation.freshness.provenance import Fact
from tests.command_line import Cli
from tests.folders import write
from views.schema import text


@contextlib.contextmanager
def spawn(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command line in a process of its own, which does not outlive the block."""
    command = [sys.executable, "-c", "from api.cli import main; main()", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


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
        "    did you mean `listen`? known: cache, description, listen, merge, name, notifiers, segmentations, state, "
        "telemetry, uploads, users",
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
            "remedy": "did you mean `listen`? "
            "known: cache, description, listen, merge, name, notifiers, segmentations, state, telemetry, uploads, "
            "users",
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
        ["query", "select 1", "--max-age", "soon"],
        ["explain", "select 1", "--max-age", "5s, 6s"],
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


def test_what_an_answer_lacks_is_said_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    console.provenance([Fact("shop", "missing", policy="nulls", why="gone\x1b", tables=("t",)), Fact("crm", "live")])
    assert capsys.readouterr() == ("", "warning: source shop is down: its columns are NULL (t) (gone\\x1b)\n")


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


# -- query, explain, sources, views, serve: the whole thing


@pytest.mark.service
def test_query(vdw: Cli, sample: Path) -> None:
    code, out, err = vdw("query", "-p", sample, "select customer_id, full_name, revenue from crm.customers order by 1")
    assert (code, err) == (0, "3 rows\n")
    assert out.splitlines() == [
        "customer_id   full_name      revenue",
        "────────────────────────────────────",
        "          1   Ada Lovelace       100",
        "          2   Grace Hopper        25",
        "          3   Edgar Codd           0",
    ]


@pytest.mark.service
def test_query_says_where_its_answer_came_from(vdw: Cli, sample: Path) -> None:
    asked = ("query", "-p", sample, "select count(*) as n from crm.customers", "-f", "csv")
    assert vdw(*asked) == (0, "n\n3\n", "")
    code, out, err = vdw(*asked, "--provenance", "json")
    (fact,) = json.loads(err)
    assert (code, out) == (0, "n\n3\n")
    assert (fact["source"], fact["origin"], fact["class"], fact["statements"]) == ("shop", "live", "real_time", 1)
    code, _, err = vdw(*asked, "--provenance", "text")
    assert re.fullmatch(r"shop: live, \d\.\d s old \(real_time\), \d+ rows?, 1 statement\n", err)


@pytest.mark.service
def test_query_formats(vdw: Cli, sample: Path, tmp_path: Path) -> None:
    sql = "select full_name, orders > 1 as often from crm.customers order by 1"
    found = {}
    for form in ("csv", "json", "arrow", "parquet"):
        file = tmp_path / form
        assert vdw("query", "-p", sample, sql, "-f", form, "-o", file) == (0, "", "")
        found[form] = file.read_bytes()
    assert found["csv"] == b"full_name,often\nAda Lovelace,t\nEdgar Codd,f\nGrace Hopper,f\n"
    rows = [
        {"full_name": "Ada Lovelace", "often": True},
        {"full_name": "Edgar Codd", "often": False},
        {"full_name": "Grace Hopper", "often": False},
    ]
    assert json.loads(found["json"]) == rows
    assert pa.ipc.open_stream(found["arrow"]).read_all().to_pylist() == rows
    assert pq.read_table(io.BytesIO(found["parquet"])).to_pylist() == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*found, sample.name])


@pytest.mark.service
def test_parameters_are_read_by_postgresql(vdw: Cli, sample: Path, tmp_path: Path) -> None:
    sql = "select $1::date as d, $2::numeric as n, $3::bool as b, $4::text as t, $5::int[] as a, $6::timestamptz as z"
    values = ["2024-2-1", "1e3", "yes", "\\N", "{1,NULL}", "2024-01-01 00:00 Europe/Berlin"]
    options = [part for value in values for part in ("--param", value)]
    file = tmp_path / "answer.csv"
    code, _, err = vdw("query", "-p", sample, sql, *options, "-f", "csv", "-o", file)
    assert (code, err) == (0, "")
    assert file.read_text().splitlines()[1] == '2024-02-01,1000,t,,"{1,NULL}",2023-12-31 23:00:00+00'


@pytest.mark.service
@pytest.mark.parametrize(
    ("sql", "options", "told"),
    [
        (
            "select nme\nfrom crm.customers",
            [],
            ['error: column "nme" does not exist', "line 1: select nme", "               ^"],
        ),
        ("select 1 frm", ["--param", "1"], ["error: the statement has 0 parameters, and 1 values are given"]),
        (
            "select * from crm.customers where customer_id = $1",
            [],
            ["error: the statement has 1 parameters, and 0 values are given"],
        ),
        (
            "select * from crm.customers where customer_id = $1",
            ["--param", "x"],
            ['error: $1: invalid input syntax for type bigint: "x"'],
        ),
        (
            "select * from crm.customers",
            ["--max-age", "5s, cmr=1d"],
            ['error: max_age: there is no source "cmr"'],
        ),
        ("select 1", ["--as", "ada"], ['error: there is no user "ada" in vdw.yml']),
        ("delete from crm.customers", [], ["error: "]),
    ],
)
def test_queries_at_fault(vdw: Cli, sample: Path, sql: str, options: list[str], told: list[str]) -> None:
    code, out, err = vdw("query", "-p", sample, sql, *options)
    assert (code, out) == (1, "")
    assert [line[: len(expected)] for line, expected in zip(err.splitlines(), told, strict=False)] == told
    assert "Traceback" not in err


@pytest.mark.service
def test_a_failed_query_leaves_no_file(vdw: Cli, sample: Path, tmp_path: Path) -> None:
    file = tmp_path / "answer.csv"
    sql = "select 1 / (customer_id - 2) as x from crm.customers"
    code, _, err = vdw("query", "-p", sample, sql, "-f", "csv", "-o", file)
    assert code == 1 and "division by zero" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [sample.name]


@pytest.mark.service
def test_more_rows_than_a_table_shows(vdw: Cli, sample: Path) -> None:
    code, out, err = vdw("query", "-p", sample, "--rows", "2", "select * from generate_series(1, 100000) as g(n)")
    assert code == 0 and len(out.splitlines()) == 4
    assert err == "the first 2 rows; --format csv gives all\n"


@pytest.mark.service
def test_a_source_that_is_away(vdw: Cli, sample: Path) -> None:
    (sample / "data" / "shop.sqlite").unlink()
    code, out, err = vdw("sources", "-p", sample, "--json")
    assert code == 3
    (told,) = json.loads(out)
    assert told["name"] == "shop" and told["state"] not in ("", "up")
    code, out, err = vdw("check", "-p", sample)
    assert code == 1 and "sources/shop.yml:" in out
    code, out, err = vdw("query", "-p", sample, "select * from crm.customers")
    assert (code, out) == (3, "")
    assert "error: crm.customers is not served: " in err and "(source shop)" in err
    code, out, err = vdw("query", "-p", sample, "select * from shop.orders o where o.amount > 1")
    assert (code, out) == (3, "")
    assert "error: shop.orders is not served: " in err


@pytest.mark.service
def test_a_timeout(vdw: Cli, sample: Path) -> None:
    sql = "select count(*) from generate_series(1, 1000000000) as g"
    code, _, err = vdw("query", "-p", sample, "--timeout", "500ms", sql)
    assert code == 4, err


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from generate_series(1, 10000000000) as g",
        "select count(*) from " + ", ".join(f"shop.customers c{i}" for i in range(25)),
    ],
)
def test_ctrl_c_stops_the_work(sample: Path, sql: str) -> None:
    with spawn("query", "-p", sample, sql, "--timeout", "10m") as process:
        while _burnt(process.pid) < 8:  # seconds of CPU: more than it takes to come up
            assert process.poll() is None
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")
    assert children
    _gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def _burnt(pid: int) -> float:
    """CPU seconds of a process and what it has started."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += sum(one.cpu_times()[:2])
    return total


@pytest.mark.service
def test_a_reader_that_leaves(sample: Path) -> None:
    with spawn("query", "-p", sample, "select * from generate_series(1, 3000000) as g(n)", "-f", "csv") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"n\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.service
def test_explain(vdw: Cli, sample: Path) -> None:
    sql = "select full_name from crm.customers where customer_id = $1"
    code, out, _ = vdw("explain", "-p", sample, sql)
    assert code == 0 and "@ shop" in out
    code, out, _ = vdw("explain", "-p", sample, sql, "--analyze", "--json", "--param", "2")
    told = json.loads(out)
    assert code == 0 and told["actual"]["rows"] == 1 and told["fragments"][0]["source"] == "shop"


@pytest.mark.service
def test_views_and_sources(vdw: Cli, sample: Path) -> None:
    code, out, _ = vdw("views", "-p", sample)
    assert code == 0 and out.splitlines()[2].split()[:5] == ["crm.customers", "5", "5", "s", "shop.customers,"]
    code, out, _ = vdw("sources", "-p", sample)
    assert code == 0 and out.splitlines()[2].split()[:3] == ["shop", "sqlite", "sqlite"]
    (view,) = json.loads(vdw("views", "-p", sample, "--json")[1])
    assert view["columns"][0] == {"name": "customer_id", "type": "bigint"}


@pytest.mark.service
def test_check_asks_the_sources_and_postgresql(vdw: Cli, sample: Path) -> None:
    views = sample / "views" / "crm"
    (views / "a.view.sql").write_text("select x\nfrom shop.nothing")
    (views / "b.view.sql").write_text("/*---\nkey: [nope]\n---*/\nselect * from shop.orders")
    (views / "c.view.sql").write_text("select 1 as a\nfrm where")
    code, out, err = vdw("check", "-p", sample)
    assert (code, err) == (1, "3 errors, 0 warnings\n")
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    assert lines[0] == 'views/crm/a.view.sql:2: error: crm.a: relation "shop.nothing" does not exist'
    assert lines[1] == 'views/crm/b.view.sql:2:7: error: crm.b has no column "nope"'
    assert lines[2].startswith("views/crm/c.view.sql:2: error: crm.c: syntax error at or near")

    code, out, err = vdw("query", "-p", sample, "select * from crm.c")
    assert (code, out) == (1, "")
    assert "error: views/crm/c.view.sql:2: crm.c is not served: crm.c: syntax error" in err


@pytest.mark.service
def test_users(vdw: Cli, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (sample / "vdw.yml").open("a") as stream:
        stream.write("users:\n  ada:\n    reads: [crm.customers]\n    password: {env: ADA_PW}\n")
        stream.write("  bob: {password: {env: ADA_PW}, reads: [shop.orders]}\n")
    code, out, _ = vdw("check", "-p", sample)
    assert code == 1
    assert 'vdw.yml:9:5: error: user "ada": environment variable "ADA_PW" is not set' in out.splitlines()
    monkeypatch.setenv("ADA_PW", "hunter2")
    count = "select count(*) from crm.customers"
    assert vdw("query", "-p", sample, count)[0] == 0
    assert vdw("query", "-p", sample, count, "--as", "ada")[0] == 0
    code, _, err = vdw("query", "-p", sample, count, "--as", "bob")
    assert code == 1 and "permission denied" in err


@pytest.mark.service
def test_serve(sample: Path) -> None:
    project = sample / "vdw.yml"
    project.write_text("name: x\nlisten: {http: {port: 0}, postgresql: {port: 0}}\n")
    with spawn("serve", "-p", sample) as process:
        assert process.stderr is not None
        told = [process.stderr.readline().decode() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert told[0].startswith("x: 1 view") and told[3].startswith("ready"), told
    assert (process.returncode, err) == (0, b"")


@pytest.mark.service
def test_progress_stands_on_a_terminal_only_and_apart_from_the_answer(sample: Path) -> None:
    code = "from api import console; console.DELAY = 0.01; from api.cli import main; main()"
    command = [sys.executable, "-c", code, "query", "-p", str(sample), "select full_name from crm.customers order by 1"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        assert process.wait(timeout=60) == 0
    progress, _, answer = shown.decode().rpartition("\x1b[?25h")  # the cursor is shown again
    assert "starting, 0 s" in progress
    assert "full_name" not in progress
    assert "Ada Lovelace" in answer and answer.endswith("3 rows\x1b[0m\r\n")
