"""SQLite, DuckDB and Parquet: what they claim of their columns, and what only files can do."""

from __future__ import annotations

import datetime as dt
import os
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Bound, Cancel, Collation, Connector, Table
from connectors.conformance.asking import INT8, ask, statement
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.registry import connect, options_model
from connectors.sqlite import schema as sqlite_schema
from connectors.sqlite.types import Misfit, declared, decode, encode
from connectors.types import PgType, numeric

TEXT = PgType("text")


def write(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Callable[..., Connector]]:
    """Writes a script into a SQLite file and connects to it."""
    opened = []

    def make(script: str, **options: Any) -> Connector:
        write(tmp_path / "data.db", script)
        connector = connect("sqlite", "lite", {"path": "data.db", "base_folder": str(tmp_path), **options})
        opened.append(connector)
        return connector

    yield make
    for connector in opened:
        connector.close()


def table(connector: Connector, name: str) -> Table:
    (found,) = connector.tables(tables=(name,))
    return found


# name, declared type, values that keep it exact, values of which each makes it inexact
CLAIMS = (
    ("INTEGER", ["1", "-9223372036854775808"], ["1.5", "'abc'", "x'00'"]),
    ("INT2", ["32767"], ["32768", "-32769"]),
    ("INT4", ["-2147483648"], ["2147483648"]),
    ("BOOLEAN", ["0", "1"], ["2", "'true'"]),
    ("REAL", ["1", "0.5"], ["'abc'"]),
    ("TEXT", ["'a'", "''"], ["x'00'"]),
    ("VARCHAR(2)", ["'ab'", "'éé'"], ["'abc'"]),
    ("BLOB", ["x'00'"], ["'a'", "1"]),
    ("DATE", ["'2024-02-29'", "'0001-01-01'"], ["'2024-02-30'", "'2024-1-1'", "20240101", "'0000-01-01'", "'now'"]),
    (
        "DATETIME",
        ["'2024-01-01 10:00:00'", "'2024-01-01 10:00:00.5'", "'2024-01-01 10:00:00.123456'"],
        [
            "'2024-01-01T10:00:00'",
            "'2024-01-01 10:00:00.50'",
            "'2024-01-01 10:00:00.000000'",
            "'2024-01-01'",
            "'2024-01-01 24:00:00'",
            "'2024-01-01 10:00:00+00:00'",
            "1704103200",
        ],
    ),
    (
        "TIMESTAMPTZ",
        ["'2024-01-01 10:00:00+00:00'", "'2024-01-01 10:00:00.25+00:00'"],
        ["'2024-01-01 10:00:00'", "'2024-01-01 10:00:00Z'", "'2024-01-01 12:00:00+02:00'"],
    ),
    ("TIME", ["'23:59:59'", "'00:00:00.000001'"], ["'10:00'", "'24:00:00'", "'10:00:00.10'"]),
    ("UUID", ["'6f1b2c3d-0000-4000-8000-000000000000'"], ["'6F1B2C3D-0000-4000-8000-000000000000'", "'x'"]),
)
NEVER = (("DECIMAL(10,2)", "'1.50'"), ("NUMERIC", "1"), ("CHAR(3)", "'abc'"), ("JSON", "'{}'"), ("", "'a'"))


@pytest.mark.parametrize(("native", "good", "bad"), CLAIMS, ids=[claim[0] for claim in CLAIMS])
def test_sqlite_claims_exactness_only_where_all_values_prove_it(
    lite: Callable[..., Connector], native: str, good: list[str], bad: list[str]
) -> None:
    script = f"CREATE TABLE good (v {native}); INSERT INTO good VALUES (NULL), {', '.join(f'({v})' for v in good)};"
    for number, value in enumerate(bad):
        script += f"CREATE TABLE bad{number} (v {native}); INSERT INTO bad{number} VALUES ({good[0]}), ({value});"
    connector = lite(script)
    exact = {found.name: found.column("v").exact for found in connector.tables()}
    assert exact == {"good": True} | {f"bad{number}": False for number in range(len(bad))}


