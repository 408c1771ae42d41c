"""What the example's tables have in common: the customers, products and orders that all of them are about."""

from __future__ import annotations

import calendar
import datetime as dt
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import Any

from examples.crm.cdnow import Purchase
from examples.crm.data.names import LAST, REGIONS, person

SEED = 1997
LAST_DAY = dt.date(1998, 6, 30)  # of the real purchases: it becomes today
LIVE_DAYS = 90  # orders of so many days before today are in the shop, older ones in the warehouse
PRODUCTS = 400
GENRES = ("Rock", "Pop", "Jazz", "Classical", "Electronic", "Folk", "Soul", "Soundtrack")
SUPPLIERS = 24
STATES = ("shipped", "returned", "cancelled")
_LARGEST = 5  # lines of an order
_TRIES = 40  # to find a product that is on sale, before any such one does
_WORDS = (
    "Amber Blue Broken City Cold Dance Early Electric Empty Ever Fire Garden Glass Golden Heart Hidden House "
    "Island Late Light Little Long Lost Moon Morning Mountain Night Northern Ocean Open Paper Quiet Rain Red "
    "River Road Running Salt Secret Shadow Silent Silver Sky Slow Small Snow Stone Summer Sun Tall Train Velvet "
    "Water White Wild Winter Wooden"
).split()


@dataclass(frozen=True, slots=True)
class World:
    """The shared facts; rows are tuples in the order of the tables' columns.

    `customers`: see data.crm. `orders`: (order_id, customer_id, ordered_on, placed_at, items, amount, status), sorted
    by day. `products` and `lines`: see data.sales. `ends` is the last day on which a discontinued product was sold.
    `transitions` are instants around changes of summer time.
    """

    now: dt.datetime
    seed: int
    first: dict[int, dt.date]  # each customer's first order
    customers: list[tuple[Any, ...]]
    products: list[tuple[Any, ...]]
    ends: dict[int, dt.date]
    orders: list[tuple[Any, ...]]
    lines: list[tuple[Any, ...]]
    transitions: tuple[dt.datetime, ...]

    @property
    def today(self) -> dt.date:
        return self.now.date()

    @property
    def boundary(self) -> dt.date:
        """The warehouse has what happened before it, the live systems the rest."""
        return self.today - dt.timedelta(days=LIVE_DAYS)

    @property
    def buyers(self) -> list[int]:
        """Customers who ordered lately, as often as they did; of all times where nobody did."""
        lately = [order[1] for order in self.orders if order[2] >= self.boundary]
        return lately or [order[1] for order in self.orders]

    def random(self, name: str) -> Random:
        """Numbers of a subject's own: what one adds changes no other's."""
        return Random(f"{self.seed} {name}")

    def moment(self, day: dt.date, random: Random) -> dt.datetime:
        """An instant of that day, none after now."""
        return _moment(day, self.now, random)


def of(purchases: Sequence[Purchase], now: dt.datetime, seed: int) -> World:
    """The world of these purchases, moved so that the last possible day is today."""
    moved = now.date() - LAST_DAY
    ordered = sorted(
        ((purchase.day + moved, purchase) for purchase in purchases), key=lambda one: (one[0], one[1].customer)
    )
    first: dict[int, dt.date] = {}
    for day, purchase in ordered:
        first.setdefault(purchase.customer, day)
    transitions = _transitions(now)
    random = Random(f"{seed} customers")
    customers = [_customer(number, day, random) for number, day in sorted(first.items())]
    products = _products(now.date(), Random(f"{seed} products"))
    orders = _orders(ordered, now, transitions, Random(f"{seed} orders"))
    ends = _ends(products, now.date(), Random(f"{seed} ends"))
    lines = _lines(orders, _Picker(products, ends, Random(f"{seed} habits")), Random(f"{seed} lines"))
    return World(now, seed, first, customers, products, ends, orders, lines, transitions)


def _transitions(now: dt.datetime) -> tuple[dt.datetime, ...]:
    """Instants around changes to and from summer time in Europe and the US before now; one hour there occurs twice."""
    found = []
    for year in (now.year - 2, now.year - 1, now.year):
        march, october, november = (_sundays(year, month) for month in (3, 10, 11))
        for day, times in (
            (march[-1], ("00:59:59", "01:00:00", "00:59:59.999999")),
            (march[1], ("09:59:59", "10:00:00", "09:59:59.5")),
            (october[-1], ("00:30:00", "01:30:00")),
            (november[0], ("08:30:00", "09:30:00")),
        ):
            found += [dt.datetime.combine(day, dt.time.fromisoformat(time), dt.UTC) for time in times]
    return tuple(instant for instant in found if instant <= now)


def _sundays(year: int, month: int) -> list[dt.date]:
    days = range(1, calendar.monthrange(year, month)[1] + 1)
    return [day for day in (dt.date(year, month, number) for number in days) if day.weekday() == calendar.SUNDAY]


def _customer(number: int, first_order: dt.date, random: Random) -> tuple[Any, ...]:
    business = random.random() < 0.12
    born = dt.date(1945, 1, 1) + dt.timedelta(days=random.randrange(20_000))
    return (
        number,
        random.randint(1, 36) if business else None,
        person(random),
        random.choice(REGIONS) if random.random() > 0.04 else None,
        "business" if business else "consumer",
        first_order - dt.timedelta(days=random.randrange(30)),
        born if random.random() > 0.2 else None,
        random.random() < 0.4,
    )


