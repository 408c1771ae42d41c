"""What users can write is documented, and the committed JSON Schemas are those of the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from api.cli import app
from views.files import ProjectFile, ViewHeader
from views.marks import read as read_yaml
from views.schema import FILES, schema, text
from views.source_file import SourceFile

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "files.md").read_text()
SECTIONS = {
    "ProjectFile": "## `vdw.yml`",
    "Listen": "### `listen`",
    "Listener": "### `listen.http`",
    "SqlListener": "### `listen.postgresql`",
    "Tls": "### `listen.http.tls`, `listen.postgresql.tls`",
    "Merge": "### `merge`",
    "Cache": "### `cache`",
    "Uploads": "### `uploads`",
    "Segmentations": "### `segmentations`",
    "Telemetry": "### `telemetry`",
    "User": "### `users.<name>`",
    "Scram": "### `users.<name>.scram`",
    "SecretRef": "### References: `password`, `verifier` and any value of `connection`",
    "SourceFile": "## `sources/<name>.yml`",
    "Expose": "### `expose`",
    "SourceLimits": "### `limits`",
    "QueryBudget": "### `limits.query`",
    "Adapting": "### `adaptive`",
    "Breaking": "### `breaker`",
    "Observing": "### `observe`",
    "SnapshotTerms": "### `snapshot`",
    "SourceStatistics": "### `statistics`",
    "AsOf": "### `as_of`",
    "ViewHeader": "## `views/<schema>/<name>.view.sql`",
    "Freshness": "### `freshness`",
    "Guard": "### `guard`",
    "RelationTo": "### `relations.<name>`",
    "ColumnFacts": "### `columns.<name>`",
    "Expectation": "### `tests[]`",
    "RuleSetFile": "## `rules/<schema>/<name>.yml`",
    "Rule": "### `rules[]`",
    "Validity": "### `rules[].valid`",
    "RuleTest": "### Rules: `tests[]`",
    "Expected": "### Rules: `tests[].expect.<decision>`",
    "DashboardFile": "## `dashboards/<name>.yml`",
    "Parameter": "### `parameters.<name>`",
    "Panel": "### `panels[]`",
    "ShownColumn": "### `panels[].columns.<name>`",
    "Link": "### `panels[].link`",
    "Notifier": "### `notifiers.<name>`",
    "Retry": "### `notifiers.<name>.retry`",
    "WatchFile": "## `watches/<name>.yml`",
    "Message": "### `alert`, `cleared`",
    "Recipient": "### `to[]`",
    "ProfileFile": "## `profiles/<source>.yml`",
}


def models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each model's name and its properties, as the JSON Schemas have them."""
    for which, model in FILES.items():
        made = schema(which)
        yield model.__name__, made["properties"]
        yield from ((name, part["properties"]) for name, part in made.get("$defs", {}).items())


@pytest.mark.parametrize(("model", "properties"), list(models()))
def test_every_key_is_documented(model: str, properties: dict[str, Any]) -> None:
    _, found, rest = DOCS.partition(SECTIONS[model] + "\n")
    assert found, f"docs/files.md has no section {SECTIONS[model]}"
    section = re.split(r"\n##", rest)[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert rows == list(properties), f"docs/files.md, {SECTIONS[model]}"


@pytest.mark.parametrize(("model", "properties"), list(models()))
def test_every_key_has_a_description_for_editors(model: str, properties: dict[str, Any]) -> None:
    assert [key for key, facts in properties.items() if not facts.get("description")] == []


@pytest.mark.parametrize("which", list(FILES))
def test_committed_schemas_are_up_to_date(which: str) -> None:
    committed = (ROOT / "docs" / "schema" / f"{which}.json").read_text()
    assert committed == text(which), f"write it anew: vdw schema {which} > docs/schema/{which}.json"


@pytest.mark.parametrize("which", list(FILES))
def test_schemas_are_schemas(which: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(which))


def examples() -> list[tuple[str, type[ProjectFile | SourceFile | ViewHeader], Any]]:
    project, source = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)
    (view,) = re.findall(r"/\*---\n(.*?)---\*/\n", DOCS.partition("```sql")[2], re.S)[:1]
    return [("project", ProjectFile, project), ("source", SourceFile, source), ("view", ViewHeader, view)]


@pytest.mark.parametrize(("which", "model", "written"), examples())
def test_examples_are_right_by_model_and_schema(which: str, model: type[ProjectFile], written: str) -> None:
    value = read_yaml(written).value
    model.model_validate(value)
    jsonschema.validate(value, schema(which))
    assert yaml.safe_load(written) == value  # and editors that read YAML 1.1 see the same


@pytest.mark.parametrize(
    ("which", "value"),
    [
        ("project", {"name": "x", "nmae": 1}),
        ("project", {"name": "x", "users": {"a": {"password": "literal"}}}),
        ("project", {"name": "x", "users": {"a": {"password": {}}}}),
        ("source", {"kind": "x", "ttl": 15}),
        ("source", {"kind": "x", "limits": {"rows": 0}}),
        ("view", {"freshness": {"ttl": "15"}}),
        ("view", {"key": []}),
        ("view", {"on_source_down": {"crm": "maybe"}}),
        ("rules", {"subject": "a.b", "key": ["k"], "rules": []}),
        ("rules", {"subject": "a.b", "key": ["k"], "rules": [{"name": "r", "decision": "d", "when": "true"}]}),
        ("dashboard", {"title": "x", "panels": []}),
        ("dashboard", {"title": "x", "panels": [{"title": "y", "kind": "gauge", "sql": "select 1"}]}),
        ("dashboard", {"title": "x", "panels": [{"title": "y", "kind": "table", "sql": "select 1", "rows": 10001}]}),
        ("project", {"name": "x", "notifiers": {"desk": {"kind": "fax"}}}),
        ("watch", {"query": "select 1 as a", "key": [], "alert": {"text": "x"}, "to": [{"notifier": "n"}]}),
        ("watch", {"query": "select 1 as a", "key": ["a"], "alert": {"text": "x"}, "to": []}),
    ],
)
def test_schemas_refuse_what_the_models_refuse(which: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema(which))
    with pytest.raises(ValueError):
        FILES[which].model_validate(value)


def test_every_command_and_option_is_documented() -> None:
    documented = (ROOT / "docs" / "cli.md").read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert re.findall(r"^\| `vdw (\w+)", documented, re.M) == list(commands)
    options = {name: set() for name in re.findall(r"^\| `(--[\w-]+)", documented, re.M)}
    for command, facts in commands.items():
        for option in facts.params:
            long = next((name for name in option.opts if name.startswith("--")), None)
            if long not in (None, "--project", "--help"):
                options[long].add(command)
    rows = dict(re.findall(r"^\| `(--[\w-]+)`[^|]*\| ([^|]*) \|", documented, re.M))
    assert {name: set(of.split(", ")) for name, of in rows.items()} == options
