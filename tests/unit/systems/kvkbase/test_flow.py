"""The ready-made flow from the register into Exact runs with KVKBase in the register's place, and with VIES beside KVK."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points
from importlib.resources import files

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine.flow import Options
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.project import own_fields
from koppel.mapping.read import read_flow
from koppel.sandbox.host import build, contract
from koppel.store.store import in_memory
from koppel.store.vault import Vault

SYSTEMS = {entry.name: entry for entry in entry_points(group="koppel.systems")}
TEXT = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")
FREELY = Options(override=("creates", "share", "vanished", "first"))


class Office:
    """One workspace: a register, Exact Online, and what else the flow names, all in this process."""

    def __init__(self, text: str, register: str, *others: str) -> None:
        self.host = build(seed=3, companies=12, names=["exact", register, *others])
        self.store = in_memory(Vault(bytes(range(32))))
        self.flow, problems = read_flow(text, file="kvk-exact.toml")
        assert not problems
        told = contract(self.host, "http://sandbox.example")["systems"]
        self.division = told["exact"]["divisions"][0]
        named = {"register": register, "books-nl": "exact", **{name: name for name in others}}
        self.ports = Ports(
            store=self.store,
            clock=self,
            transport=self,
            connections={name: self.connection(name, system, told[system]) for name, system in named.items()},
            worker="one",
        )
        code = Sender(self.ports).logins.redeem(self.ports.connections["books-nl"], told["exact"]["authorization_code"])
        asyncio.run(code)

    def connection(self, name, system, told):
        found = SYSTEMS[system].load()
        names = {field.name for field in msgspec.structs.fields(found.settings)}
        known = {key: value for key, value in told.items() if key in names}
        known |= {"division": self.division} if system == "exact" else {}
        own = {"accounts": own_fields(self.flow, "right")} if system == "exact" else {}
        return Connection(name=name, system=found, settings=msgspec.convert(known, found.settings), own=own)

    async def send(self, request, *, timeout):  # noqa: ASYNC109 - the transport's own signature
        return self.host.handle(request)

    def now(self):
        return self.host.clock.now()

    async def sleep(self, seconds):
        self.host.clock.advance(max(0.0, seconds))

    def sync(self):
        return asyncio.run(engine.sync_flow(self.ports, self.flow, FREELY))

    def account(self, kvk):
        (found,) = self.host.control("exact", "accounts", {"division": self.division, "kvk": kvk})["accounts"]
        return found


@pytest.fixture
def open_office():
    opened = []

    def make(*given):
        opened.append(Office(*given))
        return opened[-1]

    yield make
    for office in opened:
        office.store.close()


def new_bv(office):
    """A company with a VAT number of its own, that the books do not know yet."""
    return next(
        company
        for company in office.host.world.companies
        if (company.kind, company.shape, company.in_erp) == ("bv", "plain", "none") and company.vat
    )


def test_kvkbase_takes_the_registers_place_and_its_confirmed_number_is_written(open_office):
    office = open_office(TEXT, "kvkbase")
    company = new_bv(office)
    asyncio.run(engine.take(office.ports, office.flow, (company.kvk,)))
    office.sync()
    account = office.account(company.kvk)
    assert account["Name"] == company.statutory_name
    assert (account["ChamberOfCommerce"].strip(), account["VATNumber"]) == (company.kvk, company.vat)
    assert account["Postcode"].replace(" ", "") == company.postcode
    writes = [office.host.count("exact", method) for method in ("POST", "PUT")]
    office.sync()
    assert [office.host.count("exact", method) for method in ("POST", "PUT")] == writes


def with_vies():
    return TEXT.replace("# [enrich]", "[enrich]").replace("# vat = ", "vat = ")


def test_with_vies_beside_kvk_a_confirmed_candidate_is_written(open_office):
    office = open_office(with_vies(), "kvk", "vies")
    company = new_bv(office)
    asyncio.run(engine.take(office.ports, office.flow, (company.kvk,)))
    office.sync()
    assert office.account(company.kvk).get("VATNumber") == company.vat


def test_while_a_member_state_is_away_the_company_is_created_without_the_number_and_gets_it_later(open_office):
    office = open_office(with_vies(), "kvk", "vies")
    company = new_bv(office)
    asyncio.run(engine.take(office.ports, office.flow, (company.kvk,)))
    office.host.control("vies", "outage", {"country": "NL"})
    office.sync()
    assert office.account(company.kvk).get("VATNumber") is None
    office.host.control("vies", "lift", {"country": "NL"})
    office.host.clock.advance(2 * 3600)
    office.sync()
    assert office.account(company.kvk).get("VATNumber") == company.vat
