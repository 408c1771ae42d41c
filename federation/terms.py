"""On which terms the catalog lets a plan's answer be fetched and kept: TTL, timeout, what may be shared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cache.results import Keep
from connectors.errors import LimitExceeded
from federation import budgets
from federation.deadline import Deadline
from federation.freshness.down import Policy, aside, policies, readers
from federation.gate.turns import Kind
from federation.result import Part
from federation.session import Session
from federation.steps import Step
from planner.plan import Fragment, Plan
from planner.statement import Statement
from views.catalog import CLASSES, SYSTEM, Catalog, View

# Functions whose answer is another one each time, or in each session. now() is among them: it stands for a moment.
_VOLATILE = re.compile(
    r"\b(?:random|random_normal|gen_random_uuid|uuidv[47]|now|clock_timestamp|statement_timestamp|transaction_timestamp"
    r"|timeofday|nextval|currval|lastval|setval|set_config|current_setting|pg_sleep\w*|pg_backend_pid|txid_current\w*"
    r"|pg_current_xact_id\w*|current_schemas?|inet_\w+|pg_notify|age|pg_\w*advisory\w*|pg_stat_\w+)\s*\("
    r"|\b(?:CURRENT_TIMESTAMP|CURRENT_TIME|CURRENT_DATE|LOCALTIMESTAMP|LOCALTIME)\b",
    re.IGNORECASE,
)

NEVER = Keep(0.0)
EXTRACT = 20_000  # rows from which a fragment is an extract, which stands back behind lookups and reports


@dataclass(frozen=True, slots=True)
class Terms:
    """`ttl`: seconds that the answer may be kept; `keep`: the same for the cache, which holds it as long as each of its
    parts is fresh; `timeout` the least of the views', with the view's name;
    `cacheable`: whether the same statement has the same answer for as long as the data does not change;
    `signature`: all of the statement that a cache key needs. `questions` are the steps of which only their source can
    tell whether they keep within its budget; `refused` is why the plan may not run. `most`: the view that allows the
    fewest rows of an answer. `policies`: what may be done while a source is down, where that is more than to fail;
    `readers`: the views that read it; `aside`: what rule sets are not able to decide."""

    steps: tuple[Step, ...]
    ttl: float
    cacheable: bool
    signature: str
    timeout: tuple[float, str] | None = None
    questions: tuple[Step, ...] = ()
    refused: LimitExceeded | None = None
    most: View | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep: Keep = NEVER
    aside: tuple[Part, ...] = ()

    @classmethod
    def of(cls, statement: Statement, plan: Plan, catalog: Catalog) -> Terms:
        """The terms for one plan."""
        views = catalog.views_behind(statement.relations)
        read_by = readers(statement.relations, catalog)
        policy = policies(statement.relations, catalog) if any(view.on_source_down for view in views) else {}
        steps = tuple(_step(fragment, plan, catalog, views, read_by, policy) for fragment in plan.fragments)
        timeouts = [(view.timeout, f"view {view.schema}.{view.name}") for view in views if view.timeout]
        texts = (statement.text, *(view.text for view in views))
        own = statement.session or statement.fleeting or plan.session
        volatile = own or plan.volatile or any(map(is_volatile, texts))
        # What lacks a source is for those alone who ask now: it would be taken for whole once the source is back.
        ttl = 0.0 if plan.left_out else min((step.ttl for step in steps), default=0.0)
        columns = ",".join(f"{name}:{kind.name}:{kind.mod}:{kind.oid}" for name, kind in plan.columns)
        without = ",".join(left.source for left in plan.left_out)
        signature = "\0".join(
            (made_of(statement, plan, catalog), columns, without, statement.text, *map(repr, plan.copies))
        )
        questions = tuple(s for s in steps if budgets.open_question(s.fragment, catalog.sources[s.fragment.source]))
        return cls(
            steps,
            ttl,
            bool(steps) and not volatile and all(step.fragment.source != SYSTEM for step in steps),
            signature,
            min(timeouts, default=None),
            questions,
            _refused(steps, catalog),
            budgets.strictest(views),
            policy,
            read_by,
            _whole(steps, ttl),
            aside(views),
        )

    def deadline(self, session: Session) -> Deadline:
        """When a run that starts now must have ended: the session's time or the views', whichever is less."""
        if self.timeout is not None and self.timeout[0] < session.timeout:
            return Deadline.after(*self.timeout)
        return Deadline.after(session.timeout)


def made_of(statement: Statement, plan: Plan, catalog: Catalog) -> str:
    """Of which sources and views, as they are now, an answer is made; others may change meanwhile."""
    views = catalog.views_behind(statement.relations)
    read = {*statement.relations, *(one for view in views for one in view.depends)}
    sources = {schema for schema, name in read if (schema, name) in catalog.tables}
    sources |= {fragment.source for fragment in plan.fragments}
    names = (*sources, *(f"{view.schema}.{view.name}" for view in views))
    return ",".join(f"{name}={catalog.edition(name)}" for name in sorted(names))


def is_volatile(text: str) -> bool:
    """Whether a canonical text calls what answers differently each time. (In a literal too: that costs little.)"""
    return _VOLATILE.search(text) is not None


def _refused(steps: tuple[Step, ...], catalog: Catalog) -> LimitExceeded | None:
    """The first fragment that its source's owner wants refused."""
    for step in steps:
        source = catalog.sources[step.fragment.source]
        if step.heavy and source.limits.on_budget == "error":
            return budgets.too_much(step.fragment, source, catalog)
    return None


