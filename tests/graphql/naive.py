"""Random questions, and their naive evaluation over the same rows in Python."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.graphql import oracle

Row = dict[str, Any]
Selection = dict[str, Any]
ROWS: dict[str, list[Row]] = {}
NAMES = {"crmCustomers": "CrmCustomers", "shopOrders": "ShopOrders", "lines": "ShopLines"}
FIELDS = {
    "crmCustomers": {"customerId": int, "name": str, "small": int, "vip": bool, "balance": Decimal},
    "shopOrders": {"orderId": int, "customerId": int, "total": Decimal, "status": str},
    "lines": {"orderId": int, "line": int, "sku": str},
}
EDGES = {
    "crmCustomers": {"orders": ("shopOrders", "customerId", "customerId", True)},
    "shopOrders": {
        "customer": ("crmCustomers", "customerId", "customerId", False),
        "lines": ("lines", "orderId", "orderId", True),
    },
    "lines": {},
}
KEYS = {"crmCustomers": ["customerId"], "shopOrders": ["orderId"], "lines": ["orderId", "line"]}


def _load() -> None:
    names = {"customer_id": "customerId", "order_id": "orderId"}
    for key, columns, rows in (
        ("crmCustomers", oracle.CUSTOMERS, oracle.customers(40)),
        ("shopOrders", oracle.ORDERS, oracle.orders(120)),
        ("lines", oracle.LINES, oracle.lines(120)),
    ):
        ROWS[key] = [{names.get(c, c): v for (c, _), v in zip(columns, row, strict=True)} for row in rows]


_load()

VALUES = {
    int: st.integers(-2, 45),
    str: st.sampled_from(
        [*[n for n in oracle.NAMES if n is not None], "open", "paid", "sku1", "sku3", "%o%", "b_b", "\\%"]
    ),
    bool: st.booleans(),
    Decimal: st.decimals(-4, 11, places=2),
}
ORDERED = {"_eq": "==", "_neq": "!=", "_gt": ">", "_gte": ">=", "_lt": "<", "_lte": "<="}


@st.composite
def comparisons(draw: Any, kind: type) -> dict[str, Any]:
    operators = [
        *ORDERED,
        "_in",
        "_nin",
        "_is_null",
        *(["_like", "_ilike", "_nlike", "_nilike"] if kind is str else []),
    ]
    made: dict[str, Any] = {}
    for operator in draw(st.lists(st.sampled_from(operators), min_size=1, max_size=2, unique=True)):
        if operator == "_is_null":
            made[operator] = draw(st.booleans())
        elif operator in ("_in", "_nin"):
            made[operator] = draw(st.lists(VALUES[kind], max_size=4))
        else:
            made[operator] = draw(VALUES[kind])
    return made


@st.composite
def filters(draw: Any, of: str, depth: int = 2) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(list(FIELDS[of])), max_size=2, unique=True)):
        made[name] = draw(comparisons(FIELDS[of][name]))
    if depth:
        for name in draw(st.lists(st.sampled_from(["_and", "_or", "_not", *EDGES[of]]), max_size=2, unique=True)):
            if name in ("_and", "_or"):
                made[name] = draw(st.lists(filters(of, depth - 1), max_size=3))
            else:
                made[name] = draw(filters(of if name == "_not" else EDGES[of][name][0], depth - 1))
    return made


@st.composite
def selections(draw: Any, of: str, depth: int = 2) -> dict[str, Any]:
    """fields: response key -> field; edges: response key -> (edge, arguments, selection)."""
    fields = draw(st.lists(st.sampled_from([*FIELDS[of], "__typename"]), min_size=1, max_size=4, unique=True))
    made: dict[str, Any] = {"of": of, "fields": {f"k{i}" if i % 2 else f: f for i, f in enumerate(fields)}, "edges": {}}
    if depth and EDGES[of]:
        for name in draw(st.lists(st.sampled_from(list(EDGES[of])), max_size=2, unique=True)):
            to, _, _, many = EDGES[of][name]
            arguments = draw(bounds(to, depth - 1)) if many else {}
            made["edges"][f"e_{name}"] = (name, arguments, draw(selections(to, depth - 1)))
    return made


@st.composite
def bounds(draw: Any, of: str, depth: int = 2) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(list(FIELDS[of])), max_size=2, unique=True))
    order = [{name: draw(st.sampled_from(list(DIRECTIONS)))} for name in names]
    order += [{key: "asc"} for key in KEYS[of]]
    made: dict[str, Any] = {"orderBy": order}
    if draw(st.booleans()):
        made["where"] = draw(filters(of, depth))
    if draw(st.booleans()):
        made["limit"] = draw(st.integers(0, 30))
    if draw(st.booleans()):
        made["offset"] = draw(st.integers(0, 5))
    return made


DIRECTIONS = {
    "asc": (False, False),
    "desc": (True, True),
    "asc_nulls_first": (False, True),
    "desc_nulls_last": (True, False),
}


def document(selection: Selection, arguments: dict[str, Any], root: str) -> tuple[str, dict[str, Any]]:
    """The question and its variables."""
    variables: dict[str, Any] = {}
    types: dict[str, str] = {}
    body = text(selection, arguments, root, variables, types)
    return f"query({', '.join(f'${k}: {v}' for k, v in types.items())}) {{ {body} }}", sent(variables)


def text(
    selection: Selection, arguments: dict[str, Any], root: str, variables: dict[str, Any], types: dict[str, str]
) -> str:
    """The document's piece; arguments become variables."""
    given = []
    for name, value in arguments.items():
        variable = f"v{len(variables)}"
        kind = NAMES[selection["of"]]
        types[variable] = {"where": f"{kind}Filter", "orderBy": f"[{kind}Order!]"}.get(name, "Int")
        variables[variable] = value
        given.append(f"{name}: ${variable}")
    inside = [f"{key}: {field}" for key, field in selection["fields"].items()]
    inside += [text(s, a, f"{key}: {edge}", variables, types) for key, (edge, a, s) in selection["edges"].items()]
    return f"{root}{'(' + ', '.join(given) + ')' if given else ''} {{ {' '.join(inside)} }}"