def test_sqlite_never_claims_what_it_cannot_compare(lite: Callable[..., Connector]) -> None:
    script = "".join(
        f"CREATE TABLE t{i}(v {native}); INSERT INTO t{i} VALUES ({v});" for i, (native, v) in enumerate(NEVER)
    )
    assert not any(found.column("v").exact for found in lite(script).tables())


def test_sqlite_claims_nothing_of_tables_too_large_to_scan(
    lite: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_schema, "SCAN_ROWS", 3)
    connector = lite(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t(n) VALUES (1), (2), (3), (4), (5);"
        "CREATE TABLE s (id INTEGER PRIMARY KEY, n INTEGER) STRICT; INSERT INTO s(n) VALUES (1), (2), (3), (4);"
    )
    assert [(c.name, c.exact) for c in table(connector, "t").columns] == [("id", True), ("n", False)]
    assert [(c.name, c.exact) for c in table(connector, "s").columns] == [("id", True), ("n", True)]
    assert table(connector, "t").row_count == 5


def test_sqlite_collations_are_what_its_compiler_uses(lite: Callable[..., Connector]) -> None:
    connector = lite(
        """
        CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE, c VARCHAR(9) COLLATE "rtrim", d TEXT DEFAULT 'COLLATE NOCASE');
        CREATE VIEW v AS SELECT a, b, upper(a) AS u FROM t;
        CREATE VIEW w AS SELECT a FROM t WHERE b = 'x';
        """
    )
    found = {(f.name, c.name): c.collation for f in connector.tables() for c in f.columns}
    loose = Collation.LOOSE
    assert [found["t", name] for name in "abcd"] == [Collation.BYTES, loose, loose, Collation.BYTES]
    assert (found["v", "a"], found["v", "b"]) == (Collation.BYTES, loose)
    assert found["w", "a"] is loose  # another column's comparison stands in the program too: not proven


def test_sqlite_utf16_files_do_not_order_by_code_point(lite: Callable[..., Connector]) -> None:
    connector = lite("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('é');")
    assert table(connector, "t").column("a").collation is Collation.EQUAL
    assert ask(connector, "SELECT a FROM t", columns=(TEXT,)).column(0).to_pylist() == ["é"]


def test_sqlite_keys_indexes_and_foreign_keys(lite: Callable[..., Connector]) -> None:
    connector = lite(
        """
        CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, maybe TEXT UNIQUE, x INT, y INT);
        CREATE INDEX p_xy ON p (x, y); CREATE INDEX p_part ON p (x) WHERE y > 0; CREATE INDEX p_expr ON p (x + y);
        INSERT INTO p VALUES (1, 'a', NULL, 1, 2);
        CREATE TABLE c (p_id INTEGER REFERENCES p, a INT, b INT, PRIMARY KEY (a, b));
        CREATE TABLE n (k TEXT PRIMARY KEY, v INT); INSERT INTO n VALUES (NULL, 1), (NULL, 2);
        CREATE TABLE w (k TEXT PRIMARY KEY, v INT) WITHOUT ROWID;
        CREATE VIEW broken AS SELECT * FROM gone;
        """
    )
    parent = table(connector, "p")
    assert parent.keys == (("id",), ("code",))
    assert set(parent.indexes) == {("id",), ("code",), ("maybe",), ("x", "y")}
    assert [column.nullable for column in parent.columns] == [False, False, True, True, True]
    child = table(connector, "c")
    assert child.keys == ()  # SQLite lets NULL into such a primary key
    (foreign,) = child.foreign_keys
    assert (foreign.columns, foreign.table, foreign.references) == (("p_id",), "p", ("id",))
    assert table(connector, "n").keys == ()
    assert table(connector, "w").keys == (("k",),)
    assert {found.name for found in connector.tables()} == {"p", "c", "n", "w"}


def test_sqlite_types_can_be_told(lite: Callable[..., Connector]) -> None:
    connector = lite(
        "CREATE TABLE t (at DATETIME, n); INSERT INTO t VALUES (1704103200, 5);",
        types={"t.at": "INTEGER", "t.n": "INT4"},
    )
    assert [column.type.name for column in table(connector, "t").columns] == ["int8", "int4"]


