"""What a capability table claims, one text for each claim, as a profile's file lists them; and a table cut to some."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from connectors.base import Collation
from connectors.capability.rules import Capability, Rule, Signature, V

# How an engine is written to, which is nobody's to prove: the statements that try the claims are written so too.
MANNERS = frozenset(
    ("typed", "casts parameters", "hashes in", "keys as json", "boundaries", "conditions", "null keys first")
)
COLLATIONS = (Collation.BYTES, Collation.EQUAL, Collation.LOOSE)
# What looks at texts as their collation does; all else takes them as they are.
COLLATED = frozenset(
    "= <> < <= > >= in notin any like notlike ilike notilike nullif greatest least replace strpos translate".split()
) | {"is distinct", "is not distinct", "starts_with", "split_part", "btrim", "ltrim", "rtrim", "min", "max"}
_TEXTUAL = frozenset(("text", "bpchar", "array of text"))


def scalar(signature: Signature, collation: Collation | None = None) -> str:
    """The claim of an operator, function or cast, of texts by collation: `=(int, int)`, `length(text) at loose`."""
    op, *kinds = signature
    return f"{op}({', '.join(kinds)})" + ("" if collation is None else f" at {collation.value}")


def aggregate(signature: Signature, collation: Collation | None = None) -> str:
    """The claim of an aggregate: `aggregate sum(int4)`, `aggregate count distinct(text) at bytes`."""
    return "aggregate " + scalar(signature, collation)


def keyed(family: str, collation: Collation | None = None) -> str:
    """The claim that equal values make a group, and no others."""
    return _at(f"group by {family}", collation)


def sorted_by(family: str, collation: Collation | None = None) -> str:
    """The claim that values sort as the canon's."""
    return _at(f"order by {family}", collation)


def feature(name: str) -> str:
    """The claim of a clause: LIMIT, joins, set operations."""
    return f"feature {name}"


def _at(text: str, collation: Collation | None) -> str:
    return text if collation is None else f"{text} at {collation.value}"


def textual(kinds: Collection[str]) -> bool:
    """Whether these families compare by a collation."""
    return not _TEXTUAL.isdisjoint(kinds)


def collations(kinds: Collection[str], verdicts: tuple[V, V, V]) -> tuple[Collation | None, ...]:
    """Those under which something is claimed; (None,) where no text is."""
    if not textual(kinds):
        return (None,)
    return tuple(c for c, verdict in zip(COLLATIONS, verdicts, strict=True) if verdict is not V.NO)


def claims(table: Capability) -> Iterator[str]:
    """All that a table claims."""
    for signature, rule in table.scalars.items():
        yield from (scalar(signature, c) for c in collations(signature[1:], rule.verdicts))
    for signature, rule in table.aggregates.items():
        yield from (aggregate(signature, c) for c in collations(signature[1:], rule.verdicts))
    for write, kinds in ((keyed, table.keys), (sorted_by, table.order)):
        for kind, verdicts in kinds.items():
            yield from (write(kind, c) for c in collations((kind,), verdicts))
    yield from (feature(name) for name in sorted(table.features - MANNERS))


def cut(table: Capability, proven: Collection[str]) -> Capability:
    """The table with the claims among `proven` alone."""

    def left(write: str, kinds: Collection[str], verdicts: tuple[V, V, V]) -> tuple[V, V, V]:
        if not textual(kinds):
            return verdicts if write in proven else (V.NO, V.NO, V.NO)
        kept = (v if f"{write} at {c.value}" in proven else V.NO for c, v in zip(COLLATIONS, verdicts, strict=True))
        bytes_, equal, loose = kept
        return bytes_, equal, loose

    def rules(given: dict[Signature, Rule], write: str) -> dict[Signature, Rule]:
        made = {s: replace(r, verdicts=left(write + scalar(s), s[1:], r.verdicts)) for s, r in given.items()}
        return {s: r for s, r in made.items() if any(r.verdicts)}

    def kinds(given: dict[str, tuple[V, V, V]], write: str) -> dict[str, tuple[V, V, V]]:
        made = {kind: left(f"{write} {kind}", (kind,), verdicts) for kind, verdicts in given.items()}
        return {kind: verdicts for kind, verdicts in made.items() if any(verdicts)}

    def kept(name: str) -> bool:
        return name in MANNERS or feature(name) in proven

    return replace(
        table,
        scalars=rules(table.scalars, ""),
        aggregates=rules(table.aggregates, "aggregate "),
        keys=kinds(table.keys, "group by"),
        order=kinds(table.order, "order by"),
        features=frozenset(name for name in (*table.features, *MANNERS.intersection(proven)) if kept(name)),
    )
