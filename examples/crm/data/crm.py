"""The CRM's own tables: customers, the companies they buy for, and how to reach them."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any

from examples.crm.data.names import COMPANIES, COUNTRIES, person
from examples.crm.data.table import Table
from examples.crm.data.world import World


def tables(world: World) -> dict[str, list[Table]]:
    """Of crm."""
    random = world.random("crm")
    accounts = _accounts(random)
    contacts: list[tuple[Any, ...]] = []
    for row in world.customers:
        for contact in _contacts(row, world, random):
            contacts.append((len(contacts) + 1, *contact))
    account_columns = {"account_id": "int8!", "name": "text!", "country": "varchar(2)!", "manager": "text"}
    customer_columns = {
        "customer_id": "int8!",
        "account_id": "int8",
        "full_name": "text!",
        "region": "text",
        "segment": "varchar(12)!",
        "signed_up": "date!",
        "birth_date": "date",
        "newsletter": "bool!",
    }
    contact_columns = {
        "contact_id": "int8!",
        "customer_id": "int8!",
        "kind": "varchar(8)!",
        "value": "varchar(254)!",
        "is_primary": "bool!",
        "verified_at": "timestamptz",
    }
    return {
        "crm": [
            Table("accounts", account_columns, "account_id", accounts),
            Table(
                "customers",
                customer_columns,
                "customer_id",
                world.customers,
                ("account_id", "region"),
                {"account_id": ("accounts", "account_id")},
            ),
            Table(
                "contacts",
                contact_columns,
                "contact_id",
                contacts,
                ("customer_id", "value"),
                {"customer_id": ("customers", "customer_id")},
            ),
        ]
    }


def _accounts(random: Random) -> list[tuple[Any, ...]]:
    names = [f"{company} {form}" for company in COMPANIES for form in ("Records", "Media", "& Söhne")]
    managers = [person(random) for _ in range(8)]
    return [
        (number, name, random.choice(COUNTRIES), random.choice([*managers, None]))
        for number, name in enumerate(names, 1)
    ]


def _contacts(customer: tuple[Any, ...], world: World, random: Random) -> Iterator[tuple[Any, ...]]:
    number, name, signed_up = customer[0], customer[2], customer[5]
    if random.random() > 0.05:
        yield number, "email", _email(name, number, random), True, _verified(signed_up, world, random)
        if random.random() < 0.1:
            yield number, "email", _email(name, number + 500_000, random), False, None
    if random.random() < 0.7:
        yield number, "phone", f"+1-555-{number % 1000:03d}-{random.randrange(10_000):04d}", True, None


def _email(name: str, number: int, random: Random) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    local = "".join(letter for letter in plain if letter.isascii() and (letter.isalpha() or letter == " "))
    address = f"{local.replace(' ', '.')}{number}@example.{random.choice(('com', 'org', 'net'))}"
    return address if random.random() < 0.1 else address.lower()


def _verified(day: dt.date, world: World, random: Random) -> dt.datetime | None:
    if random.random() < 0.3:
        return None
    return random.choice(world.transitions) if random.random() < 0.01 else world.moment(day, random)
