"""What every rule may use besides the relation that it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.estimate import Estimator
from planner.plan import Pruned
from planner.scope import Counter
from planner.values import Values
from views.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Context:
    """One run of the planner: the catalog, the values that it may look at, fresh column ids, and numbers of rows.

    `pruned` collects what rules have found to be empty.
    """

    catalog: Catalog
    values: Values
    next_id: Counter
    estimator: Estimator
    pruned: list[Pruned] = field(default_factory=list)
