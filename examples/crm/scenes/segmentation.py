"""Customer segmentation as a service: RFM and value as of any day in SQL and GraphQL; a file that is sent, segmented,
asked as a table, and whose segments classify new customers at once."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from typing import Any

import httpx

from examples.crm.printing import table
from examples.crm.tour import Desk, Graphql, Live, Oracle, Question, Sql

TITLE = "Customer segmentation as a service"

AS_OF = """\
SELECT segment, count(*) AS customers, round(avg(recency_days)) AS days, round(avg(frequency), 1) AS orders,
       round(avg(monetary), 2) AS dollars, count(*) FILTER (WHERE cell <> tiles) AS ties_that_ntile_splits
FROM segmentation.rfm_at
WHERE as_of = current_date - 180
GROUP BY segment
ORDER BY dollars DESC"""

PLACE = """\
query ($id: BigInt!) {
  segmentationRfmByKey(customerId: $id) { recencyDays frequency monetary r f m cell segment }
  segmentationCustomerValueByKey(customerId: $id) { favourite currentValue potentialValue loyalty }
}"""

PLACE_SQL = """\
SELECT json_build_object(
  'segmentationRfmByKey', (
    SELECT json_build_object('recencyDays', recency_days, 'frequency', frequency::text, 'monetary', monetary::text,
      'r', r::text, 'f', f::text, 'm', m::text, 'cell', cell, 'segment', segment)
    FROM segmentation.rfm WHERE customer_id = $1::bigint),
  'segmentationCustomerValueByKey', (
    SELECT json_build_object('favourite', favourite, 'currentValue', current_value::text,
      'potentialValue', potential_value::text, 'loyalty', loyalty::text)
    FROM segmentation.customer_value WHERE customer_id = $1::bigint))"""

SENT = """\
SELECT customer_id, frequency, monetary, recency_days, c.region
FROM segmentation.rfm r JOIN customers.profile c USING (customer_id)
WHERE customer_id % 24 = 0
ORDER BY customer_id"""

DESCRIPTION = {
    "description": "What a partner's customers bought",
    "attributes": {
        "customer_id": {"type": "integer", "role": "key"},
        "frequency": {"type": "integer", "unit": "orders"},
        "monetary": {"type": "decimal(12,2)", "unit": "US dollars", "missing": "median"},
        "recency_days": {"type": "integer", "unit": "days"},
        "region": {"type": "text", "missing": "flag"},
    },
}
WANTED = {
    "by": [{"name": "frequency", "transform": "log1p"}, {"name": "monetary", "transform": "log1p"}, "recency_days"],
    "segments": {"from": 3, "to": 5},
    "starts": 3,
    "sample": 1000,
}
JOINED = """\
SELECT s.label, count(*), round(avg(v.lifetime_value), 2)
FROM segments.demo_partner s JOIN sales.lifetime_value v USING (customer_id)
GROUP BY s.label ORDER BY 1"""
NAME = "demo_partner"


def questions(oracle: Oracle) -> list[Question]:
    """About everybody half a year ago, one customer now, and a file of customers."""
    found = oracle.execute(
        "SELECT customer_id FROM segmentation.rfm WHERE segment = 'champions' "
        "ORDER BY monetary DESC, customer_id LIMIT 1"
    ).fetchone()
    customer = int(found[0]) if found else 1
    return [
        Sql(
            "RFM as of any day",
            "Quintiles among all who had bought half a year ago. Equal values have the same quintile, which ntile "
            "does not see to: the last column counts whom it would have put elsewhere.",
            AS_OF,
        ),
        Graphql(
            "One customer's place",
            f"Customer {customer} now: RFM, current value, potential value, loyalty.",
            PLACE,
            {"id": str(customer)},
            PLACE_SQL,
        ),
        Live(
            "A file of customers is sent, segmented, and asked as a table",
            "A client sends a CSV with gaps and what it wants segmented by. It gets segments, profiles and the "
            "silhouette; the members join with any view; new customers are classified at once.",
            _segmented,
        ),
    ]


async def _segmented(desk: Desk, oracle: Oracle) -> str:
    rows = oracle.execute(SENT.encode()).fetchall()
    auth = (desk.server.user, desk.server.password)
    async with httpx.AsyncClient(base_url=desk.server.url, auth=auth, timeout=120) as client:
        answer = await client.put(f"/segmentations/{NAME}", files=_form(rows))
        made = answer.json()
        if answer.status_code not in (200, 201):
            return str(made["error"])
        _print(desk, made)
        try:
            return await _members(desk, oracle, client, rows, made)
        finally:
            await client.delete(f"/segmentations/{NAME}")
            await client.delete(f"/uploads/{NAME}")


def _form(rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Every seventh amount is missing."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(DESCRIPTION["attributes"])
    writer.writerows(
        (who, orders, "" if not who % 7 else spent, days, region or "") for who, orders, spent, days, region in rows
    )
    said = {"description": DESCRIPTION, "segmentation": WANTED}
    parts = {name: (None, json.dumps(value), "application/json") for name, value in said.items()}
    return {"data": ("customers.csv", out.getvalue(), "text/csv"), **parts}


def _print(desk: Desk, made: dict[str, Any]) -> None:
    quality, gaps = made["quality"], made["cleaning"][1]
    told = [
        (
            one["segment"],
            one["label"],
            one["size"],
            *(round(one["profile"][name]["median"], 2) for name in gaps_of(made)),
        )
        for one in made["segments"]
    ]
    desk.console.print(table(("segment", "label", "size", *gaps_of(made)), told))
    desk.console.print(
        f"  silhouette {quality['silhouette']:.3f} of {quality['of']:,} customers (seed {quality.get('seed', 0)}), "
        f"the best of {len(quality['tried'])} numbers of segments; {gaps['missing']} gaps in {gaps['attribute']} "
        f"filled with the {gaps['missing_rule']}, {gaps['filled_with']}; {made['seconds']:.1f} s",
        style="dim",
    )


def gaps_of(made: dict[str, Any]) -> list[str]:
    """The attributes that were segmented by."""
    return [one["attribute"] for one in made["cleaning"]]


async def _members(
    desk: Desk, oracle: Oracle, client: httpx.AsyncClient, rows: Sequence[tuple[Any, ...]], made: dict[str, Any]
) -> str:
    """The members' table joins with a view as it should, and whoever was fitted is classified as fitted."""
    cursor = await desk.connection.execute("SELECT customer_id, segment, label FROM segments.demo_partner")
    members = {who: (segment, label) for who, segment, label in await cursor.fetchall()}
    cursor = await desk.connection.execute(JOINED.encode())
    joined = await cursor.fetchall()
    values = dict(oracle.execute("SELECT customer_id, lifetime_value FROM sales.lifetime_value").fetchall())
    wanted = []
    for label in sorted({label for _, label in members.values()}):
        own = [values[who] for who, (_, of) in members.items() if of == label]
        wanted.append((label, len(own), round(sum(own) / len(own), 2)))
    new = [
        {"customer_id": r[0], "frequency": r[1], "recency_days": r[3], "monetary": None if not r[0] % 7 else str(r[2])}
        for r in rows
    ]
    began = time.perf_counter()
    answer = await client.post(f"/segmentations/{NAME}/classify", json={"customers": new})
    taken = time.perf_counter() - began
    found = {one["customer_id"]: one["segment"] for one in answer.json()["customers"]}
    desk.console.print(f"  {len(found):,} customers classified again in {taken * 1000:.0f} ms", style="dim")
    if found != {who: segment for who, (segment, _) in members.items()} or len(members) != made["rows"]:
        return "who was fitted is classified otherwise"
    return "" if sorted(joined) == sorted(wanted) else f"{joined}, expected {wanted}"
