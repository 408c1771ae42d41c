"""`vdw probe` from the command line, over an engine behind SQLAlchemy: what it sends, writes, and when it counts."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import yaml

from connectors.alchemy.connector import AlchemyConnector
from connectors.base import SourceQuery
from tests.command_line import Cli

GENERIC = "kind: sqlalchemy\nconnection: {url: 'sqlite:///crm.db', generic: true}\n"
QUERY = "SELECT n, count(*) AS c FROM crm.t WHERE id > 5 AND name <> 'b' AND n IN (1, 2, 3) GROUP BY n ORDER BY n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One SQLite file, twice: as an engine of which nothing is known, and as what it is."""
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, name TEXT, born DATE, paid DECIMAL(12,2))"
        )
        rows = [(i, i % 4 or None, "aAbBé"[i % 5] + " " * (i % 2), f"2024-01-{i:02d}", i / 4) for i in range(1, 29)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    (tmp_path / "sources").mkdir()
    (tmp_path / "vdw.yml").write_text("name: p\n")
    (tmp_path / "sources" / "crm.yml").write_text(GENERIC)
    (tmp_path / "sources" / "own.yml").write_text("kind: sqlite\nconnection: {path: crm.db}\n")
    return tmp_path


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that reach the source."""
    texts: list[str] = []
    execute = AlchemyConnector.execute

    def tapped(self: AlchemyConnector, query: SourceQuery, **given: object) -> object:
        texts.append(query.sql)
        return execute(self, query, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(AlchemyConnector, "execute", tapped)
    return texts


@pytest.mark.slow
def test_from_nothing_to_what_is_proven(project: Path, vdw: Cli, sent: list[str]) -> None:
    _, plain, _ = vdw("explain", QUERY, "-p", project, "--json")
    (fragment,) = json.loads(plain)["fragments"]
    assert "WHERE" not in fragment["sql"] and "GROUP" not in fragment["sql"]
    _, before, _ = vdw("query", QUERY, "-p", project, "--format", "csv")

    sent.clear()
    code, out, err = vdw("probe", "crm", "-p", project)
    assert code == 0 and "proven" in err and "refuted" in out
    assert 50 < len(sent) < 400
    assert all(text.startswith("SELECT") for text in sent)
    assert all('FROM "t"' not in text or 'FROM "t" WHERE 1 = 0' in text for text in sent)

    _, told, _ = vdw("explain", QUERY, "-p", project, "--json")
    (fragment,) = json.loads(told)["fragments"]
    assert "WHERE" in fragment["sql"] and " IN (" in fragment["sql"]
    _, after, _ = vdw("query", QUERY, "-p", project, "--format", "csv")
    _, own, _ = vdw("query", QUERY.replace("crm.t", "own.t"), "-p", project, "--format", "csv")
    assert before == after == own and len(after.splitlines()) == 4
    assert vdw("check", "-p", project)[0] == 0


@pytest.mark.slow
def test_an_order_is_made_here(project: Path, vdw: Cli) -> None:
    """The connector asks for the rows of a derived table, which have no order by the standard: the first ones are found
    there, in whichever order they come."""
    _profile(project, claims=["order by int", "feature limit", "=(int, int)"])
    _, told, _ = vdw("explain", "SELECT id FROM crm.t ORDER BY id DESC LIMIT 3", "-p", project, "--json")
    explained = json.loads(told)
    (fragment,) = explained["fragments"]
    assert "ORDER BY" in fragment["sql"] and "LIMIT" in fragment["sql"]
    assert "ORDER BY" in explained["merge"]["canon"]
    _, told, _ = vdw("explain", "SELECT id FROM crm.t ORDER BY id DESC", "-p", project, "--json")
    assert "ORDER BY" not in json.loads(told)["fragments"][0]["sql"]
    _, rows, _ = vdw("query", "SELECT id FROM crm.t ORDER BY id DESC LIMIT 3", "-p", project, "--format", "csv")
    assert rows.split() == ["id", "28", "27", "26"]


@pytest.mark.slow
def test_the_file(project: Path, vdw: Cli) -> None:
    """The same twice, but for its time; and nothing beside it."""
    code, out, _ = vdw("probe", "crm", "-p", project, "--json")
    first = yaml.safe_load((project / "profiles" / "crm.yml").read_text())
    told = json.loads(out)
    assert code == 0 and first["claims"] == told["proven"] == sorted(told["proven"])
    assert "=(int, int)" in first["claims"] and "aggregate sum(int8)" in first["refuted"]
    assert first["untried"]["type DATE as date"] and first["dialect"] == "sqlite" and first["engine"] == told["engine"]
    assert "BIGINT as int8" in first["types"] and "DECIMAL as numeric" not in first["types"]
    assert vdw("probe", "crm", "-p", project)[0] == 0
    second = yaml.safe_load((project / "profiles" / "crm.yml").read_text())
    assert {**first, "probed": ""} == {**second, "probed": ""}
    assert [path.name for path in (project / "profiles").iterdir()] == ["crm.yml"]


def test_a_dry_run_sends_nothing(project: Path, vdw: Cli, sent: list[str]) -> None:
    code, out, err = vdw("probe", "crm", "-p", project, "--dry-run")
    assert code == 0 and sent == [] and not (project / "profiles").exists()
    assert out.count("\nSELECT ") > 50 and "$1 = " in out and "none was sent" in err


def test_few_statements_prove_little(project: Path, vdw: Cli, sent: list[str]) -> None:
    code, out, _ = vdw("probe", "crm", "-p", project, "--json", "--most", "20")
    told = json.loads(out)
    assert code == 0 and told["statements"] == len(sent) == 20
    assert not [claim for claim in told["proven"] if claim.startswith(("aggregate", "feature", "order by"))]
    assert "no statements left" in told["untried"]["feature limit"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1.2.3"}, "version 1.2.3 was probed, and it is"),
        ({"engine": "other+x"}, "engine other+x was probed, and it is"),
        ({"dialect": "tsql"}, "dialect tsql was probed, and it is sqlite now"),
    ],
)
def test_of_another_server_nothing_counts(change: dict[str, str], says: str, project: Path, vdw: Cli) -> None:
    path = _profile(project, **change)
    code, out, _ = vdw("check", "-p", project)
    assert code == 0 and f"profiles/{path.name}:1: warning" in out and says in out and "vdw probe crm" in out
    _, told, _ = vdw("explain", QUERY, "-p", project, "--json")
    assert "WHERE" not in json.loads(told)["fragments"][0]["sql"]


def test_what_is_wrong_in_the_file(project: Path, vdw: Cli) -> None:
    _profile(project, claims=["=(int, int)", "=(int, sint)"])
    _profile(project, name="crn")
    _profile(project, name="own")
    code, out, _ = vdw("check", "-p", project)
    assert code == 0
    assert 'profiles/crm.yml:10:3: warning: "=(int, sint)" is no claim of dialect "sqlite"' in out
    assert 'there is no source "crn"' in out and "did you mean `crm`" in out
    assert "sqlite has a table of its own" in out
    _, told, _ = vdw("explain", "SELECT name FROM crm.t WHERE n = 3 AND born > '2024-01-05'", "-p", project, "--json")
    sql = json.loads(told)["fragments"][0]["sql"]
    assert '"n" =' in sql and '"born" >' not in sql
    _profile(project, types="INTEGER")
    code, out, _ = vdw("check", "-p", project, "--offline")
    assert code == 1 and "profiles/crm.yml:5" in out and "types" in out


def _profile(project: Path, name: str = "crm", **changes: object) -> Path:
    told = {
        "engine": "sqlite+pysqlite",
        "version": sqlite3.sqlite_version,
        "dialect": "sqlite",
        "probed": "2026-01-01T00:00:00+00:00",
        "types": ["BIGINT as int8", "INTEGER as int4"],
        "claims": ["=(int, int)"],
        **changes,
    }
    path = project / "profiles" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return path


def test_what_cannot_be_probed(project: Path, vdw: Cli) -> None:
    code, _, err = vdw("probe", "own", "-p", project)
    assert code == 1 and "of which nothing need be probed" in err
    code, _, err = vdw("probe", "crn", "-p", project)
    assert code == 1 and 'there is no source "crn"' in err and "did you mean `crm`" in err
    (project / "sources" / "away.yml").write_text(
        "kind: sqlalchemy\nconnection: {url: 'sqlite:///none/x.db', generic: true}\n"
    )
    code, _, err = vdw("probe", "away", "-p", project)
    assert code == 3 and "cannot be read" in err
