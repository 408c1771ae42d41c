"""Marketing's tables: campaigns, whom they reached by which channel, what came of it and what it cost."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from examples.crm.data.names import person
from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]

# number, code, name, direction and price of one contact in cents; tickets and visits go by the same numbers
CHANNELS: tuple[tuple[int, str, str, bool, int], ...] = (
    (1, "email", "E-mail", True, 2),
    (2, "sms", "Text message", True, 9),
    (3, "phone", "Telephone", True, 350),
    (4, "post", "Letter", True, 110),
    (5, "web", "Web site", False, 0),
    (6, "chat", "Chat", False, 0),
)
ATTRIBUTION = 14  # days in which an order may follow from a contact
_OPENED = {1: 0.28, 2: 0.7, 3: 0.45, 4: 0.5}
# theme, goal, how much of the demand it catches (0 to 1), discount in percent, channels with their weights
_THEMES: tuple[tuple[str, str, float, int, dict[int, int]], ...] = (
    ("Welcome back", "win back", 0.12, 20, {1: 6, 4: 4}),
    ("Jazz nights", "cross-sell", 0.75, 0, {1: 8, 2: 2}),
    ("Second disc for less", "cross-sell", 0.55, 15, {1: 7, 2: 3}),
    ("Birthday letters", "retain", 0.4, 10, {4: 1}),
    ("Weekend flash", "activate", 0.85, 25, {2: 7, 1: 3}),
    ("Calls to the best", "retain", 0.6, 0, {3: 1}),
    ("Newsletter", "inform", 0.18, 0, {1: 1}),
    ("Clearance", "activate", 0.05, 40, {1: 5, 2: 3, 4: 2}),
)
_EVERY, _LASTS, _REMINDED = 12, 18, 6  # days; campaigns overlap, so that some customers are written to very often


@dataclass(frozen=True, slots=True)
class _Campaign:
    number: int
    name: str
    goal: str
    pull: float
    offer: int
    channels: dict[int, int]
    starts: dt.date

    @property
    def ends(self) -> dt.date:
        return self.starts + dt.timedelta(days=_LASTS)


@dataclass(slots=True)
class _Log:
    """What was written while the campaigns ran."""

    contacts: list[Row] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    unsubscribes: list[Row] = field(default_factory=list)
    gone: set[tuple[int, int]] = field(default_factory=set)  # customer, channel
    credited: set[int] = field(default_factory=set)  # orders that came of a contact


def tables(world: World) -> dict[str, list[Table]]:
    """Of marketing, and the older contacts of dwh."""
    random = world.random("marketing")
    campaigns = _campaigns(world)
    log = _Log()
    buying = _buying(world)
    for campaign in campaigns:
        _run(campaign, world, buying, log, random)
    live = [row for row in log.contacts if row[4] >= world.boundary]
    known = {row[0] for row in live}
    responses = [row for row in log.responses if row[1] in known]
    return {
        "marketing": [
            _channel_table(),
            _campaign_table(campaigns, world, random),
            _contact_table(live),
            _response_table([(number, *row[1:]) for number, row in enumerate(responses, 1)]),
            _unsubscribe_table(log.unsubscribes),
            _cost_table(campaigns, log.contacts, random),
        ],
        "dwh": [_history_table(log, known)],
    }


def _campaigns(world: World) -> list[_Campaign]:
    """One every twelve days since the data begins; the last one is only planned."""
    begin = min(world.first.values())
    days = (world.today - begin).days
    starts = [begin + dt.timedelta(days=offset) for offset in range(20, days - 5, _EVERY)]
    starts.append(world.today + dt.timedelta(days=9))
    made = []
    for number, day in enumerate(starts, 1):
        name, goal, pull, offer, channels = _THEMES[number % len(_THEMES)]
        made.append(_Campaign(number, f"{name} {day:%B %Y}", goal, pull, offer, channels, day))
    return made


def _buying(world: World) -> dict[dt.date, list[tuple[int, int, dt.date]]]:
    """Customer, order and day by the day of the order."""
    found: dict[dt.date, list[tuple[int, int, dt.date]]] = defaultdict(list)
    for order, customer, day, *_ in world.orders:
        found[day].append((customer, order, day))
    return found


def _run(
    campaign: _Campaign,
    world: World,
    buying: dict[dt.date, list[tuple[int, int, dt.date]]],
    log: _Log,
    random: Random,
) -> None:
    """Write to those who may be written to; the better the campaign, the more of them are about to buy."""
    known = [row for row in world.customers if row[5] < campaign.starts]
    if not known or campaign.starts >= world.today:
        return
    days = [campaign.starts + dt.timedelta(days=offset) for offset in range(_LASTS + ATTRIBUTION)]
    soon = {
        customer: (order, day) for of in days for customer, order, day in buying.get(of, ()) if day > campaign.starts
    }
    reach = max(3, len(known) // 24)
    likely = [row for row in known if row[0] in soon and random.random() < campaign.pull * 0.5]
    readers = [row for row in known if row[7]]
    audience = {row[0] for row in random.sample(likely, min(len(likely), reach // 4))}
    audience |= {row[0] for row in random.sample(readers, min(len(readers), reach // 2))}
    audience |= {row[0] for row in random.sample(known, min(len(known), reach - reach // 2))}
    planned = [
        (campaign.starts + dt.timedelta(days=random.randrange(_LASTS)), customer) for customer in sorted(audience)
    ]
    planned += [(day + dt.timedelta(days=_REMINDED), customer) for day, customer in planned if random.random() < 0.15]
    planned.sort()
    for day, customer in planned:
        channel = random.choices(tuple(campaign.channels), tuple(campaign.channels.values()))[0]
        if day < world.today and (customer, channel) not in log.gone:
            _contact(campaign, (customer, channel, day), soon.get(customer), world, log, random)


def _contact(
    campaign: _Campaign,
    said: tuple[int, int, dt.date],
    order: tuple[int, dt.date] | None,
    world: World,
    log: _Log,
    random: Random,
) -> None:
    customer, channel, day = said
    number = len(log.contacts) + 1
    sent = dt.datetime.combine(day, dt.time(8), dt.UTC) + dt.timedelta(minutes=random.randrange(600))
    delivered = random.random() > (0.04 if channel != 3 else 0.25)
    log.contacts.append((number, campaign.number, customer, channel, day, sent, delivered))
    if not delivered:
        return
    if order and order[0] not in log.credited and day < order[1] <= day + dt.timedelta(days=ATTRIBUTION):
        buys = random.random() < campaign.pull
    else:
        buys = False
    if buys or random.random() < _OPENED[channel] * (0.6 + campaign.pull):
        _answered(log, number, campaign.number, sent, order if buys else None, world, random)
    if random.random() < 0.006 + 0.012 * (campaign.pull < 0.2):
        log.gone.add((customer, channel))
        log.unsubscribes.append((len(log.unsubscribes) + 1, customer, channel, number, day))


def _answered(
    log: _Log,
    contact: int,
    campaign: int,
    sent: dt.datetime,
    order: tuple[int, dt.date] | None,
    world: World,
    random: Random,
) -> None:
    """Opened, perhaps clicked, and the order that came of it: with the contact in the link, so it has one only."""
    steps = ["opened"]
    if order or random.random() < 0.22:
        steps.append("clicked")
    for step in steps:
        sent += dt.timedelta(minutes=random.randrange(1, 300))
        log.responses.append((0, contact, campaign, step, None, min(sent, world.now)))
    if order:
        log.credited.add(order[0])
        evening = dt.datetime.combine(order[1], dt.time(23, 59), dt.UTC)
        log.responses.append((0, contact, campaign, "ordered", order[0], min(evening, world.now)))


def _channel_table() -> Table:
    columns = {
        "channel_id": "int4!",
        "code": "varchar(10)!",
        "name": "varchar(30)!",
        "outbound": "bool!",  # whether campaigns use it
        "contact_cost": "numeric(10,2)!",
    }
    rows: list[Row] = [(number, *said, Decimal(cents).scaleb(-2)) for number, *said, cents in CHANNELS]
    return Table("channels", columns, "channel_id", rows)


def _campaign_table(campaigns: list[_Campaign], world: World, random: Random) -> Table:
    columns = {
        "campaign_id": "int8!",
        "name": "varchar(60)!",
        "goal": "varchar(12)!",
        "offer_percent": "int4!",
        "starts_on": "date!",
        "ends_on": "date!",
        "budget": "numeric(12,2)!",
        "owner": "varchar(60)!",
    }
    owners = [person(random) for _ in range(4)]
    size = max(1, len(world.customers) // 24)
    rows: list[Row] = []
    for one in campaigns:
        budget = Decimal(size * max(CHANNELS[channel - 1][4] for channel in one.channels) + 40_000).scaleb(-2)
        owner = owners[one.number % len(owners)]
        rows.append((one.number, one.name, one.goal, one.offer, one.starts, one.ends, budget, owner))
    return Table("campaigns", columns, "campaign_id", rows, ("starts_on",))


def _contact_table(rows: list[Row]) -> Table:
    columns = {
        "contact_id": "int8!",
        "campaign_id": "int8!",
        "customer_id": "int8!",
        "channel_id": "int4!",
        "sent_on": "date!",
        "sent_at": "timestamptz!",
        "delivered": "bool!",
    }
    references = {"campaign_id": ("campaigns", "campaign_id"), "channel_id": ("channels", "channel_id")}
    return Table("contacts", columns, "contact_id", rows, ("customer_id", "campaign_id", "sent_on"), references)


def _response_table(rows: list[Row]) -> Table:
    columns = {
        "response_id": "int8!",
        "contact_id": "int8!",
        "campaign_id": "int8!",
        "kind": "varchar(10)!",  # opened, clicked, ordered
        "order_id": "int8",
        "responded_at": "timestamptz!",
    }
    return Table(
        "responses",
        columns,
        "response_id",
        rows,
        ("contact_id", "order_id"),
        {"contact_id": ("contacts", "contact_id")},
    )


def _unsubscribe_table(rows: list[Row]) -> Table:
    """All there ever were: who has gone must stay unasked, however long ago it was."""
    columns = {
        "unsubscribe_id": "int8!",
        "customer_id": "int8!",
        "channel_id": "int4!",
        "contact_id": "int8!",
        "unsubscribed_on": "date!",
    }
    return Table("unsubscribes", columns, "unsubscribe_id", rows, ("customer_id", "contact_id"))


def _cost_table(campaigns: list[_Campaign], contacts: list[Row], random: Random) -> Table:
    """Each campaign's design, and what its contacts cost by channel."""
    made: dict[tuple[int, int], int] = defaultdict(int)
    for row in contacts:
        made[row[1], row[3]] += CHANNELS[row[3] - 1][4]
    rows: list[Row] = []
    for one in campaigns:
        channels = sorted({channel for campaign, channel in made if campaign == one.number})
        for channel in channels:
            design = random.randrange(4_000, 30_000)
            for kind, cents in (("design", design), ("sending", made[one.number, channel])):
                amount = Decimal(cents).scaleb(-2)
                rows.append((len(rows) + 1, one.number, channel, kind, one.starts, amount))
    columns = {
        "cost_id": "int8!",
        "campaign_id": "int8!",
        "channel_id": "int4!",
        "kind": "varchar(10)!",
        "booked_on": "date!",
        "amount": "numeric(12,2)!",
    }
    return Table("costs", columns, "cost_id", rows, ("campaign_id",), {"campaign_id": ("campaigns", "campaign_id")})


def _history_table(log: _Log, live: set[int]) -> Table:
    """The older contacts with what came of them, one row each, as the warehouse loads them."""
    came: dict[int, dict[str, Any]] = defaultdict(dict)
    for _, contact, _, kind, order, _ in log.responses:
        came[contact][kind] = order or True
    gone = {row[3] for row in log.unsubscribes}
    rows: list[Row] = []
    for number, campaign, customer, channel, day, _, delivered in log.contacts:
        if number in live:
            continue
        of = came[number]
        facts = (int("opened" in of), int("clicked" in of), of.get("ordered"), int(number in gone))
        rows.append((number, campaign, customer, channel, day, delivered, *facts))
    columns = {
        "contact_id": "int8!",
        "campaign_id": "int8!",
        "customer_id": "int8!",
        "channel_id": "int4!",
        "sent_on": "date!",
        "delivered": "bool!",
        "opened": "int4!",
        "clicked": "int4!",
        "order_id": "int8",
        "unsubscribed": "int4!",
    }
    return Table("campaign_contacts", columns, "contact_id", rows)
