"""Random ways to the same answer: rules left out, statistics that lie, other batches of keys, either merge engine."""

from __future__ import annotations

import random

from tests.differential.suite import KNOBS, RULE_NAMES, How

_MERGES = tuple(name for name in KNOBS if name.startswith("merged"))
_KEYS = tuple(name for name in KNOBS if "keys" in name)
LIES = 3  # different lies in a round; each is a catalog of its own, whose views are bound anew


def draw(r: random.Random) -> How:
    """One way; a third of them as planned."""
    if r.random() < 0.3:
        return How()
    off = frozenset[str]()
    luck = r.random()
    if luck < 0.3:
        off = frozenset((r.choice(RULE_NAMES),))
    elif luck < 0.5:
        off = frozenset(r.sample(RULE_NAMES, r.randint(2, len(RULE_NAMES))))
    knobs = [r.choice(names) for names in (_MERGES, _KEYS) if names and r.random() < 0.5]
    return How(off, tuple(knobs), r.randint(1, LIES) if r.random() < 0.5 else 0)


def simpler(how: How) -> list[How]:
    """Ways that differ less from the plain one, the plainest first."""
    found = [How()]
    found += [How(how.off, how.knobs)] if how.lies else []
    found += [How(how.off - {name}, how.knobs, how.lies) for name in sorted(how.off)]
    found += [How(how.off, tuple(k for k in how.knobs if k != knob), how.lies) for knob in how.knobs]
    return [h for h in dict.fromkeys(found) if h != how]