def test_sqlite_told_types_claim_nothing_that_sqlite_would_compare_otherwise(lite: Callable[..., Connector]) -> None:
    connector = lite(
        """
        CREATE TABLE t (d DATETIME, s TEXT, c TEXT COLLATE NOCASE);
        INSERT INTO t VALUES ('a', '12345678901234567.89', 'a');
        CREATE TABLE u (i INTEGER) STRICT; INSERT INTO u VALUES (5);
        """,
        types={"t.d": "TEXT", "t.s": "DECIMAL(30,2)", "t.c": "UUID", "u.i": "TEXT"},
    )
    for name in ("t", "u"):
        assert not any(column.exact for column in table(connector, name).columns)
    assert table(connector, "t").column("c").collation is Collation.LOOSE
    answer = ask(connector, "SELECT s FROM t", columns=(numeric(30, 2),))
    assert answer.column(0).to_pylist() == [Decimal("12345678901234567.89")]


def test_sqlite_types_of_no_column_are_told(lite: Callable[..., Connector]) -> None:
    connector = lite("CREATE TABLE tickets (opened DATETIME)", types={"tickets.opend": "INTEGER"})
    with pytest.raises(ConfigError) as error:
        connector.tables()
    assert error.value.hint == 'did you mean "tickets.opened"?'


def test_sqlite_a_descending_integer_key_is_no_rowid(lite: Callable[..., Connector]) -> None:
    connector = lite("CREATE TABLE t (id INTEGER PRIMARY KEY DESC, n INT); INSERT INTO t VALUES ('abc', 1), (NULL, 2);")
    assert not table(connector, "t").column("id").exact
    assert table(connector, "t").column("id").nullable
    assert table(connector, "t").keys == ()


def test_files_know_when_they_changed(lite: Callable[..., Connector], warehouse: Connector, tmp_path: Path) -> None:
    connector = lite("CREATE TABLE t (n)")
    os.utime(tmp_path / "data.db", (1_700_000_000, 1_700_000_000))
    for file in (tmp_path / "files").rglob("*.parquet"):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    os.utime(tmp_path / "files" / "orders.parquet", (1_650_000_000, 1_650_000_000))
    assert connector.modified() == dt.datetime.fromtimestamp(1_700_000_000, dt.UTC)  # type: ignore[attr-defined]
    assert warehouse.modified() == dt.datetime.fromtimestamp(1_650_000_000, dt.UTC)  # type: ignore[attr-defined]


def test_sqlite_a_value_gone_bad_after_introspection_is_refused(lite: Callable[..., Connector], tmp_path: Path) -> None:
    connector = lite("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1);")
    assert table(connector, "t").column("n").exact
    write(tmp_path / "data.db", "INSERT INTO t VALUES (2, 'abc')")
    assert ask(connector, "SELECT n FROM t WHERE id = 1").column(0).to_pylist() == [1]
    with pytest.raises(SourceError, match="column c0 holds a value of storage class text") as error:
        ask(connector, "SELECT n FROM t")
    assert error.value.sqlstate == "HV004"
    assert "abc" not in f"{error.value.message}{error.value.detail}{error.value.hint}"


def test_sqlite_sees_a_file_that_replaces_the_old_one(lite: Callable[..., Connector], tmp_path: Path) -> None:
    connector = lite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);")
    assert ask(connector, "SELECT n FROM t").column(0).to_pylist() == [1]
    write(tmp_path / "new.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (2);")
    (tmp_path / "new.db").replace(tmp_path / "data.db")
    assert ask(connector, "SELECT n FROM t").column(0).to_pylist() == [2]
    (tmp_path / "data.db").unlink()
    with pytest.raises(SourceError) as error:
        connector.ping()
    assert error.value.sqlstate == "08001"
    write(tmp_path / "data.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (3);")
    assert ask(connector, "SELECT n FROM t").column(0).to_pylist() == [3]