def _step(
    fragment: Fragment,
    plan: Plan,
    catalog: Catalog,
    all_views: Sequence[View],
    read_by: Mapping[str, tuple[str, ...]],
    policies: Mapping[str, Policy],
) -> Step:
    source, policy = catalog.sources[fragment.source], policies.get(fragment.source)
    originals = _originals(fragment, plan)
    names = frozenset().union(*(read_by.get(one, ()) for one in (fragment.source, *(s for s, _ in originals))))
    views = [view for view in all_views if f"{view.schema}.{view.name}" in names]
    heavy = budgets.past(fragment, source)
    ttl = min([source.ttl, *(_most(view) for view in all_views)])
    # What may follow the ttl has to stay within the classes of those who read it too.
    room = min((CLASSES.get(view.freshness_class, math.inf) for view in all_views), default=math.inf) - ttl
    on_error = _least(source.stale_if_error, [view.stale_if_error for view in views])
    return Step(
        fragment,
        ttl,
        catalog.edition(fragment.source),
        heavy,
        _kind(fragment, heavy),
        tuple(sorted(f"{view.schema}.{view.name}" for view in views)),
        min(_least(source.stale_while_revalidate, [view.stale_while_revalidate for view in views]), room),
        min(on_error, room) if policy is None or policy.stale else 0.0,
        _tags(fragment, originals, views),
        tuple(f"{schema}.{name}" for schema, name in originals),
    )


def _most(view: View) -> float:
    """Seconds that a view's answer may be kept."""
    allowed = CLASSES.get(view.freshness_class, math.inf)
    return allowed if view.ttl is None else min(view.ttl, allowed)


def _originals(fragment: Fragment, plan: Plan) -> tuple[tuple[str, str], ...]:
    """The tables whose copies the fragment reads."""
    read = {(fragment.source, table) for table in fragment.tables}
    return tuple(original for original, copy in plan.copies if copy in read)


def _least(of_source: float, of_views: list[float | None]) -> float:
    """The least of those that are said; a source says nothing with 0."""
    said = [seconds for seconds in of_views if seconds is not None]
    return min([*said, of_source] if of_source > 0 else said, default=0.0)


def _tags(fragment: Fragment, originals: Sequence[tuple[str, str]], views: list[View]) -> frozenset[str]:
    """By what its rows can be invalidated; those of a copy also by their original."""
    tables = {*((fragment.source, table) for table in fragment.tables), *originals}
    return frozenset(
        (
            *(f"source:{source}" for source, _ in tables),
            f"source:{fragment.source}",
            *(f"table:{source}.{table}" for source, table in tables),
            *(f"view:{view.schema}.{view.name}" for view in views),
        )
    )


def _whole(steps: tuple[Step, ...], ttl: float) -> Keep:
    """The terms of an answer that may be kept for `ttl` at least."""
    longest = max((step.ttl for step in steps), default=0.0) if ttl > 0 else 0.0
    return Keep(longest, tags=frozenset().union(*(step.tags for step in steps)))


def _kind(fragment: Fragment, heavy: bool) -> Kind:
    if fragment.small and not heavy:
        return "lookup"
    return "extract" if heavy or fragment.expected.rows.likely > EXTRACT else "report"
