"""The load receipt: what a source was asked, for whom, what it was spared and refused, beside its owner's terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.tally import SESSION
from federation.operations.ledger_store import FIGURES, Record, Shape, Spent
from federation.operations.system import Visitor
from views.catalog import Limits

TOP = 10  # offenders that a text names
BY: Mapping[str, Callable[[Shape], tuple[str, ...]]] = {
    "view": lambda shape: tuple(shape[1].split(", ")) if shape[1] else ("",),
    "user": lambda shape: (shape[2],),
    "fingerprint": lambda shape: (shape[4],),
    "protocol": lambda shape: (shape[3],),
    "kind": lambda shape: (shape[5],),
}
DRY_RUN = "dry run"
_WOULD = {
    "refuse": "would have been refused",
    "wait": "would have waited",
    "cached": "would have been answered from the cache",
}
PEAKS = ("in_flight", "waiting", "rate")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One source's, for the time from `since` until `until` (seconds since the epoch). `total` has every statement
    that was sent but those of `sessions`; each of the groups `by` what BY names adds up to it, except by view: a
    statement counts under each view that it was for."""

    source: str
    since: float
    until: float
    total: Spent
    sessions: Spent
    by: Mapping[str, Mapping[str, Spent]]
    refused: Mapping[str, int]
    texts: Mapping[str, str]
    peaks: Mapping[str, int]
    limits: Limits | None = None
    dry_run: Sequence[Mapping[str, Any]] = ()  # a server's `Shadow.report` each

    @classmethod
    def of(cls, record: Record, source: str, since: float, until: float, limits: Limits | None = None) -> Receipt:
        """Out of a ledger."""
        total, sessions = Spent(), Spent()
        groups: dict[str, dict[str, Spent]] = {name: {} for name in BY}
        for _, shape, spent in record.spent:
            if shape[0] != source:
                continue
            if shape[5] == SESSION:
                sessions.add(spent)
                continue
            total.add(spent)
            for name, keys in BY.items():
                for key in keys(shape):
                    groups[name].setdefault(key, Spent()).add(spent)
        refused: dict[str, int] = {}
        for _, shape, why, count in record.refused:
            if shape[0] == source:
                refused[why] = refused.get(why, 0) + count
        own = [peak for _, name, peak in record.peaks if name == source]
        peaks = {
            name: max((getattr(peak, name) for peak in own), default=0) for name in ("in_flight", "waiting", "rate")
        }
        dry = [{"server": by, **facts} for name, what, by, facts in record.told if (name, what) == (source, DRY_RUN)]
        return cls(source, since, until, total, sessions, groups, refused, record.texts, peaks, limits, dry)

    def json(self) -> dict[str, Any]:
        """JSON-ready; keys are only ever added."""
        return {
            "version": 1,
            "source": self.source,
            "since": _moment(self.since),
            "until": _moment(self.until),
            "total": _figures(self.total),
            "saved": self._saved(),
            "refused": [{"why": why, "count": n} for why, n in _most(self.refused.items(), lambda one: one[1])],
            "sessions": {"statements": self.sessions.statements, "ms": round(self.sessions.ms, 3)},
            "contract": self._contract(),
            **{f"by_{name}": self._group(name) for name in BY},
            "dry_run": list(self.dry_run),
        }

    def text(self, by: str | None = None) -> str:
        """Lines for a terminal; all groups or the one named."""
        total, saved = self.total, self._saved()
        lines = [
            f"Receipt of source {self.source}, {_moment(self.since)} to {_moment(self.until)}",
            f"  asked:   {_count(total.statements, 'statement')}, {total.rows:,} rows, {_size(total.bytes)}, "
            f"{_time(total.ms)}, waited {_time(total.waited)}, {_count(total.errors, 'error')}",
            f"  spared:  {_count(saved['statements'], 'statement')} ({total.hits:,} from the cache, {total.shared:,} "
            f"shared, {total.stale:,} stale, {total.contained:,} contained), about {_time(total.saved_ms)}",
            f"  refused: {sum(self.refused.values()):,}" + "".join(f"; {n:,} {w}" for w, n in self._refusals),
            f"  besides: {_count(self.sessions.statements, 'statement')} that open sessions (SET ...)",
        ]
        lines += ["", *self._contract_lines()]
        for name in [by] if by else ["view", "user", "fingerprint", "kind"]:
            lines += ["", f"By {name}, the most time first:", *self._group_lines(name)]
        for report in self.dry_run:
            lines += ["", *_dry_run_lines(report)]
        return "\n".join(lines)

    @property
    def _refusals(self) -> list[tuple[str, int]]:
        return _most(self.refused.items(), lambda one: one[1])

    def _saved(self) -> dict[str, Any]:
        asked, saved = self.total.statements, self.total.saved
        share = saved / (asked + saved) if asked + saved else 0.0
        return {"statements": saved, "ms": round(self.total.saved_ms, 3), "share": round(share, 4)}

    def _contract(self) -> dict[str, Any] | None:
        """What the owner allows, and how much of it was used at the most."""
        if self.limits is None:
            return None
        return {
            "limits": asdict(self.limits),
            "used": {
                "peak_in_flight": self.peaks["in_flight"],
                "peak_waiting": self.peaks["waiting"],
                "peak_rate": self.peaks["rate"],
            },
        }

    def _contract_lines(self) -> list[str]:
        limits, peaks = self.limits, self.peaks
        if limits is None:
            return ["No source of that name is in the project now: its owner's terms are not known."]
        rate = f"{limits.rate:g} a second" if limits.rate is not None else "any number a second"
        return [
            "Granted by the owner, and the most that was used of it:",
            f"  at once:  {limits.concurrency}, used {peaks['in_flight']}",
            f"  rate:     {rate}, used {peaks['rate']}",
            f"  waiting:  {limits.queue:,}, used {peaks['waiting']}",
            f"  a statement: {limits.timeout:g} s, {limits.rows:,} rows"
            + (f", {_size(limits.bytes)}" if limits.bytes is not None else ""),
        ]

    def _group(self, name: str) -> list[dict[str, Any]]:
        found = []
        for key, spent in _most(self.by[name].items(), lambda one: one[1].ms):
            line: dict[str, Any] = {name: key, **_figures(spent)}
            if name == "fingerprint":
                line["sql"] = self.texts.get(key, "")
            found.append(line)
        return found

    def _group_lines(self, name: str) -> list[str]:
        ranked = _most(self.by[name].items(), lambda one: one[1].ms)
        lines = []
        for key, spent in ranked[:TOP]:
            what = f"{key} {self.texts.get(key, '')}" if name == "fingerprint" else key
            share = spent.ms / self.total.ms if self.total.ms else 0.0
            figures = f"{spent.statements:>9,} {spent.rows:>12,} rows {_time(spent.ms):>9} {share:>5.0%}"
            lines.append(f"  {figures}  {spent.saved:>9,} spared  {what or '(none)'}")
        rest = len(ranked) - TOP
        return [*lines, *([f"  ... and {rest:,} more"] if rest > 0 else [])]


