"""KVKBase keeps the contract, against its sandbox: the look-up of a number, in two prices, and the search."""

from __future__ import annotations

import pytest

from koppel.sandbox.host import build
from koppel.systems.kvkbase import SYSTEM
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Found
from koppel.testing.bench import Bench, RefusedByVerdict
from koppel.testing.contract import Contract


def bench(resource="companies", *, enrich=False):
    host = build(companies=25, names=["kvkbase"])
    told = host.sandboxes["kvkbase"].contract("http://localhost/kvkbase")
    companies = host.world.companies
    numbers, texts = tuple(company.kvk for company in companies), tuple(company.name for company in companies[:5])
    present = {"native": numbers, "kvk": numbers} if resource == "companies" else {"text": texts}
    absent = {"native": ("98765432",), "kvk": ("98765432", "9"), "text": ("Bestaatniet Nergens",)}
    settings = Settings(apikey=told["apikey"], base_url=told["base_url"], enrich=enrich)
    return Bench(system=SYSTEM, resource_name=resource, host=host, settings=settings, present=present, absent=absent)


class TestCompanies(Contract):
    def make(self):
        return bench()


class TestSearch(Contract):
    def make(self):
        return bench("search")


class TestFullDetails(Contract):
    def make(self):
        return bench(enrich=True)

    def test_what_an_answer_says_of_the_allowances_can_be_read(self, bench):
        """An enriched look-up counts for five: the balance is told, not counted."""
        call = bench.reading_call()
        balances = []
        for _ in range(2):
            request, response = bench.answer(call)
            told = {r.name: r for r in SYSTEM.readings(request, response, bench.host.clock.now())}
            balances.append(told["tokens"].remaining)
        assert balances[0] - balances[1] == 5


def told(made):
    """Every company of the made-up world, as the client tells it."""
    findings = made.find("kvk", *(company.kvk for company in made.host.world.companies))
    return [(seed, made.record(findings[seed.kvk].items[0]).entity) for seed in made.host.world.companies]


def test_every_company_is_told_as_it_stands_in_the_register():
    for seed, company in told(bench(enrich=True)):
        assert company.name == (seed.statutory_name or seed.name)
        assert company.statutory_name == seed.statutory_name
        assert company.is_active in {seed.ended_on is None, None}
        assert company.personal == (seed.kind == "eenmanszaak")
        assert company.sbi[0].code == seed.sbi[0][0]
        assert company.started_on == seed.started_on
        assert company.employees == seed.employees


def test_only_a_confirmed_vat_number_is_one():
    companies = told(bench(enrich=True))
    states = {company.vat_state for _, company in companies}
    assert {"confirmed", "invalid"} <= states
    for seed, company in companies:
        assert (company.vat_number is not None) == (company.vat_state == "confirmed")
        assert company.vat_number in {seed.vat, None}


def test_while_vies_is_away_no_number_is_confirmed_and_none_is_invalid():
    made = bench(enrich=True)
    made.host.control("kvkbase", "settings", {"vies": "down"})
    companies = [company for _, company in told(made)]
    assert {company.vat_state for company in companies} == {"unknown", None}
    assert {company.vat_number for company in companies} == {None}


def test_a_plain_address_arrives_in_its_parts():
    plain = [(seed, company.address) for seed, company in told(bench()) if seed.shape == "plain"]
    assert len(plain) > 5
    for seed, address in plain:
        assert (address.street, address.number) == (seed.street, str(seed.number))
        assert (address.postcode, address.city, address.country) == (seed.postcode, seed.city, "NL")


def test_tokens_that_are_used_up_are_for_a_person_to_buy():
    made = bench()
    made.host.control("kvkbase", "tokens", {"balance": 1})
    assert isinstance(made.find("kvk", made.present["kvk"][0])[made.present["kvk"][0]], Found)
    with pytest.raises(RefusedByVerdict) as caught:
        made.find("kvk", made.present["kvk"][1])
    assert caught.value.verdict.kind == "setup"
    assert "Buy tokens" in caught.value.verdict.problem.text


def test_the_vendors_own_throttle_is_waited_out():
    made = bench()
    made.host.control("kvkbase", "settings", {"rate_limit": 3})
    findings = made.find("kvk", *made.present["kvk"][:8])
    assert {type(finding) for finding in findings.values()} == {Found}
    assert "throttled" in {verdict.kind for verdict in made.verdicts}
