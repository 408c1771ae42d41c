"""What the README tells people to do can be done: its commands exist, its links lead somewhere, its view works."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
import typer

from api import sample
from api.cli import app
from api.project import open_project
from connectors.registry import kinds, options_model
from federation.session import Session
from views.marks import read as read_yaml
from views.source_file import SourceFile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "docs/README.md", "examples/crm/README.md"]


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def words(pattern: str) -> set[str]:
    """What follows a command in code, in blocks and in running text."""
    code = "\n".join([*re.findall(r"^```\w*\n(.*?)^```", README, re.M | re.S), *re.findall(r"`([^`\n]+)`", README)])
    return set(re.findall(pattern, code, re.M))


def test_the_two_commands_stand_on_the_first_screen() -> None:
    first = "\n".join(README.splitlines()[:25])
    assert "make demo" in first and "make test" in first


def test_make_targets_exist() -> None:
    named = words(r"\bmake (\w+)")
    assert {"demo", "test", "check"} <= named
    for target in named:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_modules_to_run_and_files_named_exist() -> None:
    modules = words(r"python -m ([\w.]+)")
    assert modules
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
    files = words(r"\b((?:tests|docs|examples|benchmarks)/[\w/]+\.\w+)")
    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_commands_of_vdw_exist() -> None:
    named = words(r"^(?:\.venv/bin/)?vdw ([a-z]+)\b")
    assert {"init", "check", "query", "explain", "serve"} <= named
    assert named <= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    file = ROOT / page
    links = re.findall(r"\]\(([^)#]+)", file.read_text())
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


PAGE_OF = {
    **dict.fromkeys(("sqlite", "duckdb"), "embedded-sources.md"),
    "files": "file-sources.md",
    "odbc": "odbc-sources.md",
    "sqlalchemy": "sqlalchemy-sources.md",
    "trino": "trino-sources.md",
    **dict.fromkeys(("rest", "odata"), "rest-sources.md"),
}


@pytest.mark.parametrize("kind", kinds())
def test_every_option_of_a_connection_is_documented(kind: str) -> None:
    page = PAGE_OF.get(kind, "server-sources.md")
    _, found, rest = (ROOT / "docs" / page).read_text().partition(f"`kind: {kind}`")
    assert found
    table = rest.partition("| option | |\n|---|---|\n")[2].partition("\n\n")[0]
    documented = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    model = options_model(kind)
    assert model is not None
    options = set(model.model_fields) - {"pool_size", "base_folder"}  # which are the engine's
    assert sorted(documented) == sorted(options)


def test_python_is_python_and_the_source_is_a_source() -> None:
    assert len(blocks("python")) == 2
    for block in blocks("python"):
        ast.parse(block)
    (source,) = blocks("yaml")
    assert SourceFile.model_validate(read_yaml(source).value).kind == "postgresql"


@pytest.mark.slow
def test_the_view_works_where_the_readme_puts_it(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    sample.create(folder)
    (view,) = blocks("sql")
    assert "views/crm/best_customers.view.sql" in README
    (folder / "views" / "crm" / "best_customers.view.sql").write_text(view)

    async def ask() -> list[dict[str, object]]:
        async with open_project(folder) as runtime:
            assert runtime.diagnostics == ()
            text = "select * from crm.best_customers order by place"
            return (await (await runtime.engine.query(text, Session("vdw"))).table()).to_pylist()

    assert asyncio.run(ask()) == [
        {"customer_id": 1, "full_name": "Ada Lovelace", "revenue": "100", "place": 1},
        {"customer_id": 2, "full_name": "Grace Hopper", "revenue": "25", "place": 2},
    ]


def test_versions_are_pinned_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.+!-]+", line)] == []
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0].lower())