def sent(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {k: sent(v) for k, v in value.items()}
    if isinstance(value, list):
        return [sent(v) for v in value]
    return str(value) if isinstance(value, Decimal) else value


def like(value: str, pattern: str, fold: bool) -> bool:
    parts = re.findall(r"\\.|%|_|[^\\%_]|\\$", pattern, re.S)
    regex = "".join({"%": ".*", "_": "."}.get(p, re.escape(p[-1])) for p in parts)
    return re.fullmatch(regex, value, re.S | (re.I if fold else 0)) is not None


def compares(row: Row, name: str, operator: str, value: Any) -> bool | None:
    """Three-valued."""
    own = row[name]
    if operator == "_is_null":
        return (own is None) == value
    if operator in ("_in", "_nin") and not value:
        return operator == "_nin"
    if own is None:
        return None
    if operator in ("_in", "_nin"):
        return (own in value) == (operator == "_in")
    if operator in ORDERED:
        return bool(eval(f"a {ORDERED[operator]} b", {"a": own, "b": value}))
    return like(own, value, "ilike" in operator) != operator.startswith("_n")


def both(values: list[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def either(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def holds(row: Row, of: str, where: dict[str, Any]) -> bool | None:
    results: list[bool | None] = []
    for name, value in where.items():
        if name == "_and":
            results.append(both([holds(row, of, item) for item in value]))
        elif name == "_or":
            results.append(either([holds(row, of, item) for item in value]))
        elif name == "_not":
            inner = holds(row, of, value)
            results.append(None if inner is None else not inner)
        elif name in EDGES[of]:
            results.append(any(holds(other, EDGES[of][name][0], value) for other in linked(row, of, name)))
        else:
            results.append(both([compares(row, name, operator, item) for operator, item in value.items()]))
    return both(results)


def linked(row: Row, of: str, edge: str) -> list[Row]:
    to, own, other, _ = EDGES[of][edge]
    return [r for r in ROWS[to] if row[own] is not None and r[other] == row[own]]


def arranged(rows: list[Row], of: str, arguments: dict[str, Any]) -> list[Row]:
    kept = [row for row in rows if holds(row, of, arguments.get("where", {}))]
    for item in reversed(arguments.get("orderBy", [])):
        [(name, direction)] = item.items()
        down, nulls_first = DIRECTIONS[direction]
        nulls = [row for row in kept if row[name] is None]
        rest = sorted((row for row in kept if row[name] is not None), key=lambda r: r[name], reverse=down)
        kept = nulls + rest if nulls_first else rest + nulls
    start = arguments.get("offset", 0)
    return kept[start : start + arguments["limit"]] if "limit" in arguments else kept[start:]


def shown(row: Row, selection: dict[str, Any]) -> Row:
    of = selection["of"]
    made: Row = {}
    for key, field in selection["fields"].items():
        made[key] = NAMES[of] if field == "__typename" else sent(row[field])
    for key, (edge, arguments, inner) in selection["edges"].items():
        to, _, _, many = EDGES[of][edge]
        rows = [shown(r, inner) for r in arranged(linked(row, of, edge), to, arguments)]
        made[key] = rows if many else (rows[0] if rows else None)
    return made


def expected(selection: Selection, arguments: dict[str, Any], root: str) -> list[Row]:
    """The answer."""
    return [shown(row, selection) for row in arranged(ROWS[root], root, arguments)]
