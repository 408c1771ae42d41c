"""What the company has decided, as rows that it changes without a release."""

from __future__ import annotations

from decimal import Decimal

from examples.crm.data.table import Table
from examples.crm.data.world import World

# name, value, what it means
POLICY = (
    ("allocation.loyalty", "30", "Points for loyalty: full at allocation.full_orders orders within a year"),
    ("allocation.full_orders", "6", "Orders within a year that count as fully loyal"),
    ("allocation.value", "40", "Points for lifetime value: full at allocation.full_value dollars"),
    ("allocation.full_value", "600", "Lifetime value in dollars that counts as full"),
    ("allocation.business", "10", "Points of a business customer"),
    ("allocation.complaint", "15", "Points for an open complaint: we owe something"),
    ("allocation.waiting", "1", "Points for each week of waiting"),
    ("allocation.overdue", "50", "Dollars overdue from which a customer is served last"),
    ("cross_sell.together", "5", "Least number of customers who bought both"),
    ("cross_sell.similar", "20", "Similar products that count of each product, 30 at most"),
    ("cross_sell.weight_similar", "0.7", "Weight of co-purchase"),
    ("cross_sell.weight_habit", "0.3", "Weight of the segment's habits"),
    ("discount.floor", "0.12", "Least margin on cost that a discounted price keeps"),
    ("discount.most", "0.20", "Largest discount"),
    ("discount.share", "0.5", "Part of a customer's historic margin that may be given back"),
    ("discount.overstock", "0.05", "Extra where the shelf holds more than twice its target"),
    ("discount.new_customer", "0.05", "Discount of a customer without history"),
)


def tables(_: World) -> dict[str, list[Table]]:
    """Of crm."""
    columns = {"name": "varchar(40)!", "value": "numeric(10,2)!", "meaning": "varchar(120)!"}
    rows = [(name, Decimal(value), meaning) for name, value, meaning in POLICY]
    return {"crm": [Table("policy", columns, "name", rows)]}
