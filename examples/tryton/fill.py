"""Fills a Tryton database through Tryton's own code: python fill.py DATABASE, in an environment that has trytond.

The same days before today, names and quantities each time; only the instants at which Tryton writes are the clock's.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from proteus import Model, Wizard, config
from trytond.model import ModelSQL
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company
from trytond.pool import Pool
from trytond.transaction import Transaction

CUSTOMERS, PRODUCTS, SALES, OPPORTUNITIES, BATCH = 120, 30, 110, 60, 40
DAYS = 640  # of history
LOCKED = ("account.", "sale.", "stock.", "ir.sequence")  # models whose tables Tryton's workflows lock
TODAY = dt.date.today()
FIRST = "Ada Björn Chloé Dörte Emma François Grace Hans Inés João Łukasz Maria Noël Olga René Søren Tomáš Zoë".split()
LAST = "Andersen Brown García Horák Jones Kowalski Lefèvre Müller Núñez O'Brien Pérez Ricci Strauß Young".split()
FIRMS = ("Aster", "Beacon & Söhne", 'Cedar "C" Media', "Delta 100%", "Ember_Records", "Fjord; Musik")
GENRES = ("Rock", "Jazz", "Classical", "Folk", "Soul")
GERMAN = {"Rock": "Rockmusik", "Classical": "Klassik", "Folk": "Volksmusik"}
WORDS = "Amber Blue City Dance Ember Fire Garden Harbour Island Jade Light Moon Night Ocean River Stone Winter".split()


def main(database: str) -> None:
    """Fill the database, which has no company yet, at the server that $TRYTOND_CONFIG leads to."""
    user = config.set_trytond(database, user="admin", config_file=os.environ["TRYTOND_CONFIG"]).user
    setting = _setting()
    company = setting["company"]
    context = {"company": company, "companies": [company]}
    # Locked at the start, as Tryton's own dispatcher does when it starts a transaction anew for want of a lock.
    with Transaction().start(database, user, context=context, _lock_tables=_locked()) as all_:
        filling = _Filling(setting, Random(8))
        for step in (
            filling.geography,
            filling.categories,
            filling.customers,
            filling.products,
            filling.opportunities,
            filling.sales,
            filling.shipments,
            filling.invoices,
            filling.returns,
            filling.archive,
        ):
            step()
            all_.commit()
            print(step.__name__, flush=True)


def _setting() -> dict[str, Any]:
    """Company, accounts, years: what a Tryton's first day makes, by its own wizards."""
    create_company()
    company = Model.get("company.company").find()[0]
    create_chart(company)
    accounts = get_accounts(company)
    for year in range(TODAY.year - 2, TODAY.year + 1):
        days = (dt.date(year, 1, 1), dt.date(year, 12, 31))
        _year(company, days)
    tax = create_tax(Decimal(".0825"))
    tax.save()
    employees = []
    for name in ("Nora Keller", "Paul Ricci"):
        party = Model.get("party.party")(name=name)
        party.save()
        employee = Model.get("company.employee")(party=party, company=company)
        employee.save()
        employees.append(employee.id)
    return {
        "company": company.id,
        "currency": company.currency.id,
        "accounts": {name: account.id for name, account in accounts.items()},
        "tax": tax.id,
        "employees": employees,
        "second": _second_company(),
    }


def _year(company: Any, days: tuple[dt.date, dt.date]) -> None:
    year = create_fiscalyear(company, today=days)
    year.start_date, year.end_date = days
    year.name = str(days[0].year)
    year = set_fiscalyear_invoice_sequences(year)
    year.click("create_period")


def _second_company() -> int:
    """Another company in the same database, whose prices are its own."""
    wizard = Wizard("company.company.config")
    wizard.execute("company")
    party = Model.get("party.party")(name="Overseas Ltd")
    party.save()
    wizard.form.party = party
    wizard.form.currency = Model.get("currency.currency").find()[0]
    wizard.execute("add")
    return int(max(company.id for company in Model.get("company.company").find()))


