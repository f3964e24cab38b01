"""KVK keeps the contract, against its sandbox: the profile of a number, and the search."""

from __future__ import annotations

import msgspec
import pytest

from koppel.model.problem import SetupError
from koppel.sandbox.host import build
from koppel.systems.kvk import SYSTEM
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Absent, Found, Query, Unknown
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
    branches = tuple(company["branch"] for company in companies if company["shape"] in {"plain", "shielded", "po_box"})
    absent = {"native": ("98765432", "98765432/000099999999"), "kvk": ("98765432", "99887766")}
    return {"native": numbers, "kvk": numbers, "branch": branches}, absent | {"branch": ("000099999999", "12")}


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


class TestSignals(Contract):
    """The feed of changes. Nobody can edit a signal; what changes are companies, see below."""

    def make(self):
        made = bench("signals", lambda companies: ({}, {}))
        made.settings = msgspec.structs.replace(made.settings, signals=True)
        made.page = 10
        for number, company in enumerate(made.host.world.companies[:5]):
            made.host.control("kvk", "end", {"kvk": company.kvk, "successor": f"0030030{number}"})
            made.host.clock.advance(60)
        return made

    def test_only_the_last_page_says_that_all_was_seen(self, large):
        """A feed proves no absence: none of its pages says so."""
        pages = large.pages()
        assert len(pages) > 1
        assert {page.complete for page in pages} == {False}


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


# --- branches -------------------------------------------------------------------------------------------------------------


def test_a_branch_is_told_with_its_own_number_beside_the_companys():
    made = TestCompanies().make()
    plain = next(company for company in made.host.world.companies if company.shape == "plain")
    (item,) = made.find("branch", plain.branch)[plain.branch].items
    company = made.record(item).entity
    assert item.native == f"{plain.kvk}/{plain.branch}"
    assert (company.kvk, company.branch, company.is_active) == (plain.kvk, plain.branch, True)
    assert (company.address.street, company.address.postcode) == (plain.street, plain.postcode)
    assert made.find("native", item.native)[item.native].items == (item,)


# --- signals --------------------------------------------------------------------------------------------------------------


def hinted(pages):
    return [key for page in pages for resource, key in page.hints if resource == "companies"]


def test_a_change_is_hinted_at_and_nothing_new_costs_one_call():
    made = TestSignals().make()
    changed = made.host.world.companies[7].kvk
    cursor = made.pages()[-1].cursor
    made.host.clock.advance(60)
    made.host.control("kvk", "edit", {"kvk": changed, "set": {"name": "Nieuwe Naam"}})
    made.host.clock.advance(60)
    pages = made.pages(cursor)
    assert changed in hinted(pages)
    made.host.clock.advance(4000)
    cursor = made.pages(pages[-1].cursor)[-1].cursor
    made.host.clock.advance(60)
    before = len(made.sent)
    (page,) = made.pages(cursor)
    assert (page.items, page.hints, len(made.sent) - before) == ((), (), 1)


def test_a_signal_seen_before_is_neither_hinted_at_nor_asked_for_twice():
    made = TestSignals().make()
    cursor = made.pages()[-1].cursor
    before = len(made.sent)
    pages = made.pages(cursor)
    assert not hinted(pages), "the overlap is read again, and what it tells again is no news"
    assert {call.kind for call, _ in made.sent[before:]} == {"signalen"}
    assert [page.items for page in pages] == [()] * len(pages)


def test_a_signal_that_comes_out_late_is_not_missed():
    made = TestSignals().make()
    made.host.control("kvk", "settings", {"signal_delay": 900})
    cursor = made.pages()[-1].cursor
    changed = made.host.world.companies[8].kvk
    made.host.control("kvk", "edit", {"kvk": changed, "set": {"name": "Later Gehoord"}})
    made.host.clock.advance(300)
    early = made.pages(cursor)
    assert changed not in hinted(early)
    made.host.clock.advance(700)
    assert changed in hinted(made.pages(early[-1].cursor))


def test_successors_are_told_by_the_number_that_ended():
    made = TestSignals().make()
    told = {item.native: made.record(item).entity for item in made.items()}
    for number, company in enumerate(made.host.world.companies[:5]):
        assert (told[company.kvk].kvk, told[company.kvk].successor) == (company.kvk, f"0030030{number}")


def test_without_the_service_nothing_is_asked():
    made = TestSignals().make()
    made.settings = msgspec.structs.replace(made.settings, signals=False)
    page = made.run(made.resource.pages(made.site, Query()))
    assert (page.items, page.hints, page.next, made.sent) == ((), (), None, [])


def test_a_key_without_the_service_is_told_so():
    made = TestSignals().make()
    made.host.control("kvk", "settings", {"entitlements": ["zoeken", "basisprofiel"]})
    with pytest.raises(RefusedByVerdict) as caught:
        made.pages()
    assert "Mutatieservice" in caught.value.verdict.problem.text


def test_another_subscription_than_the_keys_is_the_set_ups_fault():
    made = TestSignals().make()
    made.settings = msgspec.structs.replace(made.settings, subscription="11111111-2222-3333-4444-555555555555")
    with pytest.raises(SetupError, match="11111111"):
        made.pages()
