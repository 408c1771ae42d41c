"""What HTTP's headers say of an answer: its age, what it lacks, and where it came from by source."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from federation.freshness.provenance import Fact

LONGEST = 4_096  # characters of Vdw-Provenance; servers and proxies take 8 kB of headers in all
WHY = 120  # characters of a reason in it
_COUNTS = frozenset(("rows", "statements", "left_out"))  # known only at an answer's end


def headers(facts: Sequence[Fact], now: float | None = None) -> dict[str, str]:
    """`Vdw-Provenance` (JSON, ASCII), `Age` (seconds since the oldest was read) and, where something is past its time
    or left out, `Warning` (RFC 7234: 110, 111, 199). `now`: seconds since the epoch."""
    if not facts:
        return {}
    now = time.time() if now is None else now
    told = {"Vdw-Provenance": _compact(facts)}
    read = [fact.read_at for fact in facts if fact.read_at is not None]
    if read:
        told["Age"] = str(max(0, int(now - min(read))))
    warnings = [text for fact in facts for text in _warnings(fact)]
    return {**told, "Warning": ", ".join(warnings)} if warnings else told


def _compact(facts: Sequence[Fact]) -> str:
    """As many of the facts as there is room for, the ones that matter most first; `more` counts the others."""
    listed = sorted(facts, key=lambda fact: (not fact.warning, fact.source))
    shown: list[dict[str, Any]] = []
    size = 2
    for at, fact in enumerate(listed):
        told = {key: value for key, value in fact.json().items() if value not in (None, [], {}) and key not in _COUNTS}
        if "why" in told:
            told["why"] = told["why"][:WHY]
        size += len(json.dumps(told, separators=(",", ":"))) + 1
        if size > LONGEST - 32:
            shown.append({"more": len(listed) - at})
            break
        shown.append(told)
    return json.dumps(shown, separators=(",", ":"))


def _warnings(fact: Fact) -> list[str]:
    if fact.missing:
        return [f"199 vdw {_quoted(fact.warning)}"]
    found = [f"199 vdw {_quoted(text)}" for text in (fact.left_out_told,) if text]
    if fact.origin == "stale":
        found = ['110 vdw "Response is Stale"', *found]
        found += ['111 vdw "Revalidation Failed"'] if fact.why else []
    return found


def _quoted(text: str) -> str:
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    return f'"{plain[:WHY]}"'