def _products(today: dt.date, random: Random) -> list[tuple[Any, ...]]:
    rows = []
    for number in range(1, PRODUCTS + 1):
        genre = GENRES[number % len(GENRES)]
        price = Decimal(random.choice((999, 1199, 1299, 1499, 1699, 1899, 2499))).scaleb(-2)
        cost = (price * random.randint(45, 85) / 100).quantize(Decimal("0.01"))
        title = " ".join(random.sample(_WORDS, random.choice((1, 2, 2, 3))))
        artist = f"{random.choice(('The', 'DJ', 'Trio', ''))} {random.choice(LAST)}".strip()
        released = today - dt.timedelta(days=random.randrange(30, 6000))
        status = random.choices(("active", "phasing out", "discontinued"), (86, 9, 5))[0]
        rows.append((number, title, artist, genre, price, cost, random.randint(1, SUPPLIERS), released, status))
    return rows


def _ends(products: list[tuple[Any, ...]], today: dt.date, random: Random) -> dict[int, dt.date]:
    gone = [(row[0], row[7]) for row in products if row[8] == "discontinued"]
    return {product: max(released, today - dt.timedelta(days=random.randrange(1, 300))) for product, released in gone}


def _orders(
    ordered: list[tuple[dt.date, Purchase]], now: dt.datetime, transitions: Sequence[dt.datetime], random: Random
) -> list[tuple[Any, ...]]:
    rows = []
    instants: dict[dt.date, list[dt.datetime]] = {}
    for instant in transitions:
        instants.setdefault(instant.date(), []).append(instant)
    for number, (day, purchase) in enumerate(ordered, 1):
        special = instants.get(day)
        placed = special.pop() if special else _moment(day, now, random)
        late = day > now.date() - dt.timedelta(days=3)
        status = "paid" if late else random.choices(STATES, (95, 4, 1))[0]
        rows.append((number, purchase.customer, day, placed, purchase.items, purchase.amount, status))
    return rows


def _moment(day: dt.date, now: dt.datetime, random: Random) -> dt.datetime:
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    length = min(86_400, max(1, int((now - midnight).total_seconds())))
    return midnight + dt.timedelta(seconds=random.randrange(length))


def _lines(orders: list[tuple[Any, ...]], pick: _Picker, random: Random) -> list[tuple[Any, ...]]:
    """Lines whose quantities and amounts add up to their orders'. Customers have a genre that they like, some
    products sell far more than others, and each is often bought with the next one of its genre."""
    rows: list[tuple[Any, ...]] = []
    for order, customer, day, _, items, amount, _ in orders:
        chosen = pick.basket(customer, day, min(items, 1 + random.randrange(_LARGEST)))
        cents, left = int(amount * 100), items
        for index, product in enumerate(chosen):
            rest = len(chosen) - index - 1
            quantity = left if not rest else max(1, min(left - rest, round(items / len(chosen))))
            paid = cents if not rest else cents * quantity // left
            rows.append((len(rows) + 1, order, customer, day, product, quantity, Decimal(paid).scaleb(-2)))
            cents, left = cents - paid, left - quantity
    return rows


class _Picker:
    """Chooses products as people with habits do, of those that were on sale that day."""

    def __init__(self, products: list[tuple[Any, ...]], ends: dict[int, dt.date], random: Random) -> None:
        self._random = random
        self._on_sale = {row[0]: (row[7], ends.get(row[0], dt.date.max)) for row in products}
        self._genres: dict[str, list[int]] = {genre: [] for genre in GENRES}
        for product in products:
            self._genres[product[3]].append(product[0])
        self._weights = {
            genre: list(accumulate(1 / (i + 3) for i in range(len(of)))) for genre, of in self._genres.items()
        }
        self._next = {product: of[(i + 1) % len(of)] for of in self._genres.values() for i, product in enumerate(of)}

    def basket(self, customer: int, day: dt.date, size: int) -> list[int]:
        """At most `size` different products, one at least."""
        chosen = [self._one(customer, day)]
        while len(chosen) < size:
            follows = self._next[chosen[-1]] if self._random.random() < 0.35 else self._one(customer, day)
            chosen.append(follows if self._sold(follows, day) else self._one(customer, day))
        return list(dict.fromkeys(chosen))

    def _sold(self, product: int, day: dt.date) -> bool:
        first, last = self._on_sale[product]
        return first <= day <= last

    def _one(self, customer: int, day: dt.date) -> int:
        tried = (self._any(customer) for _ in range(_TRIES))
        found = next((product for product in tried if self._sold(product, day)), None)
        return found or next(product for product in self._on_sale if self._sold(product, day))

    def _any(self, customer: int) -> int:
        favourite = GENRES[customer * 7 % len(GENRES)]
        genre = favourite if self._random.random() < 0.6 else self._random.choice(GENRES)
        weights = self._weights[genre]
        return self._genres[genre][bisect(weights, self._random.random() * weights[-1])]
