"""Composes the project: python -m examples.tryton.build --into FOLDER.

The mapping of this folder takes the place of examples/crm's sources; every view, rule and dashboard of examples/crm
that can stand on it is copied as it is. What cannot, as it reads what the ERP has not, is left out and told.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from examples.crm import build as crm
from views import text
from views.load import load
from views.project import Diagnostic

HERE = Path(__file__).resolve().parent
UPPER = ("views", "rules", "dashboards")  # of examples/crm, where there are any
OWN = ("vdw.yml", "sources", "views")


def compose(into: Path) -> tuple[list[str], dict[str, str]]:
    """Make FOLDER the project; gives the files of examples/crm that stand in it, and why each other one does not."""
    into.mkdir(parents=True, exist_ok=True)
    for name in {*UPPER, *OWN}:
        shutil.rmtree(into / name, ignore_errors=True)
    for name in UPPER:
        if (crm.HERE / name).exists():
            shutil.copytree(crm.HERE / name, into / name)
    taken = {path.relative_to(into).as_posix() for name in UPPER for path in (into / name).rglob("*.*")}
    for name in OWN:
        copy = shutil.copytree if (HERE / name).is_dir() else shutil.copyfile
        copy(HERE / name, into / name, **({"dirs_exist_ok": True} if (HERE / name).is_dir() else {}))
    crm.password(into / "secrets" / "analyst")
    taken -= _mapping()
    left = dict(_take_out(into, taken))
    return sorted(taken - left.keys()), left


def _mapping() -> set[str]:
    return {path.relative_to(HERE).as_posix() for path in (HERE / "views").rglob("*.sql")}


def _take_out(into: Path, upper: set[str]) -> Iterator[tuple[str, str]]:
    """Remove, one layer after another, what reads or links to something that is not there."""
    while faults := [one for one in _faults(into) if one.file in upper and (into / one.file).exists()]:
        for one in faults:
            if (into / one.file).exists():
                (into / one.file).unlink()
                yield one.file, one.message


def _faults(into: Path) -> list[Diagnostic]:
    """What is wrong with views and rules; once nothing is, the panels that ask for what is not there."""
    project = load(into)
    wrong = [one for one in project.diagnostics if one.severity == "error"]
    known = {view.key for view in project.views}
    if not wrong:
        for panel in project.statements:
            reads = text.read(re.sub(r"\$\d+", "NULL", panel.sql)).reads  # parameters are no part of a view
            lacking = sorted(name for name in reads - known if name[0] not in project.sources)
            wrong += [
                Diagnostic("error", panel.file, panel.line, f'there is no "{".".join(name)}"') for name in lacking
            ]
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.tryton.build", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER")
    said = parser.parse_args(arguments)
    stand, left = compose(said.into)
    mapping = [HERE / name for name in sorted(_mapping())]
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in mapping)
    print(f"{len(mapping)} views of the mapping, {lines} lines; on them stand {len(stand)} files of examples/crm:")
    print("".join(f"  {name}\n" for name in stand), end="")
    if left:
        print(f"{len(left)} files cannot:")
        print("".join(f"  {name}: {reason}\n" for name, reason in sorted(left.items())), end="")
    print(f"built in {said.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