def visible(record: Record, visitor: Visitor) -> Record:
    """What the visitor may know of a ledger: all of it, or what was asked by them or of relations that they may read,
    others' names left out."""
    if visitor.admin:
        return record

    def mine(shape: Shape) -> Shape | None:
        if shape[2] == visitor.name:
            return shape
        named = shape[1].split(", ") if shape[1] else []
        return (*shape[:2], "", *shape[3:]) if named and all(map(visitor.may_read, named)) else None

    spent = [(minute, seen, figures) for minute, shape, figures in record.spent if (seen := mine(shape))]
    refused = [(minute, seen, why, n) for minute, shape, why, n in record.refused if (seen := mine(shape))]
    asked = {shape[4] for _, shape, _ in spent} | {shape[4] for _, shape, _, _ in refused}
    return Record(spent, refused, {k: text for k, text in record.texts.items() if k in asked}, record.peaks)


def _figures(spent: Spent) -> dict[str, Any]:
    told = {name: getattr(spent, name) for name in FIGURES}
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in told.items()}


def _most(found: Iterable[tuple[str, Any]], measure: Callable[[tuple[str, Any]], float]) -> list[tuple[str, Any]]:
    return sorted(found, key=lambda one: (-measure(one), one[0]))


def _dry_run_lines(report: Mapping[str, Any]) -> list[str]:
    """What the rules under `observe:` would have done to the statements of one server."""
    seen = _count(report["statements"], "statement")
    lines = [f"Watched only, {seen} of server {report['server']} since {_moment(report['since'])}:"]
    for rule, told in report["rules"].items():
        proposed = f" {told['proposed']:g}" if told["proposed"] is not None else ""
        count, cost = _count(told["count"], "statement"), ""
        if told["does"] == "limit":
            lines.append(f"  {rule}: now {told['limit']} at once of {told['of']}, at the least {told['least']}")
            continue
        if told["count"]:
            cost = f", {_time(told['ms'])} in all, {_time(told['most_ms'])} at the most"
        lines.append(f"  {rule}{proposed}: {count} {_WOULD[told['does']]}{cost}")
    return lines


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 100_000 else f"{size / 1_000:,.1f} kB"


def _time(ms: float) -> str:
    return f"{ms / 1000:,.1f} s" if ms >= 1000 else f"{ms:,.1f} ms"