def test_sqlite_reads_beside_a_writer(lite: Callable[..., Connector], tmp_path: Path) -> None:
    connector = lite("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);")
    with closing(sqlite3.connect(tmp_path / "data.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        assert ask(connector, "SELECT count(*) FROM t").column(0).to_pylist() == [1]
        writer.execute("COMMIT")
        assert ask(connector, "SELECT count(*) FROM t").column(0).to_pylist() == [2]


def test_sqlite_a_locked_file_times_out(lite: Callable[..., Connector], tmp_path: Path) -> None:
    connector = lite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);")
    connector.ping()
    with closing(sqlite3.connect(tmp_path / "data.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LimitExceeded, match="timeout"):
            ask(connector, "SELECT n FROM t", timeout=0.2)
        writer.execute("ROLLBACK")
    assert ask(connector, "SELECT n FROM t").column(0).to_pylist() == [1]


def test_sqlite_like_knows_case(lite: Callable[..., Connector]) -> None:
    connector = lite("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Ab'), ('ab');")
    assert connector.profile().facts["case_sensitive_like"]
    assert ask(connector, "SELECT count(*) FROM t WHERE a LIKE 'a%'").column(0).to_pylist() == [1]


@given(st.decimals(-(10**8) + 1, 10**8 - 1, allow_nan=False, allow_infinity=False, places=2))
def test_sqlite_decimals_survive_being_reals(amount: Decimal) -> None:
    """Every numeric(10,2) comes back from the double that SQLite makes of it."""
    assert decode([float(amount)], numeric(10, 2)).to_pylist() == [amount]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 6))
def test_sqlite_reals_are_a_decimal_or_refused(value: float, scale: int) -> None:
    """What is delivered reads back as the very double, and no other decimal of that scale does."""
    try:
        (found,) = decode([value], numeric(38, scale)).to_pylist()
    except Misfit:
        return
    step = Decimal(1).scaleb(-scale)
    assert float(found) == value
    assert float(found + step) != value
    assert float(found - step) != value


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 6))
def test_sqlite_decimal_texts_are_kept_or_refused(value: Decimal, scale: int) -> None:
    try:
        (found,) = decode([str(value)], numeric(38, scale)).to_pylist()
    except Misfit:
        assert -value.as_tuple().exponent > scale or abs(value) >= Decimal(1).scaleb(38 - scale)
    else:
        assert found == value


INSTANTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))


@given(INSTANTS, INSTANTS)
def test_sqlite_instants_sort_as_their_texts(one: dt.datetime, two: dt.datetime) -> None:
    for kind, zone in (("timestamp", None), ("timestamptz", dt.UTC)):
        first, second = one.replace(tzinfo=zone), two.replace(tzinfo=zone)
        texts = [encode(Bound(PgType(kind), value), "lite") for value in (first, second)]
        assert (texts[0] < texts[1], texts[0] == texts[1]) == (first < second, first == second)
        assert decode(texts, PgType(kind)).to_pylist() == [first, second]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("float8", float("nan")), ("numeric", "NaN"), ("numeric", "9007199254740993.5"), ("_bytea", [b"a"])],
)
def test_sqlite_refuses_parameters_that_it_would_garble(kind: str, value: Any) -> None:
    with pytest.raises(SourceError) as error:
        encode(Bound(PgType(kind), value), "lite")
    assert error.value.sqlstate == "HV004"


