"""What is at fault in a rule set, rule by rule, and what is left of it to be served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from connectors.errors import QueryError
from federation.canon import marked
from planner.statement import Statement
from views.project import Diagnostic, ViewDraft
from views.rules import RuleDraft

Analyse = Callable[[str], Awaitable[Statement]]
Told = Callable[[ViewDraft, QueryError, tuple[int, int]], Diagnostic]
SPLIT = "split the rule set, or bring what its rules compute into the subject's view"


async def rest(
    draft: RuleDraft, fault: Diagnostic, analyse: Analyse, told: Told
) -> tuple[RuleDraft | None, Diagnostic, list[Diagnostic]]:
    """What is left of a rule set without the decisions that have a rule at fault, where that is nothing the set's own
    fault, and the rules'. Each rule is analysed by itself, so that every fault is told at its place."""
    stand = draft.stand()
    try:
        await analyse(str(stand))
    except QueryError as error:
        return None, told(draft, error, draft.placed(stand, error.position)), []
    faults: dict[int, str] = {}
    found: list[Diagnostic] = []
    for clause, text in draft.probes():
        why: QueryError | None = None
        try:
            if (await analyse(str(text))).session:
                why = QueryError("it reads the session or PostgreSQL's own state")
        except QueryError as error:
            why = error
        if why is not None:
            faults[clause.number] = why.message
            found.append(draft.fault(text, clause, why))
    left = draft.without(faults) if faults else None
    if not faults and len(draft.query) > marked.LONGEST:
        fault = replace(fault, remedy=SPLIT)
    if faults and left is None:
        message = f"{draft.full_name}: no decision can be served"
        fault = Diagnostic("error", draft.file, 1, message, "correct the rules")
    return left, fault, found


def fleeting(statement: Statement, draft: ViewDraft) -> bool:
    """Whether a view may hold the moment at which it was loaded; texts for people hold such words, too."""
    if not isinstance(draft, RuleDraft):
        return statement.fleeting
    return not draft.why and any(marked.fleeting(text, True) for text in draft.expressions)
