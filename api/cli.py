"""The command `vdw`.

Exit codes: 0 fine, 1 the query or a file is at fault, 2 usage, 3 a source is, 4 a limit or timeout, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from api import console, new, operator_commands, owned_commands
from api.interrupt import Interrupted
from api.watches import commands as watch_commands
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from views.project import Diagnostic

HELP = "A virtual data warehouse: live answers over many sources, in SQL and GraphQL."
app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Format(StrEnum):
    """How `query` writes its answer."""

    table = "table"
    csv = "csv"
    json = "json"
    arrow = "arrow"
    parquet = "parquet"


class Account(StrEnum):
    """How `query` says where its answer came from."""

    text = "text"
    json = "json"


class Doing(StrEnum):
    """What can be done with a source."""

    test = "test"


class Which(StrEnum):
    """The files that have a JSON Schema."""

    project = "project"
    source = "source"
    view = "view"
    dashboard = "dashboard"
    watch = "watch"
    rules = "rules"
    profile = "profile"


Folder = Annotated[Path, typer.Option("--project", "-p", help="The project folder.", metavar="FOLDER")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Sql = Annotated[str, typer.Argument(help='The SELECT, or "-" to read it from standard input.', metavar="SQL")]
Params = Annotated[list[str] | None, typer.Option("--param", help="Value of $1, $2 ... in order; \\N is NULL.")]
Timeout = Annotated[str, typer.Option(help="How long it may take, such as 30s.")]
As = Annotated[str | None, typer.Option("--as", help="Ask with the rights of this user of vdw.yml.", metavar="USER")]
MaxAge = Annotated[str, typer.Option(help='How old data may be, such as 5s or "5s, dwh=1d"; see docs/freshness.md.')]
HERE = Path()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line (the process's own by default) and exit with its code; no error leaves as a traceback."""
    try:
        app(list(sys.argv[1:] if arguments is None else arguments), prog_name="vdw")
    except Exception as problem:
        sys.exit(_failed(problem))
    sys.exit(0)


def _failed(problem: Exception, sql: str = "") -> int:
    """Tell an error and give its exit code."""
    if isinstance(problem, Interrupted):
        console.note("interrupted")
        return 130
    if console.debugging():
        raise problem
    console.error(problem, sql)
    if isinstance(problem, LimitExceeded):
        return 4
    return 3 if isinstance(problem, SourceError) else 1


def _guarded(work: Callable[[], int], sql: str = "") -> None:
    """Leave with the code that `work` gives, or with that of its error, told with its place in `sql`."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except KeyboardInterrupt:
        code = _failed(Interrupted())
    except (Error, OSError) as problem:
        code = _failed(problem if isinstance(problem, Error) else _system(problem), sql)
    raise typer.Exit(code)


def _system(problem: OSError) -> Error:
    return ConfigError(f"{problem.strerror or problem}", place=str(problem.filename or "") or None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vdw {version('vdw')}")
        raise typer.Exit


@app.callback()
def _options(
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = HERE) -> None:
    """Write a small project that works: a SQLite file and one view over it."""
    from api import sample

    def work() -> int:
        for path in sample.create(folder):
            console.note(f"wrote {path}")
        where = "" if folder == HERE else f" -p {shlex.quote(str(folder))}"
        console.note(f'try: vdw query{where} "select * from crm.customers"; vdw serve{where}')  # noqa: S608
        return 0

    _guarded(work)


@app.command()
def check(
    project: Folder = HERE,
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option(help="Only read the files; connect to no source.")] = False,
) -> None:
    """Say what is wrong with a project's files, with file, line and remedy."""

    def work() -> int:
        found = _diagnostics(project, offline)
        errors = sum(one.severity == "error" for one in found)
        if as_json:
            told = {"version": 1, "ok": not errors, "diagnostics": [asdict(one) for one in found]}
            typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            console.diagnostics(found)
            console.note(f"{console.count(errors, 'error')}, {console.count(len(found) - errors, 'warning')}")
        return 1 if errors else 0

    _guarded(work)


def _diagnostics(project: Path, offline: bool) -> tuple[Diagnostic, ...]:
    from views.load import load

    if offline:
        return load(project).diagnostics
    from api.ask import diagnostics

    return diagnostics(project)