class _Filling:
    """Steps in their order; each leaves what later ones need."""

    def __init__(self, setting: dict[str, Any], random: Random) -> None:
        self._setting, self._random = setting, random
        self._subdivisions: list[Any] = []
        self._categories: dict[str, Any] = {}
        self._customers: list[Any] = []
        self._products: list[Any] = []
        self._sales: list[Any] = []
        (self._unit,) = _model("product.uom").search([("name", "=", "Unit")])
        (self._german,) = _model("ir.lang").search([("code", "=", "de")])

    def geography(self) -> None:
        for name, code, parts in (("United States", "US", ("North", "South", "East")), ("Germany", "DE", ("West",))):
            (country,) = _model("country.country").create([{"name": name, "code": code}])
            rows = [
                {"name": part, "code": f"{code}-{part[0]}", "country": country.id, "type": "state"} for part in parts
            ]
            self._subdivisions += _model("country.subdivision").create(rows)

    def categories(self) -> None:
        _model("ir.lang").write([self._german], {"translatable": True})
        for name, kind in (("Newsletter", "party.category"), *((genre, "product.category") for genre in GENRES)):
            (made,) = _model(kind).create([{"name": name}])
            self._categories[name] = made
            if name in GERMAN:
                self._in_german(made, GERMAN[name])

    def _in_german(self, record: Any, name: str) -> None:
        with Transaction().set_context(language="de"):
            type(record).write([type(record)(record.id)], {"name": name})

    def customers(self) -> None:
        random, rows = self._random, []
        for number in range(CUSTOMERS):
            business = random.random() < 0.3
            name = f"{random.choice(FIRST)} {random.choice(LAST)}"
            row = {
                "name": f"{random.choice(FIRMS)} {number}" if business else name,
                "addresses": [("create", list(self._addresses(number)))],
                "contact_mechanisms": [("create", list(self._contacts(name, number)))],
                "active": random.random() > 0.04,
            }
            if business:
                row["identifiers"] = [("create", [{"type": None, "code": f"TAX-{number:05d}"}])]
            if random.random() < 0.4:
                row["categories"] = [("add", [self._categories["Newsletter"].id])]
            rows.append(row)
        self._customers = _model("party.party").create(rows)
        twice, kept = self._customers[3:5], self._customers[7]
        _model("party.party").write(twice, {"replaced_by": kept.id, "active": False})  # as its wizard of duplicates
        self._customers = [customer for customer in self._customers if customer not in twice]

    def _addresses(self, number: int) -> Iterator[dict[str, Any]]:
        random = self._random
        for sequence in random.sample((None, 1, 2), random.choice((0, 1, 1, 2))):
            part = random.choice([*self._subdivisions, None])
            yield {
                "street_unstructured": f"{number} Main Street\nRear",
                "city": random.choice(("Austin", "Köln", "Boston")),
                "postal_code": f"{number:05d}",
                "subdivision": part.id if part else None,
                "country": part.country.id if part else None,
                "sequence": sequence,
            }

    def _contacts(self, name: str, number: int) -> Iterator[dict[str, Any]]:
        random = self._random
        mail = f"{name.split()[0]}.{number}@Example.com"
        for kind, value in (
            ("email", mail), ("email", f"second.{number}@example.org"), ("mobile", f"+1555{number:07d}"),
            ("website", f"http://example.com/{number}"),
        ):  # fmt: skip
            if random.random() < 0.6:
                sequence = random.choice((None, 1, 5))
                yield {"type": kind, "value": value, "sequence": sequence, "active": random.random() > 0.05}

    def products(self) -> None:
        random, accounts = self._random, self._setting["accounts"]
        category = {"name": "Discs", "accounting": True, "customer_taxes": [("add", [self._setting["tax"]])]}
        category |= {f"account_{kind}": accounts[kind] for kind in ("expense", "revenue")}
        (accounting,) = _model("product.category").create([category])
        rows = [self._product(number, accounting) for number in range(PRODUCTS)]
        templates = _model("product.template").create(rows)
        self._products = [product for template in templates for product in template.products]
        for template in templates[::3]:
            self._in_german(template, f"{template.name} (Sonderausgabe)")
        for product in self._products:  # a price of four places, whose last may be zeros
            cost = product.list_price_used * random.randint(40, 90) / 100
            _model("product.product").write([product], {"cost_price": cost.quantize(Decimal("0.0001"))})
        for product in self._products[::6]:  # a variant's own price goes before its template's
            _model("product.product").write([product], {"list_price": Decimal("29.90")})
        with Transaction().set_context(company=self._setting["second"]):
            for template in templates[::2]:
                _model("product.template").write([_model("product.template")(template.id)], {"list_price": Decimal(1)})

    def _product(self, number: int, accounting: Any) -> dict[str, Any]:
        random = self._random
        price = Decimal(random.choice(("9.99", "12.5", "15", "18.9900", "24.1250", "1E+1")))
        variants = [{"suffix_code": suffix, "description": f"{suffix}\n2nd line"} for suffix in ("CD", "LP")]
        return {
            "name": " ".join(random.sample(WORDS, 2)),
            "code": f"D{number:03d}",
            "type": "goods",
            "default_uom": self._unit.id,
            "salable": number % 9 != 0,
            "sale_uom": self._unit.id,
            "list_price": price,
            "account_category": accounting.id,
            "categories": [("add", [self._categories[random.choice(GENRES)].id])] if number % 7 else [],
            "products": [("create", variants[: random.choice((1, 1, 2))])],
            "active": number % 13 != 0,
        }

    def opportunities(self) -> None:
        random, found = self._random, []
        for number in range(OPPORTUNITIES):
            start = TODAY - dt.timedelta(days=random.randrange(DAYS))
            found.append({
                "party": random.choice(self._customers).id,
                "company": self._setting["company"],
                "employee": random.choice(self._setting["employees"]),
                "description": f"Inquiry {number}",
                "start_date": start,
                "amount": Decimal(random.randrange(100, 90_000)).scaleb(-2),
                "conversion_probability": random.choice((0.1, 0.3, 0.55)),
                "lines": [("create", [{"product": product.id, "quantity": 2.0, "unit": self._unit.id}
                                      for product in random.sample(self._sold(), 2)])],
            })  # fmt: skip
        made = _model("sale.opportunity").create(found)
        turn = _model("sale.opportunity")
        turn.opportunity(made[10:])
        turn.lost(made[20:30])
        turn.cancel(made[30:35])
        with_address = [one for one in made[35:50] if one.party.addresses]
        turn.write(with_address, {"lost_reason": None})
        for one in with_address:
            one.address = one.party.addresses[0]
        turn.save(with_address)
        turn.convert(with_address)

    def _sold(self) -> list[Any]:
        return [product for product in self._products if product.active and product.template.salable]

    def sales(self) -> None:
        random, sold = self._random, self._sold()
        days = sorted(TODAY - dt.timedelta(days=random.choice((random.randrange(DAYS), random.randrange(60))))
                      for _ in range(SALES))  # fmt: skip
        with_address = [customer for customer in self._customers if customer.active and customer.addresses]
        rows = []
        for number, day in enumerate(days):
            customer = random.choice(with_address[: len(with_address) * 4 // 5])
            lines = [self._line(product) for product in random.sample(sold, random.choice((1, 1, 2, 3)))]
            if number % 5 == 0:
                lines.append({"type": "comment", "description": "Gift-wrapped"})
            rows.append({
                "party": customer.id,
                "company": self._setting["company"],
                "currency": self._setting["currency"],
                "invoice_address": customer.addresses[0].id,
                "shipment_address": customer.addresses[0].id,
                "sale_date": day,
                "quotation_date": day,
                "quotation_validity": random.choice((None, dt.timedelta(days=30), dt.timedelta(hours=36, seconds=1))),
                "invoice_method": "order",
                "shipment_method": "order",
                "reference": random.choice((None, f"PO {number}")),
                "lines": [("create", lines)],
            })  # fmt: skip
        for start in range(0, SALES, BATCH):
            self._sales += self._ordered(_model("sale.sale").create(rows[start : start + BATCH]))

    def _line(self, product: Any) -> dict[str, Any]:
        quantity = float(self._random.choice((1, 1, 2, 3, 10)))
        price = product.list_price_used * self._random.choice((1, 1, Decimal("0.95")))
        return {
            "type": "line",
            "product": product.id,
            "quantity": quantity,
            "unit": self._unit.id,
            "unit_price": price if price.as_tuple().exponent >= -4 else price.quantize(Decimal("0.0001")),
            "taxes": [("add", [self._setting["tax"]])],
        }

    def _ordered(self, sales: Sequence[Any]) -> list[Any]:
        """Taken through the states; a few stay behind in each."""
        sale = _model("sale.sale")
        sale.quote([one for one in sales if one.id % 40])
        sale.cancel([one for one in sales if one.id % 40 == 1])
        confirmed = [one for one in sales if one.id % 40 > 3]
        sale.confirm(confirmed)
        processed = [one for one in confirmed if one.id % 3]
        sale.process(processed)
        return processed

    def shipments(self) -> None:
        waiting = [one for sale in self._sales for one in sale.shipments if one.state == "waiting" and one.id % 8]
        shipment = _model("stock.shipment.out")
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            for turn in (shipment.assign_force, shipment.pick, shipment.pack, shipment.ship, shipment.do):
                turn(batch)

    def invoices(self) -> None:
        """Posted, and most paid: the money goes through a journal of cash."""
        accounts, invoice = self._setting["accounts"], _model("account.invoice")
        (journal,) = _model("account.journal").search([("type", "=", "cash")])
        (method,) = _model("account.invoice.payment.method").create([{
            "name": "Cash", "company": self._setting["company"], "journal": journal.id,
            "credit_account": accounts["cash"], "debit_account": accounts["cash"],
        }])  # fmt: skip
        due = sorted({one for sale in self._sales for one in sale.invoices}, key=lambda one: one.id)
        due = [one for one in due if one.state == "draft" and one.id % 3]
        self._post(due, {one: one.sale_date for one in self._sales})
        for one in due:
            if one.id % 4:
                part = one.total_amount if one.id % 5 else (one.total_amount / 2).quantize(Decimal("0.01"))
                one.pay_invoice(part, method, one.invoice_date)
        invoice.process(due)

    def _post(self, invoices: list[Any], days: dict[Any, dt.date]) -> None:
        """In the order of their days, which their numbers follow."""
        for one in invoices:
            one.invoice_date = days[one.lines[0].origin.sale]
        invoices.sort(key=lambda one: (one.invoice_date, one.id))
        _model("account.invoice").save(invoices)
        _model("account.invoice").post(invoices)

    def returns(self) -> None:
        sale = _model("sale.sale")
        back = [one for one in self._sales if one.id % 11 == 0]
        made = sale.copy(back, default={
            "origin": lambda data: f"sale.sale,{data['id']}",
            "lines.quantity": lambda data: -data["quantity"] if data["type"] == "line" else data["quantity"],
        })  # fmt: skip
        sale.quote(made)
        sale.confirm(made)
        sale.process(made[::2])
        self._post([one for back in made[::2] for one in back.invoices], dict.fromkeys(made, TODAY))

    def archive(self) -> None:
        """What no longer counts: a product line taken out, a customer without anything."""
        bought = {one.party.id for one in self._sales}
        _model("party.party").write([one for one in self._customers if one.id not in bought][:3], {"active": False})


def _locked() -> list[str]:
    pool = Pool(config.get_config().database_name)
    found = (kind for name, kind in pool.iterobject() if name.startswith(LOCKED))
    return sorted({kind._table for kind in found if issubclass(kind, ModelSQL) and not _computed(kind)})


def _computed(kind: Any) -> bool:
    return any("table_query" in vars(base) for base in kind.__mro__ if base is not ModelSQL)


def _model(name: str) -> Any:
    return Pool().get(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
