"""What `vdw why` and `vdw test` do: open the project, ask the rules, tell what they say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from api import console, interrupt
from api.ask import Asking, listed, opened
from api.rules.trial import Outcome, tests
from api.rules.why import Known, Tried, Why, shown, why
from connectors.base import Cancel
from connectors.errors import QueryError
from federation.freshness.provenance import duration

_MARKS = {
    "chosen": ("✓", "bold green"),
    "outranked": ("·", "green"),
    "failed": ("✗", "red"),
    "not in force": ("-", "dim"),
}


def explain(asking: Asking, view: str, key: Sequence[str], only: str, as_json: bool) -> int:
    """Print why one subject is decided about as it is; the exit code."""
    values = dict(_pair(one) for one in key)

    async def work(cancel: Cancel) -> int:
        async with opened(asking.project, True) as (runtime, _):
            told = await why(runtime.engine, runtime.canon, view, values, asking.session(runtime), cancel)
        if told is None:
            place = ", ".join(f"{name} = {value}" for name, value in values.items())
            raise QueryError(f"{view} is about no subject with {place}", sqlstate="02000")
        if as_json:
            typer.echo(listed(told.json()))
        else:
            _print(told, only)
        console.provenance(told.sources)
        return 0

    return interrupt.run(work)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f'"{text}" is not COLUMN=VALUE', param_hint="KEY")
    return name.strip(), value


def _print(told: Why, only: str) -> None:
    out = Console(highlight=False, soft_wrap=True)
    out.print(Text(f"{told.view}, {', '.join(f'{name} = {value}' for name, value in told.key.items())}", "bold"))
    for decision, rules in told.decisions():
        if only in ("", decision):
            _decision(out, decision, rules)
    for decision, reason in told.aside.items():
        out.print(
            Text.assemble((f"\n{decision}: ", "bold"), ("not served", "bold red"), f", {console.printable(reason)}")
        )
    out.print(Text("\nfacts", "bold"))
    used = {name for one in told.rules if only in ("", one.decision) for name in one.facts}
    for fact in told.facts:
        if fact.name in used:
            out.print(Text(f"  {console.printable(_fact(fact))}"))


def _decision(out: Console, decision: str, rules: Sequence[Tried]) -> None:
    chosen = next((one for one in rules if one.state == "chosen"), None)
    result = f"{shown(chosen.outcome)}, by rule {chosen.rule}" if chosen is not None else "no rule fires"
    out.print(Text.assemble((f"\n{decision}: ", "bold"), console.printable(result)))
    for reason in chosen.reasons if chosen is not None else ():
        out.print(Text(f"    {console.printable(reason)}"))
    for one in rules:
        mark, colour = _MARKS.get(one.state, ("?", "yellow"))
        out.print(
            Text.assemble("  ", (mark, colour), f" {one.rule} ({one.priority}): {console.printable(_state(one))}")
        )


def _state(one: Tried) -> str:
    if one.state == "outranked":
        return f"fires, and {one.chosen} comes before it"
    if one.state == "not in force":
        return f"not in force (from {one.valid_from or 'always'}, until {one.valid_until or 'always'})"
    if one.state == "chosen":
        return "fires, and is chosen"
    facts = ", ".join(f"{name} = {shown(fact)}" for name, fact in one.facts.items())
    several = len(one.failed) > 1
    verb = "is unknown" if one.state == "unknown" else "do not hold" if several else "does not hold"
    return f"{'; '.join(one.failed)} {verb}" + (f" ({facts})" if facts else "")


def _fact(fact: Known) -> str:
    origin = f", of {', '.join(fact.origins)}" if fact.origins else ""
    if fact.missing:
        return f"{fact.name} = {shown(fact.value)}{origin}; {', '.join(fact.missing)} is down, and it is left out"
    ages = ", ".join(
        f"{one.source} {'of unknown age' if one.age is None else f'{duration(one.age)} old'}" for one in fact.sources
    )
    return f"{fact.name} = {shown(fact.value)}{origin}" + (f"; {ages}" if ages else "")


def test(project: Path, only: Sequence[str], as_json: bool) -> int:
    """Try the rules' tests; exit code 1 where one fails."""

    async def work(_cancel: Cancel) -> int:
        async with opened(project, True) as (runtime, _):
            found = await tests(runtime, only)
        failed = sum(not one.passed for one in found)
        if as_json:
            typer.echo(listed({"version": 1, "ok": not failed, "tests": [one.json() for one in found]}))
        else:
            _results(found)
            console.note(f"{console.count(len(found), 'test')}, {failed} failed")
        return 1 if failed else 0

    return interrupt.run(work)


def _results(found: Iterable[Outcome]) -> None:
    out = Console(highlight=False, soft_wrap=True)
    for one in found:
        mark = ("ok    ", "green") if one.passed else ("FAILED", "bold red")
        out.print(Text.assemble(mark, f" {one.place} {console.printable(one.name)}"))
        for line in one.faults:
            colour = {"  -": "green", "  +": "red"}.get(line[:3], "")
            out.print(Text(f"    {console.printable(line)}", colour))
