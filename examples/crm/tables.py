"""The example's tables: orders are CDNOW's real purchases; names, contacts and tickets are made up from a seed."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from examples.crm.cdnow import Purchase

SEED = 1997
BOUNDARY = dt.date(1998, 4, 1)  # earlier orders are in the warehouse, later ones in the shop
LAST_DAY = dt.date(1998, 6, 30)

# Instants around changes to and from summer time in the US and in Europe, an hour that occurs twice among them.
DST = tuple(
    dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    for text in (
        "1997-03-30 00:59:59",
        "1997-03-30 01:00:00",
        "1997-04-06 09:59:59",
        "1997-04-06 10:00:00",
        "1997-10-26 00:30:00",
        "1997-10-26 01:30:00",
        "1997-10-26 08:30:00",
        "1997-10-26 09:30:00",
        "1998-03-29 00:59:59.999999",
        "1998-03-29 01:00:00",
        "1998-04-05 09:59:59.5",
        "1998-04-05 10:00:00",
    )
)
FIRST = (
    "Ada Anna Antoine Aoife Björn Carlos Chloé Claire Daniel David Dörte Elena Emma Eva François George Grace Hans "
    "Ines Ivan Jack James Jan João John José Julia Jürgen Karin Katarzyna Laura Léa Linda Luís Łukasz Maria Mark "
    "Martin Mary Mateo Michael Nora Noël Olga Oscar Patricia Paul Peter René Robert Sara Søren Sofía Susan Thomas "
    "Tomáš Ursula Vera Victor William Yara Zoë"
).split()
LAST = (
    "Andersen Baker Bauer Brown Carter Castro Clark Costa Davis Dubois Evans Ferrari Fischer García Gomez Gray Green "
    "Hall Hansen Harris Hill Horák Jackson Johnson Jones Keller King Kowalski Larsen Lee Lefèvre Lewis Lopez Marín "
    "Martin Meyer Miller Moore Müller Muñoz Nelson Novák Núñez O'Brien Olsen Parker Pérez Petrov Phillips Ricci Rossi "
    "Roux Schäfer Schmidt Scott Silva Smith Sørensen Strauß Taylor Turner Walker Weber White Wilson Wójcik Young"
).split()
REGIONS = ("North", "South", "East", "West")
COMPANIES = "Aster Beacon Cedar Delta Ember Fjord Granit Harbor Indigo Juniper Kestrel Lumen".split()
COUNTRIES = ("US", "CA", "DE", "FR", "NO", "ES")
SUBJECTS = {
    "complaint": ("Disc arrived scratched", "Wrong album in the box", "Charged twice", "Case broken"),
    "delivery": ("Parcel not here yet", "Change of address"),
    "return": ("Wants to send it back", "Refund not seen"),
    "question": ("Is it in stock?", "Can it be gift-wrapped?", "Invoice needed"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and their declaration: types are int8, int4, date, bool, timestamptz, text, varchar(n), numeric(p,s);
    a ! behind the type is NOT NULL."""

    name: str
    columns: dict[str, str]
    key: str
    rows: list[tuple[Any, ...]]
    indexes: tuple[str, ...] = ()
    references: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def types(self) -> list[str]:
        """The columns' types without their marks."""
        return [kind.rstrip("!") for kind in self.columns.values()]


def build(purchases: Sequence[Purchase], seed: int = SEED) -> dict[str, list[Table]]:
    """The tables of each source (crm, tickets, shop, dwh); the same for the same purchases and seed."""
    ordered = sorted(purchases, key=lambda purchase: (purchase.day, purchase.customer))
    first: dict[int, dt.date] = {}
    for purchase in ordered:
        first.setdefault(purchase.customer, purchase.day)
    orders = _orders(ordered, Random(f"{seed} orders"))
    cold = [row for row in orders if row[2] < BOUNDARY]
    hot = [row for row in orders if row[2] >= BOUNDARY]
    return {
        "crm": _crm(first, Random(f"{seed} crm")),
        "tickets": _tickets(orders, Random(f"{seed} tickets")),
        "shop": [_order_table(hot)],
        "dwh": [_order_table(cold), _cohorts(first)],
    }


def _order_table(rows: list[tuple[Any, ...]]) -> Table:
    columns = {
        "order_id": "int8!",
        "customer_id": "int8!",
        "ordered_on": "date!",
        "placed_at": "timestamptz!",
        "items": "int4!",
        "amount": "numeric(10,2)!",
        "status": "varchar(10)!",
    }
    return Table("orders", columns, "order_id", rows, ("customer_id", "ordered_on"))


def _orders(purchases: Sequence[Purchase], random: Random) -> list[tuple[Any, ...]]:
    rows = []
    instants = {instant.date(): instant for instant in DST}
    for number, purchase in enumerate(purchases, 1):
        placed = instants.pop(purchase.day, None) or _moment(purchase.day, random)
        late = purchase.day > LAST_DAY - dt.timedelta(days=3)
        status = "paid" if late else random.choices(("shipped", "returned", "cancelled"), (95, 4, 1))[0]
        rows.append((number, purchase.customer, purchase.day, placed, purchase.items, purchase.amount, status))
    return rows


def _moment(day: dt.date, random: Random) -> dt.datetime:
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return midnight + dt.timedelta(seconds=random.randrange(86_400))


def _cohorts(first: dict[int, dt.date]) -> Table:
    rows = [(customer, day.replace(day=1), day) for customer, day in sorted(first.items()) if day < BOUNDARY]
    columns = {"customer_id": "int8!", "cohort": "date!", "first_order_on": "date!"}
    return Table("cohorts", columns, "customer_id", rows)


