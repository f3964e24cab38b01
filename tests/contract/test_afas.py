"""AFAS Profit keeps the contract, against its sandbox."""

from __future__ import annotations

from koppel.sandbox.host import build
from koppel.systems.afas import SYSTEM
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import Tokens, drive
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract
from koppel.testing.contract.listing import last_cursor

ADDRESS = "http://localhost/afas"
FEED = {
    "addresses": "Profit_Deliveryaddress",
    "addresses_by": "OrgId",
    "addresses_only": "Adrestype_code_2=ADR",
    "addresses_modified": "Gewijzigd_op_2",
}


def bench(companies: int, *, oauth: bool = False, **settings: str) -> Bench:
    host = build(companies=companies, names=["afas"])
    told = host.sandboxes["afas"].contract(ADDRESS)
    client = {"client_id": told["client_id"], "client_secret": told["client_secret"]}

    def act(action, **body):
        return host.control("afas", action, body)

    made = Settings(base_url=told["base_url"], **(client if oauth else {"token": told["token"]}), **settings)
    return Bench(
        system=SYSTEM,
        resource_name="debtors",
        host=host,
        settings=made,
        tokens=drive(
            SYSTEM.auth.refresh(made, Tokens(""), host.clock.now()), lambda call: host.handle(call.request)
        ).tokens
        if oauth
        else None,
        absent={"native": ("99999999",), "kvk": ("98765432",), "vat": ("NL001234567B29",)},
        edit=lambda native, text: act("edit", debtor=native, set={"Nm": text}),
        add=lambda text: act("add", set={"Nm": text})["DbId"],
        refuse=lambda text: act("settings", refuse={text: "Vul een waarde in voor 'Naam'."}),
        natives=lambda: {row["DbId"] for row in act("debtors")["debtors"]},
        page=10,
    )


class TestDebtors(Contract):
    def make(self):
        return bench(companies=25)


class TestDebtorsSignedWithOAuth(Contract):
    def make(self):
        return bench(companies=25, oauth=True)


class TestDebtorsWithAddressesInParts(Contract):
    def make(self):
        return bench(companies=25, **FEED)

    def test_nothing_changed_costs_one_call_and_tells_nothing_new(self, bench):
        cursor = last_cursor(bench.pages())
        before = len(bench.sent)
        bench.pages(cursor)
        kinds = [call.kind for call, _ in bench.sent[before:]]
        assert kinds == ["Profit_Debtor", "Profit_Deliveryaddress"], "one call a feed"
