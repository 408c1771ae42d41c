"""Billing's tables: each customer's account, and what was invoiced, paid and credited since the balance was drawn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]
_TERMS = {"business": 30, "consumer": 14}  # days


def tables(world: World) -> dict[str, list[Table]]:
    """Of billing."""
    random = world.random("billing")
    segments = {row[0]: row[4] for row in world.customers}
    invoices: list[Row] = []
    payments: list[Row] = []
    credit_notes: list[Row] = []
    for order in world.orders:
        if order[2] < world.boundary or order[6] == "cancelled" or not order[5]:
            continue
        invoice = _invoice(len(invoices) + 1, order, _TERMS[segments[order[1]]], world)
        invoices.append(invoice)
        if order[6] == "returned":
            credit_notes += _credited(len(credit_notes) + 1, invoice, world, random)
        else:
            payments += _paid(len(payments) + 1, invoice, segments[order[1]], world, random)
    accounts = [_account(row, random) for row in world.customers]
    return {"billing": [_accounts(accounts), *_postings(invoices, payments, credit_notes)]}


def _account(customer: Row, random: Random) -> Row:
    """Most owe nothing from before; some do, and some have a credit."""
    business = customer[4] == "business"
    limit = random.choice((1000, 2500, 5000)) if business else random.choice((0, 150, 300, 500))
    opening = 0
    if random.random() < (0.3 if business else 0.06):
        opening = random.randrange(-4000, 20_000)
    state = "blocked" if random.random() < 0.01 else "open"
    return (
        700_000 + customer[0],
        customer[0],
        Decimal(limit),
        Decimal(opening).scaleb(-2),
        _TERMS[customer[4]],
        state,
    )


def _invoice(number: int, order: Row, terms: int, world: World) -> Row:
    issued = min(order[3] + dt.timedelta(seconds=40), world.now)
    return number, order[1], order[0], issued, issued.date(), issued.date() + dt.timedelta(days=terms), order[5]


def _paid(number: int, invoice: Row, segment: str, world: World, random: Random) -> Iterator[Row]:
    """By card at once, else around the day on which it is due, in one part or two; some not yet."""
    amount, issued = invoice[6], invoice[3]
    by_card = segment == "consumer" and random.random() < 0.7
    if by_card:
        paid_at, method = issued + dt.timedelta(seconds=random.randrange(5, 90)), "card"
    else:
        late = dt.timedelta(days=invoice[5].toordinal() - invoice[4].toordinal() + random.randrange(-12, 9))
        paid_at, method = issued + late, random.choice(("transfer", "debit"))
    if paid_at > world.now or (not by_card and random.random() < 0.1):
        return
    whole = random.random() < 0.9
    part = amount if whole else (amount / 2).quantize(Decimal("0.01"))
    yield number, invoice[1], invoice[0], paid_at, paid_at.date(), part, method


def _credited(number: int, invoice: Row, world: World, random: Random) -> Iterator[Row]:
    """What came back is credited some days later."""
    issued = invoice[3] + dt.timedelta(days=random.randrange(1, 12), seconds=random.randrange(50_000))
    if issued < world.now:
        yield number, invoice[1], invoice[0], issued, issued.date(), invoice[6], "returned"


def _accounts(rows: list[Row]) -> Table:
    columns = {
        "account_id": "int8!",
        "customer_id": "int8!",
        "credit_limit": "numeric(10,2)!",
        "opening_balance": "numeric(10,2)!",
        "terms_days": "int4!",
        "state": "varchar(8)!",
    }
    return Table("accounts", columns, "account_id", rows, ("customer_id",))


def _postings(invoices: list[Row], payments: list[Row], credit_notes: list[Row]) -> list[Table]:
    invoiced = {
        "invoice_id": "int8!",
        "customer_id": "int8!",
        "order_id": "int8!",
        "issued_at": "timestamptz!",
        "booked_on": "date!",
        "due_on": "date!",
        "amount": "numeric(10,2)!",
    }
    paid = {
        "payment_id": "int8!",
        "customer_id": "int8!",
        "invoice_id": "int8!",
        "paid_at": "timestamptz!",
        "booked_on": "date!",
        "amount": "numeric(10,2)!",
        "method": "varchar(8)!",
    }
    credited = {
        "credit_note_id": "int8!",
        "customer_id": "int8!",
        "invoice_id": "int8!",
        "issued_at": "timestamptz!",
        "booked_on": "date!",
        "amount": "numeric(10,2)!",
        "reason": "varchar(40)!",
    }
    to_invoice = {"invoice_id": ("invoices", "invoice_id")}
    indexes = ("customer_id", "invoice_id", "booked_on")
    return [
        Table("invoices", invoiced, "invoice_id", invoices, ("customer_id", "order_id", "booked_on")),
        Table("payments", paid, "payment_id", payments, indexes, to_invoice),
        Table("credit_notes", credited, "credit_note_id", credit_notes, indexes, to_invoice),
    ]
