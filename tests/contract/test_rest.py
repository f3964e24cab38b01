"""The generic REST system keeps the contract with a described API, in each way of paging and of signing in."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from koppel.sandbox.host import build
from koppel.systems.rest import SYSTEM
from koppel.systems.rest.description import read
from koppel.systems.rest.settings import Settings
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract

WHOLE = (Path(__file__).parent / "rest_voorbeeld.toml").read_text("utf-8")
NAME = "relations"


def described(way: str, records: str, paging: str) -> str:
    """The description with another way of listing."""
    text = WHOLE.replace("/pagina/", f"/{way}/").replace('"relaties"', f'"{records}"')
    begun, _, rest = text.partition("paging  = ")
    return f"{begun}paging  = {paging}\n{rest.partition(chr(10))[2]}"


WAYS = {
    "page": WHOLE,
    "offset": described("vanaf", "", '{ style = "offset", offset = "vanaf", size = "aantal", most = 50, steady = true }'),
    "cursor": described("stroom", "data.items", '{ style = "cursor", next = "meta.volgende", size = "aantal", most = 50, steady = true }'),
    "link": described("link", "", '{ style = "link", size = "aantal", most = 50, steady = true }'),
}  # fmt: skip


def bench(description: str, companies: int = 48) -> Bench:
    host = build(companies=companies, names=["rest"])
    told = host.sandboxes["rest"].contract("http://localhost/voorbeeld")
    secrets = {name: told[name] for name in ("key", "user", "password", "client_id", "client_secret")}

    def act(action, **body):
        return host.control("rest", action, body)

    return Bench(
        system=SYSTEM,
        resource_name=NAME,
        host=host,
        settings=Settings(description=description, **secrets),
        page=10,
        absent={"native": ("9999",), "kvk": ("98765432",), "vat": ("NL001234567B29",)},
        edit=lambda native, text: act("edit", id=native, set={"bedrijfsnaam": text}),
        late=lambda native, text: act("edit", id=native, set={"bedrijfsnaam": text}, late=20),
        add=lambda text: str(act("add", set={"bedrijfsnaam": text})["id"]),
        delete=lambda native: act("delete", id=native),
        refuse=lambda text: act("settings", refuse=[text]),
        natives=lambda: {str(row["id"]) for row in act("relations")["relations"]},
    )


class TestPages(Contract):
    def make(self):
        return bench(WAYS["page"])


class TestOffsets(Contract):
    def make(self):
        return bench(WAYS["offset"])


class TestCursors(Contract):
    def make(self):
        return bench(WAYS["cursor"].replace('kind   = "header"', 'kind = "basic"'))


class TestLinks(Contract):
    def make(self):
        sign_in = 'kind = "client_credentials"\ntoken_url = "http://localhost/voorbeeld/oauth/token"'
        return bench(WAYS["link"].replace('kind   = "header"', sign_in))


TRADE = (files("koppel.testing") / "trade.toml").read_text("utf-8")
FIRM = 1001  # the first relation of the seeded world
TRADED: dict[str, tuple[str, str, str, Callable[[int, str], dict]]] = {
    # resource -> table, the field a text is written in (theirs, ours), a whole record
    "contacts": (
        "contacten",
        "achternaam",
        "last_name",
        lambda n, text: {"achternaam": text, "email": f"p{n}@firma.example", "relatie_id": FIRM},
    ),
    "products": (
        "artikelen",
        "omschrijving",
        "name",
        lambda n, text: {"code": f"ART-{n}", "omschrijving": text, "prijs": n + 0.5},
    ),
    "orders": (
        "orders",
        "kenmerk",
        "reference",
        lambda n, text: {"nummer": f"2026-{n}", "kenmerk": text, "relatie_id": FIRM, "regels": []},
    ),
}
WRITTEN: dict[str, Callable[[int], dict]] = {
    "contacts": lambda n: {
        "first_name": "Anna", "last_name": f"Vries {n}", "email": f"nieuw{n}@firma.example", "company": str(FIRM),
    },
    "products": lambda n: {"code": f"NW-{n}", "name": f"Artikel {n}", "price": f"{n}.25"},
    "orders": lambda n: {
        "number": f"NW-{n}", "date": "2026-11-01", "customer": str(FIRM), "status": "open", "reference": f"Kenmerk {n}",
        "lines": [{"product": "301", "description": f"Regel {n}", "quantity": "2", "unit_price": "1.5"}],
    },
}  # fmt: skip


def traded(resource: str, records: int = 24) -> Bench:
    """A bench for one of the plain tables, with that many records in it."""
    host = build(companies=4, names=["rest"])
    table, theirs, ours, whole = TRADED[resource]
    made = iter(range(1, 10_000))

    def act(action, **body):
        return host.control("rest", action, {"table": table, **body})

    host.control("rest", "add", {"table": "artikelen", "set": {"code": "EERSTE", "omschrijving": "Eerste"}})
    for _ in range(records):
        number = next(made)
        act("add", set=whole(number, f"Nummer {number}"))
        host.clock.advance(60)
    absent = {"native": ("99999",), "sku": ("GEEN",), "number": ("GEEN",)}
    can = read(TRADE).resources[resource].find
    return Bench(
        system=SYSTEM,
        resource_name=resource,
        host=host,
        settings=Settings(description=TRADE, key=host.sandboxes["rest"].contract("http://localhost/voorbeeld")["key"]),
        page=10,
        called=ours,
        absent={kind: values for kind, values in absent.items() if kind in can},
        edit=lambda native, text: act("edit", id=native, set={theirs: text}),
        late=lambda native, text: act("edit", id=native, set={theirs: text}, late=20),
        add=lambda text: str(act("add", set=whole(next(made), text))["id"]),
        delete=lambda native: act("delete", id=native),
        refuse=lambda text: act("refuse", text=text),
        natives=lambda: {str(row["id"]) for row in act("rows")["rows"]},
        values=WRITTEN[resource],
    )


class TestContacts(Contract):
    def make(self):
        return traded("contacts")


class TestProducts(Contract):
    def make(self):
        return traded("products")


class TestOrders(Contract):
    def make(self):
        return traded("orders")


@pytest.mark.parametrize("way", ["page", "offset", "cursor", "link"])
def test_every_way_of_listing_tells_the_same(way):
    made = bench(WAYS[way])
    everything = {item.native: made.record(item) for item in made.items()}
    truth = bench(WAYS["page"])
    assert everything == {item.native: truth.record(item) for item in truth.items()}
