"""Documents and variables that cost a careless server seconds; each has to be refused, and cheaply."""

from __future__ import annotations

from typing import Any

INTROSPECTION_CIRCLE = "{__schema{types{fields{type{fields{type{fields{type{fields{name}}}}}}}}}}"


def _fragments(levels: int) -> str:
    """2^levels fields out of a few hundred bytes."""
    chain = " ".join(f"fragment F{i} on CrmCustomers {{ ...F{i + 1} ...F{i + 1} }}" for i in range(levels))
    return f"{{ crmCustomers {{ ...F0 }} }} {chain} fragment F{levels} on CrmCustomers {{ name }}"


def _nested_pairs(levels: int) -> str:
    """Each level selects the same field twice, by fragments: pairs of pairs for a naive merge check."""
    parts = []
    for i in range(levels):
        one, other = ("Customer", "orders") if i % 2 else ("Order", "customer")
        name = "CrmCustomers" if one == "Customer" else "ShopOrders"
        parts.append(f"fragment P{i} on {name} {{ {other} {{ ...P{i + 1} }} {other} {{ ...P{i + 1} }} }}")
    last = "CrmCustomers" if levels % 2 else "ShopOrders"
    return f"{{ shopOrders {{ ...P0 }} }} {' '.join(parts)} fragment P{levels} on {last} {{ customerId }}"


def _pairs(levels: int) -> str:
    """The same without fragments."""
    text = "customerId"
    for level in range(levels - 1, -1, -1):
        name = "shopOrders" if level == 0 else ("customer", "orders")[(level + 1) % 2]
        text = f"{name}{{{text}}}{name}{{{text}}}"
    return text


def documents() -> dict[str, str]:
    """Attacks that stand in the document alone, by name."""
    deep = "customer{orders{" * 40
    return {
        "aliases": "{" + " ".join(f"a{i}: crmCustomers {{ name }}" for i in range(1000)) + "}",
        "aliases inside": "{crmCustomers{" + " ".join(f"a{i}: name" for i in range(1000)) + "}}",
        "repeated field": "{crmCustomers{" + "name " * 2400 + "}}",
        "repeated root": "{" + "crmCustomers{name} " * 1000 + "}",
        "repeated in fragments": "{crmCustomers{"
        + " ".join(f"...R{i}" for i in range(45))
        + "}} "
        + " ".join(f"fragment R{i} on CrmCustomers {{ {'name ' * 9} }}" for i in range(45)),
        "repeated in inline fragments": "{crmCustomers{" + "...{name}" * 1200 + "}}",
        "pairs of pairs": "{" + _pairs(9) + "}",
        "directives": "{crmCustomers{name " + "@include(if: true) " * 600 + "}}",
        "unknown directives": "{crmCustomers{name " + "@a " * 1500 + "}}",
        "depth": "{shopOrders{" + deep + "orderId" + "}}" * 40 + "}}",
        "depth beyond the parser": "{" * 2400,
        "lists in lists": "{crmCustomers(where: " + "[" * 2400 + ") {name}}",
        "deep literal": "{crmCustomers(where: " + "{_not: " * 200 + "{}" + "}" * 200 + ") {name}}",
        "cost": "{shopOrders{customer{orders{customer{orders{lines{sku}}}}}}}" * 1,
        "fragments 2^25": _fragments(25),
        "fragments 2^40": _fragments(40),
        "circle": "{crmCustomers{...A}} fragment A on CrmCustomers{...B} fragment B on CrmCustomers{...A}",
        "circle in itself": "{crmCustomers{...A}} fragment A on CrmCustomers{orders{customer{...A}}}",
        "unused circle": "{crmCustomers{name}} fragment A on CrmCustomers{...A}",
        "unknown fragment": "{crmCustomers{...Nobody}}",
        "nested pairs": _nested_pairs(14),
        "many fragments": "{crmCustomers{name}}" + " fragment F on CrmCustomers{name}" * 300,
        "circular introspection": INTROSPECTION_CIRCLE,
        "unknown fields": "{crmCustomers{" + " ".join(f"nam{i}" for i in range(1200)) + "}}",
        "15,000 items": "{crmCustomers(where:{customerId:{_in:[" + "1," * 15000 + "]}}){name}}",
        "1,500 items": "{crmCustomers(where:{customerId:{_in:[" + "1," * 1500 + "]}}){name}}",
        "variables": "query(" + " ".join(f"$v{i}: Int" for i in range(1200)) + "){crmCustomers{name}}",
        "strings": '{crmCustomers(where:{name:{_eq:"' + "x" * 210_000 + '"}}){name}}',
        "comments": "#" * 95_000 + "\n{",
        "commas": "," * 99_000,
        "operations": " ".join(f"query Q{i}{{crmCustomers{{name}}}}" for i in range(600)),
        "block string": '{crmCustomers(where:{name:{_eq:"""' + "\n a" * 32_000 + '"""}}){name',
    }


def nested(levels: int) -> dict[str, Any]:
    """A filter of that many levels."""
    where: dict[str, Any] = {}
    for _ in range(levels):
        where = {"_not": where}
    return where


FILTER = "query($w: CrmCustomersFilter){crmCustomers(where:$w){name}}"


def variables() -> dict[str, dict[str, Any]]:
    """Attacks in the variables of `FILTER`, by name."""
    return {
        "deep": {"w": nested(200)},
        "wide": {"w": {"_or": [{"customerId": {"_eq": i}} for i in range(3000)]}},
        "15,000 items": {"w": {"customerId": {"_in": list(range(15_000))}}},
        "null": {"w": {"customerId": {"_eq": None}}},
        "empty": {"w": {"customerId": {}}},
        "null comparison": {"w": {"customerId": None}},
        "nul": {"w": {"name": {"_eq": "a\0"}}},
    }