def _stuck(kind: str, folder: Path) -> tuple[Connector, str]:
    if kind == "sqlite":
        write(folder / "data.db", "CREATE TABLE t (n)")
        return connect("sqlite", "s", {"path": "data.db", "base_folder": str(folder), "pool_size": 1}), (
            "WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s) SELECT count(*) FROM s"
        )
    (folder / "files").mkdir()
    return connect("files", "s", {"folder": "files", "base_folder": str(folder), "pool_size": 1}), (
        "SELECT count(*) FROM range(10000000) AS a(x), range(1000000) AS b(y) WHERE (x * y) % 7 = 3"
    )


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_cancel_and_timeout_free_the_only_connection(kind: str, tmp_path: Path) -> None:
    connector, slow = _stuck(kind, tmp_path)
    cancel, caught = Cancel(), []

    def run() -> None:
        try:
            ask(connector, slow, timeout=60, cancel=cancel)
        except Error as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    with pytest.raises(LimitExceeded, match="no connection"):
        ask(connector, "SELECT 1", timeout=0.1)
    cancel.fire()
    thread.join(20)
    assert caught == [cancel.reason]
    with pytest.raises(LimitExceeded, match="statement timeout"):
        ask(connector, slow, timeout=0.2)
    assert ask(connector, "SELECT 1").column(0).to_pylist() == [1]
    connector.close()


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_an_iterator_closed_early_gives_its_connection_back(kind: str, tmp_path: Path) -> None:
    connector, _ = _stuck(kind, tmp_path)
    many = {
        "sqlite": "WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s) SELECT g FROM s",
        "files": "SELECT x FROM range(100000000) AS a(x)",
    }
    for _ in range(3):
        stream = connector.execute(statement(many[kind]), timeout=60, cancel=Cancel())
        assert next(stream).num_rows
        stream.close()  # type: ignore[attr-defined]
    assert ask(connector, "SELECT 1", timeout=1).num_rows == 1
    connector.close()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Connector]:
    (tmp_path / "files" / "events").mkdir(parents=True)
    days = pa.array([dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(1000)], pa.date32())
    orders = pa.table({"id": pa.array(range(1000), pa.uint32()), "day": days, "tags": [["a"]] * 1000})
    pq.write_table(orders, tmp_path / "files" / "orders.parquet", row_group_size=100)
    for part in range(2):
        pq.write_table(pa.table({"n": [part]}), tmp_path / "files" / "events" / f"{part}.parquet")
    (tmp_path / "files" / "torn.parquet").write_bytes(b"PAR1")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    connector = connect("files", "dwh", {"folder": "files", "base_folder": str(tmp_path)})
    yield connector
    connector.close()


def test_parquet_tables(warehouse: Connector, tmp_path: Path) -> None:
    found = {table.name: table for table in warehouse.tables()}
    assert set(found) == {"orders", "events"}  # the torn file hides nobody
    assert (found["orders"].row_count, found["events"].row_count) == (1000, 2)
    assert [(c.name, c.type.name, c.exact) for c in found["orders"].columns] == [
        ("id", "int8", True),
        ("day", "date", True),
        ("tags", "json", False),
    ]
    below = ask(warehouse, "SELECT id - 10 FROM main.orders WHERE id = ", Bound(INT8, 3))
    assert below.column(0).to_pylist() == [-7]  # UINTEGER would have overflowed
    pq.write_table(pa.table({"n": [7]}), tmp_path / "files" / "late.parquet")
    assert ask(warehouse, "SELECT n FROM late").column(0).to_pylist() == [7]
    (tmp_path / "files" / "late.parquet").unlink()
    assert "late" not in {table.name for table in warehouse.tables()}


def test_parquet_reads_only_the_row_groups_that_a_filter_needs(warehouse: Connector) -> None:
    day = Bound(PgType("date"), dt.date(2024, 3, 1))
    plan = ask(warehouse, "EXPLAIN ANALYZE SELECT id FROM orders WHERE day = ", day, columns=(TEXT, TEXT))
    assert "Row Groups Scanned: 1 / 10" in plan.column(1).to_pylist()[0]


def test_a_duckdb_of_ours_reads_its_folder_and_nothing_else(warehouse: Connector, tmp_path: Path) -> None:
    outside = (
        f"SELECT a FROM read_csv('{tmp_path}/secret.csv')",
        f"SELECT a FROM read_csv('{tmp_path}/files/../secret.csv')",
        "SELECT content FROM read_text('/etc/hostname')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
    )
    for text in outside:
        with pytest.raises(SourceError):
            ask(warehouse, text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "secret.csv"]