def _crm(first: dict[int, dt.date], random: Random) -> list[Table]:
    accounts = _accounts(random)
    customers = [_customer(customer, day, len(accounts), random) for customer, day in sorted(first.items())]
    contacts: list[tuple[Any, ...]] = []
    for row in customers:
        for contact in _contacts(row, random):
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
    return [
        Table("accounts", account_columns, "account_id", accounts),
        Table(
            "customers",
            customer_columns,
            "customer_id",
            customers,
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


def _accounts(random: Random) -> list[tuple[Any, ...]]:
    names = [f"{company} {form}" for company in COMPANIES for form in ("Records", "Media", "& Söhne")]
    managers = [f"{random.choice(FIRST)} {random.choice(LAST)}" for _ in range(8)]
    return [
        (number, name, random.choice(COUNTRIES), random.choice([*managers, None]))
        for number, name in enumerate(names, 1)
    ]


def _customer(number: int, first_order: dt.date, accounts: int, random: Random) -> tuple[Any, ...]:
    business = random.random() < 0.12
    born = dt.date(1925, 1, 1) + dt.timedelta(days=random.randrange(20_000))
    return (
        number,
        random.randint(1, accounts) if business else None,
        f"{random.choice(FIRST)} {random.choice(LAST)}",
        random.choice(REGIONS) if random.random() > 0.04 else None,
        "business" if business else "consumer",
        first_order - dt.timedelta(days=random.randrange(30)),
        born if random.random() > 0.2 else None,
        random.random() < 0.4,
    )


def _contacts(customer: tuple[Any, ...], random: Random) -> Iterator[tuple[Any, ...]]:
    number, name, signed_up = customer[0], customer[2], customer[5]
    if random.random() > 0.05:
        yield number, "email", _email(name, number, random), True, _verified(signed_up, random)
        if random.random() < 0.1:
            yield number, "email", _email(name, number + 500_000, random), False, None
    if random.random() < 0.7:
        yield number, "phone", f"+1-555-{number % 1000:03d}-{random.randrange(10_000):04d}", True, None


def _email(name: str, number: int, random: Random) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    local = "".join(letter for letter in plain if letter.isascii() and (letter.isalpha() or letter == " "))
    address = f"{local.replace(' ', '.')}{number}@example.{random.choice(('com', 'org', 'net'))}"
    return address if random.random() < 0.1 else address.lower()


def _verified(day: dt.date, random: Random) -> dt.datetime | None:
    if random.random() < 0.3:
        return None
    return random.choice(DST) if random.random() < 0.01 else _moment(day, random)


def _tickets(orders: list[tuple[Any, ...]], random: Random) -> list[Table]:
    tickets: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    for order in orders:
        if random.random() < 0.12:
            ticket = _ticket(len(tickets) + 1, order, random)
            tickets.append(ticket)
            events += [(len(events) + 1 + i, *event) for i, event in enumerate(_events(ticket, random))]
    ticket_columns = {
        "ticket_id": "int8!",
        "customer_id": "int8!",
        "order_id": "int8",
        "category": "varchar(10)!",
        "subject": "varchar(80)!",
        "status": "varchar(10)!",
        "priority": "int4!",
        "opened_at": "timestamptz!",
        "closed_at": "timestamptz",
        "satisfaction": "int4",
    }
    event_columns = {
        "event_id": "int8!",
        "ticket_id": "int8!",
        "happened_at": "timestamptz!",
        "kind": "varchar(10)!",
        "author": "varchar(60)!",
        "note": "varchar(120)",
    }
    return [
        Table("tickets", ticket_columns, "ticket_id", tickets, ("customer_id", "status", "opened_at")),
        Table(
            "ticket_events",
            event_columns,
            "event_id",
            events,
            ("ticket_id",),
            {"ticket_id": ("tickets", "ticket_id")},
        ),
    ]


def _ticket(number: int, order: tuple[Any, ...], random: Random) -> tuple[Any, ...]:
    category = random.choices(tuple(SUBJECTS), (40, 25, 15, 20))[0]
    opened = order[3] + dt.timedelta(hours=random.randrange(1, 240))
    if random.random() < 0.01:
        opened = random.choice(DST)
    closed: dt.datetime | None = opened + dt.timedelta(minutes=random.randrange(10, 20_000))
    end = dt.datetime.combine(LAST_DAY, dt.time(23, 59, 59), dt.UTC)
    opened = min(opened, end)
    if closed is None or closed > end or random.random() < 0.03:
        closed = None
    status = random.choice(("resolved", "closed")) if closed else random.choice(("open", "open", "pending"))
    return (
        number,
        order[1],
        order[0] if category != "question" else None,
        category,
        random.choice(SUBJECTS[category]),
        status,
        random.choices((1, 2, 3, 4), (5, 20, 50, 25))[0],
        opened,
        closed,
        random.randint(1, 5) if closed and random.random() < 0.6 else None,
    )


def _events(ticket: tuple[Any, ...], random: Random) -> Iterator[tuple[Any, ...]]:
    number, opened, closed = ticket[0], ticket[7], ticket[8]
    agent = f"{random.choice(FIRST)} {random.choice(LAST)}"
    yield number, opened, "opened", "customer", ticket[4]
    for step in range(random.randrange(3)):
        note = random.choice(
            ("Asked for a picture", "Waiting for the carrier", "Apologised", "Offered a voucher", None)
        )
        yield number, opened + dt.timedelta(minutes=3 * step + 2), random.choice(("reply", "note")), agent, note
    if closed:
        yield number, closed, "closed", agent, None
