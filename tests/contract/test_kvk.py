"""KVK keeps the contract, against its sandbox: the profile of a number, and the search."""

from __future__ import annotations

import pytest

from koppel.sandbox.host import build
from koppel.systems.kvk import SYSTEM
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Absent, Found, Unknown
from koppel.testing.bench import Bench, RefusedByVerdict
from koppel.testing.contract import Contract


def bench(resource, keys):
    host = build(companies=25, names=["kvk"])
    told = host.sandboxes["kvk"].contract("http://localhost/kvk")
    companies = host.control("kvk", "companies", {})["companies"]
    present, absent = keys(companies)
    settings = Settings(apikey=told["apikey"], base_url=told["base_url"])
    return Bench(system=SYSTEM, resource_name=resource, host=host, settings=settings, present=present, absent=absent)


def by_number(companies):
    numbers = tuple(company["kvk"] for company in companies)
    return {"native": numbers, "kvk": numbers}, {"native": ("98765432",), "kvk": ("98765432", "99887766")}


def by_text(companies):
    active = [company for company in companies if company["ended_on"] is None]
    named = tuple(f"naam={company['name']}" for company in active[:5])
    return {"text": (active[0]["kvk"], *named)}, {"text": ("naam=Bestaatniet", "98765432")}


class TestCompanies(Contract):
    def make(self):
        return bench("companies", by_number)


class TestSearch(Contract):
    def make(self):
        return bench("search", by_text)


# --- the register as made up, told back ----------------------------------------------------------------------------------


def told(made):
    """Every company of the made-up world, as the client tells it."""
    companies = made.host.control("kvk", "companies", {})["companies"]
    findings = made.find("kvk", *(company["kvk"] for company in companies))
    return [(company, made.record(findings[company["kvk"]].items[0]).entity) for company in companies]


def test_every_company_is_told_as_it_stands_in_the_register():
    for made_up, company in told(TestCompanies().make()):
        assert company.name == (made_up["statutory_name"] or made_up["name"])
        assert company.statutory_name == made_up["statutory_name"]
        assert company.is_active == (made_up["ended_on"] is None)
        assert company.ended_on == made_up["ended_on"]
        assert made_up["started_on"].startswith(company.started_on)
        assert company.do_not_mail == made_up["do_not_mail"]
        assert company.personal == (made_up["kind"] == "eenmanszaak")
        assert company.rsin == (None if company.personal else made_up["rsin"])
        assert company.sbi[0].code == made_up["sbi"][0][0]
        assert company.vat_number is None


def test_a_plain_visit_address_arrives_in_its_parts():
    plain = [(made_up, company) for made_up, company in told(TestCompanies().make()) if made_up["shape"] == "plain"]
    assert len(plain) > 5
    for made_up, company in plain:
        address = company.address
        assert (address.street, address.number) == (made_up["street"], str(made_up["number"]))
        assert (address.postcode, address.city, address.country) == (made_up["postcode"], made_up["city"], "NL")


def test_a_shielded_company_shows_its_street_nowhere():
    made = TestCompanies().make()
    shielded = [(made_up, company) for made_up, company in told(made) if made_up["shape"] == "shielded"]
    assert shielded
    for made_up, company in shielded:
        item = made.find("kvk", made_up["kvk"])[made_up["kvk"]].items[0]
        assert company.address.shielded
        assert made_up["street"] not in repr((item, company))
        assert made_up["postcode"] not in repr((item, company))


def test_a_number_being_processed_is_unknown_until_the_time_it_names_and_then_found():
    made = TestCompanies().make()
    number = made.present["kvk"][0]
    made.host.control("kvk", "unavailable", {"kvk": number, "code": "IPD1003", "seconds": 200})
    finding = made.find("kvk", number)[number]
    assert isinstance(finding, Unknown)
    made.host.clock.set(finding.problem.retry_at)
    assert isinstance(made.find("kvk", number)[number], Found)


def test_a_number_that_cannot_be_delivered_is_absent_and_says_why():
    made = TestCompanies().make()
    number = made.present["kvk"][0]
    made.host.control("kvk", "undeliverable", {"kvk": number})
    finding = made.find("kvk", number)[number]
    assert isinstance(finding, Absent)
    assert finding.problem.vendor_code == "IPD0005"


def test_a_key_without_the_subscription_is_told_which_api_is_missing():
    made = TestCompanies().make()
    made.host.control("kvk", "settings", {"entitlements": ["zoeken"]})
    with pytest.raises(RefusedByVerdict) as caught:
        made.find("kvk", made.present["kvk"][0])
    assert "Basisprofiel" in caught.value.verdict.problem.text


def test_the_registers_own_throttle_is_waited_out():
    made = TestCompanies().make()
    made.host.control("kvk", "settings", {"rate_limit": 3})
    findings = made.find("kvk", *made.present["kvk"])
    assert {type(finding) for finding in findings.values()} == {Found}
    assert "throttled" in {verdict.kind for verdict in made.verdicts}


def test_an_ended_company_is_told_with_who_is_at_its_address_now():
    made = TestCompanies().make()
    ended = made.host.world.companies[1]
    made.host.control("kvk", "end", {"kvk": ended.kvk, "successor": "00300300"})
    (item,) = made.find("kvk", ended.kvk)[ended.kvk].items
    company = made.record(item).entity
    assert (company.is_active, company.successor) == (False, "00300300")
    (item,) = made.find("kvk", "00300300")["00300300"].items
    assert made.record(item).entity.address == company.address


def test_the_made_up_world_holds_a_company_that_another_went_on_with_at_the_same_address():
    carried_on = [(made_up, company) for made_up, company in told(TestCompanies().make()) if made_up["successor"]]
    assert any(company.successor == made_up["successor"] for made_up, company in carried_on)
    assert all(company.successor in (made_up["successor"], None) for made_up, company in carried_on)
