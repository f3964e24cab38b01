"""Exact Online keeps the contract, against its sandbox."""

from __future__ import annotations

from koppel.sandbox.host import build
from koppel.systems.exact import SYSTEM
from koppel.systems.exact.settings import Settings
from koppel.systems.spi import Tokens
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract

ADDRESS = "http://localhost/exact"


def bench(companies: int) -> Bench:
    host = build(companies=companies, names=["exact"])
    told = host.sandboxes["exact"].contract(ADDRESS)
    pair = host.control("exact", "refresh_token", {"age": 0})
    now = host.clock.now()

    def act(action, **body):
        return host.control("exact", action, body)

    return Bench(
        system=SYSTEM,
        resource_name="accounts",
        host=host,
        settings=Settings(
            client_id=told["client_id"],
            client_secret=told["client_secret"],
            redirect_uri=told["redirect_uri"],
            base_url=ADDRESS,
            division=told["divisions"][0],
        ),
        tokens=Tokens(pair["access_token"], pair["refresh_token"], obtained_at=now, expires_at=now + 600),
        absent={"native": ("0a1b2c3d-0000-4000-8000-000000000000",), "kvk": ("98765432",), "vat": ("NL001234567B29",)},
        edit=lambda native, text: act("edit", id=native, set={"Name": text}),
        add=lambda text: act("add", set={"Name": text})["ID"],
        delete=lambda native: act("delete", id=native),
        refuse=lambda text: act("settings", refuse={text: "Ongeldig: Naam"}),
        natives=lambda: {row["ID"] for row in act("accounts")["accounts"]},
    )


class TestAccounts(Contract):
    def make(self):
        return bench(companies=25)

    def make_large(self):
        return bench(companies=2_500)  # more accounts than a sync page holds