@app.command()
def query(
    sql: Sql,
    project: Folder = HERE,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the answer.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if none.")
    ] = None,
    param: Params = None,
    timeout: Timeout = "60s",
    rows: Annotated[int, typer.Option(min=1, help="Most rows that a table shows.")] = 1000,
    user: As = None,
    provenance: Annotated[
        Account | None, typer.Option(help="Say on standard error where the answer came from, by source.")
    ] = None,
    max_age: MaxAge = "",
) -> None:
    """Answer one SELECT."""
    from api.ask import Asking, ask

    if output is None and form in (Format.arrow, Format.parquet) and sys.stdout.isatty():
        raise typer.BadParameter(f"{form.value} is not for a terminal: add --output FILE", param_hint="--format")
    if output is not None and form is Format.table:
        raise typer.BadParameter(
            "a table is for the terminal: choose another format for --output", param_hint="--format"
        )
    text = _text(sql)
    asking = Asking(project, text, tuple(param or ()), timeout, user, max_age)
    told = provenance.value if provenance is not None else ""
    _guarded(lambda: ask(asking, form.value, output, rows, told), text)


@app.command()
def explain(
    sql: Sql,
    project: Folder = HERE,
    analyze: Annotated[bool, typer.Option("--analyze", help="Run it too, and count.")] = False,
    as_json: AsJson = False,
    param: Params = None,
    timeout: Timeout = "60s",
    user: As = None,
    max_age: MaxAge = "",
) -> None:
    """Show how a SELECT is answered: what each source is asked, what is merged where, and why."""
    from api.ask import Asking, explain_it

    text = _text(sql)
    asking = Asking(project, text, tuple(param or ()), timeout, user, max_age)
    _guarded(lambda: explain_it(asking, analyze, as_json), text)


@app.command()
def sources(project: Folder = HERE, as_json: AsJson = False) -> None:
    """List the sources: what they are, whether they can be reached, what their owners allow."""
    from api.listing import sources as listed

    _guarded(lambda: listed(project, as_json))


@app.command()
def source(
    do: Annotated[Doing, typer.Argument(help="test: reach it, and say how.")],
    name: Annotated[str, typer.Argument(help="Which source.", metavar="NAME")],
    project: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Reach one source alone: what and who answers, TLS in use, clock, tables, and what its owner allows."""
    from api.reach import test as reach

    assert do is Doing.test  # noqa: S101 -- there is no other
    _guarded(lambda: reach(project, name, as_json))


@app.command()
def views(project: Folder = HERE, as_json: AsJson = False) -> None:
    """List the views that are served."""
    from api.listing import views as listed

    _guarded(lambda: listed(project, as_json))


@app.command()
def why(
    view: Annotated[str, typer.Argument(help="The rule set: schema.view.", metavar="RULES")],
    key: Annotated[list[str], typer.Argument(help="The subject, such as customer_id=17.", metavar="COLUMN=VALUE...")],
    decision: Annotated[str, typer.Option(help="Only this decision.", metavar="NAME")] = "",
    project: Folder = HERE,
    as_json: AsJson = False,
    timeout: Timeout = "60s",
    user: As = None,
    max_age: MaxAge = "",
) -> None:
    """Tell why a subject is decided about as it is: rules that fired or not, conditions, facts and their ages."""
    from api.ask import Asking
    from api.rules.commands import explain

    asking = Asking(project, "", (), timeout, user, max_age)
    _guarded(lambda: explain(asking, view, key, decision, as_json))


@app.command()
def test(
    rules: Annotated[list[str] | None, typer.Argument(help="Only these rule sets.", metavar="[RULES...]")] = None,
    project: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Try the tests of rule sets on made-up subjects; no source is asked for a row."""
    from api.rules.commands import test as run

    _guarded(lambda: run(project, rules or (), as_json))


@app.command()
def probe(
    source: Annotated[str, typer.Argument(help="Whose engine is tried.", metavar="SOURCE")],
    project: Folder = HERE,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the statements; send none.")] = False,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
    most: Annotated[int, typer.Option(min=1, help="Statements at most.")] = 1000,
) -> None:
    """Try what a source computes as PostgreSQL does, by statements over constants; write profiles/<source>.yml."""
    from api.probe.command import Wanted
    from api.probe.command import probe as run

    _guarded(lambda: run(Wanted(project, source, seed, most, dry_run, as_json)))


@app.command()
def serve(project: Folder = HERE) -> None:
    """Serve SQL and GraphQL until Ctrl-C."""
    from api.serve import serve as run

    _guarded(lambda: run(project))


@app.command()
def schema(which: Annotated[Which, typer.Argument(help="Which file.")]) -> None:
    """Print the JSON Schema of vdw.yml, or of another kind of file."""
    from views import schema as schemas

    typer.echo(schemas.text(which.value), nl=False)


operator_commands.add(app, _guarded)
watch_commands.add(app, _guarded)
owned_commands.add(app, _guarded)
new.add(app, _guarded)


def _text(sql: str) -> str:
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise typer.BadParameter("there is no SQL", param_hint="SQL")
    return text