def test_parquet_files_come_while_a_statement_runs(
    warehouse: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stream = warehouse.execute(statement("SELECT x FROM range(10000000) AS a(x)"), timeout=60, cancel=Cancel())
    next(stream)
    pq.write_table(pa.table({"n": [7]}), tmp_path / "files" / "late.parquet")
    assert ask(warehouse, "SELECT n FROM late").column(0).to_pylist() == [7]
    assert sum(batch.num_rows for batch in stream) > 9_000_000
    assert len(list(tmp_path.glob("vdw-duckdb-*"))) == 1
    warehouse.close()
    assert not list(tmp_path.glob("vdw-duckdb-*"))


def test_duckdb_sees_a_file_that_replaces_the_old_one(tmp_path: Path) -> None:
    def write_duckdb(name: str, value: int) -> None:
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute(f"CREATE TABLE t AS SELECT {value}::bigint AS n FROM range(100000)")

    write_duckdb("data.duckdb", 1)
    write_duckdb("new.duckdb", 2)
    connector = connect("duckdb", "d", {"path": "data.duckdb", "base_folder": str(tmp_path)})
    stream = connector.execute(statement("SELECT n FROM t"), timeout=60, cancel=Cancel())
    assert next(stream).column(0)[0].as_py() == 1
    (tmp_path / "new.duckdb").replace(tmp_path / "data.duckdb")
    assert ask(connector, "SELECT min(n) FROM t").column(0).to_pylist() == [1]  # it cannot be opened beside the old
    stream.close()  # type: ignore[attr-defined]
    assert ask(connector, "SELECT min(n) FROM t").column(0).to_pylist() == [2]
    connector.close()


def test_duckdb_facts(tmp_path: Path) -> None:
    file = tmp_path / "data.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, u VARCHAR NOT NULL UNIQUE, v VARCHAR)")
        connection.execute("CREATE TABLE c (p_id INTEGER REFERENCES p (id), t VARCHAR COLLATE NOCASE, n TINYINT)")
        connection.execute("COMMENT ON TABLE p IS 'parents'; COMMENT ON COLUMN p.v IS 'a value'")
        connection.execute("INSERT INTO p VALUES (1, 'a', NULL)")
    connector = connect("duckdb", "d", {"path": "data.duckdb", "base_folder": str(tmp_path)})
    parent, child = table(connector, "p"), table(connector, "c")
    assert parent.keys == (("id",), ("u",))
    assert (parent.comment, parent.column("v").comment, parent.row_count) == ("parents", "a value", 1)
    assert child.foreign_keys[0].references == ("id",)
    assert child.column("t").collation is Collation.LOOSE
    assert not child.column("n").exact  # TINYINT overflows where smallint does not
    assert connector.profile().facts["timezone"] == "UTC"
    connector.close()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("sqlite", {"pth": "a.db"}, 'did you mean "path"'),
        ("files", {}, "neither folder nor tables"),
        ("duckdb", {"path": "a", "threads": 0}, "threads"),
    ],
)
def test_wrong_options_are_told(kind: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        connect(kind, "s", options)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_none_is_told(kind: str, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"this is no database, but it is long enough to be looked at" * 100)
    for path in ("junk", "missing"):
        connector = connect(kind, "s", {"path": path, "base_folder": str(tmp_path)})
        with pytest.raises(SourceError, match='source "s"') as error:
            connector.tables()
        assert error.value.sqlstate in ("08001", "08006")
        connector.close()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_every_option_is_documented(kind: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "embedded-sources.md").read_text()
    section = text.partition(f"## `kind: {kind}`")[2].partition("\n## ")[0]
    model = options_model(kind)
    assert model is not None
    said = {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert set(model.model_fields) - {"pool_size", "base_folder"} <= said


def test_the_documented_sqlite_types_are_the_real_ones() -> None:
    text = (Path(__file__).parents[2] / "docs" / "embedded-sources.md").read_text()
    for native, told in {
        "BIGINT": "bigint",
        "TINYINT": "smallint",
        "DOUBLE": "double precision",
        "CLOB": "text",
        "BOOL": "boolean",
        "TIMESTAMP WITH TIME ZONE": "timestamptz",
        "GUID": "uuid",
        "BINARY": "bytea",
    }.items():
        assert re.search(rf"^\|.*`{native}`.*\|.*\b{told}\b", text, re.M)
        assert told in (declared(native).sql, declared(native).name)
